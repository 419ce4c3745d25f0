import dataclasses
import importlib
from pathlib import Path
from types import SimpleNamespace

import fsspec
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from equiderm.errors import InputError
from equiderm.training import ArrayImages, fit, load_run, parts, predict, probe
from equiderm.training.figures import figures, large_groups
from equiderm.training.images import read_rows
from equiderm.training.probe import (
    FOLDS,
    _column,
    _folds,
    _intervals,
    _linear,
    _NumberTask,
    _parts,
    _Task,
    _without_outliers,
    probe_features,
    probe_number,
)

predicting = importlib.import_module("equiderm.training.predict")  # the name is a function's


@pytest.fixture
def run(make_experiment, lesions, tmp_path):
    images, frame = lesions
    training = {"precision": "fp32"}  # else a GPU's scores have three digits
    experiment = make_experiment("clgr", prediction={"views": 8}, training=training)
    return fit(experiment, frame, tmp_path / "run", images=images)


def test_every_image_keeps_its_row_and_gets_a_logit_and_a_score(run, lesions):
    images, frame = lesions
    scored = predict(run, images, frame)
    assert list(scored["image_id"]) == list(frame["image_id"])
    assert set(frame.columns) < set(scored.columns)
    assert scored["score"].between(0, 1).all()
    assert np.isfinite(scored["logit"]).all()


def test_eight_views_give_flipped_images_the_same_score(run, lesions):
    images, frame = lesions
    flipped = ArrayImages(images.images[:, ::-1].copy(), frame["image_id"].tolist())
    one, other = predict(run, images, frame), predict(run, flipped, frame)
    np.testing.assert_allclose(one["score"], other["score"], atol=1e-5)
    loaded = load_run(run)
    single = dataclasses.replace(
        loaded.experiment, prediction=dataclasses.replace(loaded.experiment.prediction, views=1)
    )
    plain = dataclasses.replace(loaded, experiment=single)
    a, b = predict(plain, images, frame), predict(plain, flipped, frame)
    assert np.abs(a["score"] - b["score"]).max() > 1e-4
    np.testing.assert_allclose(a["score"], 1 / (1 + np.exp(-a["logit"])), atol=1e-12)


def test_a_prediction_does_not_depend_on_the_images_beside_it(run, lesions):
    images, frame = lesions
    whole = predict(run, images, frame)
    alone = predict(run, images, frame.iloc[[7]])
    assert alone["score"].iloc[0] == pytest.approx(whole["score"].iloc[7], abs=1e-6)


def test_a_run_trained_as_it_says_learns_its_target(make_experiment, lesions, tmp_path):
    images, frame = lesions
    rates = {"backbone": 0.005, "target_head": 0.005}
    experiment = make_experiment(training={"epochs": 30}, optimizer=rates)
    run = fit(experiment, frame, tmp_path / "run", images=images)
    held_out = frame[frame["split"] == "validation"]
    scored = predict(run, images, held_out)
    found = figures(
        scored["target"].to_numpy(), scored["score"].to_numpy(), np.zeros(len(scored), int)
    )
    assert found["auroc"] > 0.8  # chance is 0.5; a GPU draws other initial weights


def test_no_run_and_damaged_weights_are_input_errors(run, lesions, tmp_path):
    images, frame = lesions
    with pytest.raises(InputError, match="holds no training run"):
        predict(tmp_path, images, frame)
    (run / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no readable checkpoint"):
        predict(run, images, frame)


def test_figures_give_the_lowest_group_and_nan_where_there_is_none():
    target = np.array([0, 1, 0, 1, 0, 1, 1])
    score = np.array([0.1, 0.9, 0.8, 0.2, 0.3, 0.6, 0.5])
    group = np.array([0, 0, 1, 1, -1, -1, 2])
    found = figures(target, score, group)
    assert found["worst_group_auroc"] == 0
    assert 0 < found["auroc"] < 1
    assert figures(target, score, group, least=1)["worst_group_auroc"] == 0
    assert np.isnan(figures(target, score, group, least=2)["worst_group_auroc"])
    assert np.isnan(figures(np.ones(3), np.arange(3.0), np.zeros(3, int))["auroc"])


def test_the_probe_reads_a_group_that_is_there_and_none_that_is_not():
    generator = np.random.default_rng(0)
    group = generator.integers(3, size=300)
    patients = np.arange(300) // 2
    noise = generator.normal(size=(300, 8))
    there = probe_features(noise + 3 * np.eye(8)[group], group, patients, name="trained")
    absent = probe_features(noise, group, patients, name="trained")
    assert there.balanced_accuracy > 0.9
    assert there.low > there.chance
    assert absent.low < absent.chance < absent.high
    assert there.low <= there.balanced_accuracy <= there.high
    assert there.n == 300
    assert there.patients == 150


def test_the_network_reads_what_a_linear_probe_cannot():
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(600, 8))
    group = ((matrix[:, 0] > 0) ^ (matrix[:, 1] > 0)).astype(int)
    found = probe_features(matrix, group, np.arange(600), name="trained")
    assert found.low < found.chance < found.high
    assert found.mlp_low > 0.8


