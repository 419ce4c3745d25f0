"""`equiderm audit` as a user runs it."""

import gzip
import hashlib
import json
import subprocess
import sys

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
    assert done.stdout.startswith("No. It misses more positives on the darkest skin (band 3).")
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "r.md").read_text().startswith("# p.csv: does it work")
    read = json.loads((tmp_path / "r.json").read_text())
    assert read["patients"] is None
    assert read["rows"] == 500
    assert read["provenance"]["files"][0][0] == "p.csv"


def test_json_goes_to_stdout_and_nothing_else_does(equiderm, table):
    done = equiderm("audit", table, *QUICK, "--json")
    assert json.loads(done.stdout)["schema"] == "equiderm.audit/3"


def test_summary_missed_answers_and_acceptable(equiderm, table, tmp_path):
    (tmp_path / "a.toml").write_text('ethics = "Thought about."')
    done = equiderm(
        "audit", table, *QUICK, "-o", "r.html", "-o", "r.json",
        "--summary", "s.html", "--missed", "m.csv",
        "--answers", "a.toml", "--acceptable", "0.2", "--model", "Skin App",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "r.html").read_text()
    assert "Thought about." in page
    points = json.loads((tmp_path / "r.json").read_text())["checklist"]
    assert [one["answer"] for one in points if one["key"] == "ethics"] == ["Thought about."]
    assert "listed in m.csv" in page
    assert "--model &#39;Skin App&#39;" in page, "the command can be pasted"
    assert "Skin App: does it work" in (tmp_path / "s.html").read_text()
    assert (tmp_path / "m.csv").read_text().startswith("image,ita_band,score,threshold\n")


def test_a_table_comes_through_a_pipe_gzipped(equiderm, table, tmp_path):
    packed = gzip.compress(table.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "equiderm", "audit", "-", *map(str, QUICK), "--json"],
        input=packed, capture_output=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    read = json.loads(done.stdout)
    assert read["rows"] == 500
    assert read["provenance"]["files"] == [["standard input", hashlib.sha256(packed).hexdigest()]]


def test_the_command_names_its_options_as_flags(equiderm, tmp_path):
    (tmp_path / "p.csv").write_text("target,score,g\nm,20,a\nb,70,b\n")
    done = equiderm("audit", "p.csv", "--by", "g")
    assert "--percent" in done.stderr
    assert "`" not in done.stderr


@pytest.mark.parametrize(
    ("condition", "status"),
    [("gap(auroc) > 0.05 with confidence", 3), ("gap(auroc) > 0.9", 0), ("gap(x) > 1", 2)],
)
def test_the_exit_status_follows_the_condition(equiderm, table, condition, status):
    done = equiderm("audit", table, *QUICK, "--fail-if", condition)
    assert done.returncode == status
    assert condition in done.stderr


def test_a_condition_that_holds_is_not_hidden_by_one_that_cannot_be_decided(
    equiderm, tmp_path, predictions
):
    frame = predictions(500, drop=1.5)
    frame.loc[frame["ita_band"].astype(str) == "1", "target"] = 0
    frame.to_csv(tmp_path / "q.csv", index=False)
    conditions = ("worst(auroc) < 0.01", "worst(auroc) < 0.99")
    given = [word for text in conditions for word in ("--fail-if", text)]
    done = equiderm("audit", "q.csv", *QUICK, *given)
    assert done.returncode == 3
    assert f"'{conditions[0]}' cannot be decided" in done.stderr
    assert f"'{conditions[1]}' holds" in done.stderr


def test_two_tables_are_compared_paired(equiderm, table, tmp_path, predictions):
    other = predictions(500, drop=1.5)
    other["score"] = np.random.default_rng(0).random(500)
    other.sample(frac=1, random_state=0).to_parquet(tmp_path / "q.parquet")
    done = equiderm("audit", table, "q.parquet", *QUICK, "-o", "ab.html", "-o", "ab.json")
    assert done.returncode == 0, done.stderr
    assert "A minus B" in done.stdout
    assert json.loads((tmp_path / "ab.json").read_text())["schema"] == "equiderm.comparison/1"
    assert "Paired differences" in (tmp_path / "ab.html").read_text()
    assert done.stdout.startswith("p.csv is better than q.parquet overall: AUROC")


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
        (("p.csv", "--label-error", "p.csv"), "is not JSON"),
    ],
)
def test_unusable_arguments_are_one_sentence_and_status_2(equiderm, table, arguments, message):
    done = equiderm("audit", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
