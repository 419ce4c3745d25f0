"""train, predict and probe as a user runs them."""

import json
import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from equiderm import cli
from equiderm.data.synthetic import synthesize, write_archive
from equiderm.training import parts

EXPERIMENT = """
[method]
name = "clgr"

[backbone]
name = "test_resnet"
weights = "random"

[data]
group = "tone"
size = 32

[training]
epochs = 1
batch_size = 16

[prediction]
views = 1
"""


@pytest.fixture
def equiderm(monkeypatch, capsys):
    """Run a command in this process: a new one would import torch for seconds."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["equiderm", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        return SimpleNamespace(returncode=code, **capsys.readouterr()._asdict())

    return run


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A manifest of 80 synthetic images, a quarter of them for the test; one cannot be read."""
    folder = tmp_path_factory.mktemp("archive")
    made = synthesize(80, size=32, workers=1)
    made.table["split"] = ["test" if i % 4 == 3 else "train" for i in range(80)]
    made.table["tone"] = ["dark" if ita < 10 else "light" for ita in made.table["skin_ita"]]
    manifest = write_archive(made, folder)
    (folder / pd.read_parquet(manifest)["path"].iloc[7]).write_bytes(b"no picture")
    (folder / "clgr.toml").write_text(EXPERIMENT)
    return folder


def test_train_predict_and_probe_one_after_the_other(equiderm, archive, monkeypatch):
    data = archive / "manifest.parquet"
    trained = equiderm("train", archive / "clgr.toml", "--data", data, "--out", archive / "run")
    assert trained.returncode == 0, trained.err
    assert "clgr, 1 epoch;" in trained.out
    assert "1 image that cannot be read left out" in trained.err
    store = archive / "manifest-32px"

    out = archive / "predictions.csv"
    scored = equiderm(
        "predict", archive / "run", "--data", data, "--split", "test", "--store", store, "-o", out
    )
    assert scored.returncode == 1, scored.err  # one image in error
    table = pd.read_csv(out)
    assert len(table) == 20
    assert {"image_id", "target", "logit", "score", "tone", "patient_id"} <= set(table.columns)
    assert table["score"].isna().sum() == 1
    assert table.loc[table["score"].isna(), "error"].str.contains("not in the store").all()

    probed = equiderm("probe", archive / "run", "--data", data, "--store", store, "--json")
    assert probed.returncode == 1, probed.err
    found = json.loads(probed.out)
    assert [one["features"] for one in found] == ["trained", "untrained"]
    assert all(0 <= one["mlp_low"] <= one["mlp"] <= one["mlp_high"] <= 1 for one in found)
    assert found[0]["n"] == 79
    assert "60 of 80 images are of the split that the run trained on" in probed.err

    monkeypatch.setattr(parts, "AT_ONCE", 30)  # so many are decoded together
    folder = equiderm(
        "predict", archive / "run", "--data", archive / "images", "-o", archive / "all.parquet"
    )
    assert folder.returncode == 1, folder.err
    every = pd.read_parquet(archive / "all.parquet")
    assert len(every) == 80
    assert every["error"].notna().sum() == every["score"].isna().sum() == 1
    both = every.merge(table, on="image_id").dropna(subset="score_y")
    assert (both["score_x"] - both["score_y"]).abs().max() < 1e-5

    decoded, do_part = [], parts.do_part

    def noted(part, *rest):
        decoded.append((part["split"].iloc[0], len(part)))
        return do_part(part, *rest)

    monkeypatch.setattr(parts, "do_part", noted)
    monkeypatch.setattr(parts, "AT_ONCE", 15)
    manifest = pd.read_parquet(data)
    manifest.loc[:39, "split"] = manifest.loc[:39, "split"].replace("train", "validation")
    manifest.assign(patient_id=manifest["image_id"]).to_parquet(archive / "per-group.parquet")
    out, by = archive / "per-group.csv", ("--split", "test", "--per-group", "tone")
    few = equiderm(
        "predict", archive / "run", "--data", archive / "per-group.parquet", *by, "-o", out
    )
    assert "of each are needed to fit on" in few.err
    assert decoded == [("test", 15), ("test", 5), ("validation", 15), ("validation", 15)]


