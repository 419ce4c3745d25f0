"""Every adapter on a small release in its owner's layout."""

import csv
import io
import re
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import releases

from equiderm.columns import age, skin_type, truths
from equiderm.data import SOURCES, get_release, read_source
from equiderm.data.manifest import COLUMNS, leak_of
from equiderm.data.sources import archive, ddi, fitzpatrick17k, scin
from equiderm.data.sources.archive import archive_labels
from equiderm.data.sources.release import Folder, Reading, reading, targets
from equiderm.data.split import split_groups, units
from equiderm.errors import InputError

OWNED = [name for name in SOURCES if name != "folder"]
FOLDERS = ("mclass-d", "mclass-c", "asan", "passion", "med-node")  # images without a list
LISTED = [name for name in OWNED if name not in FOLDERS]  # by a table


# What each diagnosis counts as, as a dermatologist would say; commas part the diagnoses.
COUNTED = {
    "isic2017": {"melanoma": "melanoma", "benign": "seborrheic_keratosis,nevus"},
    "isic2018": {
        "melanoma": "MEL",
        "malignant": "BCC",
        "premalignant": "AKIEC",
        "benign": "NV,BKL,DF,VASC",
    },
    "isic2019": {
        "melanoma": "MEL",
        "malignant": "BCC,SCC",
        "premalignant": "AK",
        "benign": "NV,BKL,DF,VASC",
        "unknown": "UNK",
    },
    "isic2020": {"melanoma": "malignant", "benign": "benign"},
    "isic2024": {"malignant": "malignant", "benign": "benign"},
    "fitzpatrick17k": {
        "melanoma": "melanoma",
        "malignant": "malignant",
        "premalignant": "actinic keratosis",
        "benign": "benign,non-neoplastic",
    },
    "mclass-d": {"melanoma": "malign,malignant", "benign": "benign"},
    "mclass-c": {"melanoma": "malign,malignant", "benign": "benign"},
    "atlas": {
        "melanoma": "melanoma,melanoma (in situ),melanoma (less than 0.76 mm),"
        "melanoma (0.76 to 1.5 mm),melanoma (more than 1.5 mm),melanoma metastasis",
        "malignant": "basal cell carcinoma",
        "benign": "blue nevus,clark nevus,combined nevus,congenital nevus,dermal nevus,"
        "recurrent nevus,reed or spitz nevus,dermatofibroma,lentigo,melanosis,miscellaneous,"
        "seborrheic keratosis,vascular lesion",
    },
    "asan": {
        "melanoma": "malignantmelanoma",
        "malignant": "basalcellcarcinoma,squamouscellcarcinoma,intraepithelialcarcinoma",
        "premalignant": "actinickeratosis",
        "benign": "dermatofibroma,hemangioma,lentigo,melanocyticnevus,pigmentednevus,"
        "pyogenicgranuloma,seborrheickeratosis,wart",
    },
    "ham10000": {
        "melanoma": "mel",
        "malignant": "bcc",
        "premalignant": "akiec",
        "benign": "nv,bkl,df,vasc",
    },
    "bcn20000": {
        "melanoma": "MEL,melanoma",
        "malignant": "BCC,SCC,malignant",
        "premalignant": "AK,premalignant",
        "benign": "NV,BKL,DF,VASC,benign",
        "unknown": "unknown",
    },
    "ddi": {
        "melanoma": "melanoma",
        "malignant": "true",
        "premalignant": "actinic keratosis",
        "benign": "false",
    },
    "pad-ufes-20": {
        "melanoma": "MEL",
        "malignant": "BCC,SCC,BOD",
        "premalignant": "ACK",
        "benign": "NEV,SEK",
    },
    "scin": {},
    "mskcc": {},
    "milk10k": {
        "melanoma": "MEL",
        "malignant": "BCC,SCCKA,MAL_OTH",
        "premalignant": "AKIEC",
        "benign": "BEN_OTH,BKL,DF,INF,NV,VASC",
    },
    "mra-midas": {
        "melanoma": "melanoma",
        "malignant": "malignant",
        "premalignant": "actinic keratosis",
        "benign": "benign",
        "unknown": "unknown",
    },
    "ddi-2": {
        "melanoma": "melanoma",
        "malignant": "malignant",
        "premalignant": "actinic keratosis",
        "benign": "benign",
    },
    "passion": {},
    "ph2": {"melanoma": "melanoma", "benign": "common nevus,atypical nevus"},
    "med-node": {"melanoma": "melanoma", "benign": "naevus"},
    "isic-archive": {
        "melanoma": "melanoma",
        "malignant": "malignant",
        "premalignant": "premalignant",
        "benign": "benign",
        "unknown": "unknown",
    },
}
TARGETS = {  # against malignant by default, with premalignant as malignant, and against melanoma
    "melanoma": (1, 1, 1),
    "malignant": (1, 1, 0),
    "premalignant": (0, 1, 0),
    "benign": (0, 0, 0),
    "unknown": (None, None, None),
}


@pytest.mark.parametrize("name", COUNTED)
def test_every_diagnosis_of_a_source_has_the_target_of_the_table(name):
    expected = {
        diagnosis: TARGETS[label]
        for label, diagnoses in COUNTED[name].items()
        for diagnosis in diagnoses.split(",")
    }
    labels = get_release(name).labels
    diagnoses = pd.Series(list(labels), dtype="string")
    ways = ({"target": "malignant"}, {"target": "malignant", "premalignant": "malignant"})
    columns = [
        listed(targets(diagnoses, labels, title=name, **way)["target"])
        for way in (*ways, {"target": "melanoma"})
    ]
    assert dict(zip(labels, zip(*columns, strict=True), strict=True)) == expected


# Images, patients and bytes, as each owner publishes them.
SIZES = {
    "isic2017": (2_750, None, 12_000_000_000),
    "isic2018": (11_720, None, 3_000_000_000),
    "isic2019": (25_331, None, 9_000_000_000),
    "isic2020": (33_126, 2_056, 23_000_000_000),
    "isic2024": (401_059, 1_042, 1_200_000_000),
    "fitzpatrick17k": (16_577, None, None),
    "mclass-d": (100, None, None),
    "mclass-c": (100, None, None),
    "atlas": (2_022, None, None),
    "asan": (None, None, None),
    "ham10000": (10_015, None, 2_800_000_000),
    "bcn20000": (18_946, None, None),
    "ddi": (656, 570, None),
    "ddi-2": (None, None, None),
    "pad-ufes-20": (2_298, 1_373, 3_592_712_972),
    "scin": (10_379, None, 12_000_000_000),
    "mskcc": (4_879, 64, None),
    "milk10k": (10_480, None, 314_000_000),
    "mra-midas": (3_416, None, None),
    "passion": (None, None, None),
    "ph2": (200, None, None),
    "med-node": (170, None, None),
    "isic-archive": (None, None, None),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_release_has_the_published_size(name):
    release = get_release(name)
    assert (release.images, release.patients, release.bytes) == SIZES[name]
    if release.files and all(file.size for file in release.files):
        assert sum(file.size for file in release.files) == release.bytes


@pytest.mark.parametrize("year", [2017, 2018, 2019, 2020, 2024])
def test_the_files_of_a_challenge_are_offered_under_its_year(year):
    files = get_release(f"isic{year}").files
    assert files and all(f"/{year}/" in url for file in files for url in file.urls)


@pytest.fixture
def read(tmp_path: Path):
    """Write a small release and read it; gives the frame, indexed by image_id."""

    def run(name: str, **options: object) -> pd.DataFrame:
        directory = releases.write_release(name, tmp_path / name)
        return read_source(name, directory, **options).frame.set_index("image_id")

    return run


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory):
    """Read a small release as it is, once."""

    @cache
    def run(name: str):
        return read_source(name, releases.write_release(name, tmp_path_factory.mktemp(name)))

    return run


