"""The rows of the paper's experiments: which are used, which are left out, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm.data.duplicates import find_duplicates, rows_to_drop
from equiderm.errors import InputError
from equiderm.reproduce.published import STAND_IN
from equiderm.reproduce.work import Settings, cached

if TYPE_CHECKING:
    from equiderm.data.sources.release import Reading

TRAINING = ("isic2017", "isic2020", STAND_IN)
TUNING = "isic2018"
ARCHIVE = (*TRAINING, TUNING, "mclass-d")  # one archive: an image id means one photograph
TYPES = {1: "1-2", 2: "1-2", 3: "3-4", 4: "3-4", 5: "5-6", 6: "5-6"}


@dataclass(frozen=True)
class LeftOut:
    """Rows that are left out, and why."""

    source: str
    why: str
    n: int


class Rows:
    """A manifest, and a record of the rows dropped from it.

    Attributes:
        frame: The rows that are kept.
        left_out: The rows dropped, in the order of the steps, with steps that dropped none.
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

    def drop(self, where: Any, why: str, source: str = "") -> pd.DataFrame:
        """Leave out the rows where ``where`` is true, and return them."""
        mask = pd.Series(where, index=self.frame.index).fillna(False).to_numpy(bool)
        dropped: Any = self.frame[mask]
        kept: Any = self.frame[~mask]
        self.frame = kept.reset_index(drop=True)
        self.left_out.append(LeftOut(source or _sources(dropped), why, len(dropped)))
        return dropped

    def note_unread(self, errors: pd.DataFrame) -> None:
        """Record images that are already left out because they cannot be decoded."""
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
    """Return the rows of tables 1 and 3: neoplastic, types 1 and 2 train, 3 to 6 test.

    The column ``types`` joins them in pairs, as the paper tests them.
    """
    rows = judged_rows(reading)
    rows.drop(~is_neoplastic(rows.frame), "not neoplastic", "fitzpatrick17k")
    types = rows.frame["fitzpatrick_type"].map(TYPES).astype("string")
    split = types.eq("1-2").map({True: "train", False: "test"}).astype("string")
    rows.frame = rows.frame.assign(types=types, split=split)
    absent = [pair for pair in dict.fromkeys(TYPES.values()) if not types.eq(pair).any()]
    if absent:
        raise InputError(
            f"fitzpatrick17k: no neoplastic image of types {absent[0]} is in the folder; the "
            "tables need types 1 to 6; get the missing images."
        )
    if not settings.as_published:
        _drop_same_pictures(rows, settings, "fitzpatrick17k")
    return rows


@dataclass(frozen=True)
class Training:
    """Which sources train in table 2, and how that differs from the paper.

    Attributes:
        sources: The source of each part; what the paper calls 2017 may come from ISIC 2019.
        substitute: What replaces the paper's training data, such as ``isic2017 alone``; empty
            where both parts are there.
    """

    sources: Mapping[str, str]
    substitute: str


def training(there: Collection[str], settings: Settings) -> Training:
    """Return which of the sources that are there train in table 2 and Figure 4.

    ISIC 2019 has what the released code calls 2017: it is read where that code is followed, and
    where ISIC 2017 is absent. Where ISIC 2020 is absent and a stand-in is asked for, HAM10000 is
    read, or ISIC 2018, whose training part it is.
    """
    older = ["isic2019", "isic2017"] if settings.as_published else ["isic2017", "isic2019"]
    newer = ["isic2020", *([STAND_IN, TUNING] if settings.stand_in else [])]
    choices = {"isic2017": older, "isic2020": newer}
    parts = {part: [name for name in choices[part] if name in there] for part in choices}
    sources = {part: present[0] for part, present in parts.items() if present}
    names = ["2017 as released" if name == "isic2019" else name for name in sources.values()]
    if set(sources.values()) & {STAND_IN, TUNING}:
        return Training(sources, f"stand-in: {' and '.join(names)}")
    if len(names) == 1:
        return Training(sources, f"{names[0]} alone")
    swapped = "isic2019" in sources.values() and not settings.as_published
    return Training(sources, "2017 as released" if swapped else "")


def isic_rows(readings: Mapping[str, Reading], settings: Settings) -> Rows:
    """Return the rows of table 2: ISIC 2017 and 2020 train, ISIC 2018 tunes, the others test.

    An image of ISIC that is tested or tuned on is taken out of training by its archive id. Unless
    the released code is followed, so are other images of its patient or lesion, the duplicates
    that ISIC 2020 lists, and the same photograph under another id. Where it is followed, "2017" is
    the part of ISIC 2019 that it calls so, if that is there, and the rows of ISIC 2020 that its
    Kaggle copy marks are left out. `training` says what trains where one of the two is absent.
    """
    trains = training(readings, settings).sources
    others = {name: reading for name, reading in readings.items() if name not in _CANDIDATES}
    readings = others | {
        STAND_IN if source in (STAND_IN, TUNING) else part: _part(source, readings[source])
        for part, source in trains.items()
    }
    if STAND_IN in readings:  # the same photographs as ISIC 2018, which then tunes nothing
        readings.pop(TUNING, None)
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
        _drop_listed(rows)
        _drop_same_pictures(rows, settings, "isic")
    return rows


_CANDIDATES = ("isic2017", "isic2019", "isic2020", STAND_IN)


def _part(source: str, reading: Reading) -> Reading:
    """Return the rows of a source that train, without those of other parts that it holds."""
    if source == "isic2019":
        return _released_2017(reading)
    if source == TUNING:
        frame: Any = reading.frame[reading.frame["split"] == "train"]
        return replace(reading, frame=frame.reset_index(drop=True))
    return reading


def _released_2017(reading: Reading) -> Reading:
    """Return what the released code calls 2017: ISIC 2019 less HAM10000 and BCN20000.

    Source:
        The ids in the authors' released tables; lesions of the two others are named HAM_ and BCN_.
        A Kaggle copy names no lesions, but has the size of each original: HAM10000's are 600 x 450
        pixels, BCN20000's 1024 x 1024.
    """
    frame = reading.frame
    lesion = frame["lesion_id"].fillna("").astype(str)
    other = lesion.str.startswith(("HAM_", "BCN_"))
    if "original_size" in frame:
        other |= frame["original_size"].isin(["600x450", "1024x1024"])
    frame = frame[~other].reset_index(drop=True)
    return replace(reading, frame=frame, missing=reading.missing.iloc[:0])


def _drop_as_released(rows: Rows) -> None:
    """Leave out the images of ISIC 2020 that the released code leaves out, as far as it is known.

    They are those with tfrecord -1 in the table of the Kaggle copy; where another table was read,
    the owner's list of duplicates is used instead.
    """
    if "tfrecord" in rows.frame:
        marked = rows.frame["tfrecord"] == -1
        rows.drop(marked, "tfrecord is -1 in the Kaggle copy's table", "isic2020")
    else:
        _drop_listed(rows)


def _drop_listed(rows: Rows) -> None:
    if "duplicate_of" in rows.frame:
        listed = rows.frame["duplicate_of"].notna()
        rows.drop(listed & _trains(rows), "ISIC 2020's own list of duplicates", "isic2020")


def _prepared(source: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a source's rows with their split here and with names that cannot clash."""
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
    pairs = cached(
        settings.out / "manifests" / f"{name}-duplicates",
        frame["path"].astype(str).tolist(),
        lambda path: find_duplicates(frame, workers=settings.workers, progress=progress)[0],
    )
    same = frame.index.isin(rows_to_drop(frame, pairs))
    rows.drop(same, "the same photograph as one tested on, or twice in training")
