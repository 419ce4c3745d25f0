"""train, predict and probe as a user runs them."""

import json
import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from equiderm import cli
from equiderm.data.synthetic import synthesize, write_archive

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


def test_train_predict_and_probe_one_after_the_other(equiderm, archive):
    data = archive / "manifest.parquet"
    trained = equiderm("train", archive / "clgr.toml", "--data", data, "--out", archive / "run")
    assert trained.returncode == 0, trained.err
    assert "clgr, 1 epochs" in trained.out
    assert "1 images cannot be read" in trained.err
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
    assert found[0]["n"] == 79

    folder = equiderm(
        "predict", archive / "run", "--data", archive / "images", "-o", archive / "all.parquet"
    )
    assert folder.returncode == 1, folder.err
    every = pd.read_parquet(archive / "all.parquet")
    assert len(every) == 80
    assert every["error"].notna().sum() == every["score"].isna().sum() == 1
    both = every.merge(table, on="image_id").dropna(subset="score_y")
    assert (both["score_x"] - both["score_y"]).abs().max() < 1e-5


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


def test_predict_without_a_run_or_images_is_one_sentence(equiderm, tmp_path):
    done = equiderm("predict", tmp_path, "--data", tmp_path, "-o", tmp_path / "p.csv")
    assert done.returncode == 2
    assert "holds no training run" in done.err
