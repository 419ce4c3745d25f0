"""The parts of an adapter: the record of a release, its download folder, and its target."""

from __future__ import annotations

import filecmp
import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from equiderm.columns import UNKNOWN_WORDS, age, as_named, known, known_ids, sex, skin_type
from equiderm.errors import InputError
from equiderm.files import FOREIGN_ENDINGS, IMAGE_ENDINGS
from equiderm.format import counted
from equiderm.identity import first_few
from equiderm.photo.walk import printable
from equiderm.records import Record
from equiderm.tables import MISSING_WORDS, read_table

if TYPE_CHECKING:
    import pandas as pd

Label = Literal["melanoma", "malignant", "premalignant", "benign", "unknown"]
Target = Literal["malignant", "melanoma"]
Premalignant = Literal["benign", "malignant", "unknown"]

_PACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")
_IMAGE_ENDINGS = tuple(IMAGE_ENDINGS | FOREIGN_ENDINGS)


@dataclass(frozen=True)
class RemoteFile:
    """One file to download.

    Attributes:
        name: Its file name here. A name that ends in ``.zip`` is unpacked.
        urls: Its addresses; later ones are tried when an earlier one refuses.
        size: Bytes, as the owner publishes them; None if not published.
        checksum: ``sha256:...`` or ``md5:...`` as the owner publishes it; None if not published.
        listing: Address of the owner's list of files, where it holds the checksum (Dataverse,
            figshare).
    """

    name: str
    urls: tuple[str, ...]
    size: int | None = None
    checksum: str | None = None
    listing: str = ""


@dataclass(frozen=True, kw_only=True)
class Release:
    """What is known of one release of a data set, and the function that reads it.

    Attributes:
        name: Its name on the command line.
        title: Its own name.
        images: Number of images, as published; None if not published.
        patients: Number of people, as published; None if not published.
        bytes: Size of the download, rounded; None if not known.
        licence: Licence of the images as their owner states it.
        purpose: What it is for here.
        page: Web page on which its owner describes and offers it.
        citation: The publication to cite.
        read: Reads the folder; its docstring is the documentation of the release.
        labels: What each diagnosis counts as, where the adapter maps them.
        files: What can be downloaded without an account.
        more: Further files that a downloaded table names, given the folder of the tables.
        by_hand: What must be done by hand, and where to put the result; empty if nothing.
    """

    name: str
    title: str
    images: int | None = None
    patients: int | None = None
    bytes: int | None = None
    licence: str
    purpose: str
    page: str
    citation: str
    read: Callable[..., Reading]
    labels: Mapping[str, Label] = field(default_factory=dict[str, Label])
    files: tuple[RemoteFile, ...] = ()
    more: Callable[[Path], list[RemoteFile]] | None = None
    by_hand: str = ""

    @property
    def constants(self) -> dict[str, str]:
        """The manifest's columns that have one value throughout: source and licence."""
        return {"source": self.name, "licence": self.licence}

    def targets(
        self, diagnosis: pd.Series, target: Target, premalignant: Premalignant = "benign"
    ) -> pd.DataFrame:
        """Return the function `targets` of diagnoses, by the release's own label map."""
        return targets(
            diagnosis, self.labels, target=target, premalignant=premalignant, title=self.title
        )


@dataclass(frozen=True, eq=False, repr=False)
class Reading(Record):
    """A release as read from its folder.

    Attributes:
        frame: One row per image in the folder; columns of the manifest and the source's own.
        missing: The images that a table names and the folder lacks, or holds as empty files:
            image_id, expected.
        unnamed: Number of images in the folder that no table names.
        notes: Further things that the user should know.
    """

    frame: pd.DataFrame
    missing: pd.DataFrame
    unnamed: int = 0
    notes: tuple[str, ...] = ()


