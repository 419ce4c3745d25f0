import json

import numpy as np
import pandas as pd
import pytest

from equiderm.tone.fitted_scheme import load_fitted


@pytest.fixture
def tables(tmp_path):
    generator = np.random.default_rng(0)
    truth = generator.integers(1, 7, 300)
    names = [f"{i:03}" for i in range(300)]
    frame = pd.DataFrame(
        {
            "image": [f"photos/{name}.jpg" for name in names],
            "scheme": "del-bino",
            "ita": 80 - 14.0 * truth + generator.normal(0, 8, 300),
            "spread": generator.uniform(0, 10, 300),
        }
    )
    bands = ["very-light", "light", "intermediate", "tan", "brown", "dark"]
    shifted = np.clip(truth + generator.integers(-1, 2, 300), 1, 6)
    frame["ita_band"] = [bands[kind - 1] for kind in shifted]
    frame.loc[:9, "ita_band"] = None
    frame.to_csv(tmp_path / "labels.csv", index=False)
    people = pd.DataFrame({"image_id": names, "fitzpatrick_type": truth, "other": truth})
    people["patient_id"] = np.arange(300) // 5
    people.iloc[::-1].to_csv(tmp_path / "truth.csv", index=False)
    return frame, truth, shifted


def test_agree_writes_figures_and_a_page_and_prints_a_table(equiderm, tables, tmp_path):
    _, truth, shifted = tables
    run = equiderm(
        "agree", "labels.csv", "--truth", "truth.csv", "--truth-column", "fitzpatrick_type",
        "--patient", "patient_id", "--second-rater", "other", "--doubt", "spread",
        "-o", "agreement.json", "--report", "agreement.html",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    content = json.loads((tmp_path / "agreement.json").read_text())
    assert content["schema"] == "equiderm.agreement/1"
    assert (content["n"], content["abstained"], content["patients"]) == (290, 10, 60)
    assert content["types"] == [1, 2, 3, 4, 5, 6]
    assert np.sum(content["confusion"]) == 290
    assert content["confusion"][0][1] == int(((truth == 1) & (shifted == 2))[10:].sum())
    figure = content["figures"]["exact"]
    assert figure["value"] == pytest.approx((truth == shifted)[10:].mean(), abs=1e-6)
    assert figure["second_rater"]["value"] == 1
    assert len(content["answered"]) == 10
    assert "within one type" in run.stdout
    assert "Answered: 96.7 % of 300 judged images." in run.stdout
    page = (tmp_path / "agreement.html").read_text()
    assert "Confusion matrix" in page
    assert "10 images have no label" in page


def test_agree_cuts_an_angle_by_a_named_scheme(equiderm, tables):
    frame, truth, _ = tables
    run = equiderm(
        "agree", "labels.csv", "--truth", "truth.csv", "--truth-column", "fitzpatrick_type",
        "--scheme", "paper", "--json",
    )  # fmt: skip
    label = 1 + (frame["ita"].to_numpy()[:, None] <= [55, 41, 28, 19, 10]).sum(axis=1)
    content = json.loads(run.stdout)
    assert content["figures"]["exact"]["value"] == pytest.approx((label == truth).mean(), abs=1e-6)


def test_agree_compares_labelings_of_the_same_images(equiderm, tables, tmp_path):
    frame, *_ = tables
    frame.assign(ita_band="light").to_csv(tmp_path / "other.csv", index=False)
    frame.assign(ita_band="tan").to_csv(tmp_path / "third.csv", index=False)
    run = equiderm("agree", "labels.csv", "other.csv", "third.csv", "-o", "pairs.json")
    assert run.returncode == 0, run.stderr
    pairs = json.loads((tmp_path / "pairs.json").read_text())["pairs"]
    assert [pair["n"] for pair in pairs] == [290, 290, 300]
    assert [pair["labelled_by_one_only"] for pair in pairs] == [10, 10, 0]
    assert "in one only" in run.stdout
    assert pairs[2]["figures"]["changed"]["value"] == 1


def test_agree_compares_two_columns_of_one_table(equiderm, tmp_path):
    table = pd.DataFrame({"image": range(40), "a": [1, 2] * 20, "b": [1, 1] * 20})
    table.to_csv(tmp_path / "t.csv", index=False)
    run = equiderm("agree", "t.csv", "--label-column", "a", "--label-column", "b", "--json")
    (pair,) = json.loads(run.stdout)["pairs"]
    assert (pair["first"], pair["second"]) == ("a", "b")
    assert pair["figures"]["changed"]["value"] == 0.5


def test_calibrate_saves_a_scheme_that_agree_uses(equiderm, tables, tmp_path):
    frame, truth, _ = tables
    run = equiderm(
        "calibrate", "labels.csv", "--truth", "truth.csv", "--truth-column", "fitzpatrick_type",
        "--patient", "patient_id", "-o", "scheme.json", "--agreement", "a.json",
        "--report", "c.html",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    scheme = load_fitted(tmp_path / "scheme.json")
    record = scheme.fitted_on["out_of_fold"]["kappa"]
    outside = json.loads((tmp_path / "a.json").read_text())["figures"]["kappa"]
    assert record["value"] == outside["value"] > 0.8
    assert "ranked probability score" in run.stdout
    assert "The predicted distribution over types" in (tmp_path / "c.html").read_text()
    again = equiderm(
        "agree", "labels.csv", "--truth", "truth.csv", "--truth-column", "fitzpatrick_type",
        "--scheme", "scheme.json", "--json",
    )  # fmt: skip
    exact = json.loads(again.stdout)["figures"]["exact"]["value"]
    assert exact == pytest.approx((scheme.predict(frame).astype(int) == truth).mean(), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["labels.csv"], "name the truth, --truth judged.csv"),
        (["labels.csv", "--patient", "p"], "--patient needs --truth"),
        (["labels.csv", "--truth", "truth.csv"], "and --truth-column"),
        (["labels.csv", "--truth", "truth.csv", "--truth-column", "x"], "has no column 'x'"),
        (["none.csv", "--truth", "truth.csv", "--truth-column", "x"], "none.csv: cannot be read"),
        (["labels.csv", "--truth", "truth.csv", "--truth-column", "fitzpatrick_type",
          "--types", "1-10"], "has 6 bands, the scale 1-10 has 10 types"),
        (["labels.csv", "--truth", "truth.csv", "--truth-column", "fitzpatrick_type",
          "--scheme", "nope"], "there is no scheme 'nope'"),
        (["labels.csv", "--truth", "truth.csv", "--truth-column", "fitzpatrick_type",
          "--label-column", "spread"], "are not types of the scale 1-6"),
        (["labels.csv", "labels.csv"], "two labelings are called labels.csv"),
    ],
)  # fmt: skip
def test_bad_input_ends_with_one_sentence_and_status_2(equiderm, tables, arguments, sentence):
    run = equiderm("agree", *arguments, "-o", "out.json")
    assert run.returncode == 2
    assert sentence in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert "Traceback" not in run.stderr