def listed(column: pd.Series) -> list[object]:
    return [None if pd.isna(cell) else cell for cell in column]


@pytest.mark.parametrize("name", SOURCES)
def test_a_small_release_becomes_a_checked_manifest(small, name):
    reading = small(name)
    assert list(reading.frame.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert set(reading.frame["source"]) == {name}
    assert all(Path(path).is_file() for path in reading.frame["path"])
    assert reading.frame["path"].is_unique
    assert len(reading.missing) == 0


@pytest.mark.parametrize("name", SOURCES)
def test_no_column_that_gives_the_answer_away_is_carried_over(small, name):
    assert not [name for name in small(name).frame if name not in COLUMNS and leak_of(name)]


@pytest.mark.parametrize("name", SOURCES)
def test_an_empty_folder_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"looked for .* did not find it; give the folder"):
        read_source(name, tmp_path)


@pytest.mark.parametrize("name", SOURCES)
def test_a_folder_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="is not a folder"):
        read_source(name, tmp_path / "nowhere")


@pytest.mark.parametrize("name", OWNED)
def test_the_release_of_another_owner_is_refused(tmp_path, name):
    other = "ddi" if name != "ddi" else "ham10000"
    with pytest.raises(InputError, match="looked for"):
        read_source(name, releases.write_release(other, tmp_path))


@pytest.mark.parametrize("name", LISTED)
def test_a_missing_image_is_listed_and_left_out(tmp_path, name):
    reading = read_source(name, releases.write_release(name, tmp_path))
    lost = reading.frame.iloc[-1]
    Path(lost["path"]).unlink()
    again = read_source(name, tmp_path)
    assert again.missing["image_id"].tolist() == [lost["image_id"]]
    assert len(again.frame) == len(reading.frame) - 1


@pytest.mark.parametrize("name", OWNED)
def test_a_release_without_its_images_is_refused(tmp_path, name):
    releases.write_release(name, tmp_path)
    for ending in (".jpg", ".png"):
        for image in tmp_path.rglob(f"*{ending}"):
            image.unlink()
    with pytest.raises(InputError, match="looked for"):
        read_source(name, tmp_path)


def rewritten(text):
    """Return a table as a spreadsheet in Germany saves it, its header in capitals, a row twice."""
    lines = list(csv.reader(io.StringIO(text)))
    cells = [[re.sub(r"^(-?\d+)\.(\d+)$", r"\1,\2", cell) for cell in row] for row in lines[1:]]
    blank = [""] * len(cells[0])
    out = io.StringIO()
    rows = [[name.upper() for name in lines[0]], *cells, blank, cells[0]]
    csv.writer(out, delimiter=";", lineterminator="\r\n").writerows(rows)
    return "\ufeff" + out.getvalue()


@pytest.mark.parametrize("name", [name for name in LISTED if name not in ("ph2", "atlas")])
def test_a_table_that_a_spreadsheet_saved_again_says_the_same(tmp_path, name):
    folder = releases.write_release(name, tmp_path)
    before = read_source(name, folder).frame
    for table in folder.rglob("*.csv"):
        table.write_text(rewritten(table.read_text(encoding="utf-8")), encoding="utf-8", newline="")
    after = read_source(name, folder)
    pd.testing.assert_frame_equal(after.frame, before, check_like=True)
    assert not len(after.missing)


BLANK = {
    "ham10000": "dx", "fitzpatrick17k": "three_partition_label", "ddi": "malignant",
    "isic2020": "benign_malignant", "isic2024": "malignant", "pad-ufes-20": "diagnostic",
    "isic2018": ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"), "bcn20000": "diagnosis_1",
}  # fmt: skip


@pytest.mark.parametrize("name", BLANK)
def test_a_blank_diagnosis_leaves_the_target_empty(tmp_path, name):
    folder = releases.write_release(name, tmp_path)
    columns = [BLANK[name]] if isinstance(BLANK[name], str) else list(BLANK[name])
    for table in folder.rglob("*.csv"):
        frame = pd.read_csv(table, dtype=str)
        if set(columns) <= set(frame):
            frame.loc[0, columns] = ""
            frame.to_csv(table, index=False)
    found = read_source(name, folder).frame
    assert len(found) >= 4
    assert found["target"].isna().any()


def test_a_diagnosis_may_be_in_capitals(tmp_path):
    folder = releases.write_release("ham10000", tmp_path)
    before = read_source("ham10000", folder).frame["target"]
    table = folder / "HAM10000_metadata.csv"
    frame = pd.read_csv(table, dtype=str)
    frame.assign(dx=frame["dx"].str.upper()).to_csv(table, index=False)
    assert read_source("ham10000", folder).frame["target"].equals(before)


@pytest.mark.parametrize("name", LISTED)
def test_a_table_without_rows_is_one_sentence(tmp_path, name):
    folder = releases.write_release(name, tmp_path)
    for table in (*folder.rglob("*.csv"), *folder.rglob("*.txt")):
        table.write_text(table.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"nothing below its header|is not PH2"):
        read_source(name, folder)


def test_an_index_of_the_atlas_that_is_none_is_named(tmp_path):
    folder = releases.write_release("atlas", tmp_path)
    next(folder.rglob("train_indexes.csv")).write_text("indexes\n0\nzero\n")
    with pytest.raises(InputError, match="line 3 names no row"):
        read_source("atlas", folder)


@pytest.mark.parametrize("name", ["ham10000", "isic2020", "pad-ufes-20", "ddi"])
def test_a_table_with_other_columns_is_refused(tmp_path, name):
    releases.write_release(name, tmp_path)
    table = next(path for path in sorted(tmp_path.glob("*.csv")) if "Duplicates" not in path.name)
    pd.read_csv(table).rename(columns=lambda c: f"x_{c}").to_csv(table, index=False)
    with pytest.raises(InputError, match=r"has no column .*Is it from another release"):
        read_source(name, tmp_path)


def test_a_diagnosis_that_a_release_does_not_use_is_refused(tmp_path):
    releases.write_release("ham10000", tmp_path)
    table = tmp_path / "HAM10000_metadata.csv"
    table.write_text(table.read_text().replace(",mel,", ",melanoma,"))
    with pytest.raises(InputError, match="row 3 has the diagnosis 'melanoma', which"):
        read_source("ham10000", tmp_path)


def test_an_unknown_source_is_refused_with_the_list():
    with pytest.raises(InputError, match="isic2021: no such source; the sources are isic2017"):
        get_release("isic2021")


def test_an_option_of_another_source_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no option rater; its options are: target"):
        read_source("isic2017", tmp_path, rater="scale")


def test_a_choice_that_an_option_does_not_have_is_refused(tmp_path):
    with pytest.raises(InputError, match="`rater=scale` is not one of its choices: dermatologist"):
        read_source("scin", tmp_path, rater="scale")


def test_an_image_that_no_table_names_is_counted(tmp_path):
    releases.write_release("ham10000", tmp_path)
    releases.write_image(tmp_path / "HAM10000_images_part_1" / "ISIC_9999999.jpg")
    found = read_source("ham10000", tmp_path)
    assert found.unnamed == 1
    assert Reading(found.frame, found.missing).unnamed == 0  # of an adapter that counts none


def test_the_same_image_twice_is_read_once(tmp_path):
    releases.write_release("ham10000", tmp_path)
    shutil.copytree(tmp_path / "HAM10000_images_part_1", tmp_path / "ham10000_images_part_1_again")
    assert len(read_source("ham10000", tmp_path).frame) == 7


def test_two_different_images_of_one_name_are_refused(tmp_path):
    releases.write_release("ham10000", tmp_path)
    first = next(tmp_path.rglob("*.jpg"))
    releases.write_image(tmp_path / "resized" / first.name, size=(40, 40))
    with pytest.raises(InputError, match="a different image of this name"):
        read_source("ham10000", tmp_path)


