"""Targets of every kind, from a manifest's column to predictions and their audit."""

import json
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from tests.training.test_state import Stop, assert_identical, stop_at

from equiderm.audit import Options, audit, audit_classes, audit_number
from equiderm.audit.saved import read_saved
from equiderm.compare import compare
from equiderm.compare.scores import SPLIT_SEEDS
from equiderm.errors import InputError
from equiderm.training import (
    Features,
    experiment_from,
    export,
    fit,
    load_run,
    model_card,
    predict,
)
from equiderm.training.figures import figures_of
from equiderm.training.rows import select_rows

CLASSES = {"target": "dx", "target_kind": "classes"}
ORDERED = {"target": "fitzpatrick_type", "target_kind": "ordered", "group": "instrument"}
NUMBER = {"target": "ita", "target_kind": "number", "group": "instrument"}
SHORT = {"epochs": 1, "precision": "fp32"}  # a GPU's bf16 has three digits


@pytest.mark.parametrize(("method", "data"), [("erm", ORDERED), ("clgr", NUMBER)])
def test_a_stopped_run_of_another_target_goes_on_to_bit_identical_weights(
    method, data, make_experiment, toned, tmp_path
):
    images, frame = toned
    experiment = make_experiment(
        method, data=data, training={"checkpoint_steps": 2}, validation={"figure": "spearman"}
    )

    whole = fit(experiment, frame, tmp_path / "whole", images=images)
    with pytest.raises(Stop):
        fit(experiment, frame, tmp_path / "stopped", images=images, watch=stop_at(5))
    again = fit(experiment, frame, tmp_path / "stopped", images=images)
    assert_identical(whole, again)
    assert -1 <= load_run(again).about["history"][-1]["spearman"] <= 1


def test_several_classes_are_scored_each_and_audited_against_the_rest(
    make_experiment, toned, tmp_path
):
    images, frame = toned
    experiment = make_experiment(data=CLASSES, training={"epochs": 12})
    run = load_run(fit(experiment, frame, tmp_path / "run", images=images))
    assert run.about["target"]["names"] == ["keratosis", "melanoma", "nevus"]
    scored = predict(run, images, frame)
    scores = scored[["score_keratosis", "score_melanoma", "score_nevus"]].to_numpy()
    np.testing.assert_allclose(scores.sum(1), 1)
    assert (scored["predicted"] == np.array(run.target.names)[scores.argmax(1)]).all()
    assert (scored["predicted"] == "melanoma")[frame["target"] == 1].mean() > 0.7
    audited = audit_classes(
        scored, by=["fitzpatrick_type"], target="dx", predicted="predicted", patient="patient_id"
    )
    assert set(audited.classes) == set(run.target.names)


def test_an_ordered_target_predicts_the_middle_class_and_a_number_in_its_unit(
    make_experiment, toned, tmp_path
):
    images, frame = toned
    ordered = fit(make_experiment(data=ORDERED), frame, tmp_path / "ordered", images=images)
    scored = predict(ordered, images, frame)
    below = scored[["score_1", "score_2", "score_3"]].to_numpy().cumsum(1)
    assert scored["predicted"].tolist() == (1 + (below < 0.5).sum(1)).tolist()
    rates = {"backbone": 0.005, "target_head": 0.005}  # every seed of ten reads the skin with these
    experiment = make_experiment(data=NUMBER, optimizer=rates, training={"epochs": 12})
    number = fit(experiment, frame, tmp_path / "number", images=images)
    assert len(select_rows(experiment, frame).frame) == 95
    scored = predict(number, images, frame)
    assert "score" not in scored
    assert np.corrcoef(scored["predicted"], frame["ita"].fillna(0))[0, 1] > 0.8
    assert scored["predicted"].std() > 10  # degrees
    audited = audit_number(
        scored, target="ita", by="fitzpatrick_type", drop_missing=True, patient="patient_id"
    )
    assert len(audited.truth) == 95 and audited.against_constant()[2] < 0