def test_train_points_out_people_in_two_splits_and_words_for_unknown(equiderm, archive):
    frame = pd.read_parquet(archive / "manifest.parquet")
    unsure = ["unknown" if k % 5 == 0 else tone for k, tone in enumerate(frame["tone"])]
    frame = frame.assign(tone=unsure, patient_id=frame["image_id"])
    frame.loc[frame["split"] == "test", "patient_id"] = frame["image_id"].iloc[0]
    frame.to_parquet(archive / "doubtful.parquet")
    done = equiderm(
        "train", archive / "clgr.toml", "--data", archive / "doubtful.parquet",
        "--store", archive / "manifest-32px", "--out", archive / "doubtful",
    )  # fmt: skip
    assert "20 images of split test are of people that train" in done.err
    assert "'unknown' is a group of tone; if it means not known" in done.err


def test_folds_leave_every_training_image_scored_by_another_fold(equiderm, archive):
    experiment = archive / "folds.toml"
    experiment.write_text(EXPERIMENT + '\n[validation]\nfigure = "auroc"\nfolds = 2\n')
    out = archive / "folds"
    done = equiderm("train", experiment, "--data", archive / "manifest.parquet", "--out", out)
    assert done.returncode == 0, done.err
    table = pd.read_parquet(out / "out-of-fold.parquet")
    assert sorted(table["fold"].unique()) == [0, 1]
    assert table["image_id"].is_unique
    assert set(table["split"]) == {"train"}
    assert table["score"].notna().all()
    assert table.groupby("patient_id")["fold"].nunique().max() == 1


def test_an_error_in_the_experiment_is_one_sentence_and_status_2(equiderm, archive):
    experiment = archive / "wrong.toml"
    experiment.write_text(EXPERIMENT.replace("tone", "ton"))
    done = equiderm(
        "train", experiment, "--data", archive / "manifest.parquet", "--out", archive / "wrong"
    )
    assert done.returncode == 2
    assert done.err.startswith("equiderm: manifest: no column 'ton'")
    assert "Traceback" not in done.err
    assert not (archive / "wrong").exists()


def test_the_schema_is_printed_without_an_experiment(equiderm):
    done = equiderm("train", "--schema")
    assert done.returncode == 0
    assert json.loads(done.out)["title"] == "Experiment"


def test_a_seed_out_of_range_is_refused(equiderm, archive):
    arguments = ("--data", archive / "manifest.parquet", "--out", archive / "seed", "--seed")
    assert equiderm("train", archive / "clgr.toml", *arguments, -1).returncode == 2
    done = equiderm("train", archive / "clgr.toml", *arguments, 2**63)
    assert done.returncode == 2
    assert "seed = 9223372036854775808" in done.err


def test_a_scored_table_is_scored_anew(equiderm, archive):
    data, out = archive / "manifest.parquet", archive / "again.csv"
    run = archive / "run"
    trained = equiderm("train", archive / "clgr.toml", "--data", data, "--out", run)
    assert trained.returncode == 0, trained.err
    scored = pd.read_parquet(data).assign(score=-1.0, error="old", logit=0.0)
    scored.to_parquet(archive / "scored.parquet")
    done = equiderm("predict", run, "--data", archive / "scored.parquet", "-o", out)
    assert done.returncode == 1  # one image in error
    assert "the input's columns logit, score, error are replaced" in done.err
    table = pd.read_csv(out)
    assert len(table) == 80
    assert not {"score_x", "score_y"} & set(table.columns)
    assert table["score"].dropna().between(0, 1).all()
    assert table["error"].notna().sum() == 1


def test_a_column_that_training_does_not_read_may_hold_anything(equiderm, archive):
    odd = pd.read_parquet(archive / "manifest.parquet").drop(columns=["target_name", "source"])
    odd = odd.assign(age="old", monk_tone=99, biopsed=1, licence=3)
    odd.to_csv(archive / "odd.csv", index=False)
    done = equiderm(
        "train", archive / "clgr.toml", "--data", archive / "odd.csv", "--out", archive / "odd"
    )
    assert done.returncode == 0, done.err
    wrong = pd.read_parquet(archive / "manifest.parquet").assign(target=2)
    wrong.to_csv(archive / "wrong.csv", index=False)
    done = equiderm(
        "train", archive / "clgr.toml", "--data", archive / "wrong.csv", "--out", archive / "wrong"
    )
    assert done.returncode == 2
    assert "target" in done.err