def test_images_behind_a_link_are_found_and_a_link_back_up_ends(tmp_path):
    releases.write_release("ham10000", tmp_path / "release")
    elsewhere = (tmp_path / "release" / "HAM10000_images_part_1").rename(tmp_path / "elsewhere")
    (tmp_path / "release" / "images").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(tmp_path / "release")
    assert len(read_source("ham10000", tmp_path / "release").frame) == 7


def test_isic2017_keeps_the_official_split_and_passes_over_superpixels(read):
    frame = read("isic2017")
    assert frame["split"].tolist() == ["train", "train", "train", "validation", "test"]
    assert frame["diagnosis"].tolist()[:3] == ["melanoma", "seborrheic_keratosis", "nevus"]
    assert listed(frame["age"])[:3] == [55, None, 55]
    assert not frame["path"].str.contains("superpixels").any()


@pytest.mark.parametrize(
    ("options", "akiec"),
    [
        ({}, 0),
        ({"premalignant": "malignant"}, 1),
        ({"premalignant": "unknown"}, None),
        ({"target": "melanoma", "premalignant": "malignant"}, 0),
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        "isic2018",
        "isic2019",
        "ham10000",
        "pad-ufes-20",
        "milk10k",
        "bcn20000",
        "fitzpatrick17k",
        "ddi-2",
        "mra-midas",
        "isic-archive",
    ],
)
def test_actinic_keratosis_counts_as_asked_in_every_source(read, name, options, akiec):
    frame = read(name, **options)
    words = ["AKIEC", "AK", "akiec", "ACK", "Solar or actinic keratosis", "actinic keratosis"]
    words.append("malignant-ak")
    rows = frame["diagnosis"].isin(words)
    assert set(listed(frame.loc[rows, "target"])) == {akiec}


def test_isic2018_has_lesions_but_not_how_they_were_confirmed(read):
    frame = read("isic2018")
    assert frame.loc["ISIC_0024300", "lesion_id"] == frame.loc["ISIC_0024301", "lesion_id"]
    assert frame.loc["ISIC_0034524", "split"] == "test"
    assert listed(frame["target"]) == [1, 0, 1, 0, 0, 0, 0]


def test_isic2019_names_a_downsampled_image_as_the_archive_does(read):
    frame = read("isic2019")
    assert frame.loc["ISIC_0000000", "path"].endswith("ISIC_0000000_downsampled.jpg")
    assert frame.loc["ISIC_0000008", "diagnosis"] == "UNK"
    assert listed(frame["target"]) == [1, 0, 1, 0, 0, 0, 0, 1, None]
    assert listed(frame["target_name"])[-1] is None


def write_kaggle_2019(folder):
    """Write the copy at 256 px: one table, no lesions, the size of each original."""
    header = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
    header += "benign_malignant,target,tfrecord,width,height"
    rows = [
        ("ISIC_0000000", -1, "female", 55, "torso", "NV", "benign", 0, 1, 600, 450),
        ("ISIC_0000001", -1, "male", 30, "torso", "MEL", "malignant", 1, 2, 1024, 1024),
        ("ISIC_0000002_downsampled", -1, "male", 30, "", "MEL", "malignant", 1, 3, 1024, 722),
    ]
    releases.write_csv(folder / "train.csv", header, rows)
    for row in rows:
        releases.write_image(folder / "train" / f"{row[0]}.jpg")


def test_isic2019_is_read_from_its_kaggle_copy_too(tmp_path):
    write_kaggle_2019(tmp_path)
    frame = read_source("isic2019", tmp_path).frame.set_index("image_id")
    assert listed(frame["target"]) == [0, 1, 1]
    assert frame.loc["ISIC_0000002", "original_size"] == "1024x722"
    assert frame["lesion_id"].isna().all()


def test_the_kaggle_copy_of_2019_is_no_isic2020(tmp_path):
    write_kaggle_2019(tmp_path)
    with pytest.raises(InputError, match="is ISIC 2019, not ISIC 2020"):
        read_source("isic2020", tmp_path)


def test_isic2020_has_patients_and_the_owners_duplicates(read):
    frame = read("isic2020")
    assert frame["patient_id"].nunique() == 4
    assert frame.loc["ISIC_0068279", "duplicate_of"] == "ISIC_0015719"
    assert listed(frame["target"]) == [0, 0, 0, 0, 1]


def test_isic2020_keeps_the_number_of_a_part_of_its_kaggle_copy_and_minus_1_for_none(tmp_path):
    releases.write_release("isic2020", tmp_path)
    path = tmp_path / "ISIC_2020_Training_GroundTruth_v2.csv"
    pd.read_csv(path).assign(tfrecord=[-1, 0, 14, -2, None]).to_csv(path, index=False)
    frame = read_source("isic2020", tmp_path).frame
    assert listed(frame["tfrecord"]) == [-1, 0, 14, None, None]


def test_isic2020_is_read_without_lesion_ids_too(tmp_path):
    releases.write_release("isic2020", tmp_path)
    table = pd.read_csv(tmp_path / "ISIC_2020_Training_GroundTruth_v2.csv")
    (tmp_path / "ISIC_2020_Training_GroundTruth_v2.csv").unlink()
    table.drop(columns="lesion_id").to_csv(tmp_path / "train.csv", index=False)
    assert read_source("isic2020", tmp_path).frame["lesion_id"].isna().all()


def test_isic2024_takes_the_licence_by_image_and_drops_the_telling_lesion_id(read):
    frame = read("isic2024")
    assert set(frame["licence"]) == {"CC-BY"}
    assert frame["lesion_id"].isna().all()
    assert set(frame["modality"]) == {"clinical"}
    assert frame.loc["ISIC_9999967", "diagnosis"] == "Malignant::Melanoma"


def test_isic2024_computes_the_angle_of_the_skin_that_the_camera_measured(read):
    frame = read("isic2024")
    assert frame["ita"].tolist() == pytest.approx([np.degrees(np.arctan2(4.4, 20))] * 4)
    assert frame["tbp_lv_Aext"].tolist() == [11.0] * 4
    assert frame["fitzpatrick_type"].isna().all()


def test_a_colour_that_cielab_does_not_have_is_not_measured(tmp_path):
    releases.write_release("isic2024", tmp_path)
    path = tmp_path / "ISIC_2024_Training_Input" / "metadata.csv"
    read = pd.read_csv(path).assign(tbp_lv_Bext=[-128, 128, -128.5, 128.5])
    read.to_csv(path, index=False)
    frame = read_source("isic2024", tmp_path).frame
    assert listed(frame["tbp_lv_Bext"]) == [-128, 128, None, None]
    assert frame["ita"].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize("name", ["isic2018", "isic2019"])
def test_without_its_table_of_lesions_a_set_says_so_or_takes_those_of_ham10000(tmp_path, name):
    releases.write_release(name, tmp_path)
    for table in (*tmp_path.rglob("*LesionGroupings*.csv"), *tmp_path.rglob("*Metadata*.csv")):
        table.unlink()
    reading = read_source(name, tmp_path)
    assert reading.frame["lesion_id"].isna().all()
    assert "lesions are unknown" in reading.notes[0]
    names = reading.frame["image_id"]
    ham = pd.DataFrame({"image_id": names, "lesion_id": "HAM_" + names})
    ham.iloc[1:].to_csv(tmp_path / "HAM10000_metadata.csv", index=False)
    reading = read_source(name, tmp_path)
    assert reading.frame["lesion_id"].isna().sum() == 1
    assert "unknown for 1 images" in reading.notes[0]


