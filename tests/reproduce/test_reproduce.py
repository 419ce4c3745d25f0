"""The paper's tables on miniature downloads: what trains, what stays out, what stands beside."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from tests.reproduce.miniature import BLUISH, TESTED_PERSON, write_downloads, write_experiments

from equiderm.data.catalogue import WHOLE
from equiderm.errors import InputError
from equiderm.reproduce import TABLES, Settings, downloads, reproduce
from equiderm.reproduce.downloads import read_downloads
from equiderm.reproduce.published import BACKBONES, HEADS, LOGS, TABLE1, TABLE2, TABLE3
from equiderm.reproduce.report import lead, render, to_dict, to_markdown
from equiderm.reproduce.result import beside_published
from equiderm.reproduce.rows import isic_rows, training, type_rows
from equiderm.reproduce.tables import make_rows, read_experiments

ABSENT = "asan"  # so that one test set cannot run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("reproduce")
    write_downloads(root / "downloads", judged=96, isic=50)
    shutil.rmtree(root / "downloads" / ABSENT)
    shutil.rmtree(root / "downloads" / "mclass-c")
    write_experiments(root / "experiments")
    with pytest.MonkeyPatch.context() as patch:  # what is whole here is small
        at = Settings(root / "downloads", root, root)
        for name, one in read_downloads(at, list(downloads.OPTIONS)).items():
            whole = 0 if one.reading is None else len(one.reading.frame)
            patch.setitem(WHOLE, name, whole)
        yield root


@pytest.fixture(scope="module")
def settings(place):
    return Settings(
        place / "downloads",
        place / "out",
        place / "experiments",
        seeds=1,
        workers=1,
        replicates=50,
    )


@pytest.fixture(scope="module")
def made(settings):
    return reproduce(["table1", "table2", "table3", "labelling", "figure4"], settings)


def result(made, name):
    return next(one for one in made.results if one.name == name)


def figures(one):
    return {(f.row, f.column): f for f in one.figures}


def manifest(settings, name):
    return pd.read_parquet(settings.out / "manifests" / f"{name}.parquet")


def scores(settings, folder, test="test"):
    return pd.read_parquet(settings.out / "runs" / folder / "seed-0" / f"{test}.parquet")


# What runs.


def test_what_can_run_runs_and_the_rest_says_why(made):
    assert {one.name: one.status for one in made.results} == {
        "table1": "done",
        "table2": "in part",
        "table3": "done",
        "labelling": "done",
        "figure4": "done",
    }
    missing = ("test-asan: asan is missing", "test-mclass-c: mclass-c is missing")
    assert result(made, "table2").missing == missing
    assert not made.complete


def test_page_markdown_and_json_name_what_is_missing_and_how_to_get_it(made, settings):
    command = f"equiderm fetch asan {settings.data / 'asan'}"
    for text in (render(made), to_markdown(made), json.dumps(to_dict(made))):
        assert command in text
        assert "test-asan: asan is missing" in text


def test_a_test_set_that_is_missing_leaves_its_column_to_the_paper(made):
    table = beside_published(result(made, "table2")).set_index(["", "from"])
    assert table.loc[("LNTL", "paper"), "Asan, clinical"] == "0.765"
    assert table.loc[("LNTL", "here"), "Asan, clinical"] == "–"


# Who trains.


def test_an_image_that_is_tested_or_tuned_on_never_trains(made, settings):
    frame = manifest(settings, "isic")
    trains = set(frame.loc[frame["split"] == "train", "image_id"])
    tested = read_downloads(settings, ["mclass-d"])["mclass-d"].reading.frame["image_id"]
    assert {"ISIC_0000000", "ISIC_0900000"} <= set(tested)  # both in ISIC, as shipped
    assert trains and trains.isdisjoint(tested)
    assert trains.isdisjoint(frame.loc[frame["split"] == "validation", "image_id"])


def test_every_row_left_out_of_isic_is_counted_with_its_reason(made):
    counts = {one.why: one.n for one in result(made, "table2").left_out}
    assert counts == {
        "in the tuning set and tested on, by archive id": 0,
        "in training and tested on, by archive id": 5,
        "in training and tuned on (ISIC 2018), by archive id": 1,
        "twice in training, by archive id": 1,
        "of a patient or lesion that is tested on": 1,
        "ISIC 2020's own list of duplicates": 1,
        "the same photograph as one tested on, or twice in training": 1,
    }
    one = result(made, "table2")
    assert one.listed - sum(counts.values()) == sum(one.kept.values())


def test_as_published_only_archive_ids_are_left_out(settings):
    read = read_downloads(settings, ["isic2017", "isic2020", "isic2018", "mclass-d"])
    readings = {name: one.reading for name, one in read.items()}
    rows = isic_rows(readings, dataclasses.replace(settings, as_published=True))
    frame = rows.frame[rows.frame["split"] == "train"]
    assert f"isic2020 {TESTED_PERSON}" in set(frame["patient_id"])
    assert "ISIC_0068279" not in set(frame["image_id"])  # ISIC 2020 lists it as a duplicate
    assert "ISIC_0900000" not in set(frame["image_id"])


def test_as_published_2017_is_isic_2019_less_ham_and_bcn(settings, tmp_path):
    read = read_downloads(settings, ["isic2017", "isic2020"])
    readings = {name: one.reading for name, one in read.items()}
    first = readings["isic2017"]
    frame = first.frame.head(3).assign(
        image_id=["a", "b", "c"],
        lesion_id=pd.array(["HAM_1", "BCN_2", None], dtype="string"),
        source="isic2019",
    )
    readings["isic2019"] = dataclasses.replace(first, frame=frame)
    released = isic_rows(readings, dataclasses.replace(settings, as_published=True)).frame
    assert set(released.loc[released["source"] != "isic2020", "image_id"]) == {"c"}
    corrected = isic_rows(readings, dataclasses.replace(settings, out=tmp_path)).frame
    assert not {"a", "b", "c"} & set(corrected["image_id"])


def test_as_published_images_with_tfrecord_minus_1_stay_out(settings):
    one = read_downloads(settings, ["isic2020"])["isic2020"].reading
    frame = one.frame.assign(tfrecord=[-1, *range(1, len(one.frame))])
    readings = {"isic2020": dataclasses.replace(one, frame=frame)}
    kept = isic_rows(readings, dataclasses.replace(settings, as_published=True)).frame
    assert set(frame["image_id"]) - set(kept["image_id"]) == {frame["image_id"][0]}


def test_a_fragment_is_never_the_whole(settings, monkeypatch):
    monkeypatch.setitem(WHOLE, "isic2020", 33_126)
    done = reproduce(["figure4"], settings)
    assert done.results[0].status == "in part" and not done.complete
    here = len(done.downloads["isic2020"].reading.frame)
    assert f"isic2020: {here} of 33,126 images" in done.results[0].missing
    assert f"isic2020: {here} of 33,126 images" in render(done)


@pytest.mark.parametrize(
    ("there", "options", "sources", "said"),
    [
        (["isic2017", "isic2020"], {}, ["isic2017", "isic2020"], ""),
        (["isic2017"], {}, ["isic2017"], "isic2017 alone"),
        (["isic2019", "isic2020"], {}, ["isic2019", "isic2020"], "2017 as released"),
        (["isic2019", "isic2020"], {"as_published": True}, ["isic2019", "isic2020"], ""),
        (["isic2017", "ham10000"], {}, ["isic2017"], "isic2017 alone"),
        (
            ["isic2017", "ham10000"],
            {"stand_in": True},
            ["isic2017", "ham10000"],
            "stand-in: isic2017 and ham10000",
        ),
        (["isic2018"], {"stand_in": True}, ["isic2018"], "stand-in: isic2018"),
        (["isic2017", "isic2020", "ham10000"], {"stand_in": True}, ["isic2017", "isic2020"], ""),
    ],
)
def test_what_trains_is_what_is_there_and_is_said(settings, there, options, sources, said):
    trains = training(there, dataclasses.replace(settings, **options))
    assert list(trains.sources.values()) == sources
    assert trains.substitute == said


def test_2017_as_released_is_told_by_the_original_s_size_where_no_lesion_is_named(settings):
    read = read_downloads(settings, ["isic2017", "isic2020"])
    readings = {name: one.reading for name, one in read.items()}
    frame = (
        readings["isic2017"]
        .frame.head(3)
        .assign(
            image_id=["a", "b", "c"],
            lesion_id=pd.NA,
            original_size=["600x450", "1024x1024", "1024x722"],
        )
    )
    frame["lesion_id"] = frame["lesion_id"].astype("string")
    readings["isic2019"] = dataclasses.replace(readings.pop("isic2017"), frame=frame)
    kept = isic_rows(readings, dataclasses.replace(settings, as_published=True)).frame
    assert set(kept["image_id"]) & {"a", "b", "c"} == {"c"}


def test_the_folder_that_holds_most_of_a_source_is_suggested(place, settings, tmp_path):
    whole = place / "downloads" / "isic2020"
    (tmp_path / "kaggle").mkdir()
    (tmp_path / "kaggle" / "melanoma").symlink_to(whole)
    (tmp_path / "a-few").mkdir()
    (tmp_path / "a-few" / "train.csv").symlink_to(whole / "ISIC_2020_Training_GroundTruth_v2.csv")
    (tmp_path / "a-few" / f"{BLUISH}.jpg").symlink_to(whole / "train" / f"{BLUISH}.jpg")
    one = read_downloads(dataclasses.replace(settings, data=tmp_path), ["isic2020"])["isic2020"]
    assert one.get.endswith(f"--source isic2020={tmp_path / 'kaggle' / 'melanoma'}")


def test_a_stand_in_trains_and_every_table_says_so(place, settings, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("isic2017", "mclass-d"):
        (data / name).symlink_to(place / "downloads" / name)
    (data / "isic2018").symlink_to(place / "downloads" / "isic2018")
    here = dataclasses.replace(settings, data=data, out=tmp_path / "out", stand_in=True)
    made = reproduce(["table2"], here)
    one = made.results[0]
    assert one.trained_on == "stand-in: isic2017 and isic2018"
    assert one.status == "in part"
    assert "isic2020 is missing: there is no such folder" in one.missing
    rows = beside_published(one)
    ours = set(rows["from"]) - {"paper", ""}
    assert ours == {"here, stand-in: isic2017 and isic2018"}
    differences = one.tables[0][1]
    assert set(differences["from"]) <= {"paper", *ours}
    assert "stand-in" in render(made) and "stand-in" in one.title
    assert "No published figure can be compared" in lead(made)
    assert "Published figures outside our intervals" not in render(made)
    claims = to_dict(made)["claims"]
    assert {c["verdict"] for c in claims if c["table"] == "table2"} == {"cannot be told here"}
    trained = manifest(here, "stand-in")
    assert not (trained["split"] == "validation").any()  # its photographs train


def test_figure_4_stands_beside_its_published_shares_and_counts(made):
    table = dict(result(made, "figure4").tables)["Images by computed band, lightest first"]
    published = table.set_index("band")
    assert published.loc["1", "published, images"] == 25_113
    assert published["published, images"].sum() == 35_574
    assert published.loc["6", "published, share"] == "9.79 %"
    assert str(published.loc["6", "patch-max, share"]).endswith(" %")
    assert "9.8 % in band 6" in result(made, "figure4").answers[0]


def test_pictures_are_figures_to_restyle_and_one_that_was_not_drawn_says_why(made):
    figure = made.plot.published("table2")
    assert {axes.get_title() for axes in figure.axes} >= {"MClass, dermoscopic"}
    assert made.plot.bands().axes[0].get_xlabel() == "computed band"
    with pytest.raises(InputError, match="'table9' has no figures; tables with figures: table1"):
        made.plot.published("table9")


def test_folders_may_be_text(place):
    settings = Settings(str(place), out=str(place), experiments=place)
    assert settings.data == settings.out == settings.experiments == place
    assert dataclasses.replace(settings, out="elsewhere").out.name == "elsewhere"


def test_types_1_and_2_train_and_3_to_6_test(made, settings):
    frame = manifest(settings, "fitzpatrick17k")
    types = frame.groupby("split")["fitzpatrick_type"].unique()
    assert set(types["train"]) == {1, 2}
    assert set(types["test"]) == {3, 4, 5, 6}
    assert (frame["three_partition_label"] != "non-neoplastic").all()
    assert frame["url"].notna().all()


def test_every_row_left_out_of_fitzpatrick17k_is_counted_with_its_reason(made):
    counts = {one.why: one.n for one in result(made, "table1").left_out if one.n}
    assert counts == {
        "no skin type (-1)": 2,
        "no URL": 1,
        "qc is 3 Wrongly labelled": 1,
        "not neoplastic": 1,
    }


def test_a_photograph_of_two_types_trains_on_neither(settings, tmp_path):
    reading = read_downloads(settings, ["fitzpatrick17k"])["fitzpatrick17k"].reading
    frame = reading.frame.copy()
    light = frame.index[frame["fitzpatrick_type"] == 1][0]
    dark = frame.index[frame["fitzpatrick_type"] == 6][-1]
    frame.loc[light, "path"] = frame.loc[dark, "path"]
    again = dataclasses.replace(reading, frame=frame)
    here = dataclasses.replace(settings, out=tmp_path)
    left = type_rows(again, here).frame["image_id"]
    assert frame.loc[light, "image_id"] not in set(left)
    assert frame.loc[dark, "image_id"] in set(left)


def test_isic_trains_on_the_bands_of_the_estimator_that_was_asked_for(made, settings):
    trained = manifest(settings, "isic").set_index("image_id")
    assert trained.loc[BLUISH, "ita_band"] == "1"
    readings = {name: one.reading for name, one in made.downloads.items() if one.reading}
    released = make_rows(TABLE2, readings, dataclasses.replace(settings, as_published=True))
    assert released.frame.set_index("image_id").loc[BLUISH, "ita_band"] == "6"


# Experiments.


@pytest.mark.parametrize("table", [TABLE1, TABLE2, TABLE3, HEADS], ids=lambda table: table.name)
def test_the_default_has_none_of_the_released_code_s_options(table):
    for one in project_experiments_of(table, as_published=False).values():
        assert one.optimizer.zero_gradients == "none"
        assert one.method.get("confusion_target", "uniform") == "uniform"
        assert not one.method.get("second_backbone_rate")


@pytest.mark.parametrize("table", [TABLE1, TABLE2, TABLE3, HEADS], ids=lambda table: table.name)
def test_as_published_follows_the_released_code(table):
    for name, one in project_experiments_of(table, as_published=True).items():
        if one.method["name"] in ("tabe", "clgr"):
            assert one.method["confusion_target"] == "noise"
            assert one.method["second_backbone_rate"] == 3e-3
            assert one.method["reversal"] == (-1.0 if one.method["name"] == "tabe" else 0.1)
        assert (one.optimizer.zero_gradients == "zeros") == (one.method["name"] != "erm"), name


@pytest.mark.parametrize("as_published", [False, True])
@pytest.mark.parametrize("table", [TABLE1, TABLE2, TABLE3, HEADS], ids=lambda table: table.name)
def test_every_row_has_the_paper_s_data_and_length(table, as_published):
    isic = table is TABLE2
    for one in project_experiments_of(table, as_published=as_published).values():
        assert one.training.epochs == (4 if isic else 30)
        assert one.data.group == ("ita_band" if isic else "fitzpatrick_type")
        assert one.training.batch_size == 64
        assert one.data.size == 256
        assert one.backbone.name == "resnext101"
        assert one.prediction.views == 8
        assert one.validation.figure == "none"


def project_experiments_of(table, *, as_published):
    from equiderm.reproduce.story import project_experiments

    here = Settings(".", ".", project_experiments(), as_published=as_published)
    return read_experiments(table, here)


# Numbers.


def test_the_paper_s_numbers_are_those_it_prints():
    printed = {
        "table1": {"Baseline": (0.872, 0.835, 0.037), "CLGR": (0.883, 0.853, 0.030)},
        "table3": {
            "Baseline": (0.872, 0.835, 0.037),
            "LNTL": (0.873, 0.834, 0.039),
            "LNTL*, no reversal": (0.867, 0.829, 0.038),
        },
        "table2": {
            "Dermatologists": (0.671, 0.769),
            "Baseline": (0.819, 0.616, 0.768, 0.853, 0.744),
            "LNTL": (0.803, 0.608, 0.765, 0.858, 0.787),
            "TABE": (0.825, 0.707, 0.809, 0.865, 0.859),
            "CLGR": (0.820, 0.641, 0.740, 0.918, 0.771),
        },
    }
    for name, rows in printed.items():
        printed_rows = [r for r in TABLES[name].rows if r.published and r.origin == "paper"]
        assert {r.name: tuple(r.published.values()) for r in printed_rows} == rows


def test_rows_that_the_paper_does_not_print_are_named_after_the_authors_logs(made):
    logged = {r.name: tuple(r.published.values()) for r in TABLE1.rows if r.origin == LOGS}
    assert logged == {"LNTL": (0.8723, 0.8441, 0.028), "TABE": (0.8776, 0.849, 0.029)}
    shown = beside_published(result(made, "table1")).set_index(["", "from"])
    assert shown.loc[("TABE", "authors' logs"), "Types 5&6"] == "0.849"
    assert shown.loc[("CLGR", "paper"), "Types 5&6"] == "0.853"


def test_section_3_4_has_five_backbones_and_nothing_else_differs():
    runs = project_experiments_of(BACKBONES, as_published=False)
    assert {one.backbone.name for one in runs.values()} == {
        "resnext101", "efficientnet_b3", "resnet101", "densenet161", "inception_v3",
    }  # fmt: skip
    for one in runs.values():
        assert dataclasses.replace(one, backbone=runs["erm"].backbone) == runs["erm"]


@pytest.mark.parametrize("as_published", [False, True])
def test_a_deeper_head_is_the_bias_head_s_and_nothing_else_differs(as_published):
    runs = project_experiments_of(HEADS, as_published=as_published)
    ending = "-as-released" if as_published else ""
    for name in ("lntl", "tabe", "clgr"):
        deep, plain = runs[f"{name}-deep{ending}"], runs[f"{name}{ending}"]
        assert deep.options.deep_heads and not deep.options.deep_target_head
        assert {**deep.method, "deep_heads": False} == {**plain.method, "deep_heads": False}
        assert dataclasses.replace(deep, method=plain.method) == plain


def test_a_figure_is_the_plain_auroc_of_the_run_s_scores(made, settings):
    found = figures(result(made, "table1"))
    frame = scores(settings, "fitzpatrick17k/clgr")
    plain = {
        name: roc_auc_score(part["target"], part["score"]) for name, part in frame.groupby("types")
    }
    one = found["CLGR", "Types 3&4"]
    assert one.value == pytest.approx(plain["3-4"])
    assert one.published == 0.883
    assert found["CLGR", "Types 5&6"].value == pytest.approx(plain["5-6"])
    assert found["CLGR", "Gap"].value == pytest.approx(abs(plain["3-4"] - plain["5-6"]))
    part = frame[frame["types"] == "3-4"]
    assert (one.n, one.positives) == (len(part), part["target"].sum())
    assert one.low <= one.value <= one.high


def test_each_test_set_of_table_2_has_its_own_figure(made, settings):
    found = figures(result(made, "table2"))
    frame = scores(settings, "isic/tabe", "test-mclass-d")
    one = found["TABE", "MClass, dermoscopic"]
    assert one.value == pytest.approx(roc_auc_score(frame["target"], frame["score"]))
    assert one.published == 0.865
    assert found["Dermatologists", "MClass, dermoscopic"].published == 0.671
    assert np.isnan(found["Dermatologists", "MClass, dermoscopic"].value)


def test_within_one_type_is_what_a_plain_count_gives(made, settings):
    one = figures(result(made, "labelling"))["The whole image", "neoplastic"]
    tones = pd.read_parquet(next((settings.out / "tones").glob("whole-*.parquet")))
    frame = manifest(settings, "fitzpatrick17k")
    judged = frame.set_index("path")["fitzpatrick_type"]
    pairs = tones.assign(truth=tones["image"].map(judged)).dropna(subset=["truth", "ita_band"])
    distance = (pairs["ita_band"].astype(int) - pairs["truth"].astype(int)).abs()
    assert one.value == pytest.approx((distance <= 1).mean())
    assert one.trivial >= max((pairs["truth"] == kind).mean() for kind in range(1, 7))


def test_figure_4_counts_every_training_image_under_both_estimators(made):
    one = result(made, "figure4")
    table = one.tables[0][1]
    for method in ("patch-max-arctan", "patch-max"):
        assert table[f"{method}, images"].sum() == one.kept["train"]
    assert one.detail["changed"] >= 1  # the bluish one


def test_the_gap_of_table_1_stands_beside_the_paper_s(made):
    told = " ".join(result(made, "table1").answers)
    assert "published +0.037 for Baseline and +0.030 for CLGR; here" in told
    assert "One seed: intervals cover images alone" in told


def test_the_gap_is_types_3_4_minus_5_6_signed(made):
    cells = figures(result(made, "table1"))
    for row in ("Baseline", "CLGR"):
        light, dark, gap = (cells[row, c] for c in ("Types 3&4", "Types 5&6", "Gap"))
        assert gap.value == pytest.approx(light.value - dark.value)
        assert gap.low <= gap.value <= gap.high


def test_the_report_opens_with_the_claims(made):
    page = render(made)
    title = "The paper's claims, one by one".replace("'", "&#39;")
    assert page.index(title) < page.index("What ran")
    assert len(to_dict(made)["claims"]) >= 20


# Once more, and what is no input.


def test_a_second_call_trains_and_labels_nothing(made, settings):
    before = {p: p.stat().st_mtime_ns for p in settings.out.rglob("*") if p.is_file()}
    said = []
    again = reproduce(["table1"], dataclasses.replace(settings, watch=said.append))
    assert sum("found" in sentence for sentence in said) == 5
    assert not any(sentence.endswith(": trained") for sentence in said)
    assert again.results[0].figures == result(made, "table1").figures
    kept = {p: p.stat().st_mtime_ns for p in before if "runs" in p.parts or "tones" in p.parts}
    assert kept and all(before[p] == when for p, when in kept.items())


def test_a_data_folder_that_is_none_is_refused(settings, tmp_path):
    gone = dataclasses.replace(settings, data=tmp_path / "gone")
    with pytest.raises(InputError, match="is not a folder; give the one that holds the downloads"):
        reproduce(["table1"], gone)


def test_an_experiment_file_that_is_missing_is_named_before_anything_is_read(settings, tmp_path):
    bare = dataclasses.replace(settings, experiments=tmp_path, data=tmp_path / "gone")
    with pytest.raises(InputError, match=r"fitzpatrick17k/erm\.toml: cannot be read"):
        reproduce(["table1"], bare)


def test_a_folder_that_is_another_release_is_a_row_that_says_so(settings, tmp_path):
    (tmp_path / "fitzpatrick17k").mkdir()
    made = reproduce(["labelling"], dataclasses.replace(settings, data=tmp_path, out=tmp_path))
    assert made.results[0].status == "not run"
    assert "looked for fitzpatrick17k.csv" in made.results[0].missing[0]
