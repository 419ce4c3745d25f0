"""The rows of the paper's experiments: which there are, which are left out, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm.data.duplicates import find_duplicates, rows_to_drop
from equiderm.errors import InputError
from equiderm.reproduce.work import Settings, remembered

if TYPE_CHECKING:
    from equiderm.data.sources.release import Reading

TRAINING = ("isic2017", "isic2020")
TUNING = "isic2018"
ARCHIVE = (*TRAINING, TUNING, "mclass-d")  # one archive: an image id means one photograph
TYPES = {1: "1-2", 2: "1-2", 3: "3-4", 4: "3-4", 5: "5-6", 6: "5-6"}


@dataclass(frozen=True)
class LeftOut:
    """Rows that take no part, and why."""

    source: str
    why: str
    n: int


class Rows:
    """A manifest that shrinks, and a record of what left it.

    Attributes:
        frame: The rows that are left.
        left_out: What was left out, in the order of the steps; steps that met nothing are there.
        listed: Rows of the owners' tables, images or not.
    """

    def __init__(self, readings: Mapping[str, Reading], frame: pd.DataFrame) -> None:
        self.frame = frame
        self.left_out: list[LeftOut] = []
        self.listed = len(frame)
        for source, reading in readings.items():
            if len(reading.missing):
                self.listed += len(reading.missing)
                why = "named in the owner's table, not in the folder"
                self.left_out.append(LeftOut(source, why, len(reading.missing)))

    def drop(self, wrong: Any, why: str, source: str = "") -> pd.DataFrame:
        """Leave out the rows where ``wrong`` is true, and return them."""
        mask = pd.Series(wrong, index=self.frame.index).fillna(False).to_numpy(bool)
        gone: Any = self.frame[mask]
        kept: Any = self.frame[~mask]
        self.frame = kept.reset_index(drop=True)
        self.left_out.append(LeftOut(source or _sources(gone), why, len(gone)))
        return gone

    def note_unread(self, errors: pd.DataFrame) -> None:
        """Record images that cannot be decoded, which whoever decoded them left out."""
        if len(errors):
            self.left_out.append(LeftOut("–", "an image file that cannot be read", len(errors)))


def _sources(frame: pd.DataFrame) -> str:
    return ", ".join(dict.fromkeys(frame["source"].astype(str))) or "–"


def judged_rows(reading: Reading) -> Rows:
    """Return the rows of Fitzpatrick17k that labels are validated on.

    Source:
        Rows with a skin type, a URL and not "3 Wrongly labelled", as in the released code.
    """
    rows = Rows({"fitzpatrick17k": reading}, reading.frame)
    name = "fitzpatrick17k"
    rows.drop(rows.frame["fitzpatrick_type"].isna(), "no skin type (-1)", name)
    rows.drop(rows.frame["url"].isna(), "no URL", name)
    rows.drop(rows.frame["qc"] == "3 Wrongly labelled", "qc is 3 Wrongly labelled", name)
    return rows


def is_neoplastic(frame: pd.DataFrame) -> Any:
    """Return which rows of Fitzpatrick17k are neoplastic, shape (n,)."""
    return (frame["three_partition_label"] != "non-neoplastic").to_numpy(bool)


def type_rows(reading: Reading, settings: Settings) -> Rows:
    """Return tables 1 and 3's rows: neoplastic, types 1 and 2 train, 3 to 6 test.

    The column ``types`` joins them in pairs, as the paper tests them.
    """
    rows = judged_rows(reading)
    rows.drop(~is_neoplastic(rows.frame), "not neoplastic", "fitzpatrick17k")
    types = rows.frame["fitzpatrick_type"].map(TYPES).astype("string")
    split = types.eq("1-2").map({True: "train", False: "test"}).astype("string")
    rows.frame = rows.frame.assign(types=types, split=split)
    absent = [one for one in dict.fromkeys(TYPES.values()) if not types.eq(one).any()]
    if absent:
        raise InputError(
            f"fitzpatrick17k: no neoplastic image of types {absent[0]} is in the folder; the "
            "tables need types 1 to 6, get the other images."
        )
    if not settings.as_published:
        _drop_same_pictures(rows, settings, "fitzpatrick17k")
    return rows


def isic_rows(readings: Mapping[str, Reading], settings: Settings) -> Rows:
    """Return table 2's rows: ISIC 2017 and 2020 train, ISIC 2018 tunes, the others test.

    An image of ISIC that is tested or tuned on is taken out of training by its archive id. Unless
    the released code is followed, so are other images of its patient or lesion, the duplicates
    that ISIC 2020 lists, and the same photograph under another id. Where it is followed, "2017" is
    what it calls so, if ISIC 2019 is there, and ISIC 2020 is less what its Kaggle copy marks.
    """
    readings = dict(readings)
    other = readings.pop("isic2019", None)
    if settings.as_published and other is not None:
        readings["isic2017"] = _released_2017(other)
    parts = [_prepared(source, reading.frame) for source, reading in readings.items()]
    rows = Rows(readings, pd.concat(parts, ignore_index=True))
    if settings.as_published:
        _drop_as_released(rows)
    _drop_by_id(rows, "validation", "in the tuning set and tested on, by archive id")
    tested = _drop_by_id(rows, "train", "in training and tested on, by archive id")
    rows.drop(
        _trains(rows) & rows.frame["image_id"].isin(_ids(rows, "validation")),
        "in training and tuned on (ISIC 2018), by archive id",
    )
    rows.drop(
        _trains(rows) & rows.frame["image_id"].duplicated(), "twice in training, by archive id"
    )
    if not settings.as_published:
        _drop_people(rows, tested)
        if "duplicate_of" in rows.frame:
            listed = rows.frame["duplicate_of"].notna()
            rows.drop(listed & _trains(rows), "ISIC 2020's own list of duplicates", "isic2020")
        _drop_same_pictures(rows, settings, "isic")
    return rows


def _released_2017(reading: Reading) -> Reading:
    """Return what the released code calls 2017: ISIC 2019 less HAM10000 and BCN20000.

    Source:
        The ids in the authors' released tables; lesions of the two others are named HAM_ and BCN_.
    """
    lesion = reading.frame["lesion_id"].fillna("").astype(str)
    frame = reading.frame[~lesion.str.startswith(("HAM_", "BCN_"))].reset_index(drop=True)
    return replace(reading, frame=frame, missing=reading.missing.iloc[:0])


def _drop_as_released(rows: Rows) -> None:
    """Leave out the images of ISIC 2020 that the released code leaves out, as far as it is known.

    They are those with tfrecord -1 in the table of the Kaggle copy; where another table was read,
    the owner's list of duplicates stands for them.
    """
    frame = rows.frame
    if "tfrecord" in frame:
        rows.drop(frame["tfrecord"] == -1, "tfrecord is -1 in the Kaggle copy's table", "isic2020")
    elif "duplicate_of" in frame:
        listed = frame["duplicate_of"].notna()
        rows.drop(listed & _trains(rows), "ISIC 2020's own list of duplicates", "isic2020")


def _prepared(source: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a source's rows with the split that they have here and names that cannot clash."""
    if source in TRAINING:
        split: Any = "train"
    elif source == TUNING:
        split = "validation"
    elif source == "atlas":
        split = "test-atlas-" + frame["modality"]
    else:
        split = f"test-{source}"
    frame = frame.assign(split=split)
    for column in ("patient_id", "lesion_id"):
        frame[column] = f"{source} " + frame[column]
    if source not in ARCHIVE:
        frame["image_id"] = f"{source} " + frame["image_id"]
    return frame


