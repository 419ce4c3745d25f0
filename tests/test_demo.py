"""The demo in miniature: the same path, with few images, one epoch and one worker."""

import re

import numpy as np
import pandas as pd
import pytest

from equiderm.cli.demo import train_part
from equiderm.demo import Size, against_truth, experiments, make_archive, write_index

SMALL = Size(train=128, test=240, seeds=2, epochs=1, replicates=100)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("demo")
    labels = pd.DataFrame(
        {"band of the drawn skin": ["1"], "images": [6], "labelled the same": [4]}
    )
    page = train_part(directory, labels, seed=0, size=SMALL, workers=1)
    return directory, page.read_text()


def test_the_index_leads_to_pages_that_are_there(made):
    directory, page = made
    targets = re.findall(r'href="([^"]+\.html)"', page)
    assert {"comparison.html", "audit-erm.html", "audit-clgr.html", "tones.html"} <= set(targets)
    for target in targets:
        assert target == "tones.html" or (directory / target).is_file(), target


def test_every_page_says_that_it_is_no_evidence_about_patients(made):
    directory, page = made
    assert "no evidence about patients" in page
    for written in directory.glob("*.html"):
        assert "no evidence about patients" in written.read_text(), written.name


def test_the_six_methods_are_compared_with_both_erms(made):
    page = (made[0] / "comparison.html").read_text()
    for name in ("erm", "erm-rate-matched", "resampling", "lntl", "tabe", "clgr"):
        assert name in page
    assert "Minus erm, same seeds" in page
    assert "Minus erm-rate-matched, same seeds" in page


def test_training_skin_is_light_and_confounded_and_test_skin_is_of_every_band(tmp_path):
    frame, _ = make_archive(tmp_path, Size(train=400, test=400), seed=0)
    training, test = (frame[frame["split"] == split] for split in ("train", "test"))
    assert (training["skin_ita"] > 28).mean() > 0.9
    assert abs(np.corrcoef(training["skin_ita"], training["target"])[0, 1]) > 0.2
    assert abs(np.corrcoef(test["skin_ita"], test["target"])[0, 1]) < 0.15
    shares = np.histogram(test["skin_ita"], [-99, 10, 19, 28, 41, 55, 99])[0] / len(test)
    assert shares.min() > 0.08
    assert not set(training["patient_id"]) & set(test["patient_id"])


def test_the_groups_are_the_labelled_bands_not_the_drawn_ones(tmp_path):
    frame, table = make_archive(tmp_path, Size(train=40, test=40), seed=0)
    assert (frame["ita"] - frame["skin_ita"]).abs().median() > 1
    assert table["images"].sum() == 80
    assert 0 < table["labelled the same"].sum() < 80


def test_the_rate_matched_erm_moves_its_backbone_as_fast_as_tabe_and_clgr():
    made = experiments(1)
    for name in ("tabe", "clgr"):
        both = made[name].optimizer.backbone + made[name].method["second_backbone_rate"]
        assert made["erm-rate-matched"].optimizer.backbone == pytest.approx(both)


def test_labels_are_counted_by_the_band_that_was_drawn():
    tones = pd.DataFrame(
        {
            "image": ["a", "b"],
            "ita": [60.0, 50.0],
            "ita_band": ["1", "2"],
            "tone_flags": ["", "glare"],
        }
    )
    table = against_truth(tones, [62.0, 60.0])
    assert table["images"].tolist() == [2]
    assert table["labelled the same"].tolist() == [1]
    assert table["median distance, degrees of ITA"].tolist() == [6.0]
    assert table["flagged"].tolist() == [1]


def test_without_training_the_index_holds_the_labels_alone(tmp_path):
    tones = pd.DataFrame({"image": ["a"], "ita": [60.0], "ita_band": ["1"], "tone_flags": [""]})
    page = write_index(tmp_path, against_truth(tones, [62.0])).read_text()
    assert "Labels against the truth" in page
    assert "comparison.html" not in page


def test_without_torch_the_demo_labels_and_says_how_to_get_the_rest(monkeypatch, tmp_path):
    from importlib import util

    from typer.testing import CliRunner

    from equiderm.cli import app

    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "torch" else find(name))
    done = CliRunner().invoke(app, ["demo", str(tmp_path / "out"), "--images", "6"])
    assert done.exit_code == 0, done.output
    assert "pip install 'equiderm[train]'" in done.output
    assert (tmp_path / "out" / "index.html").is_file()
    assert not (tmp_path / "out" / "comparison.html").exists()