def test_two_tables_of_lesions_leave_each_image_its_lesion(tmp_path):
    releases.write_release("isic2019", tmp_path)
    alone = listed(read_source("isic2019", tmp_path).frame["lesion_id"])
    people = pd.read_csv(tmp_path / "ISIC_2019_Training_Metadata.csv")
    lesions = people[["image", "lesion_id"]]
    lesions.to_csv(tmp_path / "ISIC_2019_Training_LesionGroupings.csv", index=False)
    assert listed(read_source("isic2019", tmp_path).frame["lesion_id"]) == alone


def test_bcn20000_leaves_indeterminate_and_absent_diagnoses_empty(read):
    assert listed(read("bcn20000")["target"]) == [0, 1, 1, 0, None, None]


def test_bcn20000_tells_melanoma_from_other_cancer(read):
    assert listed(read("bcn20000", target="melanoma")["target"]) == [0, 1, 0, 0, None, None]


def test_the_summary_says_what_was_decided_of_actinic_keratosis(tmp_path):
    releases.write_release("bcn20000", tmp_path)
    for choice in ("benign", "malignant", "unknown"):
        (note,) = read_source("bcn20000", tmp_path, premalignant=choice).notes
        assert note.startswith("1 image of actinic keratosis") and f"counts as {choice}" in note


def test_without_levels_of_the_tree_no_diagnosis_is_known():
    assert archive_labels(pd.DataFrame({"isic_id": ["ISIC_1"]})).isna().all()


def test_a_collision_with_a_malignant_part_is_malignant_and_no_melanoma():
    table = pd.DataFrame(
        {
            "diagnosis_1": ["Malignant", "Malignant", "Benign", None],
            "diagnosis_2": ["Collision - At least one malignant proliferation", None, None, None],
        },
        dtype="string",
    )
    assert listed(archive_labels(table)) == ["malignant", "malignant", "benign", None]


def test_an_age_with_a_decimal_comma_is_read(tmp_path):
    releases.write_release("ham10000", tmp_path)
    path = tmp_path / "HAM10000_metadata.csv"
    table = pd.read_csv(path, dtype=str)
    table["age"] = "75,0"
    table.to_csv(path, sep=";", index=False)
    assert set(read_source("ham10000", tmp_path).frame["age"]) == {75.0}


def test_bcn20000_is_read_from_figshare_too(tmp_path):
    releases.bcn20000_figshare(tmp_path)
    frame = read_source("bcn20000", tmp_path).frame
    assert listed(frame["target"]) == [1, 0, 0, None]
    assert frame["split"].tolist() == ["train", "train", "train", "test"]


def test_the_archive_gives_tree_type_place_licence_and_whom_to_name(read):
    frame = read("isic-archive")
    assert listed(frame["target"]) == [1, 0, 0, 1, None]
    assert listed(frame["fitzpatrick_type"]) == [6, 2, None, None, None]
    assert set(frame["site"]) == {"Posterior trunk"}
    assert frame["licence"].tolist()[:2] == ["CC-0", "CC-BY"]
    assert set(frame["attribution"]) == {"Some Hospital"}
    assert frame.loc["ISIC_2000000", "diagnosis"] == "Melanoma Invasive, Superficial spreading"
    assert listed(read("isic-archive", target="melanoma")["target"]) == [1, 0, 0, 0, None]


def test_fitzpatrick17k_finds_images_by_hash_and_by_url(read):
    frame = read("fitzpatrick17k")
    names = [Path(path).stem for path in frame["path"]]
    assert sum(name == image for name, image in zip(names, frame.index, strict=True)) == 7
    assert "httpswwwdermaamincomsiteimagesclinicalpicddermatofibroma71jpg" in names


@pytest.mark.parametrize(
    ("rater", "types"),
    [("scale", [3, 2, 5, 6, 1, 4, None, None]), ("centaur", [3, 3, 6, None, 1, 4, 2, None])],
)
def test_fitzpatrick17k_takes_the_types_of_one_group_of_raters(read, rater, types):
    frame = read("fitzpatrick17k", rater=rater)
    assert listed(frame["fitzpatrick_type"]) == types
    assert frame["rater"].notna().tolist() == [kind is not None for kind in types]


def test_the_neoplastic_subset_has_a_url_a_type_and_no_wrong_label(read):
    frame = read("fitzpatrick17k", subset="neoplastic")
    assert frame["diagnosis"].tolist() == ["dermatofibroma", "melanoma", "mycosis fungoides"]


def test_fitzpatrick17k_counts_melanoma_on_request(read):
    assert listed(read("fitzpatrick17k", target="melanoma")["target"]) == [0, 0, 1, 0, 1, 0, 0, 0]


def test_fitzpatrick17k_is_read_with_the_first_name_of_its_type_column(tmp_path):
    releases.write_release("fitzpatrick17k", tmp_path)
    table = tmp_path / "fitzpatrick17k.csv"
    table.write_text(table.read_text().replace("fitzpatrick_scale,", "fitzpatrick,"))
    frame = read_source("fitzpatrick17k", tmp_path).frame
    assert listed(frame["fitzpatrick_type"])[:2] == [3, 2]


@pytest.mark.parametrize("name", ["mclass-d", "mclass-c"])
def test_mclass_is_for_testing_only(read, name):
    frame = read(name)
    assert set(frame["split"]) == {"test"}
    assert listed(frame["target"]) == [0, 0, 0, 1]
    assert set(frame["target_name"]) == {"melanoma"}


def test_mclass_d_keeps_the_archive_names(read):
    assert read("mclass-d").index[0] == "ISIC_0000000"


def test_atlas_gives_two_images_a_case(read):
    frame = read("atlas")
    assert frame.groupby("lesion_id")["modality"].nunique().eq(2).all()
    assert listed(frame.loc[frame["modality"] == "clinical", "target"]) == [0, 0, 1, 1, 0]
    assert frame.loc["case3-clinical", "split"] == "validation"
    assert Path(frame.loc["case1-dermoscopic", "path"]).name == "Nel10.jpg"


def test_atlas_counts_basal_cell_carcinoma_as_malignant(read):
    frame = read("atlas", target="malignant")
    assert frame.loc["case1-clinical", "target"] == 1


def test_atlas_leaves_out_a_case_that_comes_again_and_says_so(tmp_path):
    reading = read_source("atlas", releases.write_release("atlas", tmp_path))
    assert reading.notes == ("case 4: repeated in meta.csv, left out",)


@pytest.mark.parametrize(("target", "ones"), [("melanoma", 2), ("malignant", 4)])
def test_asan_offers_melanoma_and_malignant(read, target, ones):
    assert read("asan", target=target)["target"].sum() == ones


def test_asan_leaves_out_what_the_paper_did_not_use(tmp_path):
    releases.write_release("asan", tmp_path)
    releases.write_image(tmp_path / "test-asan test" / "biopsy" / "wart" / "wart1.png")
    assert len(read_source("asan", tmp_path).frame) == 11
    assert len(read_source("asan", tmp_path, subset="paper").frame) == 10


def test_ham10000_has_lesions_and_no_unknown_words(read):
    frame = read("ham10000")
    assert frame["lesion_id"].nunique() == 4
    assert listed(frame["sex"])[:3] == ["male", "female", None]
    assert listed(frame["site"])[5] is None
    assert listed(frame["age"])[6] is None


@pytest.mark.parametrize("name", ["HAM10000_metadata", "HAM10000_metadata.tab"])
def test_ham10000_is_read_under_the_names_of_the_dataverse(tmp_path, name):
    releases.write_release("ham10000", tmp_path)
    table = pd.read_csv(tmp_path / "HAM10000_metadata.csv")
    (tmp_path / "HAM10000_metadata.csv").unlink()
    table.to_csv(tmp_path / name, index=False, sep="\t" if name.endswith("tab") else ",")
    assert len(read_source("ham10000", tmp_path).frame) == 7


