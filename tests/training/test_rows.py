import numpy as np
import pandas as pd
import pytest

from equiderm.errors import InputError
from equiderm.training.rows import patients_of, plain_value, select_rows


def test_groups_and_weights_follow_from_the_training_rows(make_experiment, lesions):
    _, frame = lesions
    rows = select_rows(make_experiment("lntl"), frame)
    assert rows.groups == (1, 2, 3)
    counts = frame.loc[frame["split"] == "train", "fitzpatrick_type"].value_counts()
    inverse = 1 / counts.loc[[1, 2, 3]].to_numpy()
    np.testing.assert_allclose(rows.group_weights, inverse / inverse.sum(), rtol=1e-6)


def test_groups_named_but_absent_have_no_weight(make_experiment, lesions):
    _, frame = lesions
    rows = select_rows(make_experiment("lntl", data={"groups": [1, 2, 3, 4]}), frame)
    assert len(rows.groups) == 4
    assert rows.group_weights[3] == 0
    assert rows.group_weights.sum() == pytest.approx(1)


def test_a_group_only_outside_training_and_a_missing_one_are_unknown(make_experiment, lesions):
    _, frame = lesions
    frame = frame.astype({"fitzpatrick_type": "Int64"})
    frame.loc[3, "fitzpatrick_type"] = 6  # a validation row
    frame.loc[4, "fitzpatrick_type"] = pd.NA
    rows = select_rows(make_experiment("lntl"), frame)
    assert rows.groups == (1, 2, 3)
    assert rows.group[3] == -1
    assert rows.group[4] == -1


def test_text_and_number_columns_make_the_same_groups(make_experiment, lesions):
    _, frame = lesions
    as_float = frame.assign(fitzpatrick_type=frame["fitzpatrick_type"].astype(float))
    for changed in (as_float, frame.astype({"fitzpatrick_type": "Int64", "target": "Int64"})):
        rows = select_rows(make_experiment(), changed)
        assert rows.groups == (1, 2, 3)
        assert list(rows.group) == list(select_rows(make_experiment(), frame).group)


def test_rows_without_a_target_are_left_out(make_experiment, lesions):
    _, frame = lesions
    frame = frame.astype({"target": "Int64"})
    frame.loc[0, "target"] = pd.NA
    rows = select_rows(make_experiment(), frame)
    assert "image-0000" not in set(rows.frame["image_id"])
    assert len(rows.target) == len(frame) - 1


@pytest.mark.parametrize(
    ("change", "tables", "message"),
    [
        (lambda f: f.drop(columns="target"), {}, "no column 'target'; it has image_id"),
        (lambda f: f, {"data": {"group": "monk_tone"}}, "no column 'monk_tone'"),
        (lambda f: f, {"data": {"groups": [1, 2]}}, "also hold fitzpatrick_type = 3"),
        (lambda f: f, {"data": {"train": "training"}}, "no row of split 'training'"),
        (lambda f: f.assign(target=2), {}, "image-0000 has target 2"),
        (lambda f: f.assign(target=1), {}, "one target only"),
        (lambda f: f.assign(fitzpatrick_type=2), {"method": "lntl"}, "fewer than two values"),
        (lambda f: f, {"training": {"batch_size": 100}}, "only 72 training rows"),
        (
            lambda f: f.assign(split="train"),
            {"validation": {"figure": "auroc"}},
            "do not hold both targets",
        ),
        (lambda f: pd.concat([f, f.iloc[:1]]), {}, "image-0000 is listed twice"),
        (
            lambda f: pd.concat([f, f.iloc[:1].assign(split="test")]),
            {},
            "image-0000 of split 'train' is the same picture as image-0000 of split 'test'",
        ),
        (
            lambda f: pd.concat([f, f.iloc[:1].assign(split="test-56", image_id="b")]).assign(
                path="a.png"
            ),
            {},
            "is the same picture as",
        ),
        (lambda f: f.assign(split=None), {}, "equiderm split"),
        (
            lambda f: f.assign(fitzpatrick_type=f["target"] + 1),
            {"validation": {"figure": "worst_group_auroc", "least": 1}},
            "no fitzpatrick_type has 1 positives and 1 negatives",
        ),
        (
            lambda f: f,
            {"validation": {"figure": "worst_group_auroc"}},
            "no fitzpatrick_type has 10 positives",
        ),
        (lambda f: f.assign(ita=np.linspace(-40, 70, 96)), {"data": {"group": "ita"}}, "72 values"),
        (
            lambda f: f.assign(ita=np.linspace(-40, 70, 96).astype(str)),
            {"data": {"group": "ita"}},
            "holds numbers .72 values from -40 to 6",
        ),
        (lambda f: f.assign(age=range(96)), {"data": {"group": "age"}}, "holds numbers"),
        (lambda f: f.assign(site=[["arm"]] * 96), {"data": {"group": "site"}}, "holds lists"),
        (
            lambda f: f.assign(tone=["I-II", "I\u2013II", "III"] * 32),
            {"data": {"group": "tone"}},
            "has 'I-II' and 'I\u2013II', which differ in capitals, blanks, dashes",
        ),
        (
            lambda f: f.assign(size=np.arange(96) * 1e300),
            {"data": {"target": "size", "target_kind": "number"}},
            r"up to 9\.5e\+301, too large to standardise",
        ),
    ],
)
def test_a_wrong_manifest_is_refused_before_the_first_batch(
    make_experiment, lesions, change, tables, message
):
    _, frame = lesions
    with pytest.raises(InputError, match=message):
        select_rows(make_experiment(**tables), change(frame))


