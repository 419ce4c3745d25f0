"""The demo in miniature: the same path, with few drawings, a small network and one worker."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from equiderm.cli.demo import train_part
from equiderm.demo import Size, against_truth
from equiderm.demo.archive import TONES, make_archive
from equiderm.demo.models import METHODS, Against, flagging
from equiderm.demo.page import write_index

SMALL = Size(
    train=160,
    test=120,
    seeds=2,
    epochs=1,
    replicates=100,
    pixels=32,
    network="test_resnet",
    weights="random",
)


def one_label(ita=60.0):
    tones = pd.DataFrame({"image": ["a"], "ita": [ita], "ita_band": ["1"], "tone_flags": [""]})
    return against_truth(tones, [62.0])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("demo")
    page = train_part(directory, one_label(), seed=0, size=SMALL, workers=1)
    return directory, page.read_text()


def test_the_story_is_told_in_five_steps_and_leads_to_pages_that_are_there(made):
    directory, page = made
    steps = re.findall(r"<h2[^>]*>(\d)\. (\w+)", page)
    assert steps == list(zip("12345", ["Label", "Plant", "Audit", "Compare", "Look"], strict=True))
    targets = re.findall(r'href="([^"#]+\.html)"', page)
    assert {"comparison.html", "audit-erm.html", "tones.html"} <= set(targets)
    for target in targets:
        assert target == "tones.html" or (directory / target).is_file(), target


def test_every_page_says_that_it_is_no_evidence_about_patients(made):
    for written in made[0].glob("*.html"):
        assert "no evidence about patients" in written.read_text(), written.name


def test_every_method_is_in_the_table_and_compared_with_erm(made):
    content = json.loads((made[0] / "index.json").read_text())
    assert [row["method"] for row in content["methods"]] == [*METHODS, "any constant score"]
    page = (made[0] / "comparison.html").read_text()
    for name in METHODS:
        assert name in page
    assert "Minus erm, same seeds" in page


def test_what_the_documents_say_of_the_demo_is_its_answer_and_every_method(made):
    path = Path(__file__).parents[1] / "bench" / "demo_words.py"
    spec = importlib.util.spec_from_file_location("demo_words", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    content = json.loads((made[0] / "index.json").read_text())
    text = script.words(content)
    assert all(sentence in text for sentence in content["answer"])
    assert all(f"| {name} | " in text for name in METHODS)
    page = script.PAGE.read_text(encoding="utf-8")
    assert page.index(script.START) < page.index(script.END)


def against(**figures):
    known = {
        "dark": {"low_holm": 0.1, "high_holm": 0.3},
        "gap": {"low": -0.4, "high": -0.1},
        "overall": {"low_holm": 0.02, "high_holm": 0.1},
    }
    known |= {name: dict(zip(known[name], ends, strict=True)) for name, ends in figures.items()}
    return Against("x", **known)


def test_a_shortcut_is_undone_only_where_more_is_found_on_dark_skin_and_the_auroc_rises():
    assert against().undoes
    assert not against(dark=(-0.1, 0.3)).undoes
    assert not against(overall=(-0.02, 0.1)).undoes


def test_a_gap_that_closes_without_a_better_auroc_only_looks_as_if():
    assert against(overall=(-0.02, 0.1)).only_looks
    assert not against(overall=(-0.02, 0.1), gap=(-0.4, 0.1)).only_looks
    assert not against().only_looks


def test_every_model_flags_the_same_share_and_ranks_as_before():
    score = np.random.default_rng(0).beta(1, 9, 1000)
    moved = flagging(score)
    assert (moved >= 0.5).mean() == pytest.approx(0.3, abs=0.002)
    assert (np.argsort(moved) == np.argsort(score)).all()


def test_tone_and_diagnosis_go_together_in_training_and_not_in_the_test(tmp_path):
    frame, _ = make_archive(tmp_path, Size(train=200, test=300, pixels=32), seed=0)
    training, test = (frame[frame["split"] == split] for split in ("train", "test"))
    assert np.corrcoef(training["skin_ita"], training["target"])[0, 1] > 0.6
    assert abs(np.corrcoef(test["skin_ita"], test["target"])[0, 1]) < 0.15
    shares = np.histogram(test["skin_ita"], [-99, 10, 19, 28, 41, 55, 99])[0] / len(test)
    assert shares.min() > 0.08
    assert not set(training["patient_id"]) & set(test["patient_id"])


def test_the_groups_are_of_the_labelled_bands_not_the_drawn_ones(tmp_path):
    frame, labels = make_archive(tmp_path, Size(train=40, test=40), seed=0)
    assert (frame["ita"] - frame["skin_ita"]).abs().median() > 1
    for tone, bands in TONES.items():
        assert set(frame.loc[frame["tone"] == tone, "ita_band"]) <= set(bands)
    assert labels.table["images"].sum() == 80
    assert 0 < labels.table["labelled the same"].sum() < 80


def test_labels_are_counted_by_the_band_that_was_drawn():
    tones = pd.DataFrame(
        {
            "image": ["a", "b"],
            "ita": [60.0, 50.0],
            "ita_band": ["1", "2"],
            "tone_flags": ["", "glare"],
        }
    )
    table = against_truth(tones, [62.0, 60.0]).table
    assert table["images"].tolist() == [2]
    assert table["labelled the same"].tolist() == [1]
    assert table["median distance, degrees of ITA"].tolist() == [6.0]
    assert table["flagged"].tolist() == [1]


def test_without_training_the_page_holds_the_labels_alone(tmp_path):
    page = write_index(tmp_path, one_label()).read_text()
    assert "how far can the tone labels be trusted?" in page
    assert "comparison.html" not in page


def test_without_torch_the_demo_labels_and_says_how_to_get_the_rest(monkeypatch, tmp_path):
    from importlib import util

    from typer.testing import CliRunner

    from equiderm.cli import app

    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "torch" else find(name))
    done = CliRunner().invoke(app, ["demo", str(tmp_path / "out"), "--images", "6"])
    assert done.exit_code == 0, done.output
    assert "'equiderm[pretrained]'" in done.output
    assert (tmp_path / "out" / "index.html").is_file()
    assert not (tmp_path / "out" / "comparison.html").exists()