class Folder:
    """The folder of a download: its tables and images, found by name at any depth.

    Args:
        directory: The folder.
        title: What the release is called in messages.

    Raises:
        InputError: No such folder.
    """

    def __init__(self, directory: Path, title: str):
        self.directory, self.title = Path(directory).absolute(), title
        if not self.directory.is_dir():
            raise InputError(f"{directory}: is not a folder; give the one that holds {title}.")
        self._files: dict[str, list[Path]] = {}
        self.unusable: list[str] = []  # files and folders that cannot be read, with the reason
        walked: set[str] = set()

        def note(error: OSError) -> None:
            self.unusable.append(f"{printable(str(error.filename))} ({error.strerror})")

        for parent, folders, names in os.walk(self.directory, followlinks=True, onerror=note):
            real = os.path.realpath(parent)
            if real in walked:  # a link back up
                folders.clear()
                continue
            walked.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
            for name in sorted(names):
                path = os.path.join(parent, name)  # noqa: PTH118
                if printable(path) != path:
                    self.unusable.append(f"{printable(path)} (its name is not UTF-8)")
                elif not name.startswith("."):
                    self._files.setdefault(name.lower(), []).append(Path(parent, name))

    def refusal(self, looked_for: str) -> InputError:
        """Return the error that says this folder is not the release."""
        advice = "give the folder of the unpacked download"
        if packed := [
            paths[0].name for name, paths in self._files.items() if name.endswith(_PACKED)
        ]:
            advice = f"unpack {first_few(packed)} first"
        return InputError(
            f"{self.directory}: is not {self.title}: looked for {looked_for} at any depth "
            f"and did not find it; {advice}."
        )

    def find(self, *names: str) -> Path | None:
        """Return the file with the first of the names that is there (case does not matter).

        Raises:
            InputError: Files of that name differ.
        """
        for name in names:
            paths = self._files.get(name.lower(), [])
            for other in paths[1:]:
                if not filecmp.cmp(paths[0], other, shallow=False):
                    raise InputError(
                        f"{other}: differs from {paths[0]}; keep the right one of the two."
                    )
            if paths:
                return paths[0]
        return None

    def find_dated(self, start: str) -> Path | None:
        """Return the last CSV file by name with this start, for names with a date."""
        names = [n for n in self._files if n.startswith(start.lower()) and n.endswith(".csv")]
        return self.find(max(names)) if names else None

    def table(self, *names: str, columns: Sequence[str], also: Sequence[str] = ()) -> pd.DataFrame:
        """Return the first of the named tables as text, with at least these columns.

        Raises:
            InputError: None of them is there, or a column is absent.
        """
        path = self.find(*names)
        if path is None:
            raise self.refusal(f"{' or '.join(names)} (columns {', '.join(columns)})")
        return self.read(path, columns, also)

    def read(self, path: Path, columns: Sequence[str], also: Sequence[str] = ()) -> pd.DataFrame:
        """Return a table as text, its cells stripped, with at least these columns.

        Rows without any content are left out.

        Args:
            path: The table.
            columns: Required columns; upper and lower case do not matter.
            also: Optional columns.

        Raises:
            InputError: A required column is absent, or there is nothing below the header.
        """
        frame = as_named(read_table(path, as_text=True, missing=MISSING_WORDS), [*columns, *also])
        absent = [column for column in columns if column not in frame]
        if absent:
            raise InputError(
                f"{path}: has no column {absent[0]}, which the table of {self.title} needs; it has "
                f"{', '.join(map(str, frame.columns[:20]))}. Is it from another release?"
            )
        frame = frame.apply(lambda column: column.astype("string").str.strip())
        frame = frame.mask(frame.isin(list(MISSING_WORDS)))
        frame = frame.dropna(how="all").reset_index(drop=True)
        if frame.empty:
            raise InputError(f"{path}: has nothing below its header; download it again.")
        return frame

    def beside(
        self,
        table: pd.DataFrame,
        name: str,
        *,
        key: str,
        columns: Sequence[str] = (),
        also: Sequence[str] = (),
    ) -> pd.DataFrame:
        """Return a table with columns of another that may be there; its own of one name stay.

        Args:
            table: The table.
            name: File of the other.
            key: Column of names in both.
            columns: Required columns of the other.
            also: Optional ones.
        """
        path = self.find(name)
        if path is None:
            return table
        other = self.read(path, [key, *columns], also)
        wanted = [column for column in (key, *columns, *also) if column in other]
        other = one_row_each(other[wanted], key, str(path))
        return table.merge(other, on=key, how="left", suffixes=("", "_again"))

    def values(self, path: Path, key: str, value: str) -> pd.Series:
        """Return a column of a table by the names in another, one value each."""
        table = self.read(path, [key, value])[[key, value]]
        return one_row_each(table, key, str(path)).set_index(key)[value]

    def images_by_path(self) -> list[list[Path]]:
        """Return every image file, grouped by file name."""
        return [paths for name, paths in self._files.items() if name.endswith(_IMAGE_ENDINGS)]

    def images(self, *, skip: str = "\0") -> dict[str, Path]:
        """Return the image files by their name without ending.

        Of two equal files with the same name the first by path is taken (some mirrors ship every
        image twice); of different ones, neither can be chosen.

        Args:
            skip: Files whose names contain this are left out (masks, superpixels).

        Raises:
            InputError: Two different files have one name.
        """
        images: dict[str, Path] = {}
        for name, paths in self._files.items():
            if not name.endswith(_IMAGE_ENDINGS) or skip in name:
                continue
            for path in paths:
                earlier = images.setdefault(path.stem, path)
                if earlier != path and not _is_equal(earlier, path):
                    raise InputError(
                        f"{path}: a different image of this name is {earlier}; keep one of the two."
                    )
        return images