def test_groups_are_named_as_text_or_as_numbers(make_experiment, lesions):
    _, frame = lesions
    experiment = make_experiment(data={"groups": [3, 2, 1]})
    bands = frame.astype({"fitzpatrick_type": str})
    assert select_rows(experiment, bands).groups == ("3", "2", "1")
    assert list(select_rows(experiment, bands).group) == list(select_rows(experiment, frame).group)


def test_numbers_that_are_listed_are_groups(make_experiment, lesions):
    _, frame = lesions
    halves = frame.assign(half=np.where(frame.index % 2, 0.5, 1.5))
    with pytest.raises(InputError, match="each of which would be a group"):
        select_rows(make_experiment(data={"group": "half"}), halves)
    listed = make_experiment(data={"group": "half", "groups": [0.5, 1.5]})
    assert select_rows(listed, halves).groups == (0.5, 1.5)


def test_a_column_of_names_is_no_group_unless_they_are_listed(make_experiment, lesions):
    _, frame = lesions
    frame = frame.assign(place=[f"place {k % 51}" for k in range(len(frame))], split="train")
    with pytest.raises(InputError, match="'place': has 51 values"):
        select_rows(make_experiment("lntl", data={"group": "place"}), frame)
    listed = {"group": "place", "groups": [f"place {k}" for k in range(51)]}
    assert len(select_rows(make_experiment("lntl", data=listed), frame).groups) == 51


def test_resampling_needs_groups(make_experiment, lesions):
    _, frame = lesions
    with pytest.raises(InputError, match=r"fewer than two values.*resampling needs two"):
        select_rows(make_experiment("resampling"), frame.assign(fitzpatrick_type=None))


def test_a_fold_without_folds_is_refused(make_experiment, lesions):
    with pytest.raises(InputError, match="no folds"):
        select_rows(make_experiment(), lesions[1], fold=0)


def test_folds_share_out_every_training_row_and_no_patient(make_experiment, lesions):
    _, frame = lesions
    experiment = make_experiment(validation={"folds": 5})
    parts = [select_rows(experiment, frame, fold=fold) for fold in range(5)]
    held_out = np.concatenate([rows.validation for rows in parts])
    assert sorted(held_out) == list(np.flatnonzero(frame["split"] == "train"))
    for rows in parts:
        patients = rows.frame["patient_id"].to_numpy()
        assert not set(patients[rows.train]) & set(patients[rows.validation])
    with pytest.raises(InputError, match="folds 0 to 4"):
        select_rows(experiment, frame, fold=5)


