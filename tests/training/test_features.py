"""Features in place of images: read, trained on, predicted for, probed."""

import numpy as np
import pandas as pd
import pytest
import torch
from tests.training.conftest import make_lesions
from tests.training.test_commands import EXPERIMENT, archive, equiderm  # noqa: F401

from equiderm.debias import METHODS
from equiderm.errors import InputError
from equiderm.training import Features, fit, load_run, predict, probe, read_features
from equiderm.training.features import select_features
from equiderm.training.figures import auroc
from equiderm.training.images import images_of_run
from equiderm.training.predict import embed

HEADS = [name for name, method in METHODS.items() if not method.moves_backbone]
LAYER = {"name": "features", "units": 16}
ADVERSARIES = ["lntl", "tabe", "clgr", "dann", "cdann", "mmd", "coral"]


def make_features(n=400, d=12):
    """Features of which one tells the target and three the group, and their manifest."""
    _, frame = make_lesions(n, size=16)
    generator = np.random.default_rng(0)
    values = generator.normal(size=(n, d)) * 10.0 ** generator.integers(-2, 3, d)
    values[:, 0] += 3 * values[:, 0].std() * frame["target"]
    for k in (1, 2, 3):
        values[:, k] += 3 * values[:, k].std() * (frame["fitzpatrick_type"] == k)
    frame["ita"] = np.random.default_rng(1).normal(30, 20, n)
    return Features(values, frame["image_id"].tolist()), frame


@pytest.fixture
def on_features(make_experiment):
    def make(method="erm", **tables):
        rates = dict.fromkeys(("backbone", "target_head", "group_head"), 0.05)
        training = {"epochs": 10, "batch_size": 16, "tracker": "none"}
        return make_experiment(
            method,
            **{
                "backbone": {"name": "features"},
                "optimizer": rates,
                "training": training,
                **tables,
            },
        )

    return make


@pytest.mark.parametrize("name", HEADS)
def test_every_head_method_learns_its_target_from_features(name, on_features, tmp_path):
    features, frame = make_features()
    run = fit(on_features(name), frame, tmp_path / "run", images=features)
    held_out = frame[frame["split"] == "validation"]
    scored = predict(run, features, held_out)
    assert auroc(scored["target"].to_numpy(), scored["score"].to_numpy()) > 0.9
    found = probe(run, features, frame)
    assert [one.features for one in found] == ["trained"]  # they have no other beginning
    assert (found[0].balanced_accuracy > 0.9) == (name != "leace")


def test_features_are_standardised_by_the_training_rows_and_stand_still(on_features, tmp_path):
    features, frame = make_features()
    features.images[:, 5] = 7.0  # does not vary
    run = fit(on_features(), frame, tmp_path / "run", images=features)
    train = features.images[features.rows(frame["image_id"][frame["split"] == "train"].tolist())]
    seen = load_run(run).method.backbone(torch.tensor(train)).numpy()
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.delete(seen.std(0), 5), 1, atol=1e-4)
    assert (seen[:, 5] == 0).all()


@pytest.mark.parametrize("name", ADVERSARIES)
def test_a_method_that_moves_the_backbone_needs_a_layer_on_features(name, on_features, tmp_path):
    with pytest.raises(InputError, match=r"give \[backbone\] units = 64.* or take one of erm"):
        on_features(name)
    features, frame = make_features(96)
    one = on_features(name, backbone=LAYER, training={"epochs": 2, "batch_size": 16})
    run = fit(one, frame, tmp_path / "run", images=features)
    layer = load_run(run).method.backbone.layer
    assert layer.weight.shape == (16, 12)
    assert predict(run, features, frame)["score"].nunique() > 10


def test_a_layer_on_features_learns_at_the_backbone_s_rate(on_features, tmp_path):
    features, frame = make_features(96)
    rates = {"target_head": 0.05, "group_head": 0.05}
    weights = []
    for k, rate in enumerate((0.0, 1e-3)):
        one = on_features(backbone=LAYER, optimizer={**rates, "backbone": rate})
        run = fit(one, frame, tmp_path / str(k), images=features)
        weights.append(load_run(run).method.backbone.layer.weight)
    assert not torch.equal(*weights)
    torch.testing.assert_close(*weights, atol=0.1, rtol=0)  # of one beginning


