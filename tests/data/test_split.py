import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equiderm.data import synthetic
from equiderm.data.manifest import conform, write_manifest
from equiderm.data.split import (
    FRACTIONS,
    absent_values,
    check_leaks,
    doubts,
    far_shares,
    rows_of_list,
    rows_of_pairs,
    split_folds,
    split_groups,
    split_random,
    summarize,
    units,
)
from equiderm.errors import InputError


def made(n: int = 600, *, seed: int = 0, lesions: float = 0.3) -> pd.DataFrame:
    """A manifest: most rows with a patient, some with a lesion alone, some with neither."""
    rng = np.random.default_rng(seed)
    patient = [f"p{number}" for number in rng.integers(0, n // 3 + 1, n)]
    lesion = [f"l{number}" for number in rng.integers(0, n // 2, n)]
    kind = rng.random(n)
    types = pd.Series(patient).map(lambda name: int(name[1:]) % 6 + 1)
    return pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(n)],
            "path": [f"/x/i{number}.jpg" for number in range(n)],
            "source": "made",
            "target": rng.random(n) < 0.3,
            "patient_id": np.where(kind < 1 - lesions, patient, None),
            "lesion_id": np.where((kind >= 1 - lesions) & (kind < 0.9), lesion, None),
            "fitzpatrick_type": types,
        }
    ).astype({"target": "Int64", "fitzpatrick_type": "Int64"})


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.4]))
def test_no_patient_and_no_lesion_is_on_two_sides(seed, lesions):
    frame = split_random(made(200, seed=seed, lesions=lesions), seed=seed)
    for column in ("patient_id", "lesion_id"):
        assert (frame.groupby(column)["split"].nunique() <= 1).all()


def test_shares_are_as_asked():
    frame = split_random(made(3000), fractions={"train": 0.7, "validation": 0.15, "test": 0.15})
    shares = frame["split"].value_counts(normalize=True)
    assert shares["train"] == pytest.approx(0.7, abs=0.01)
    assert shares["test"] == pytest.approx(0.15, abs=0.01)


def test_splits_are_alike_in_target_and_tone():
    frame = split_random(made(3000))
    shares = frame.groupby("split")["target"].mean()
    assert shares.max() - shares.min() < 0.02
    tones = frame.groupby("split")["fitzpatrick_type"].value_counts(normalize=True).unstack()
    assert (tones.max() - tones.min()).max() < 0.03


def test_the_same_seed_gives_the_same_split_and_another_another():
    frame = made()
    first = split_random(frame, seed=3)["split"]
    assert first.equals(split_random(frame, seed=3)["split"])
    assert not first.equals(split_random(frame, seed=4)["split"])


def test_folds_are_equal_and_cover_all():
    sizes = split_folds(made(1000), 5)["split"].value_counts()
    assert set(sizes.index) == {f"fold-{number}" for number in range(1, 6)}
    assert sizes.max() - sizes.min() <= 10


def test_a_patient_without_id_is_known_through_a_lesion():
    frame = made(4).assign(patient_id=["p", "p", None, None], lesion_id=[None, "l", "l", None])
    assert units(frame).tolist() == [0, 0, 0, 1]


def test_one_patient_name_in_two_sources_is_two_patients():
    frame = made(2).assign(patient_id="p", source=["a", "b"])
    assert len(set(units(frame))) == 2


def test_one_image_id_in_two_sources_is_one_unit():
    frame = made(2).assign(image_id="ISIC_1", patient_id=None, lesion_id=None, source=["a", "b"])
    assert len(set(units(frame))) == 1


def test_the_same_bytes_are_one_unit():
    frame = made(2).assign(patient_id=None, lesion_id=None, sha256="0" * 64)
    assert len(set(units(frame))) == 1


def test_pairs_of_one_picture_stay_together():
    frame = made(300).assign(patient_id=None, lesion_id=None)
    pairs = pd.DataFrame({"row_a": range(150), "row_b": range(299, 149, -1)})
    split = split_random(frame, same=pairs)["split"].to_numpy()
    assert (split[:150] == split[:149:-1]).all()


