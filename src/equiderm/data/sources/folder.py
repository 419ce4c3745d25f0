"""Any folder: images sorted into one folder per class, or a table with a column map."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.columns import UNKNOWN_WORDS, known, read_types, truths
from equiderm.data.manifest import COLUMNS
from equiderm.data.sources.release import Folder, Label, Reading, Release, Target, reading, targets
from equiderm.errors import InputError
from equiderm.identity import name_ids, place_ids

if TYPE_CHECKING:
    import pandas as pd

_FROM_TABLE = [column for column in COLUMNS if column not in ("source", "target_name", "sha256")]


def read_folder(
    directory: Path,
    *,
    table: Path | None = None,
    column: Sequence[str] = (),
    positive: Sequence[str] = (),
    target: Target = "malignant",
) -> Reading:
    """Read your own images: one folder per class (``class/image.jpg``), or a table of them.

    Images: every image file below DIR; or those that the table names, relative to DIR.
    Patients: only with a table that has a column for them.
    Label: the classes (or values of the mapped target column) named with ``positive`` are 1, all
    others 0, but a word such as unknown gives no target; without ``positive`` a target column must
    hold 0 and 1, and classes give no target.
    Skin type: only from a table, with ``rater`` to say who judged it; III and Type 3 are read.
    Column map: ``column`` is a list of ``ours=theirs``, such as ``path=image``; a column with our
    name needs no entry. Without an ``image_id`` the file name is taken, with its folder where
    several files have one name. A bare file name is looked for in every sub-folder.
    How to get it: it is yours.
    Known faults: two images of one person in train and test cannot be detected without ids.
    """
    folder = Folder(directory, "your own images")
    if table is None:
        if column:
            raise InputError(
                '`column` names columns of a table: give it, too, as in `table="list.csv"`.'
            )
        return _classes(folder, positive, target)
    rows, files = _mapped(folder, table, column)
    if positive and "target" not in rows:
        raise InputError(
            f'{table}: `positive` needs a target column: `column="target=THEIR_COLUMN"`.'
        )
    if "target" in rows:
        words = rows.pop("target")
        rows = rows.join(_target(words, positive, target, str(table)))
    root = folder.directory
    images = {
        path.relative_to(root).as_posix(): path
        for paths in folder.images_by_path()
        for path in paths
    }
    return reading(rows, images, folder, files=_below(files, root, images), source="folder")


def _below(files: pd.Series, root: Path, images: Mapping[str, Path]) -> pd.Series:
    """Return files relative to the folder; a bare name where the only such file is."""
    bare: dict[str, list[str]] = {}
    for name in images:
        bare.setdefault(name.rpartition("/")[2], []).append(name)

    def place(name: str) -> str:
        plain = os.path.relpath(root / name.replace("\\", "/"), root).replace(os.sep, "/")
        there = bare.get(plain, [])
        return there[0] if plain not in images and len(there) == 1 else plain

    return files.map(place, na_action="ignore").astype("string")


def _classes(folder: Folder, positive: Sequence[str], target: Target) -> Reading:
    import pandas as pd

    root = folder.directory
    everywhere = [p for paths in folder.images_by_path() for p in paths]
    files = [p for p in everywhere if p.parent != root]
    if not files:
        raise folder.refusal("images in one folder per class, such as nevus/image.jpg")
    names = place_ids(pd.Series([p.relative_to(root).as_posix() for p in files], dtype="string"))
    words = pd.Series([p.relative_to(root).parts[0] for p in files], dtype="string")
    rows = pd.DataFrame({"image_id": names, "source": "folder", "diagnosis": words})
    if positive:
        rows = rows.join(_target(words, positive, target, str(root)))
    images = dict(zip(names, files, strict=True))
    outside = {str(p): p for p in everywhere if p.parent == root}  # of no class
    return reading(rows, images | outside, folder, files=names)


def _mapped(folder: Folder, table: Path, column: Sequence[str]) -> tuple[pd.DataFrame, pd.Series]:
    import pandas as pd

    pairs: dict[str, str] = {}
    for pair in column:
        ours, _, theirs = (part.strip() for part in pair.partition("="))
        if ours not in _FROM_TABLE or not theirs:
            known = ", ".join(_FROM_TABLE)
            raise InputError(f"column {ours}: write ours=theirs, with ours one of {known}.")
        if ours in pairs:
            raise InputError(f"column {ours}: is given twice; give each once.")
        pairs[ours] = theirs
    frame = folder.read(Path(table), list(pairs.values()))
    pairs = {name: name for name in _FROM_TABLE if name in frame} | pairs
    if "path" not in pairs:
        raise InputError(
            f'{table}: say which column names the image: `column="path=THEIR_COLUMN"`.'
        )
    rows = pd.DataFrame({ours: frame[theirs] for ours, theirs in pairs.items()})
    for name, darkest in (("fitzpatrick_type", 6), ("monk_tone", 10)):
        if name in rows:  # III, "Type 3" and unknown, as people write them
            rows[name] = read_types(rows[name], range(1, darkest + 1), str(table))
    files = rows.pop("path")
    if "image_id" not in rows:
        different = files.drop_duplicates()
        names = name_ids(different.str.replace("\\", "/", regex=False))
        rows.insert(0, "image_id", files.map(dict(zip(different, names, strict=True))))
    return rows, files


def _target(words: pd.Series, positive: Sequence[str], target: Target, where: str) -> pd.DataFrame:
    label: Label = "melanoma" if target == "melanoma" else "malignant"
    if not positive:  # the column holds 0 and 1
        numbers = truths(words).str.replace(r"^([01])[.,]0+$", r"\1", regex=True)
        labels: dict[str, Label] = {"0": "benign", "1": label}
        wrong = known(numbers).notna() & ~numbers.isin(list(labels))
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(
                f"{where}: row {row + 1} has the target {words[row]!r}, neither 0 nor 1; name the "
                "values that are 1 as positive."
            )
        return targets(numbers, labels, target=target, title=where)
    words = words.str.normalize("NFC")
    values = [str(word) for word in words.dropna().unique()]
    wanted = [unicodedata.normalize("NFC", word.strip()) for word in positive]
    absent = [word for word in wanted if word not in values]
    if absent:
        raise InputError(
            f"{where}: no class is {' or '.join(absent)}; the classes are {', '.join(values)}."
        )
    labels = {w: label if w in wanted else "benign" for w in values}
    unsaid = (w for w in values if w.casefold() in UNKNOWN_WORDS and w not in wanted)
    labels |= dict.fromkeys(unsaid, "unknown")
    return targets(words, labels, target=target, title=where)


FOLDER = Release(
    name="folder",
    title="your own images",
    licence="yours",
    purpose="one folder per class, or a table",
    page="",
    citation="",
    read=read_folder,
    by_hand="Put your images into DIR, one folder per class, or beside a table.",
)