def test_ddi_s_melanomas_and_actinic_keratoses_are_known_in_any_case_and_only_where_malignant():
    disease = pd.Series(["Melanoma-In-Situ", "melanoma", "MELANOMA", "Actinic-Keratosis", pd.NA])
    truth = pd.Series(["True", "true", "False", "False", "TRUE"])
    words = ddi._words(truth, "true", disease.astype("string"))
    assert words.tolist() == ["melanoma", "melanoma", "false", "actinic keratosis", "true"]


def test_ddi_gives_groups_of_types_and_no_type(read):
    frame = read("ddi")
    assert frame["fitzpatrick_type"].isna().all()
    assert frame["fitzpatrick_group"].tolist() == ["5-6", "1-2", "3-4", "5-6"]
    assert frame.index[0] == "000001"


def test_ddi_reads_the_target_of_a_row_without_a_disease(tmp_path):
    directory = releases.write_release("ddi", tmp_path)
    table = pd.read_csv(directory / "ddi_metadata.csv").assign(disease=None)
    table.to_csv(directory / "ddi_metadata.csv", index=False)
    for target in ("malignant", "melanoma"):
        frame = read_source("ddi", directory, target=target).frame
        assert listed(frame["target"]) == ([1, 1, 0, 0] if target == "malignant" else [0, 0, 0, 0])


def test_ddi_counts_melanoma_on_request(read):
    assert listed(read("ddi", target="melanoma")["target"]) == [1, 0, 0, 0]


def test_pad_ufes_20_reads_the_misspelt_type_column(read):
    frame = read("pad-ufes-20")
    assert listed(frame["fitzpatrick_type"]) == [3, 3, None, 5]
    assert frame["lesion_id"].is_unique
    assert frame["patient_id"].nunique() == 3


def test_scin_takes_the_type_that_most_dermatologists_gave(read):
    frame = read("scin")
    assert listed(frame["fitzpatrick_type"]) == [2, 2, None, None]
    assert listed(frame["monk_tone"]) == [2, 2, 6, 10]
    assert listed(frame["monk_tone_india"]) == [3, 3, None, 9]
    assert frame["target"].isna().all()


def test_scin_has_monk_tones_1_to_10_and_leaves_others_empty(tmp_path):
    releases.write_release("scin", tmp_path)
    path = tmp_path / "dataset" / "scin_labels.csv"
    table = pd.read_csv(path, dtype={"case_id": str})
    table.assign(monk_skin_tone_label_us=[1, 11, 0]).to_csv(path, index=False)
    frame = read_source("scin", tmp_path).frame
    assert listed(frame["monk_tone"]) == [1, 1, None, None]


def test_scin_takes_the_persons_own_answer_on_request(read):
    frame = read("scin", rater="self")
    assert listed(frame["fitzpatrick_type"]) == [2, 2, None, 6]


def test_scin_keeps_the_images_of_a_case_together(read):
    frame = read("scin")
    assert frame.loc["-323", "lesion_id"] == frame.loc["-324", "lesion_id"]
    assert frame.loc["-323", "diagnosis"] == "Psoriasis"


def test_mskcc_has_types_judged_in_person(read):
    frame = read("mskcc")
    assert listed(frame["fitzpatrick_type"]) == [4, 4, 6, 1]
    assert set(frame["rater"]) == {"clinician, in person"}
    assert frame["modality"].tolist() == ["dermoscopic", "clinical"] * 2


def test_milk10k_keeps_its_reversed_tone_class_apart(read):
    frame = read("milk10k")
    assert frame["fitzpatrick_type"].isna().all()
    assert frame["skin_tone_class"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert not [column for column in frame if column.startswith("MONET")]


def test_a_folder_of_classes_gives_diagnoses_and_no_target(read):
    frame = read("folder")
    assert frame["diagnosis"].tolist().count("nevus") == 2
    assert frame["target"].isna().all()
    assert "melanoma/1" in frame.index


def test_a_folder_of_classes_gets_a_target_from_the_positive_ones(read):
    frame = read("folder", positive=["melanoma"], target="melanoma")
    assert frame.groupby("diagnosis")["target"].first().to_dict() == {
        "lentigo": 0,
        "melanoma": 1,
        "nevus": 0,
    }


def test_a_positive_class_that_is_not_there_is_refused(read):
    with pytest.raises(InputError, match="no class is cancer; the classes are lentigo, melanoma"):
        read("folder", positive=["cancer"])


@pytest.fixture
def mapped(tmp_path: Path):
    """A folder with a table of other column names."""
    releases.write_release("folder", tmp_path)
    table = tmp_path / "list.csv"
    table.write_text(
        "file,verdict,who,sex\nmelanoma/1.jpg,bad,007,F\nnevus/2.jpg,good,008,unknown\n"
    )
    return tmp_path, table


def test_a_table_is_read_with_a_column_map(mapped):
    root, table = mapped
    column = ["path=file", "target=verdict", "patient_id=who"]
    frame = read_source("folder", root, table=table, column=column, positive=["bad"]).frame
    assert frame["target"].tolist() == [1, 0]
    assert frame["patient_id"].tolist() == ["007", "008"]
    assert listed(frame["sex"]) == ["female", None]
    assert frame["image_id"].tolist() == ["1", "2"]


def test_types_and_sexes_in_peoples_words_are_read_from_a_table(mapped):
    root, table = mapped
    table.write_text(
        "path,fitzpatrick_type,rater,sex\nmelanoma/1.jpg,Type III,me,w\nnevus/2.jpg,unknown,,Mann\n"
    )
    frame = read_source("folder", root, table=table).frame
    assert listed(frame["fitzpatrick_type"]) == [3, None]
    assert listed(frame["sex"]) == ["female", "male"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"column": ["path=file"]}, "give it, too, as in `table="),
        ({"table": True, "column": ["colour=file"]}, "column colour: write ours=theirs"),
        ({"table": True, "column": ["path=photo"]}, "has no column photo"),
        ({"table": True}, "say which column names the image"),
        ({"table": True, "column": ["path=file"], "positive": ["bad"]}, "needs a target"),
    ],
)
def test_a_wrong_column_map_is_refused(mapped, options, message):
    root, table = mapped
    if options.pop("table", None):
        options["table"] = table
    with pytest.raises(InputError, match=message):
        read_source("folder", root, **options)


def test_ddi_2_has_a_type_where_it_is_one_and_a_group_where_it_is_two(read):
    frame = read("ddi-2")
    assert listed(frame["fitzpatrick_type"]) == [None, 5, 4, None]
    assert listed(frame["fitzpatrick_group"]) == ["3-4", "5", "4", None]
    assert listed(frame["target"]) == [1, 1, 0, 0]
    assert listed(read("ddi-2", target="melanoma")["target"]) == [1, 0, 0, 0]


def test_midas_files_are_matched_without_case_and_ending(read):
    frame = read("mra-midas")
    assert frame["path"].map(lambda path: Path(path).name).tolist()[:2] == [
        "s-prd-1.jpg",
        "s-prd-2.jpg",
    ]
    assert listed(frame["target"]) == [1, 1, 0, 0, None, 1]
    assert listed(frame["fitzpatrick_type"]) == [2, 2, 3, 6, 6, None]
    assert frame["modality"].tolist() == ["dermoscopic", *["clinical"] * 4, "dermoscopic"]


def test_passion_has_a_row_for_each_image_of_a_person(read):
    frame = read("passion")
    assert frame["patient_id"].tolist() == ["AA00970300", "AA00970300", "AA00970301"]
    assert frame["fitzpatrick_type"].tolist() == [5, 5, 6]
    assert frame["target"].isna().all()