def test_figures_of_classes_are_a_mean_over_them_and_of_ranks_a_correlation():
    from equiderm.batch import Target

    value = np.array([0, 0, 1, 1, 2, 2])
    scores = np.array(
        [[0.9, 0.1, 0], [0.2, 0.8, 0], [0.1, 0.9, 0], [0.4, 0.5, 0.1]] + [[0, 0, 1]] * 2
    )
    each = [7 / 8, 7 / 8, 1.0]
    found = figures_of(Target("classes", ("a", "b", "c")), value, scores)
    assert found["auroc"] == pytest.approx(np.mean(each))
    ranked = np.eye(3)[value]
    assert figures_of(Target("ordered", (1, 2, 3)), value, ranked) == {"spearman": 1.0}
    assert figures_of(Target("number", ()), value, np.ones((6, 1))) == {"spearman": 0.0}


@pytest.mark.parametrize(("data", "unit"), [(ORDERED, 1), (NUMBER, 60)])
def test_an_exported_run_gives_what_predict_gives_and_its_card_names_the_target(
    data, unit, make_experiment, toned, tmp_path
):
    images, frame = toned
    views = {"views": 8}
    experiment = make_experiment(data=data, training=SHORT, prediction=views)
    run = load_run(fit(experiment, frame, tmp_path / "run", images=images))
    done = export(run, tmp_path / "model.pt2", images.images[:3])
    _, score = torch.export.load(done.path).module()(torch.from_numpy(images.images[3:8]))
    scored = predict(run, images, frame[3:8])
    columns = [name for name in scored if name.startswith("score_")] or ["predicted"]
    found = score.detach().numpy().reshape(5, -1)
    np.testing.assert_allclose(found, scored[columns], atol=1e-4 * unit)
    card = model_card(run)
    assert f"{data['target']}, {data['target_kind']}" in card
    command = (
        "`equiderm audit scores.csv --target fitzpatrick_type --classes all --predicted predicted "
        "--by instrument -o audit.json`"
    )
    assert (command in card) == (data is ORDERED)
    number = "`equiderm audit scores.csv --target ita --number --by instrument -o audit.json`"
    assert (number in card) == (data is NUMBER)


def test_the_card_of_two_named_classes_takes_an_audit_of_one_as_the_positive(
    make_experiment, toned, tmp_path
):
    images, frame = toned
    frame = frame[frame["dx"] != "keratosis"]
    data = {**CLASSES, "targets": ["nevus", "melanoma"]}
    run = load_run(
        fit(make_experiment(data=data, training=SHORT), frame, tmp_path / "run", images=images)
    )
    (command,) = re.findall("`equiderm audit scores.csv (.*) -o audit.json`", model_card(run))
    by = run.attributes[0].name
    assert command == f"--target dx --positive melanoma --score score_melanoma --by {by}"
    how = {"positive": "melanoma", "score": "score_melanoma", "by": by}
    made = audit(predict(run, images, frame), target="dx", **how, options=Options(replicates=100))
    assert made.answer()[0] in model_card(run, read_saved(made.to_json()))


@pytest.mark.parametrize(
    ("method", "tables", "message"),
    [
        ("dfr", {"data": CLASSES}, "dfr does not learn it; take one of erm, lntl, tabe"),
        ("resampling", {"data": NUMBER}, "resampling does not learn it"),
        ("erm", {"data": NUMBER, "validation": {"figure": "auroc"}}, "take 'spearman'"),
        ("erm", {"data": CLASSES, "validation": {"figure": "spearman"}}, "take 'auroc'"),
        ("erm", {"data": {**NUMBER, "target_kind": "ordered"}}, "target_kind = 'number'"),
        ("erm", {"data": {**NUMBER, "target": "dx"}}, "image-0000 has dx 'melanoma', which is no"),
        ("erm", {"data": {**CLASSES, "target_kind": "ordered"}}, "order of words, such as 'kera"),
        ("erm", {"data": {**CLASSES, "targets": ["nevus", "melanoma"]}}, "hold dx = keratosis"),
        ("erm", {"data": {"target": "dx"}}, "has dx .*target_kind"),
        ("erm", {"data": {**CLASSES, "target": "ddx"}}, "no column 'ddx'"),
    ],
)
def test_what_is_no_such_target_is_refused_before_the_first_batch(
    make_experiment, toned, method, tables, message
):
    with pytest.raises(InputError, match=message):
        select_rows(make_experiment(method, **tables), toned[1])