# On torch 2.6, 2.12 and 2.15 alike: how the network was started and trained decides some of them.
PROBED = (0.5667, 0.3435, 0.7832, 0.3333, 0.5857, 0.5714, 70, 35, 0.6583, 0.408, 0.9481)
NUMBER = (0.8719, 0.7989, 0.915, 0, 70, 35, 0.8853, 0.8185, 0.9214)


def test_no_figure_of_a_probe_has_moved():
    k = np.arange(70)
    group = np.array([0, 1, 0, 2, 0, 1, 0])[k // 2 % 7]
    columns = [np.sin(1.7 * k), np.cos(2.3 * k * k), np.sin(0.7 * k * k), np.ones(70)]
    matrix = np.stack(columns, axis=1) + 0.9 * np.eye(4)[group]
    bent = 20 * matrix[:, 0] + 10 * np.cos(3 * k) + 15 * (matrix[:, 1:3] > 0.2).all(axis=1)
    names, epochs = np.array(["a", "b", "c"])[group], []
    found = probe_features(
        matrix, names, k // 2, name="trained", column="tone", progress=lambda *of: epochs.append(of)
    )
    number = probe_number(matrix, bent, k // 2, name="untrained", column="ita")
    assert epochs[0] == (1, 300)
    assert epochs[-1] == (300, 300)
    assert (found.features, found.group) == ("trained", "tone")
    assert (number.features, number.group) == ("untrained", "ita")
    assert dataclasses.astuple(found)[1:-1] == pytest.approx(PROBED, abs=1e-3)
    assert dataclasses.astuple(number)[1:-1] == pytest.approx(NUMBER, abs=1e-3)


def test_the_linear_probe_is_scikit_learn_s_logistic_regression():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    generator = np.random.default_rng(0)
    index = generator.choice(3, size=400, p=(0.6, 0.3, 0.1))
    matrix = generator.normal(size=(400, 30)) * np.arange(1, 31) + 5 * np.eye(30)[index]
    who = np.arange(400) // 2
    fold = _folds(index, who)
    task = _Task(torch.tensor(matrix).float(), index, fold)
    named, expected = task.named(_linear(task)), np.empty(400, int)
    for k in range(5):
        model = LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced")
        model = make_pipeline(StandardScaler(), model).fit(matrix[fold != k], index[fold != k])
        expected[fold == k] = model.predict(matrix[fold == k])
    assert (named == expected).mean() > 0.99


@pytest.mark.parametrize("task", [_Task, _NumberTask])
def test_the_probe_s_derivatives_are_those_of_its_loss(task):
    generator = torch.Generator().manual_seed(0)
    x, k = torch.randn(40, 6, generator=generator), np.arange(40)
    task = task(x, k % 3, k % FOLDS)
    weights = torch.randn(FOLDS, 6, task.n_groups, generator=generator, requires_grad=True)
    logits = task.project(weights)
    task.loss(logits).backward()
    gradient = task.gradient(logits.detach())
    assert torch.allclose(task.back(gradient), weights.grad, atol=1e-5)
    assert torch.equal(task.gradient(logits.detach()[:, 7:19], slice(7, 19)), gradient[:, 7:19])


def test_no_patient_is_in_two_folds_and_every_fold_has_every_group():
    generator = np.random.default_rng(0)
    who = generator.integers(60, size=500)
    index = who % 3
    fold = _folds(index, who)
    assert all(len(set(fold[who == one])) == 1 for one in set(who))
    assert all(set(index[fold == k]) == {0, 1, 2} for k in range(5))


def test_the_probe_s_interval_is_over_patients_not_over_rows():
    generator = np.random.default_rng(0)
    index, right = np.arange(80) % 2, generator.random(80) < 0.7
    once = _intervals([right, ~right], index, np.arange(80))
    ten, wrong = (np.repeat(one, 10) for one in (right, ~right))
    twice = _intervals([ten, wrong], np.repeat(index, 10), np.repeat(np.arange(80), 10))
    assert np.allclose(twice, once, atol=1e-12)
    assert once[0][0] == pytest.approx(1 - once[1][1], abs=1e-12)


def test_the_probe_s_interval_is_of_95_per_cent():
    generator = np.random.default_rng(0)
    index, right = np.arange(800) % 2, generator.random(800) < 0.7
    [(low, high)] = _intervals([right], index, np.arange(800))
    share = [right[index == k].mean() for k in (0, 1)]
    error = np.sqrt(sum(p * (1 - p) / 400 for p in share)) / 2
    by_training = np.sqrt(1 + 0.348**2 / 0.21)  # the normal density at the quantile of 0.7
    assert high - low == pytest.approx(2 * 1.96 * error * by_training, rel=0.07)


@pytest.mark.parametrize(
    ("hide", "others"),
    [
        (lambda column: column * 1e-8, 1e3),
        (lambda column: column + 1e8, 1.0),
        (lambda column: column * 1e-30, 1e30),
    ],
)
def test_the_probe_reads_a_group_at_any_scale_and_offset(hide, others):
    generator, group = np.random.default_rng(0), np.arange(200) % 2
    matrix = generator.normal(size=(200, 4)) * others
    matrix[:, 2] = hide(generator.normal(size=200) + 4 * group)
    found = probe_features(matrix, group, np.arange(200), name="trained")
    assert min(found.low, found.mlp_low) > 0.9


@pytest.mark.parametrize("far", [1e3, -1e30])
def test_outliers_hide_no_group_in_their_own_column(far):
    generator, group = np.random.default_rng(0), np.arange(400) % 2
    matrix = generator.normal(size=(400, 4)).astype(np.float32)
    matrix[:, 2] += 4 * group
    matrix[:8, 2] = far
    found = probe_features(matrix, group, np.arange(400), name="trained")
    assert min(found.low, found.mlp_low) > 0.9
    number = probe_number(matrix, 1.0 * group, np.arange(400), name="trained")
    assert min(number.low, number.mlp_low) > 0.7


def test_a_feature_that_is_seldom_above_zero_stays_as_it_is():
    column = torch.zeros(400, 1)
    column[::40] = torch.arange(1.0, 11)[:, None]
    assert torch.equal(_without_outliers(column), column)


def test_rounding_is_no_feature():
    group = np.arange(200) % 2
    column = np.where(group, np.nextafter(np.float32(0.1), np.float32(1)), np.float32(0.1))
    found = probe_features(column[:, None], group, np.arange(200), name="trained")
    assert found.balanced_accuracy == 0.5


def test_a_group_that_is_named_always_or_never_has_its_exact_interval():
    group = np.array([0] * 95 + [1] * 5)
    [(low, high)] = _intervals([group == 0], group, np.arange(100))
    assert high == pytest.approx(0.5 + (1 - 0.025 ** (1 / 5)) / 2)
    assert low == pytest.approx(0.5 - (1 - 0.025 ** (1 / 95)) / 2)


def test_a_number_to_probe_for_may_be_large_and_not_missing():
    generator = np.random.default_rng(0)
    matrix, patients = generator.normal(size=(100, 4)), np.arange(100)
    assert probe_number(matrix, matrix[:, 0] * 1e300, patients, name="trained").low > 0.9
    with pytest.raises(InputError, match="missing or infinite"):
        probe_number(matrix, [np.nan, *range(99)], patients, name="trained", column="ita")


def test_features_without_a_column_are_an_input_error():
    with pytest.raises(InputError, match="no columns"):
        probe_features(np.zeros((20, 0)), np.arange(20) % 2, np.arange(20), name="trained")


def test_features_that_are_not_numbers_are_an_input_error():
    matrix = np.full((20, 3), np.nan)
    with pytest.raises(InputError, match="not numbers"):
        probe_features(matrix, np.arange(20) % 2, np.arange(20), name="trained")


def test_the_probe_does_not_know_a_patient_again():
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 10)
    group = generator.integers(2, size=40)[patients]
    signature = generator.normal(size=(40, 30))[patients]  # tells the patient, not the group
    found = probe_features(signature, group, patients, name="trained")
    assert found.balanced_accuracy < 0.6  # folds that share patients would give 1


def test_the_probe_of_a_run_stands_beside_the_untrained_backbone(run, lesions):
    images, frame = lesions
    frame = frame.assign(fitzpatrick_type=frame["fitzpatrick_type"].where(frame.index > 4))
    trained, untrained = probe(run, images, frame)
    assert (trained.features, untrained.features) == ("trained", "untrained")
    assert trained.n == untrained.n == len(frame) - 5
    assert trained.chance == pytest.approx(1 / 3)


def test_the_untrained_backbone_is_the_one_that_the_run_started_with(
    make_experiment, lesions, tmp_path
):
    images, frame = lesions
    still = dict.fromkeys(("backbone", "target_head", "group_head"), 0.0)
    experiment = make_experiment(optimizer=still, training={"epochs": 1}, seed=3)
    run = load_run(fit(experiment, frame, tmp_path / "run", images=images))
    run.method.backbone.train()
    torch.manual_seed(3)
    from equiderm.models import create_backbone

    started = dict(create_backbone("test_resnet", "random").module.named_parameters())
    for name, value in run.method.backbone.named_parameters():
        assert torch.equal(value, started[name]), name


def test_a_group_of_few_patients_is_left_out_by_name(run, lesions):
    images, frame = lesions
    few = frame["fitzpatrick_type"] == frame["fitzpatrick_type"].iloc[0]
    fewer = frame[~few | (few.cumsum() < 4)]
    notes = []
    found = probe(run, images, fewer, untrained=False, leave_out=True, note=notes.append)
    assert found[0].n == (~few).sum()
    group = frame["fitzpatrick_type"].iloc[0]
    assert notes == [f"fitzpatrick_type: left out, as of fewer than 5 patients: {group}."]


def test_too_few_patients_for_a_probe_is_an_input_error(run, lesions):
    images, frame = lesions
    with pytest.raises(InputError, match="5 patients or more"):
        probe(run, images, frame.iloc[:6])
    with pytest.raises(InputError, match="no column 'fitzpatrick_type'"):
        probe(run, images, frame.drop(columns="fitzpatrick_type"))


def photographs(folder, ids, *, damaged):
    """Return a table of drawn photographs, some of which cannot be read."""
    paths = [folder / f"{one}.png" for one in ids]
    for k, path in enumerate(paths):
        Image.new("RGB", (40, 40), (40 * k, 90, 120)).save(path)
        if path.stem in damaged:
            path.write_bytes(b"no image")
    return pd.DataFrame({"image_id": list(ids), "path": list(map(str, paths))})


def test_a_part_without_a_readable_image_does_not_end_the_others(
    make_experiment, tmp_path, monkeypatch
):
    monkeypatch.setattr(parts, "AT_ONCE", 2)
    frame = photographs(tmp_path, "abcde", damaged="cd")
    job, seen = parts.Job(None, make_experiment(), 32), []
    done = list(parts.in_parts(job, frame, workers=1, progress=lambda *of: seen.append(of)))
    assert [one.table["image_id"].tolist() for one in done] == [["a", "b"], [], ["e"]]
    assert pd.concat([one.errors for one in done])["image_id"].tolist() == ["c", "d"]
    assert seen[-1] == (5, 5)
    with pytest.raises(InputError, match="none of the 2 images can be read"):
        list(parts.in_parts(job, frame[2:4], workers=1))


def test_images_by_url_are_read_and_a_part_of_changed_ones_is_done_again(
    make_experiment, tmp_path, monkeypatch
):
    memory = fsspec.filesystem("memory")
    for path in photographs(tmp_path, "abc", damaged="")["path"]:
        memory.pipe(f"/urls/{Path(path).name}", Path(path).read_bytes())
    try:
        plain = read_rows([Path("memory://urls")])
        frame = plain.assign(path=[path.removeprefix("memory://") for path in plain["path"]])
        memory.pipe("/m.csv", frame.to_csv(index=False).encode())
        assert read_rows([Path("memory://m.csv")])["path"].tolist() == plain["path"].tolist()
        plain.to_csv(tmp_path / "m.csv", index=False)
        assert read_rows([tmp_path / "m.csv"])["path"].tolist() == plain["path"].tolist()

        monkeypatch.setattr(parts, "AT_ONCE", 2)
        job, output = parts.Job(None, make_experiment(), 32), tmp_path / "out" / "f.parquet"
        first = list(parts.in_parts(job, plain, workers=1, output=output))
        assert [one.table["image_id"].tolist() for one in first] == [["a", "b"], ["c"]]
        memory.pipe("/urls/c.png", memory.cat("/urls/a.png"))
        done, do_part = [], parts.do_part
        monkeypatch.setattr(
            parts, "do_part", lambda part, *rest: done.append(len(part)) or do_part(part, *rest)
        )
        again = list(parts.in_parts(job, plain, workers=1, output=output))
        assert done == [1]
        np.testing.assert_allclose(again[1].features[0], again[0].features[0], atol=1e-5)
    finally:
        memory.store.clear()
        memory.pseudo_dirs[:] = [""]


def test_a_stopped_embedding_resumes_with_the_parts_that_it_had_finished(
    make_experiment, tmp_path, monkeypatch
):
    monkeypatch.setattr(parts, "AT_ONCE", 2)
    frame = photographs(tmp_path, "abcdef", damaged="b").assign(age=3.5)
    job, output = parts.Job(None, make_experiment(), 32), tmp_path / "out" / "f.parquet"
    plain = list(parts.in_parts(job, frame, workers=1))

    begun = parts.in_parts(job, frame, workers=1, output=output)
    next(begun), next(begun)
    begun.close()  # the third part is not there
    done, do_part = [], parts.do_part

    def noted(part, *rest):
        done.append("".join(part["image_id"]))
        return do_part(part, *rest)

    monkeypatch.setattr(parts, "do_part", noted)
    Image.new("RGB", (44, 44), (9, 9, 9)).save(frame["path"][2])  # changed since
    seen = []
    resumed = list(
        parts.in_parts(
            job, frame, workers=1, output=output, progress=lambda *of: seen.append(of)
        )
    )  # fmt: skip
    assert done == ["cd", "ef"]
    assert seen[-1] == (6, 6)
    for k in (0, 2):
        pd.testing.assert_frame_equal(resumed[k].table, plain[k].table, check_dtype=False)
        pd.testing.assert_frame_equal(resumed[k].errors, plain[k].errors, check_dtype=False)
        np.testing.assert_array_equal(resumed[k].features, plain[k].features)
    for damaged in output.parent.glob(".f.parquet.parts/*.parquet"):
        damaged.write_bytes(b"cut off")
    done.clear()
    list(parts.in_parts(job, frame, workers=1, output=output))
    assert done == ["ab", "cd", "ef"]
    parts.forget(output)
    assert list(output.parent.iterdir()) == []


def test_a_part_of_a_probe_reports_its_place_in_the_whole():
    said = []
    part = _parts(lambda *now: said.append(now), 10, 4)
    part(0)(0, 6), part(2)(3, 6), part(3)(6, 6)
    assert said == [(0, 40), (25, 40), (40, 40)]
    _parts(None, 10, 4)(1)(3, 6)


def test_features_and_a_number_are_standardised_by_the_rows_that_train_each_fold():
    generator = torch.Generator().manual_seed(0)
    y = np.array([1.0, 2, 4, 8, 16, 32, 3, 5, 7, 9])
    x = torch.cat([torch.randn(10, 2, generator=generator) * 3 + 5, torch.full((10, 1), 7.0)], 1)
    weights = torch.randn(FOLDS, 3, 4, generator=generator)
    fold = np.arange(10) % FOLDS
    task = _NumberTask(x, y, fold)
    product, ones = task.project(weights), torch.ones(FOLDS, 10, 1)
    answers = []
    for k in range(FOLDS):
        trains = fold != k
        assert task.weight[k].tolist() == trains.astype(float).tolist()
        standard = (y - y[trains].mean()) / y[trains].std()
        np.testing.assert_allclose(task.value[k], standard, atol=1e-5)
        z = (x - x[trains].mean(0)) / x[trains].std(0, correction=0)
        np.testing.assert_allclose(product[k], z[:, :2] @ weights[k, :2], atol=1e-4)
        answers.append((y[trains].mean() + y[trains].std() - y.mean()) / y.std())
    np.testing.assert_allclose(task.answer(ones), np.array(answers)[fold], atol=1e-5)
    assert float(task.loss(0 * ones)) == pytest.approx(20)  # half of 8 rows in each of 5 folds


def test_groups_weigh_alike_in_every_fold():
    index, fold = np.repeat([0, 1, 2], [12, 5, 8]), np.arange(25) % FOLDS
    task = _Task(torch.randn(25, 2, generator=torch.Generator().manual_seed(0)), index, fold)
    for k in range(FOLDS):
        assert not task.weight[k][fold == k].any()
        sums = np.bincount(index, task.weight[k].numpy())
        np.testing.assert_allclose(sums, (fold != k).sum() / 3, rtol=1e-6)


def test_a_group_of_under_five_patients_is_left_out_where_asked_for():
    tone = np.repeat(["a", "b", "c", None], [5, 5, 4, 3])
    frame = pd.DataFrame({"image_id": np.arange(17).astype(str), "tone": tone})
    known = [_column(frame, "tone", "classes", out).known.sum() for out in (False, True)]
    assert known == [14, 10]
    frame["tone"] = frame["tone"].replace("b", "a")  # one group is left
    assert _column(frame, "tone", "classes", True).known.sum() == 0


@pytest.mark.parametrize(
    ("ita", "known"),
    [
        ([1, 2, 3, 4, 5, None], 5),
        ([1, 2, 3, 4, None, None], 0),
        ([2, 3, 2, 3, 2, None], 5),
        ([2] * 6, 0),
    ],
)
def test_a_number_of_under_five_patients_or_of_one_value_is_left_out_where_asked_for(ita, known):
    frame = pd.DataFrame({"image_id": list("abcdef"), "ita": ita})
    column = _column(frame, "ita", "number", True)
    assert column.number and column.known.sum() == known
    assert _column(frame, "ita", "number", False).known.sum() == frame["ita"].notna().sum()


@pytest.mark.parametrize(("patients", "values"), [(4, 9), (9, 1)])
def test_a_number_needs_five_patients_and_two_values(patients, values):
    rows = np.arange(20)
    with pytest.raises(InputError, match="needs 5 patients or more and two values"):
        probe_number(np.eye(20), rows % values, rows % patients, name="x")


@pytest.mark.parametrize(("least", "counted"), [(1, [0, 1]), (2, [0, 1]), (3, [1]), (4, [])])
def test_a_group_counts_from_its_least_positives_and_negatives_on(least, counted):
    target = np.array([0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 1])
    group = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, -1, -1])
    assert large_groups(target, group, least=least) == counted


def test_batches_are_read_in_order_and_the_module_trains_on(monkeypatch):
    monkeypatch.setattr(predicting, "BATCH", 2)
    device = torch.device("cpu")
    pixels = SimpleNamespace(batch=lambda rows: torch.tensor(rows)[:, None], device=device)
    module, said = torch.nn.Identity(), []
    modes = []

    def doubled(image):
        modes.append((module.training, torch.is_grad_enabled()))
        return 2 * image

    rows, report = np.array([3, 1, 4, 1, 5]), lambda *now: said.append(now)
    whole = predicting._over_batches(module, doubled, pixels, rows, report)
    assert whole[:, 0].tolist() == [6, 2, 8, 2, 10]
    assert said == [(2, 5), (4, 5), (5, 5)]
    assert modes == [(False, False)] * 3 and module.training
    assert predicting._over_batches(module, doubled, pixels, rows[:0]).shape == (0, 2)
    module.eval()
    predicting._over_batches(module, doubled, pixels, rows)
    assert not module.training