def test_a_person_of_passion_without_images_is_missing(tmp_path):
    releases.write_release("passion", tmp_path)
    (tmp_path / "PASSION" / "AA00970301_1.jpg").unlink()
    assert read_source("passion", tmp_path).missing["expected"].tolist() == ["AA00970301"]


def test_ph2_reads_the_clinical_diagnosis_where_histology_is_empty(tmp_path):
    reading = read_source("ph2", releases.write_release("ph2", tmp_path))
    assert reading.frame["diagnosis"].tolist() == ["common nevus", "atypical nevus", "melanoma"]
    assert reading.frame["target"].tolist() == [0, 0, 1]
    assert reading.unnamed == 0  # masks are no photographs


def test_med_node_ids_carry_the_folder(read):
    frame = read("med-node")
    assert frame.index.tolist() == ["melanoma/1", "melanoma/2", "naevus/1", "naevus/2"]
    assert frame["target"].tolist() == [1, 1, 0, 0]


def test_fitzpatrick17k_is_cleaned_by_the_published_list(read):
    frame = read("fitzpatrick17k", subset="cleaned")
    assert frame["diagnosis"].tolist() == ["dermatofibroma", "melanoma", "mycosis fungoides"]
    assert frame["split"].tolist() == ["train", "validation", "test"]


def test_a_cleaned_fitzpatrick17k_wants_the_list(tmp_path):
    releases.write_release("fitzpatrick17k", tmp_path)
    (tmp_path / "Fitzpatrick17k-C.csv").unlink()
    with pytest.raises(InputError, match=r"looked for Fitzpatrick17k-C\.csv"):
        read_source("fitzpatrick17k", tmp_path, subset="cleaned")


def test_mskcc_takes_the_colorimeters_angle_where_it_was_read(read):
    frame = read("mskcc")
    assert listed(frame["ita"]) == [26.6, None, None, None]
    assert listed(frame["colorimeter_l"]) == [58.6, None, None, None]
    assert listed(frame["tone_method"])[:2] == ["colorimeter (average_ita of s7.csv)", None]


def test_milk10k_takes_the_full_diagnosis_of_its_supplement(tmp_path):
    releases.write_release("milk10k", tmp_path)
    releases.write_csv(
        tmp_path / "MILK10k_Training_Supplement.csv",
        "isic_id,diagnosis_full,diagnosis_confirm_type",
        [("ISIC_0000400", "Solar or actinic keratosis", "histopathology")],
    )
    frame = read_source("milk10k", tmp_path).frame.set_index("image_id")
    assert frame.loc["ISIC_0000400", "diagnosis"] == "AKIEC"
    assert frame.loc["ISIC_0000400", "diagnosis_full"] == "Solar or actinic keratosis"
    assert listed(frame["diagnosis_full"])[1] is None


def test_scin_takes_the_type_that_more_than_half_of_its_raters_give():
    answers = [
        ("FST3", "FST3", "FST5"), ("FST2", None, "fst2"), ("FST6", None, None),
        ("FST1", "FST2", None), ("FST1", "FST2", "FST3"), ("FST7", "FST4", None), (None,) * 3,
    ]  # fmt: skip
    frame = pd.DataFrame(answers, columns=list("abc"), dtype="string")
    assert listed(scin._types(frame)) == [3, 2, 6, None, None, 4, None]


def test_scin_s_monk_tones_are_1_to_10_and_its_diagnosis_the_heaviest():
    tones = pd.Series(["1", "10", "10.4", "0.9", "3.4", "11", None], dtype="string")
    assert listed(scin._monk(tones)) == [1, 10, None, None, 3, None, None]
    weights = ["{'Eczema': 0.4, 'Acne': 0.6}", "{}", "{'Eczema'", "Eczema", None]
    assert [scin._heaviest(one) for one in weights] == ["Acne", None, None, None, None]


def test_a_whole_type_from_1_to_6_is_read_by_the_rater_that_is_asked_for():
    table = pd.DataFrame({"fitzpatrick_centaur": ["1", "6", "0", "7", "-1", "2.5", None]})
    assert listed(fitzpatrick17k._skin_types(table, "centaur")) == [1, 6, *[None] * 5]
    first = table.rename(columns={"fitzpatrick_centaur": "fitzpatrick"})
    assert listed(fitzpatrick17k._skin_types(first, "scale"))[:2] == [1, 6]
    for wrong, rater in ((table, "scale"), (first, "centaur")):
        with pytest.raises(InputError, match=f"no column fitzpatrick_?{rater}|no column fitz"):
            fitzpatrick17k._skin_types(wrong, rater)


def test_the_neoplastic_subset_is_of_tumours_with_a_url_that_are_not_called_wrong():
    table = pd.DataFrame(
        {
            "three_partition_label": ["benign", "malignant", "non-neoplastic", "benign", "benign"],
            "url": ["u", "u", "u", "-", "u"],
            "qc": [None, "1 Diagnostic", None, None, "3 Wrongly labelled"],
        }
    )
    assert fitzpatrick17k.neoplastic(table).tolist() == [True, True, False, False, False]


def test_a_file_goes_by_its_hash_unless_only_its_url_is_there():
    table = pd.DataFrame({"md5hash": list("abc"), "url_alphanum": ["x.jpg", "y.jpg", "z.jpg"]})
    names = fitzpatrick17k._file_names(table, dict.fromkeys(("a", "x", "y"), Path()))
    assert names.tolist() == ["a", "y", "c"]
    assert fitzpatrick17k._file_names(table[["md5hash"]], {}).tolist() == ["a", "b", "c"]


def test_the_archive_s_diagnosis_and_site_are_the_deepest_that_are_given():
    rows = [{f"diagnosis_{k}": f"d{k}" for k in range(1, n + 1)} for n in range(1, 6)]
    for n, row in enumerate(rows, 1):
        row |= {f"anatom_site_{k}": f"s{k}" for k in range(1, n + 1)}
    rows += [{"diagnosis": "own", "diagnosis_5": "d5", "anatom_site_5": "s5"}]
    rows[5] |= {"anatom_site_general": "general"}
    rows += [{"anatom_site_special": "special", "anatom_site_general": "general"}]
    for row, kind in zip(
        rows, ["dermoscopic", "Clinical: close-up", "TBP tile", None] * 2, strict=False
    ):
        row |= {"image_type": kind}
    table = pd.DataFrame(rows).assign(isic_id=[f"ISIC_{k}" for k in range(7)])
    table["fitzpatrick_skin_type"] = ["I", "vi", "none", None, "III", "IV", "V"]
    frame = archive.archive_rows(table)
    assert listed(frame["diagnosis"]) == ["d1", "d2", "d3", "d4", "d5", "own", None]
    assert listed(frame["site"]) == ["s1", "s2", "s3", "s4", "s5", "general", "special"]
    kinds = ["dermoscopic", "clinical", None, None]
    assert listed(frame["modality"]) == [*kinds, *kinds[:3]]
    assert listed(skin_type(frame["fitzpatrick_type"])) == [1, 6, None, None, 3, 4, 5]