def one_row_each(table: pd.DataFrame, key: str, where: str) -> pd.DataFrame:
    """Return the rows that have a name, without repeated ones.

    Args:
        table: A table.
        key: Its column of names.
        where: What to call it in messages.

    Raises:
        InputError: Rows of one name differ.
    """
    table = table.dropna(subset=[key]).drop_duplicates()
    twice = table[key].duplicated()
    if twice.any():
        raise InputError(
            f"{where}: {table.loc[twice, key].iloc[0]} is in several rows that differ; keep the "
            "right one."
        )
    return table


def _is_equal(first: Path, second: Path) -> bool:
    try:
        return filecmp.cmp(first, second, shallow=False)
    except OSError:  # a broken link
        return False


def reading(
    rows: pd.DataFrame,
    images: Mapping[str, Path],
    folder: Folder,
    *,
    files: pd.Series,
    notes: Sequence[str] = (),
    **constants: Any,
) -> Reading:
    """Return the rows whose image is there, in the manifest's terms, and the list of the others.

    A row that repeats another in every column is left out, with a note. Age, sex and skin type may
    be text as the source writes it; what is not understood is null, counted in a note. A name
    that is no image's is looked for without regard to capitals, ending and the form of Unicode.

    Args:
        rows: Columns of the manifest (and further ones); ``image_id`` among them.
        images: Image files by name, as `Folder.images` returns them.
        folder: The folder, for messages.
        files: For each row the name of its image, a key of ``images``.
        notes: Notes of the adapter.
        **constants: Columns with one value throughout.

    Raises:
        InputError: No image is there.
    """
    import pandas as pd

    rows, lost = _in_terms(rows.assign(**constants))
    again = rows.assign(file=files).duplicated()
    rows, files = rows[~again].reset_index(drop=True), files[~again].reset_index(drop=True)
    if again.any():
        notes = [*notes, f"{counted(int(again.sum()), 'repeated row')} left out"]
    labels = rows.pop("label") if "label" in rows else None
    names = [name if isinstance(name, str) else None for name in _find_names(files, images)]
    found = [None if name is None else images[name] for name in names]
    faults = ["" if path is None else _fault(path) for path in found]
    there = pd.Series([path is not None for path in found]) & ~pd.Series(faults).astype(bool)
    same = (rows["image_id"] == files).fillna(False)  # the name of the file is the id
    rows["image_id"] = rows["image_id"].mask(same, pd.Series(names, dtype="string").fillna(files))
    rows.insert(1, "path", pd.Series([str(path) for path in found], dtype="string").where(there))
    expected = pd.Series(
        [
            (str(file) if pd.notna(file) else f"(row {row + 1} names no image)")
            + (f" ({fault})" if fault else "")
            for row, (file, fault) in enumerate(zip(files, faults, strict=True))
        ],
        dtype="string",
    )
    if not there.any():
        example = expected.iloc[0] if len(files) else "?"
        raise folder.refusal(f"{counted(len(files), 'image')} such as {example}")
    missing = rows.loc[~there, ["image_id"]].assign(expected=expected[~there])
    unusable = pd.DataFrame({"image_id": pd.NA, "expected": folder.unusable}, dtype="string")
    missing = pd.concat([missing, unusable], ignore_index=True) if len(unusable) else missing
    unnamed = len(set(images) - set(names))
    notes = [*notes, *lost]
    if labels is not None:
        if "diagnosis" in rows:
            notes += _without_target(rows["diagnosis"][there & labels.isna()])
        notes += _premalignant_note(rows["target"][there & (labels == "premalignant")])
    return Reading(rows[there].reset_index(drop=True), missing, unnamed, tuple(notes))