def test_a_leak_is_an_error_that_names_its_rows():
    frame = made(10, lesions=0).assign(
        patient_id=list("aabbccddee"), lesion_id=None, split=["train", "test"] + ["train"] * 8
    )
    with pytest.raises(InputError, match=r"rows 1 \(train\) and 2 \(test\).*one of 1 such"):
        check_leaks(frame)


def test_rows_without_a_split_do_not_leak():
    frame = made(4, lesions=0).assign(patient_id="p", split=["train", None, None, None])
    check_leaks(frame)


def test_groups_hold_their_types_out():
    frame = split_groups(
        made(900), "fitzpatrick_type",
        {"train": [1, 2], "test-34": [3, 4], "test-56": [5, 6]}, validation=0.2,
    )  # fmt: skip
    types = frame.groupby("split")["fitzpatrick_type"].agg(set)
    assert types["train"] == types["validation"] == {1, 2}
    assert types["test-34"] == {3, 4}
    assert types["test-56"] == {5, 6}
    sizes = frame["split"].value_counts()
    assert sizes["validation"] / (sizes["train"] + sizes["validation"]) == pytest.approx(
        0.2, abs=0.03
    )


def test_a_patient_of_two_groups_trains_nothing_that_is_tested():
    frame = made(40, lesions=0).assign(
        patient_id=["p"] * 4 + [f"q{number}" for number in range(36)],
        fitzpatrick_type=[1, 2, 3, 3] + [1, 3] * 18,
    )
    split = split_groups(frame, "fitzpatrick_type", {"train": [1, 2], "test": [3]})["split"]
    assert split[:2].isna().all()
    assert (split[2:4] == "test").all()


def test_rows_of_no_named_value_get_no_split():
    split = split_groups(made(), "fitzpatrick_type", {"train": [1], "test": [6]})
    assert split.loc[split["fitzpatrick_type"].isin([2, 3, 4, 5]), "split"].isna().all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: split_random(f, fractions={"train": 0.5, "test": 0.6}), "add up to 1"),
        (lambda f: split_folds(f, 1), "at least 2"),
        (lambda f: split_folds(f.assign(patient_id="p", lesion_id=None), 3), "ask for fewer"),
        (lambda f: split_random(f, tone="moon"), "no column 'moon'"),
        (lambda f: split_groups(f, "moon", {"train": [1]}), "no values in column 'moon'"),
        (lambda f: split_groups(f, "fitzpatrick_type", {"a": [1], "b": [1]}), "named twice"),
        (lambda f: split_groups(f, "fitzpatrick_type", {"a": [9]}), "has no rows"),
    ],
)
def test_unusable_splits_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call(made(60))


def test_the_command_splits_and_finds_its_own_leak(equiderm, tmp_path):
    archive = synthetic.synthesize(120, size=16, workers=1)
    path = synthetic.write_archive(archive, tmp_path / "made")
    done = equiderm("split", path, "-o", tmp_path / "split.parquet", "--seed", 1)
    assert done.returncode == 0, done.stderr
    frame = pd.read_parquet(tmp_path / "split.parquet")
    assert set(frame["split"]) == {"train", "validation", "test"}
    assert equiderm("split", tmp_path / "split.parquet", "--check").returncode == 0
    frame["split"] = ["train", "test"] * 60
    frame["path"] = [str(tmp_path / name) for name in frame["path"]]
    write_manifest(frame, tmp_path / "leak.csv")
    leaking = equiderm("split", tmp_path / "leak.csv", "--check")
    assert leaking.returncode == 2
    assert "belong to one patient" in leaking.stderr