@pytest.mark.parametrize(("choice", "value"), [("benign", 0), ("malignant", 1), ("unknown", None)])
def test_what_counts_as_premalignant_is_what_was_chosen_and_is_said(choice, value, tmp_path):
    labels = {"ak": "premalignant", "mel": "melanoma", "scc": "malignant", "nv": "benign"}
    words = pd.Series(["AK", "ak", "mel", "SCC", "nv", None])
    given = {"target": "malignant", "premalignant": choice, "title": "x"}
    frame = targets(words, labels, **given)
    assert listed(frame["target"]) == [value, value, 1, 1, 0, None]
    assert listed(frame["target_name"].notna()) == listed(frame["target"].notna())
    melanoma = targets(words, labels, **given | {"target": "melanoma"})
    assert listed(melanoma["target"]) == [0, 0, 1, 0, 0, None]
    names = ["a", "b", "c", "d", "e", "f"]
    rows = pd.DataFrame({"image_id": names}).join(frame)
    (tmp_path / "a.jpg").write_bytes(b"pixels")
    images = dict.fromkeys([*names[:4], "z"], tmp_path / "a.jpg")
    read = reading(rows, images, Folder(tmp_path, "x"), files=pd.Series(names), notes=["first"])
    assert read.notes == (
        "first",
        "2 images of actinic keratosis, or of a class that mixes it with carcinoma in situ, count "
        f"as {choice} (--premalignant benign, malignant or unknown).",
    )
    assert read.unnamed == 1 and listed(read.missing["image_id"]) == ["e", "f"]
    assert "label" not in read.frame
    one = reading(rows[1:], images, Folder(tmp_path, "x"), files=pd.Series(names)[1:])
    assert one.notes[0].startswith("1 image of") and f"counts as {choice}" in one.notes[0]


def edited(root, name, edit):
    """Write a table of a release again, its rows changed by a function."""
    path = next(root.rglob(name))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    edit(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def with_cell(row, column, value):
    def edit(rows):
        rows[row][rows[0].index(column)] = value

    return edit


def test_ages_are_read_with_their_unit_and_what_is_no_age_is_counted(tmp_path):
    cells = ["75 years", "075Y", "85+", ">85", "18 months", "42,5", "90 and older", "1950", "x", ""]
    years = [75, 75, 85, 85, 1.5, 42.5, 90, None, None, None]
    assert listed(age(pd.Series(cells).replace("", None))) == years
    releases.write_release("ham10000", tmp_path)
    edited(tmp_path, "HAM10000_metadata.csv", with_cell(2, "age", "old"))
    read = read_source("ham10000", tmp_path)
    note = "1 cell of age not understood and left empty, such as 'old' of image ISIC_0027411"
    assert note in read.notes and read.frame["age"].count() == 5


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [
        ("pad-ufes-20", "metadata.csv", "fitspatrick"),
        ("mskcc", "mskcc*.csv", "fitzpatrick_skin_type"),
    ],
)
def test_skin_types_are_read_as_people_write_them_and_between_two_are_counted(
    name, table, column, tmp_path
):
    releases.write_release(name, tmp_path)
    for row, cell in enumerate(["Type III", "4,0", "2.5"], start=1):
        edited(tmp_path, table, with_cell(row, column, cell))
    read = read_source(name, tmp_path)
    assert listed(read.frame["fitzpatrick_type"])[:3] == [3, 4, None]
    assert listed(read.frame["rater"].notna())[:3] == [True, True, False]
    assert any("1 cell of fitzpatrick_type" in note and "'2.5'" in note for note in read.notes)


def test_a_tone_class_between_two_is_empty(tmp_path):
    releases.write_release("milk10k", tmp_path)
    edited(tmp_path, "MILK10k_Training_Metadata.csv", with_cell(1, "skin_tone_class", "2.5"))
    assert pd.isna(read_source("milk10k", tmp_path).frame["skin_tone_class"][0])


def test_image_names_match_without_ending_and_capitals_and_come_out_as_the_files(tmp_path):
    releases.write_release("ham10000", tmp_path)
    edited(tmp_path, "HAM10000_metadata.csv", with_cell(1, "image_id", "ISIC_0027410.jpg"))
    edited(tmp_path, "HAM10000_metadata.csv", with_cell(2, "image_id", "isic_0027411"))
    frame = read_source("ham10000", tmp_path).frame
    assert listed(frame["image_id"])[:2] == ["ISIC_0027410", "ISIC_0027411"]


def test_an_empty_file_and_a_broken_link_are_missing_images(tmp_path):
    releases.write_release("ham10000", tmp_path)
    next(tmp_path.rglob("ISIC_0027410.jpg")).write_bytes(b"")
    link = next(tmp_path.rglob("ISIC_0027411.jpg"))
    link.unlink()
    link.symlink_to("nowhere")
    edited(tmp_path, "HAM10000_metadata.csv", with_cell(3, "image_id", ""))
    read = read_source("ham10000", tmp_path)
    assert listed(read.missing["expected"]) == [
        "ISIC_0027410 (an empty file)",
        "ISIC_0027411 (No such file or directory)",
        "(row 3 names no image)",
    ]
    assert len(read.frame) + len(read.missing) == 7


def test_files_of_one_name_and_size_are_compared_by_content(tmp_path):
    releases.write_release("ham10000", tmp_path)
    picture = next(tmp_path.rglob("ISIC_0027410.jpg")).read_bytes()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "ISIC_0027410.jpg").write_bytes(picture)
    assert len(read_source("ham10000", tmp_path).frame) == 7
    (tmp_path / "copy" / "ISIC_0027410.jpg").write_bytes(picture[:-1] + b"x")
    with pytest.raises(InputError, match="a different image of this name"):
        read_source("ham10000", tmp_path)


def test_two_tables_of_one_name_are_refused_where_they_differ(tmp_path):
    releases.write_release("ham10000", tmp_path)
    (tmp_path / "old").mkdir()
    shutil.copy(tmp_path / "HAM10000_metadata.csv", tmp_path / "old")
    assert len(read_source("ham10000", tmp_path).frame) == 7
    edited(tmp_path / "old", "*.csv", with_cell(1, "dx", "mel"))
    with pytest.raises(InputError, match=r"differs from .*keep the right one"):
        read_source("ham10000", tmp_path)


def test_a_lesion_called_unknown_is_no_lesion(tmp_path):
    releases.write_release("isic2019", tmp_path)
    for row, word in ((1, "unknown"), (2, "-"), (3, "not available"), (4, "7.0"), (5, "99")):
        edited(tmp_path, "*Metadata.csv", with_cell(row, "lesion_id", word))
    lesions = read_source("isic2019", tmp_path).frame["lesion_id"]
    assert listed(lesions)[:5] == [None, None, None, "7", "99"]


def test_a_diagnosis_called_unknown_has_no_target_and_a_new_one_is_refused(tmp_path):
    releases.write_release("ham10000", tmp_path)
    edited(tmp_path, "HAM10000_metadata.csv", with_cell(1, "dx", "unknown"))
    assert pd.isna(read_source("ham10000", tmp_path).frame["target"][0])
    edited(tmp_path, "HAM10000_metadata.csv", with_cell(1, "dx", "scc"))
    with pytest.raises(InputError, match="'scc', which it does not use"):
        read_source("ham10000", tmp_path)


def test_an_archive_diagnosis_outside_of_its_tree_is_counted(tmp_path):
    releases.write_release("bcn20000", tmp_path)
    edited(tmp_path, "bcn*.csv", with_cell(1, "diagnosis_1", "Something new"))
    read = read_source("bcn20000", tmp_path)
    assert pd.isna(read.frame["target"][0])
    assert any(note.startswith("1 image without a target") for note in read.notes)


@pytest.mark.parametrize(
    ("name", "table", "column", "value"),
    [
        ("milk10k", "MILK10k_Training_GroundTruth.csv", "MEL", "x"),
        ("scin", "scin_labels.csv", "monk_skin_tone_label_us", "9"),
        ("isic2019", "ISIC_2019_Training_Metadata.csv", "age_approx", "3"),
    ],
)
def test_rows_of_one_name_that_differ_are_refused(name, table, column, value, tmp_path):
    releases.write_release(name, tmp_path)

    def twice(rows):
        rows.append(list(rows[1]))
        with_cell(len(rows) - 1, column, value)(rows)

    edited(tmp_path, table, twice)
    with pytest.raises(InputError, match="in several rows that differ"):
        read_source(name, tmp_path)