@pytest.mark.parametrize("name", ["train", "predict", "probe", "compare"])
def test_without_the_extra_the_command_says_what_to_install_first(equiderm, name, monkeypatch):
    from importlib import util

    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "torch" else find(name))
    given = {
        "train": ["no.toml", "--data", "no.csv", "--out", "no"],
        "predict": ["no", "--data", "no.csv", "-o", "no.csv"],
        "probe": ["no", "--data", "no.csv"],
        "compare": ["no.toml", "--data", "no.csv", "-o", "no.html"],
    }
    done = equiderm(name, *given[name])
    assert done.returncode == 2
    assert "pip install 'equiderm[train]'" in done.err


def test_a_page_that_cannot_be_written_is_found_before_anything_is_read(equiderm, tmp_path):
    (tmp_path / "file").write_text("")
    page = tmp_path / "file" / "page.html"
    done = equiderm("compare", "no.toml", "--data", "no.csv", "-o", page)
    assert done.returncode == 2 and f"{tmp_path / 'file'}: is a file" in done.err
    done = equiderm("compare", "no.toml", "--data", "no.csv", "-o", tmp_path / "page.html")
    assert "no.toml" in done.err and sorted(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_backbone_of_a_fixed_size_is_refused_before_any_image_is_decoded(equiderm, archive):
    fixed = EXPERIMENT.replace("test_resnet", "vit_tiny_patch16_224")
    (archive / "vit.toml").write_text(fixed)
    store = archive / "no-store"
    arguments = ("--data", archive / "manifest.parquet", "--out", archive / "vit", "--store", store)
    done = equiderm("train", archive / "vit.toml", *arguments)
    assert done.returncode == 2
    assert "does not take images of 32 pixels" in done.err
    assert "img_size = 32" in done.err
    assert not store.exists()


def test_predict_of_a_split_does_not_replace_the_manifest(equiderm, tmp_path):
    manifest = tmp_path / "m.csv"
    manifest.write_text("image_id,split\na,test\nb,train\n")
    done = equiderm("predict", tmp_path, "--data", manifest, "--split", "test", "-o", manifest)
    assert done.returncode == 2 and "m.csv: is read, and would be replaced" in done.err
    done = equiderm("predict", tmp_path, "--data", manifest, "-o", manifest)
    assert "holds no training run" in done.err
    assert manifest.read_text().count("\n") == 3


def test_predict_without_a_run_or_images_is_one_sentence(equiderm, tmp_path):
    done = equiderm("predict", tmp_path, "--data", tmp_path, "-o", tmp_path / "p.csv")
    assert done.returncode == 2
    assert "holds no training run" in done.err


def test_training_points_out_a_number_that_seems_to_mean_not_known(make_experiment, toned, capsys):
    from equiderm.cli.console import Console
    from equiderm.cli.train import _note_rows
    from equiderm.training.rows import select_rows

    data = {"target": "ita", "target_kind": "number", "group": "tone", "numbers": ["tone"]}
    for odd, said in ((-999.0, True), (40.0, False)):
        frame = toned[1].assign(patient_id=toned[1]["image_id"])
        frame["tone"] = frame["ita"].astype(object).mask(frame.index == 4, "NA")
        frame.loc[:1, "ita"] = odd
        experiment = make_experiment(data=data)
        _note_rows(Console(), experiment, frame, select_rows(experiment, frame))
        assert ("-999 stands in column ita, far from all" in capsys.readouterr().err) == said


def test_training_says_which_images_it_leaves_out_and_which_class_misses_folds(
    make_experiment, toned, capsys
):
    from equiderm.cli.console import Console
    from equiderm.cli.train import _note_rows
    from equiderm.training.rows import select_rows

    frame = toned[1].assign(patient_id=toned[1]["image_id"])
    few = frame["dx"].mask(frame.index == 0).mask(frame.index == 5, "rare")
    frame = frame.assign(dx=few.mask(frame.index == 3, "unseen"))
    data = {"target": "dx", "target_kind": "classes"}
    for validation in ({}, {"folds": 4}):
        experiment = make_experiment(data=data, validation=validation)
        rows = select_rows(experiment, frame, fold=0 if validation else None)
        _note_rows(Console(), experiment, frame, rows)
    whole, folds, rare = capsys.readouterr().err.splitlines()
    assert whole.startswith("2 images of split train or validation left out: without dx, or of a")
    assert folds.startswith("1 image of split train left out")
    assert rare == "dx rare has 1 image: of 4 folds not every one validates on it."