def test_a_record_of_another_target_than_the_experiment_s_is_refused(
    make_experiment, toned, tmp_path
):
    images, frame = toned
    run = fit(make_experiment(data=NUMBER, training=SHORT), frame, tmp_path / "run", images=images)
    about = json.loads((run / "run.json").read_text())
    other = about["target"] | {"column": "age"}
    for changed in ({**about, "target": other}, {k: about[k] for k in about if k != "target"}):
        (run / "run.json").write_text(json.dumps(changed))
        with pytest.raises(InputError, match=r"has the target 'ita' of kind number, and run\.json"):
            load_run(run)


def select(make_experiment, frame, data, **values):
    return select_rows(make_experiment(data=data), frame.assign(**values))


def test_numbers_as_text_are_ordered_as_numbers(make_experiment, toned):
    frame = toned[1]
    text = (frame["fitzpatrick_type"] * 5).astype(str)  # 5, 10 and 15
    rows = select(make_experiment, frame, {**ORDERED, "target": "size"}, size=text)
    assert rows.outcome.names == ("5", "10", "15")


def test_blanks_around_a_class_do_not_make_another(make_experiment, toned):
    frame = toned[1]
    blanks = frame["dx"].where(frame.index % 2 == 0, " " + frame["dx"] + " ")
    blanks = blanks.mask(frame.index == 0, "  ")
    rows = select(make_experiment, frame, CLASSES, dx=blanks)
    assert rows.outcome.names == ("keratosis", "melanoma", "nevus")
    assert len(rows.frame) == len(frame) - 1
    whole = select_rows(make_experiment(data=CLASSES), frame)
    assert rows.target.tolist() == whole.target[1:].tolist()


def test_classes_that_differ_in_capitals_only_are_refused_unless_listed(make_experiment, toned):
    frame = toned[1]
    twins = frame["dx"].mask(frame.index < 20, "Nevus")
    with pytest.raises(
        InputError, match="has 'Nevus' and 'nevus', which differ in capitals, blanks"
    ):
        select(make_experiment, frame, CLASSES, dx=twins)
    listed = ["Nevus", "nevus", "melanoma", "keratosis"]
    rows = select(make_experiment, frame, {**CLASSES, "targets": listed}, dx=twins)
    assert rows.outcome.names == tuple(listed)


def test_a_number_with_a_word_is_refused_and_one_that_is_not_known_is_left_out(
    make_experiment, toned
):
    frame = toned[1]
    text = frame["ita"].map("{:.1f}".format)  # "nan" where it is not known
    rows = select(make_experiment, frame, {**NUMBER, "target": "angle"}, angle=text)
    assert len(rows.frame) == 95
    text[7] = "12,5"
    with pytest.raises(InputError, match="image-0007 has angle '12,5', which is no number"):
        select(make_experiment, frame, {**NUMBER, "target": "angle"}, angle=text)


def test_a_column_of_categories_or_truths_is_one_of_classes(make_experiment, toned):
    frame = toned[1]
    whole = select_rows(make_experiment(data=CLASSES), frame)
    rows = select(make_experiment, frame, CLASSES, dx=frame["dx"].astype("category"))
    assert rows.target.tolist() == whole.target.tolist()
    rows = select(make_experiment, frame, CLASSES, dx=frame["target"] == 1)
    assert rows.outcome.names == (False, True)