def _trains(rows: Rows) -> Any:
    return rows.frame["split"] == "train"


def _ids(rows: Rows, split: str) -> Any:
    return rows.frame.loc[rows.frame["split"].str.startswith(split), "image_id"]


def _drop_by_id(rows: Rows, split: str, why: str) -> pd.DataFrame:
    also_tested = rows.frame["image_id"].isin(_ids(rows, "test"))
    return rows.drop((rows.frame["split"] == split) & also_tested, why)


def _drop_people(rows: Rows, tested: pd.DataFrame) -> None:
    known = pd.Series(False, index=rows.frame.index)
    for column in ("patient_id", "lesion_id"):
        known |= rows.frame[column].isin(tested[column].dropna())
    rows.drop(known & _trains(rows), "of a patient or lesion that is tested on")


def _drop_same_pictures(rows: Rows, settings: Settings, name: str) -> None:
    frame = rows.frame
    progress = settings.progress("looking for the same photograph twice")
    pairs = remembered(
        settings.out / "manifests" / f"{name}-duplicates",
        frame["path"].astype(str).tolist(),
        lambda place: find_duplicates(frame, workers=settings.workers, progress=progress)[0],
    )
    same = frame.index.isin(rows_to_drop(frame, pairs))
    rows.drop(same, "the same photograph as one tested on, or twice in training")