@pytest.mark.parametrize(
    "backbone", [{"name": "test_resnet"}, {"name": "features", "freeze": True}]
)
def test_a_layer_goes_only_with_features_that_are_not_frozen(make_experiment, backbone):
    with pytest.raises(InputError, match="leave one of them out"):
        make_experiment(backbone=backbone | {"units": 8})


def test_what_changes_pictures_is_refused_on_features(on_features):
    with pytest.raises(InputError, match="color_consistency: changes pictures"):
        on_features("color_consistency", backbone=LAYER)


def test_features_and_images_are_not_taken_for_one_another(
    on_features, make_experiment, lesions, tmp_path
):
    features, frame = make_features(96)
    with pytest.raises(InputError, match="features are given"):
        fit(make_experiment(), frame, tmp_path / "run", images=features)
    images, frame = lesions
    with pytest.raises(InputError, match="images are given"):
        fit(on_features(), frame, tmp_path / "run", images=images)


def test_a_run_is_known_by_what_its_features_hold(on_features, tmp_path):
    features, frame = make_features(96)
    run = fit(on_features(), frame, tmp_path / "run", images=features)
    other = Features(features.images + 1, features.image_ids)
    with pytest.raises(InputError, match="another table of features"):
        fit(on_features(), frame, run, images=other)


def write_each(frame, folder):
    """The same features in every form that is read."""
    values = frame.drop(columns="image_id").to_numpy(np.float32)
    ids = frame["image_id"].to_numpy(str)
    frame.to_parquet(folder / "columns.parquet")
    frame.to_csv(folder / "columns.csv", index=False)
    pd.DataFrame({"image_id": ids, "features": list(values)}).to_parquet(folder / "lists.parquet")
    np.savez(folder / "arrays.npz", image_id=ids, features=values)
    frame.assign(error=None).to_parquet(folder / "embedded.parquet")


def test_a_damaged_file_of_arrays_is_one_sentence(tmp_path):
    path = tmp_path / "f.npz"
    np.savez(path, image_id=np.array(["a", "b"]), features=np.eye(2, dtype=np.float32))
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + b"\xff" + whole[place + 1 :])
        try:
            read_features(path)
        except InputError as error:
            assert "f.npz: " in str(error)


def test_every_form_of_features_reads_as_the_same(tmp_path):
    frame = pd.DataFrame(
        {"image_id": ["0001", "0002", "0003"], "f0": [1.5, 2, 3], "f1": [4, 5, 6.0]}
    )
    write_each(frame, tmp_path)
    for path in tmp_path.iterdir():
        read = read_features(path)
        np.testing.assert_allclose(read.images, [[1.5, 4], [2, 5], [3, 6]], err_msg=path.name)
        assert read.rows(["0001", "0003"]).tolist() == [0, 2], path.name


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"name": ["a"], "f0": [1.0]}, "no column image_id"),
        ({"image_id": ["a"], "f0": ["high"]}, "column f0 holds no numbers"),
        ({"image_id": ["a"]}, "holds no feature"),
        ({"image_id": ["a", "a"], "f0": [1.0, 2]}, "more than one row"),
        ({"image_id": ["a", "b"], "features": [[1.0, 2], [3.0]]}, "of image b are not a list"),
        ({"image_id": ["a"], "features": [[]]}, "of image a are not a list"),
        ({"image_id": ["a"], "features": ["high"]}, "of image a are not a list"),
    ],
)
def test_what_is_no_table_of_features_is_one_sentence(frame, message, tmp_path):
    path = tmp_path / "features.parquet"
    pd.DataFrame(frame).to_parquet(path)
    with pytest.raises(InputError, match=message):
        read_features(path)


def test_features_that_are_not_numbers_name_the_image():
    with pytest.raises(InputError, match="such as b"):
        Features(np.array([[1.0], [np.nan]]), ["a", "b"])


