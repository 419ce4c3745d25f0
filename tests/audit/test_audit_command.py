"""`equiderm audit` as a user runs it."""

import json

import numpy as np
import pytest

QUICK = ("--replicates", 100)


@pytest.fixture
def table(tmp_path, predictions):
    path = tmp_path / "p.csv"
    predictions(500, drop=1.5).to_csv(path, index=False)
    return path


def test_one_table_in_one_report_out(equiderm, table, tmp_path):
    done = equiderm(
        "audit", table, "--by", "ita_band", *QUICK, "-o", "r.html", "-o", "r.md", "-o", "r.json"
    )
    assert done.returncode == 0, done.stderr
    assert "ita_band" in done.stdout
    assert "AUROC" in done.stdout
    assert "shuffled" in done.stdout
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "r.md").read_text().startswith("# Audit")
    read = json.loads((tmp_path / "r.json").read_text())
    assert read["patients"] is None
    assert read["rows"] == 500
    assert read["provenance"]["files"][0][0] == "p.csv"


def test_json_goes_to_stdout_and_nothing_else_does(equiderm, table):
    done = equiderm("audit", table, *QUICK, "--json")
    assert json.loads(done.stdout)["schema"] == "equiderm.audit/1"


@pytest.mark.parametrize(
    ("condition", "status"),
    [("gap(auroc) > 0.05 with confidence", 3), ("gap(auroc) > 0.9", 0), ("gap(x) > 1", 2)],
)
def test_the_exit_status_follows_the_condition(equiderm, table, condition, status):
    done = equiderm("audit", table, *QUICK, "--fail-if", condition)
    assert done.returncode == status
    assert condition in done.stderr


def test_two_tables_are_compared_paired(equiderm, table, tmp_path, predictions):
    other = predictions(500, drop=1.5)
    other["score"] = np.random.default_rng(0).random(500)
    other.sample(frac=1, random_state=0).to_parquet(tmp_path / "q.parquet")
    done = equiderm("audit", table, "q.parquet", *QUICK, "-o", "ab.html", "-o", "ab.json")
    assert done.returncode == 0, done.stderr
    assert "A minus B" in done.stdout
    assert json.loads((tmp_path / "ab.json").read_text())["schema"] == "equiderm.comparison/1"
    assert "Paired differences" in (tmp_path / "ab.html").read_text()


def test_tones_are_joined_from_a_table(equiderm, tmp_path, predictions):
    frame = predictions(300)
    frame.drop(columns="ita_band").to_csv(tmp_path / "p.csv", index=False)
    tones = frame[["image_id", "ita_band"]].rename(columns={"image_id": "image"})
    tones["image"] = "photos/" + tones["image"] + ".jpg"
    tones.to_parquet(tmp_path / "tones.parquet")
    done = equiderm("audit", "p.csv", "--tones", "tones.parquet", *QUICK, "--json")
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert {row["group"] for row in read["figures"]} == {"overall", "1", "2", "3"}
    assert "tones.parquet" in read["provenance"]["tone_source"]


def test_images_are_labelled_on_the_way(equiderm, tmp_path):
    from PIL import Image

    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    lines = ["image_id,target,score"]
    for k in range(40):
        skin = (240, 210, 190) if k % 2 else (110, 75, 55)
        Image.new("RGB", (64, 64), skin).save(folder / f"m{k}.png")
        lines.append(f"m{k},{k // 2 % 2},{random.random():.3f}")
    (tmp_path / "p.csv").write_text("\n".join(lines))
    done = equiderm("audit", "p.csv", "--images", "photos", *QUICK, "--json")
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert len({row["group"] for row in read["figures"]}) == 3, "overall, a light and a dark band"
    assert "computed from the images in photos" in read["provenance"]["tone_source"]


def test_what_agree_writes_is_the_label_error_that_audit_reads(equiderm, table, predictions):
    folder = table.parent
    frame = predictions(500, drop=1.5)
    frame["fitzpatrick_type"] = frame["ita_band"]
    frame["ita_band"] = frame["ita_band"].where(np.arange(500) % 4 > 0, 2)
    labels = frame.rename(columns={"image_id": "image"})
    labels[["image", "ita_band"]].to_csv(folder / "labels.csv", index=False)
    labels[["image", "fitzpatrick_type"]].to_csv(folder / "truth.csv", index=False)
    made = equiderm(
        "agree", "labels.csv", "--truth", "truth.csv", "--truth-column", "fitzpatrick_type",
        "--json",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    (folder / "agreement.json").write_text(made.stdout)
    done = equiderm("audit", table, *QUICK, "--label-error", "agreement.json", "--json")
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout)["label_error"][0]
    assert first["groups"] == ["1", "2", "3"]
    assert first["metric"] == "auroc"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.csv",), "cannot be read"),
        (("p.csv", "--by", "tone"), "no column 'tone'"),
        (("p.csv", "-o", "r.pdf"), "ends in one of .html"),
        (("p.csv", "--interval", "wald"), "choose bca or percentile"),
        (("p.csv", "--reference", "9"), "no group '9'"),
        (("p.csv", "--tones", "p.csv", "--images", "."), "choose one"),
        (("p.csv", "--label-error", "p.csv"), "is no JSON"),
    ],
)
def test_unusable_arguments_are_one_sentence_and_status_2(equiderm, table, arguments, message):
    done = equiderm("audit", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