def test_too_few_classes_are_named(make_experiment, toned):
    frame = toned[1]
    with pytest.raises(InputError, match="one target only, dx = nevus; two classes or more"):
        select(make_experiment, frame, CLASSES, dx="nevus")
    alone = frame["dx"].mask(frame["split"] == "validation", "nevus")
    experiment = make_experiment(data=CLASSES, validation={"figure": "auroc"})
    with pytest.raises(InputError, match="do not hold two different targets"):
        select_rows(experiment, frame.assign(dx=alone))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"targets": [0, 1]}, "lists the values of classes"),
        ({**CLASSES, "targets": ["a"]}, "two classes or more"),
        ({**CLASSES, "targets": ["a", "a"]}, "two classes or more, each once"),
        ({"target_kind": "many"}, "give 'binary', 'classes', 'ordered' or 'number'"),
    ],
)
def test_a_wrong_target_is_refused_with_its_key(data, message):
    with pytest.raises(InputError, match=message):
        experiment_from({"data": data})


def test_what_is_of_a_binary_target_refuses_another(make_experiment, toned, tmp_path):
    images, frame = toned
    experiment = make_experiment(data=CLASSES, training=SHORT)
    run = fit(experiment, frame, tmp_path / "run", images=images)
    with pytest.raises(InputError, match="its target is of kind classes; recalibration"):
        load_run(run).require_binary("recalibration per group")
    other = make_experiment(data=ORDERED)
    with pytest.raises(InputError, match=r"\[data\] target differs from that of erm"):
        compare({"erm": experiment, "o": other}, frame, tmp_path / "runs", images=images)


@pytest.mark.parametrize(("data", "splits"), [(ORDERED, 1), (NUMBER, 2)])
def test_experiments_of_another_target_are_compared_by_its_own_figure(
    make_experiment, toned, tmp_path, data, splits
):
    frame = toned[1].assign(split=np.where(np.arange(len(toned[1])) % 3, "train", "test"))
    frame = frame.assign(patient_id=frame["image_id"])
    noise = np.random.default_rng(1).normal(size=(len(frame), 6))
    noise[:, 0] += frame["fitzpatrick_type"]
    images = Features(noise, frame["image_id"].tolist())
    make = partial(make_experiment, data=data, backbone={"name": "features"}, training=SHORT)
    found = compare({"erm": make()}, frame, tmp_path, images=images, seeds=1, splits=splits)
    seed, part = SPLIT_SEEDS * (splits - 1), "split-1" if splits > 1 else ""
    scored = pd.read_parquet(tmp_path / "erm" / part / f"seed-{seed}" / "test.parquet")
    truth, answer = scored[data["target"]], scored["predicted"]
    runs = found.tests[0].runs
    own = runs[runs["seed"] == seed].set_index("figure")
    plain = np.abs(truth - answer).mean()
    if data is ORDERED:
        plain = cohen_kappa_score(truth, answer, weights="quadratic")
    assert own.loc["overall", "value"] == pytest.approx(plain)
    assert {"overall", "lens", "camera", "worst", "gap"} == set(own.index)


def test_a_class_of_two_images_makes_folds_without_a_warning(make_experiment, toned, recwarn):
    frame = toned[1]
    few = frame["dx"].mask(frame.index.isin([0, 8]), "rare")
    experiment = make_experiment(data=CLASSES, validation={"folds": 5})
    folds = [select_rows(experiment, frame.assign(dx=few), fold=fold) for fold in range(5)]
    held_out = np.concatenate([rows.validation for rows in folds])
    assert len(set(held_out)) == len(held_out) == (frame["split"] == "train").sum()
    assert folds[0].outcome.names == ("keratosis", "melanoma", "nevus", "rare")
    assert not len(recwarn)