def test_the_command_holds_tone_bands_out(equiderm, tmp_path):
    archive = synthetic.synthesize(90, size=16, workers=1)
    path = synthetic.write_archive(archive, tmp_path / "made")
    done = equiderm(
        "split", path, "-o", "bands.parquet", "--by", "ita_band",
        "--group", "train=1,2", "--group", "test=5,6",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    frame = pd.read_parquet(tmp_path / "bands.parquet")
    assert set(frame.loc[frame["split"] == "train", "ita_band"]) == {"1", "2"}


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_the_same_rows_in_another_order_get_the_same_parts(seed):
    frame = made(150, seed=seed)
    mixed = frame.sample(frac=1, random_state=seed)
    one, other = (split_random(table, seed=3).set_index("image_id") for table in (frame, mixed))
    assert one["split"].equals(other["split"].reindex(one.index))


@pytest.mark.parametrize(
    "shares",
    [
        {"train": 0.64, "validation": 0.16, "test": 0.2},
        {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3},
        {"train": 0.97, "test": 0.03},
        {"a": 0.333333, "b": 0.666667},
    ],
)
def test_any_shares_that_add_up_to_1_are_kept(shares):
    parts = split_random(made(4000), fractions=shares)["split"].value_counts(normalize=True)
    assert {name: parts[name] for name in shares} == pytest.approx(shares, abs=0.005)


@pytest.mark.parametrize("shares", [{"a": 0.5, "b": 0.4}, {"a": 1.2, "b": -0.2}, {"a": 1, "b": 0}])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(InputError, match="shares above 0 that add up to 1"):
        split_random(made(60), fractions=shares)


def test_the_owners_duplicates_stay_together():
    frame = made(300, lesions=0.0).assign(patient_id=None, lesion_id=None)
    frame["duplicate_of"] = pd.Series(
        [f"i{k - 1}" if k % 3 else None for k in range(300)], dtype="string"
    )
    done = split_random(frame)
    assert (done.groupby(np.arange(300) // 3)["split"].nunique() == 1).all()
    leaking = done.assign(split=["train", "test", *done["split"][2:]])
    with pytest.raises(InputError, match=r"rows 1 .* and 2 "):
        check_leaks(leaking)


def test_an_owners_duplicate_that_is_not_there_still_joins_its_two_copies():
    frame = made(30, lesions=0.0).assign(patient_id=None, lesion_id=None)
    frame["duplicate_of"] = pd.Series(["gone", "gone", *[None] * 28], dtype="string")
    group = units(frame)
    assert group[0] == group[1] and len(set(group)) == 29


@pytest.mark.parametrize("split", [{}, {"split": None}])
def test_a_manifest_that_was_never_split_is_not_called_free_of_leaks(split):
    frame = made(30).drop(columns="split", errors="ignore").assign(**split)
    with pytest.raises(InputError, match="names no split; run `equiderm split` first"):
        check_leaks(frame)


@pytest.mark.parametrize("column", ["fitzpatrick_group", "skin_tone_class"])
def test_every_tone_column_is_balanced_by_default(column):
    frame = made(3000, lesions=0.0).drop(columns="fitzpatrick_type")
    frame[column] = np.random.default_rng(1).integers(0, 3, len(frame))
    shares = split_random(frame).groupby("split")[column].value_counts(normalize=True).unstack()
    assert (shares.max() - shares.min()).max() < 0.01


def test_a_table_goes_through_pipes(tmp_path):
    archive = synthetic.synthesize(60, size=16, workers=1)
    synthetic.write_archive(archive, tmp_path)
    program = f"{sys.executable} -m equiderm"
    line = f"{program} split manifest.parquet -o - | {program} split - --check"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "-: no leak in 60 images.\n"
    assert "split" in done.stderr  # the summary of the first command


def test_the_json_gives_each_split(equiderm, tmp_path):
    path = synthetic.write_archive(synthetic.synthesize(90, size=16, workers=1), tmp_path)
    done = equiderm("split", path, "-o", "s.csv", "--json", "--folds", 3)
    splits = json.loads(done.stdout)["splits"]
    assert sorted(row["split"] for row in splits) == ["fold-1", "fold-2", "fold-3"]
    assert sum(row["images"] for row in splits) == 90


def test_an_owners_list_of_pairs_keeps_images_together():
    frame = made(60).assign(patient_id=None, lesion_id=None)
    pairs = pd.DataFrame({"similarity": ["0.9"] * 2, "from_img": ["i3.jpg", "i5"]})
    pairs["to_img"] = ["there/i4_downsampled.png", "elsewhere.jpg"]
    same = rows_of_pairs(pairs, frame, "made")
    assert same.to_numpy().tolist() == [[3, 4]]
    group = units(frame, same=same)
    assert group[3] == group[4]


def test_a_table_of_pairs_with_one_column_of_names_is_refused():
    pairs = pd.DataFrame({"from": ["i3"], "to": ["elsewhere"]})
    with pytest.raises(InputError, match="has 1 columns that name images of made and needs two"):
        rows_of_pairs(pairs, made(10), "made")


def test_the_command_takes_lists_of_pairs_and_of_images_to_leave_out(equiderm, tmp_path):
    frame = made(60).assign(patient_id=None, lesion_id=None, target_name="melanoma", rater="x")
    write_manifest(conform(frame), tmp_path / "made.parquet")
    links = pd.DataFrame(
        {"a": [f"i{n}" for n in range(20)], "b": [f"i{n + 20}" for n in range(20)]}
    )
    links.to_csv(tmp_path / "pairs.csv", index=False)
    (tmp_path / "out.txt").write_text("/home/x/i50.jpg\n/home/x/i51.jpg\n/home/x/none.jpg\n")
    done = equiderm(
        "split", "made.parquet", "-o", "split.csv", "--pairs", "pairs.csv",
        "--leave-out", "out.txt",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "out.txt: names 2 images of made.parquet in 3 lines." in done.stderr
    split = pd.read_csv(tmp_path / "split.csv").set_index("image_id")["split"]
    assert split[["i50", "i51"]].isna().all()
    assert split.notna().sum() == 58
    assert all(split[f"i{n}"] == split[f"i{n + 20}"] for n in range(20))


def test_shares_may_be_rounded():
    split = split_random(made(), fractions=dict.fromkeys("abc", 0.333))["split"]
    assert split.value_counts(normalize=True).to_numpy() == pytest.approx([1 / 3] * 3, abs=0.01)


def test_values_of_groups_are_found_where_empty_cells_made_numbers_of_them():
    frame = made().assign(ita_band=np.where(np.arange(600) % 2, "1.0", "2.0"))
    split = split_groups(frame, "ita_band", {"train": ["1"], "test": [" 2"]})["split"]
    assert set(split.dropna()) == {"train", "test"}
    with pytest.raises(InputError, match=r"has no rows.*it has [12], [12]"):
        split_groups(frame, "ita_band", {"train": ["1"], "test": ["5"]})


def test_one_patient_written_as_a_number_and_with_blanks_stays_together():
    frame = made(6).assign(lesion_id=None, patient_id=["7", "7.0", " 7 ", "07", "8", "8.00"])
    assert units(frame).tolist() == [0, 0, 0, 1, 2, 2]


def test_what_may_tear_a_person_apart_is_pointed_out():
    frame = made(6).assign(lesion_id=None, patient_id=["a", "A", "unknown", "unknown", "b", None])
    frame["Patient No"] = range(6)
    few, twins, alone, unused = doubts(frame)
    assert few.startswith("'unknown' is one patient with 2 images")
    assert "2 patients differ in capitals, blanks, dashes or leading zeros only (a, A)" in twins
    assert alone.startswith("1 image of 6 without patient_id and lesion_id")
    assert unused.startswith("The column 'Patient No' was not used")
    assert not doubts(made(40, lesions=0.0))


def test_a_patient_larger_than_a_part_goes_where_most_room_is():
    frame = made(100).assign(lesion_id=None)
    frame["patient_id"] = ["giant"] * 60 + [f"p{n}" for n in range(40)]
    split = split_random(frame, fractions={"test": 0.2, "train": 0.8})["split"]
    assert split.value_counts().to_dict() == {"train": 80, "test": 20}


def test_no_part_stays_empty_where_every_patient_is_larger_than_it():
    frame = made(20).assign(lesion_id=None, patient_id=[f"p{n // 2}" for n in range(20)])
    shares = {"train": 0.94, "validation": 0.03, "test": 0.03}
    assert split_random(frame, fractions=shares)["split"].nunique() == 3


def test_shares_far_from_what_was_asked_for_are_said():
    frame = made(90).assign(lesion_id=None, patient_id=[f"p{n // 30}" for n in range(90)])
    train, validation, _ = far_shares(split_random(frame), FRACTIONS)
    assert train.startswith("train has 33.3 % of the images, not 80.0 %")
    assert "the largest has 30 images" in validation
    assert not far_shares(split_random(made()), FRACTIONS)


@pytest.mark.parametrize(
    "columns",
    [
        {"duplicate_of": [None, " i0.jpg "]},
        {"path": ["x.jpg", "x.jpg"]},
        {"source": ["a", "b"], "patient_id": ["IP_0000001", "IP_0000001"]},
        {"source": ["a", "b"], "image_id": ["ISIC_1", "ISIC_1_downsampled"]},
        {"patient_id": ["M\u00fcller", "Mu\u0308ller"]},
    ],
)
def test_a_leak_is_found_however_the_person_or_picture_is_written(columns):
    frame = made(2).assign(patient_id=None, lesion_id=None, split=["train", "test"])
    check_leaks(frame)
    with pytest.raises(InputError, match="belong to one patient"):
        check_leaks(frame.assign(**columns))


@pytest.mark.parametrize(
    "names", [["P-7", "P_7"], ["7", "007"], ["Mu\u200bl", "Mul"], ["a b", "a  b"]]
)
def test_patients_that_look_alike_are_pointed_out(names):
    assert "2 patients differ in" in doubts(made(2).assign(lesion_id=None, patient_id=names))[0]


def test_a_lesion_called_unknown_is_pointed_out():
    (few,) = doubts(made(3).assign(lesion_id="unknown"))
    assert few.startswith("'unknown' is one lesion with 3 images")


def test_the_first_line_of_a_list_without_header_counts():
    frame = made(60).assign(patient_id=None, lesion_id=None)
    pairs = pd.DataFrame({"i0": ["i2"], "i1.jpg": ["i3"]})
    assert rows_of_pairs(pairs, frame, "made").to_numpy().tolist() == [[0, 1], [2, 3]]
    assert rows_of_list(pairs[["i0"]], frame, "made").nonzero()[0].tolist() == [0, 2]


def test_a_split_whose_patients_all_have_later_images_is_told_from_one_without_values():
    frame = made(12).assign(lesion_id=None, patient_id="p", fitzpatrick_type=[1, 6] * 6)
    with pytest.raises(InputError, match="all its patients have images of a later split"):
        split_groups(frame, "fitzpatrick_type", {"train": [1], "test": [6]})
    assert absent_values(frame, "fitzpatrick_type", {"a": [1, "7"], "b": [6]}) == ["7"]


def test_a_group_called_validation_and_a_share_to_set_aside_are_not_mixed():
    with pytest.raises(InputError, match="a group is called validation"):
        split_groups(made(), "fitzpatrick_type", {"a": [1], "validation": [2]}, validation=0.2)


def test_a_column_of_many_values_cannot_be_balanced():
    with pytest.raises(InputError, match=r"'age' has 60 values, too many to balance by"):
        split_random(made(60).assign(age=np.arange(60.0)), tone="age")


@pytest.mark.parametrize(
    "options",
    [
        ("--folds", 3, "--fractions", "a=0.5,b=0.5"),
        ("--folds", 3, "--by", "target", "--group", "a=1"),
        ("--validation", 0.2),
        ("--by", "target", "--group", "a=1", "--group", "a=0"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, equiderm, tmp_path):
    write_manifest(conform(made(60).assign(target_name="melanoma", rater="x")), tmp_path / "m.csv")
    done = equiderm("split", "m.csv", "-o", "s.csv", *options)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert not (tmp_path / "s.csv").exists()


def test_check_leaves_out_what_is_left_out(equiderm, tmp_path):
    frame = made(4).assign(lesion_id=None, patient_id=["a", "a", "b", "c"], target_name="melanoma")
    frame = frame.assign(rater="x", split=["train", "test", "train", "test"])
    write_manifest(conform(frame), tmp_path / "m.csv")
    (tmp_path / "out.txt").write_text("i0\n")
    assert equiderm("split", "m.csv", "--check").returncode == 2
    assert equiderm("split", "m.csv", "--check", "--leave-out", "out.txt").returncode == 0


def test_a_list_of_pairs_without_rows_holds_no_pair():
    assert rows_of_pairs(pd.DataFrame({"a": [], "b": []}), made(10), "made").empty
    assert rows_of_pairs(pd.DataFrame(), made(10), "made").empty


def test_a_table_without_a_target_is_split_by_patient():
    frame = made(60)[["image_id", "patient_id"]]
    assert summarize(split_random(frame))["target"].isna().all()