def test_folds_of_a_number_have_as_many_of_every_fifth(make_experiment):
    from tests.training.conftest import make_lesions

    frame = make_lesions(100)[1].drop(columns="patient_id")
    frame = frame.assign(split="train", target=np.random.default_rng(0).permutation(100) / 7)
    experiment = make_experiment(data={"target_kind": "number"}, validation={"folds": 4})
    for fold in range(4):
        rows = select_rows(experiment, frame, fold=fold)
        fifth = frame["target"].rank().to_numpy()[rows.validation] - 1
        assert np.bincount((fifth // 20).astype(int)).tolist() == [5] * 5


def test_patients_are_known_by_lesion_or_image_where_no_patient_is():
    frame = pd.DataFrame(
        {
            "image_id": ["a", "b", "c", "d"],
            "lesion_id": ["l", "l", None, None],
            "patient_id": ["p", None, None, "p"],
        }
    )
    who = patients_of(frame)
    assert who[0] == who[3]
    assert len(set(who)) == 3


def test_a_manifest_that_names_no_lesion_goes_by_patient():
    from tests.training.conftest import make_lesions

    from equiderm.data.manifest import conform

    frame = make_lesions(6)[1].assign(path="a.png", source="made")
    assert len(set(patients_of(conform(frame)))) == 3


def test_twenty_values_are_groups_and_ten_are_a_number(make_experiment, lesions):
    _, frame = lesions
    as_group = make_experiment(data={"group": "age"})
    frame = frame.assign(age=np.arange(96) // 4 % 20, ita=np.arange(96) % 10)
    assert select_rows(as_group, frame).groups == tuple(range(20))
    with pytest.raises(InputError, match="21 values from 0 to 20"):
        select_rows(as_group, frame.assign(age=np.arange(96) // 4 % 21))
    as_number = make_experiment("tabe", data={"group": "ita", "numbers": ["ita"]})
    target = select_rows(as_number, frame).attributes[0].target
    train = frame.loc[frame["split"] == "train", "ita"]
    assert (target.mean, target.std) == pytest.approx((train.mean(), train.std(ddof=0)))
    with pytest.raises(InputError, match="9 different numbers"):
        select_rows(as_number, frame.assign(ita=np.arange(96) // 4 % 9))


def test_a_batch_may_be_the_whole_training_set(make_experiment, lesions):
    rows = select_rows(make_experiment(training={"batch_size": 72}), lesions[1])
    assert (len(rows.train), len(rows.validation)) == (72, 24)


def test_a_group_column_counts_its_training_rows_by_target(make_experiment, lesions):
    _, frame = lesions
    (one,) = select_rows(make_experiment("lntl"), frame).attributes
    train = frame[frame["split"] == "train"]
    counts = pd.crosstab(train["target"], train["fitzpatrick_type"])
    assert one.counts.tolist() == counts.to_numpy().tolist()


def test_two_group_columns_make_cells_of_their_pairs_and_a_number_makes_none(
    make_experiment, lesions
):
    _, frame = lesions
    frame = frame.assign(lens=np.arange(96) % 2, ita=np.linspace(-40, 70, 96))
    data = {"group": ["fitzpatrick_type", "lens"]}
    cell = select_rows(make_experiment("resampling", data=data), frame).cell
    pairs = frame.groupby(["fitzpatrick_type", "lens"]).ngroup().to_numpy()
    assert cell.tolist() == pairs.tolist()
    data = {"group": ["ita", "lens"], "numbers": ["ita"]}
    rows = select_rows(make_experiment("tabe", data=data), frame)
    assert rows.cell.tolist() == frame["lens"].tolist()
    assert set(rows.group) == {-1} and rows.groups == ()


def test_days_are_groups_by_their_text(make_experiment, lesions):
    _, frame = lesions
    days = pd.to_datetime("2020-01-01") + pd.to_timedelta(np.arange(96) % 2, "D")
    rows = select_rows(make_experiment(data={"group": "day"}), frame.assign(day=days))
    assert rows.groups == ("2020-01-01 00:00:00", "2020-01-02 00:00:00")
    assert set(rows.group) == {0, 1}


@pytest.mark.parametrize(
    ("value", "plain"),
    [(2.0, 2), (2.5, 2.5), (np.float64(3), 3), (np.int64(4), 4), ("2.0", "2.0"), (True, True)],
)
def test_a_whole_number_of_a_group_is_an_int(value, plain):
    assert plain_value(value) == plain and type(plain_value(value)) is type(plain)


@pytest.mark.parametrize("fold", [None, -1, 5])
def test_an_experiment_of_folds_needs_one_of_them(make_experiment, lesions, fold):
    with pytest.raises(InputError, match=f"fold {fold}: the experiment has folds 0 to 4"):
        select_rows(make_experiment(validation={"folds": 5}), lesions[1], fold=fold)


def test_as_many_patients_as_folds_suffice(make_experiment, lesions):
    _, frame = lesions
    experiment = make_experiment(validation={"folds": 3}, training={"drop_last": False})
    few = frame.assign(patient_id=np.arange(96) % 3)
    assert len(select_rows(experiment, few, fold=2).validation) == 24
    with pytest.raises(InputError, match="2 patients cannot make 3 folds"):
        select_rows(experiment, frame.assign(patient_id=np.arange(96) % 2), fold=0)


def test_a_picture_may_be_of_no_split_beside_training(make_experiment, lesions):
    _, frame = lesions
    again = frame.iloc[:1].assign(image_id="b", split=None)
    both = pd.concat([frame, again], ignore_index=True).assign(sha256=[*range(96), 0])
    assert len(select_rows(make_experiment(), both).train) == 72
    both.loc[96, "split"] = "test"
    with pytest.raises(InputError, match=r"image-0000 .* same picture as b .*\(1 such images\)"):
        select_rows(make_experiment(), both)


def test_a_head_that_is_fitted_on_validation_rows_needs_them(make_experiment, lesions):
    with pytest.raises(InputError, match="dfr: fits its head on validation rows"):
        select_rows(make_experiment("dfr", data={"validation": "none"}), lesions[1])
