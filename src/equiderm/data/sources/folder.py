"""Any folder: images sorted into one folder per class, or a table with a column map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from equiderm.columns import read_types, sex
from equiderm.data.manifest import COLUMNS
from equiderm.data.sources.release import Folder, Label, Reading, Release, Target, reading, targets
from equiderm.errors import InputError

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
    others 0; without ``positive`` a target column must hold 0 and 1, and classes give no target.
    Skin type: only from a table, with ``rater`` to say who judged it; III and Type 3 are read.
    Column map: ``column`` is a list of ``ours=theirs``, such as ``path=image``; a column with our
    name needs no entry. Without an ``image_id`` the file name is taken.
    How to get it: it is yours.
    Known faults: two images of one person in train and test cannot be detected without ids.
    """
    folder = Folder(directory, "a set of images")
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
        rows = rows.join(_target(words, positive or ["1", "1.0"], target, str(table)))
    images = {str(path): path for paths in folder.images_by_path() for path in paths}
    return reading(rows, images, folder, files=files, source="folder")


def _classes(folder: Folder, positive: Sequence[str], target: Target) -> Reading:
    import pandas as pd

    root = folder.directory
    files = [p for paths in folder.images_by_path() for p in paths if p.parent != root]
    if not files:
        raise folder.refusal("images in one folder per class, such as nevus/image.jpg")
    names = pd.Series([str(p.relative_to(root).with_suffix("")) for p in files], dtype="string")
    words = pd.Series([p.relative_to(root).parts[0] for p in files], dtype="string")
    rows = pd.DataFrame({"image_id": names, "source": "folder", "diagnosis": words})
    if positive:
        rows = rows.join(_target(words, positive, target, str(root)))
    images = dict(zip(names, files, strict=True))
    return reading(rows, images, folder, files=names)


def _mapped(folder: Folder, table: Path, column: Sequence[str]) -> tuple[pd.DataFrame, pd.Series]:
    import pandas as pd

    pairs = {pair.partition("=")[0]: pair.partition("=")[2] for pair in column}
    wrong = [ours for ours, theirs in pairs.items() if ours not in _FROM_TABLE or not theirs]
    if wrong:
        known = ", ".join(_FROM_TABLE)
        raise InputError(f"column {wrong[0]}: write ours=theirs, with ours one of {known}.")
    frame = folder.read(Path(table), list(pairs.values()))
    pairs = {name: name for name in _FROM_TABLE if name in frame} | pairs
    if "path" not in pairs:
        raise InputError(
            f'{table}: say which column names the image: `column="path=THEIR_COLUMN"`.'
        )
    rows = pd.DataFrame({ours: frame[theirs] for ours, theirs in pairs.items()})
    if "sex" in rows:
        rows["sex"] = sex(rows["sex"])
    for name, darkest in (("fitzpatrick_type", 6), ("monk_tone", 10)):
        if name in rows:  # III, "Type 3" and unknown, as people write them
            rows[name] = read_types(rows[name], range(1, darkest + 1), str(table))
    files = rows.pop("path").map(lambda name: str(folder.directory / name), na_action="ignore")
    if "image_id" not in rows:
        rows.insert(0, "image_id", files.map(lambda n: Path(n).stem, na_action="ignore"))
    return rows, files


def _target(words: pd.Series, positive: Sequence[str], target: Target, where: str) -> pd.DataFrame:
    values = [str(word) for word in words.dropna().unique()]
    absent = [word for word in positive if word not in values]
    if len(absent) == len(positive):
        raise InputError(
            f"{where}: no class is {' or '.join(positive)}; the classes are {', '.join(values)}."
        )
    label: Label = "melanoma" if target == "melanoma" else "malignant"
    labels: dict[str, Label] = {w: label if w in positive else "benign" for w in values}
    return targets(words, labels, target=target, title=where)


FOLDER = Release(
    name="folder",
    title="your own images",
    images=None,
    patients=None,
    bytes=None,
    licence="yours",
    purpose="one folder per class, or a table",
    page="",
    citation="",
    read=read_folder,
    by_hand="Put your images into DIR, one folder per class, or beside a table.",
)