def test_columns_of_features_are_known_by_their_names(on_features, tmp_path):
    features, frame = make_features(120)
    names = [f"f{k}" for k in range(features.images.shape[1])]
    named = Features(features.images, frame["image_id"].tolist(), names)
    run = load_run(fit(on_features(), frame, tmp_path / "run", images=named))
    table = pd.DataFrame(named.images, columns=names).assign(image_id=frame["image_id"])
    path = tmp_path / "turned.parquet"
    table[["image_id", *names[::-1]]].to_parquet(path)
    with images_of_run(run, frame, features=path) as (turned, rows, _):
        np.testing.assert_array_equal(
            predict(run, turned, rows)["score"], predict(run, named, frame)["score"]
        )
    table.rename(columns={"f0": "other"}).to_parquet(path)
    with pytest.raises(InputError, match="lack a column 'f0'"):  # noqa: SIM117
        with images_of_run(run, frame, features=path):
            pass
    fewer = Features(named.images[:, 1:], frame["image_id"].tolist())
    with pytest.raises(InputError, match="and the run was trained on"):
        predict(run, fewer, frame)


def test_a_column_of_the_manifest_is_no_feature(tmp_path):
    frame = pd.DataFrame({"image_id": ["a", "b"], "path": "x", "target": [0, 1]})
    path = tmp_path / "features.csv"
    frame.drop(columns="path").assign(f0=0.5).to_csv(path, index=False)
    with pytest.raises(InputError, match="column 'target' is one of the manifest's too"):
        select_features(frame, path)


def test_embedding_is_the_backbone_s_features_in_evaluation_mode(make_experiment, lesions):
    images, frame = lesions
    experiment = make_experiment(seed=4)
    ids = frame["image_id"].tolist()
    values = embed(experiment, images, ids)
    alone = embed(experiment, images, ids[7:8])
    np.testing.assert_allclose(values[7], alone[0], atol=1e-4)
    assert values.shape == (96, experiment.build_backbone().n_features)


def test_embed_train_predict_and_probe_on_features(equiderm, archive):  # noqa: F811
    data, table = archive / "manifest.parquet", archive / "features.parquet"
    made = equiderm(
        "embed", "test_resnet", "--weights", "random", "--size", 32, "--data", data, "-o", table
    )
    assert made.returncode == 1, made.err  # one image cannot be read
    frame = pd.read_parquet(table)
    assert len(frame) == 80
    assert frame["error"].notna().sum() == frame["feature_0000"].isna().sum() == 1

    text = EXPERIMENT.replace("clgr", "leace").replace("test_resnet", "features")
    (archive / "head.toml").write_text(text)
    run, given = archive / "head", ("--data", data, "--features", table)
    trained = equiderm("train", archive / "head.toml", *given, "--out", run)
    assert trained.returncode == 0, trained.err
    scored = equiderm("predict", run, *given, "-o", archive / "head.csv")
    assert scored.returncode == 1, scored.err
    assert pd.read_csv(archive / "head.csv")["score"].notna().sum() == 79
    probed = equiderm("probe", run, *given)
    assert "network" in probed.out

    without = equiderm("predict", run, "--data", data, "-o", archive / "none.csv")
    assert without.returncode == 2
    assert "--features" in without.err


def test_predict_recalibrates_and_calls_positive_by_group(equiderm, on_features, tmp_path):  # noqa: F811
    features, frame = make_features()
    frame["split"] = np.select(
        [np.arange(400) < 80, np.arange(400) < 280], ["train", "validation"], "test"
    )
    run = fit(on_features(), frame, tmp_path / "run", images=features)
    np.savez(tmp_path / "f.npz", image_id=frame["image_id"].to_numpy(str), features=features.images)
    data, out = tmp_path / "m.csv", tmp_path / "scores.csv"
    frame.assign(path="none.png").to_csv(data, index=False)
    given = ("predict", run, "--data", data, "--features", tmp_path / "f.npz", "-o", out)
    by = ("--per-group", "fitzpatrick_type")
    done = equiderm(*given, "--split", "test", *by, "--sensitivity", 0.9)
    assert done.returncode == 0, done.err
    assert "needs the group of every person at use" in done.err
    table, plain = pd.read_csv(out), predict(run, features, frame[frame["split"] == "test"])
    assert len(table) == 120
    assert table["positive"].isin([True, False]).all()
    assert not np.allclose(table["score"], plain["score"])
    assert equiderm(*given, *by).err.endswith("choose other rows by --split.\n")
    assert "name --per-group" in equiderm(*given, "--sensitivity", 0.9).err