def test_isic2020_links_all_that_the_owner_calls_duplicates(tmp_path):
    releases.write_release("isic2020", tmp_path)
    releases.write_csv(
        tmp_path / "ISIC_2020_Training_Duplicates.csv",
        "image_name_1,image_name_2",
        [("ISIC_0015719.jpg", "ISIC_0068279"), ("ISIC_2637011", "ISIC_0068279")],
    )
    frame = read_source("isic2020", tmp_path).frame
    assert len(set(units(frame)[[0, 1, 3]])) == 1


def test_isic2020_is_refused_where_its_two_columns_of_truth_differ(tmp_path):
    releases.write_release("isic2020", tmp_path)
    edited(tmp_path, "*GroundTruth_v2.csv", with_cell(1, "target", "1"))
    with pytest.raises(InputError, match=r"row 1 \(ISIC_2637011\) has the target 1 and is benign"):
        read_source("isic2020", tmp_path)


def test_truths_in_words_count_as_numbers_and_others_are_refused(tmp_path):
    words = pd.Series(["TRUE", "Falsch", "yes", "2"], dtype="string")
    assert listed(truths(words)) == ["1", "0", "1", "2"]
    releases.write_release("isic2024", tmp_path)
    edited(tmp_path, "*GroundTruth.csv", with_cell(1, "malignant", "True"))
    assert read_source("isic2024", tmp_path).frame["target"][0] == 1
    edited(tmp_path, "*GroundTruth.csv", with_cell(1, "malignant", "2"))
    with pytest.raises(InputError, match="'2', which it does not use"):
        read_source("isic2024", tmp_path)


@pytest.mark.parametrize("tone", ["56.0", "V-VI", "5-6"])
def test_ddi_groups_are_read_as_spreadsheets_and_people_write_them(tone, tmp_path):
    releases.write_release("ddi", tmp_path)
    edited(tmp_path, "ddi_metadata.csv", with_cell(1, "skin_tone", tone))
    edited(tmp_path, "ddi_metadata.csv", with_cell(1, "malignant", "WAHR"))
    frame = read_source("ddi", tmp_path).frame
    assert frame["fitzpatrick_group"][0] == "5-6" and frame["target"][0] == 1


def test_the_atlas_split_is_left_empty_where_its_rows_were_sorted(tmp_path):
    releases.write_release("atlas", tmp_path)
    assert read_source("atlas", tmp_path).frame["split"].notna().all()
    edited(tmp_path, "meta.csv", lambda rows: rows.insert(1, rows.pop(3)))
    read = read_source("atlas", tmp_path)
    assert read.frame["split"].isna().all() and "the owner's split is lost" in read.notes[-1]


def classes(root, *names):
    for name in names:
        releases.write_image(root / name)


def test_pictures_of_one_name_and_two_endings_are_two_images(tmp_path):
    classes(tmp_path, "mel/a.jpg", "mel/a.png", "nv/a.jpg")
    frame = read_source("folder", tmp_path).frame
    assert sorted(frame["image_id"]) == ["mel/a.jpg", "mel/a.png", "nv/a"]


def test_images_beside_the_folders_of_classes_are_counted(tmp_path):
    classes(tmp_path, "mel/a.jpg", "nv/b.jpg", "c.jpg")
    assert read_source("folder", tmp_path).unnamed == 1


def test_a_class_called_unknown_has_no_target_and_an_absent_one_is_refused(tmp_path):
    classes(tmp_path, "mel/a.jpg", "nv/b.jpg", "unknown/c.jpg")
    frame = read_source("folder", tmp_path, positive=[" mel "]).frame
    assert listed(frame["target"]) == [1, 0, None]
    with pytest.raises(InputError, match="no class is bbc;"):
        read_source("folder", tmp_path, positive=["mel", "bbc"])


@pytest.mark.parametrize(
    "cell", ["mel\\a.jpg", "./x/../mel/a.jpg", "mel/a", "mel/A.JPG", "a.jpg", "mel/a.jpg"]
)
def test_a_table_names_an_image_as_other_systems_write_its_path(cell, tmp_path):
    classes(tmp_path, "mel/a.jpg", "nv/b.jpg")
    (tmp_path / "list.csv").write_text(f"path,target\n{cell},True\nnv/b.jpg,0\n")
    frame = read_source("folder", tmp_path, table=tmp_path / "list.csv").frame
    assert listed(frame["path"]) == [str(tmp_path / name) for name in ("mel/a.jpg", "nv/b.jpg")]
    assert listed(frame["target"]) == [1, 0]


def test_a_bare_name_of_several_files_is_missing_not_guessed(tmp_path):
    classes(tmp_path, "x/a.jpg", "y/a.jpg", "y/b.jpg")
    (tmp_path / "list.csv").write_text("path\na.jpg\nb.jpg\n")
    read = read_source("folder", tmp_path, table=tmp_path / "list.csv")
    assert listed(read.missing["expected"]) == ["a.jpg"]


def test_files_of_one_name_in_two_folders_of_a_table_have_two_ids(tmp_path):
    classes(tmp_path, "x/a.jpg", "y/a.jpg")
    (tmp_path / "list.csv").write_text("path\nx/a.jpg\ny/a.jpg\n")
    frame = read_source("folder", tmp_path, table=tmp_path / "list.csv").frame
    assert listed(frame["image_id"]) == ["x/a", "y/a"]


def test_a_target_column_without_positives_holds_0_and_1_alone(tmp_path):
    classes(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    table = tmp_path / "list.csv"
    table.write_text("path;target\na.jpg;0,0\nb.jpg;-1\nc.jpg;unknown\n")
    assert listed(read_source("folder", tmp_path, table=table).frame["target"]) == [0, None, None]
    table.write_text("path,target\na.jpg,1\nb.jpg,0\nc.jpg,2\n")
    with pytest.raises(InputError, match="row 3 has the target '2', neither 0 nor 1"):
        read_source("folder", tmp_path, table=table)


def test_a_column_of_the_map_is_given_once(tmp_path):
    classes(tmp_path, "a.jpg")
    (tmp_path / "list.csv").write_text("photo,p,q\na.jpg,1,2\n")
    twice = ["path=photo", "patient_id=p", "patient_id=q"]
    with pytest.raises(InputError, match="column patient_id: is given twice"):
        read_source("folder", tmp_path, table=tmp_path / "list.csv", column=twice)


def test_a_release_that_is_still_packed_is_told_to_be_unpacked(tmp_path):
    releases.write_release("ham10000", tmp_path)
    for picture in tmp_path.rglob("*.jpg"):
        picture.unlink()
    (tmp_path / "HAM10000_images_part_1.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"unpack HAM10000_images_part_1\.zip first"):
        read_source("ham10000", tmp_path)


def test_one_positive_class_may_be_a_name(tmp_path):
    classes(tmp_path, "mel/a.jpg", "nv/b.jpg")
    assert listed(read_source("folder", tmp_path, positive="mel").frame["target"]) == [1, 0]


def test_a_class_in_another_form_of_unicode_is_found(tmp_path):
    classes(tmp_path, "me\u0301lanome/a.jpg", "nv/b.jpg")
    frame = read_source("folder", tmp_path, positive=["m\u00e9lanome"]).frame
    assert listed(frame["target"]) == [1, 0]
    parts = {"train": ["nv"], "test": ["m\u00e9lanome"]}
    assert listed(split_groups(frame, "diagnosis", parts)["split"]) == ["test", "train"]


def test_a_lesion_of_pad_ufes_is_one_however_its_number_is_written(tmp_path):
    releases.write_release("pad-ufes-20", tmp_path)
    before = listed(read_source("pad-ufes-20", tmp_path).frame["lesion_id"])
    number = before[0].rpartition("_")[2]
    edited(tmp_path, "metadata.csv", with_cell(1, "lesion_id", f"{number}.0"))
    assert listed(read_source("pad-ufes-20", tmp_path).frame["lesion_id"]) == before