def _in_terms(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return rows in the manifest's terms, and a sentence on cells that were not understood."""
    notes: list[str] = []
    for column, read in (("age", age), ("sex", sex), ("fitzpatrick_type", skin_type)):
        if column not in rows:
            continue
        done = read(rows[column])
        lost = known(rows[column]).notna() & done.isna()
        if lost.any():
            example, image = rows.loc[lost, [column, "image_id"]].iloc[0]
            notes.append(
                f"{counted(int(lost.sum()), 'cell')} of {column} not understood and left empty, "
                f"such as {str(example)!r} of image {image}"
            )
        rows = rows.assign(**{column: done})
    for column in ("patient_id", "lesion_id"):
        if column in rows:
            rows = rows.assign(**{column: known_ids(rows[column])})
    if {"rater", "fitzpatrick_type"} <= set(rows):
        rows = rows.assign(rater=rows["rater"].where(rows["fitzpatrick_type"].notna()))
    return rows, notes


def _find_names(files: pd.Series, images: Mapping[str, Path]) -> pd.Series:
    """Return for each file the name of its image, a key of ``images``; null where there is none."""
    names = files.where(files.isin(list(images)))
    for key in (_plainly, _without_ending):
        if names.notna().all():
            break
        found: dict[str, list[str]] = {}
        for name in images:
            found.setdefault(key(name), []).append(name)
        only = {plain: there[0] for plain, there in found.items() if len(there) == 1}
        plain = files.map(key, na_action="ignore")
        names = names.fillna(plain.map(only).astype("string"))
    return names.astype("string")


def _plainly(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _without_ending(name: str) -> str:
    plain = _plainly(name)
    start, dot, ending = plain.rpartition(".")
    return start if f"{dot}{ending}" in _IMAGE_ENDINGS else plain


def _fault(path: Path) -> str:
    """Return why a file can hold no image; "" where it may."""
    try:
        return "" if path.stat().st_size else "an empty file"
    except OSError as error:
        return str(error.strerror)


def _without_target(diagnoses: pd.Series) -> list[str]:
    """Return a sentence on diagnoses that no label is known for; nothing where there are none."""
    given = known(diagnoses).dropna()
    if given.empty:
        return []
    return [
        f"{counted(len(given), 'image')} without a target: what the diagnosis counts as is not "
        f"known, such as {given.iloc[0]!r}"
    ]


def _premalignant_note(values: pd.Series) -> list[str]:
    """Return a sentence on what premalignant images count as; nothing where there are none."""
    if not len(values):
        return []
    words = {0: "benign", 1: "malignant"}
    meaning = words.get(values.iloc[0], "unknown")
    images, verb = counted(len(values), "image"), "counts" if len(values) == 1 else "count"
    return [
        f"{images} of actinic keratosis, or of a class that mixes it with carcinoma in situ, "
        f"{verb} as {meaning} (--premalignant benign, malignant or unknown)."
    ]


def targets(
    diagnosis: pd.Series,
    labels: Mapping[str, Label],
    *,
    target: Target,
    premalignant: Premalignant = "benign",
    title: str,
) -> pd.DataFrame:
    """Return ``target``, ``target_name`` and ``label`` for diagnoses, by a release's label map.

    `reading` removes ``label``, after counting the premalignant images by it.

    Args:
        diagnosis: As given, in small letters or capitals; null, or a word that says so, where not
            known.
        labels: What each diagnosis counts as. Against ``melanoma`` every other label but
            ``unknown`` is 0; against ``malignant``, melanoma and malignant are 1.
        target: What 1 means.
        premalignant: What actinic keratosis counts as against ``malignant``, and classes that
            mix it with carcinoma in situ.
        title: What the release is called in messages.

    Raises:
        InputError: A diagnosis that the label map lacks.
    """
    import pandas as pd

    spelling = {name.lower(): name for name in labels}
    diagnosis = diagnosis.map(
        lambda name: spelling.get(str(name).lower(), name), na_action="ignore"
    ).astype("string")
    unsaid = diagnosis.str.casefold().isin(UNKNOWN_WORDS) & ~diagnosis.isin(list(labels))
    diagnosis = diagnosis.mask(unsaid.fillna(False))
    unknown = diagnosis[diagnosis.notna() & ~diagnosis.isin(list(labels))]
    if len(unknown):
        raise InputError(
            f"{title}: row {unknown.index[0] + 1} has the diagnosis {unknown.iloc[0]!r}, which "
            f"it does not use ({', '.join(labels)}); is the table from another release?"
        )
    outcome: dict[str, int | None] = {"melanoma": 1, "benign": 0, "unknown": None}
    if target == "melanoma":
        outcome |= {"malignant": 0, "premalignant": 0}
    else:
        outcome |= {"malignant": 1}
        outcome["premalignant"] = outcome[premalignant]
    named = diagnosis.map(labels)
    values = named.map(outcome).astype("Int64")
    names = pd.Series(target, index=diagnosis.index, dtype="string").where(values.notna())
    return pd.DataFrame({"target": values, "target_name": names, "label": named})
