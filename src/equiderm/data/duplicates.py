"""The same photograph twice: by name, by bytes, by what it shows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.data.fingerprints import (
    SAME,
    Fingerprints,
    Progress,
    likeness,
    near_pairs,
    take_fingerprints,
)
from equiderm.engine import Failure, run
from equiderm.format import counted, number

_SIDES = ("image_id", "source", "split", "target", "path")
PAIR_COLUMNS = (
    *("row_a", "row_b", "same_id", "same_bytes", "same_picture", "likeness", "targets_differ"),
    *(f"{column}_{side}" for side in "ab" for column in _SIDES),
)


def find_duplicates(
    frame: pd.DataFrame, *, workers: int | None = None, progress: Progress | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the pairs of rows that are one photograph, and the images that cannot be read.

    Three tests, each reported on its own. Same id: equal ``image_id``, the archive's
    ``_downsampled`` mark aside. Same bytes: equal SHA-256. Same picture: perceptual hashes
    (`perceptual_hash`) at most 7 of 64 bits apart, then fine detail that correlates; resized,
    recompressed, stretched and centre-cropped copies are found, turned or mirrored ones are not,
    nor are two photographs of one lesion.

    Args:
        frame: A manifest, or several one after another: ``image_id`` and ``path``, absolute.
        workers: Processes; None takes one a core.
        progress: Called with images read and in all.

    Returns:
        Pairs with the columns `PAIR_COLUMNS` (``row_a < row_b`` are positions in the frame;
        ``likeness`` is the correlation of detail, NaN where it was not compared), and errors:
        ``image_id, path, error``.
    """
    paths = [str(path) for path in frame["path"]]
    prints = take_fingerprints(paths, workers=workers, progress=progress)
    by_id = _groups(_plain_ids(frame["image_id"]))
    by_bytes = _groups(pd.Series([digest or None for digest in prints.sha256]))
    near = near_pairs(prints)
    readable = np.array([row not in prints.errors for row in range(len(frame))], bool)
    compare = np.unique(np.concatenate([near, by_id[readable[by_id].all(axis=1)]]), axis=0)
    like = _likeness(compare, paths, prints, workers)
    pairs = pd.DataFrame(
        np.unique(np.concatenate([by_id, by_bytes, compare[like >= SAME]]), axis=0),
        columns=["row_a", "row_b"],
    )
    known = pd.MultiIndex.from_arrays(list(pairs.to_numpy().T))
    pairs["same_id"] = known.isin(list(map(tuple, by_id)))
    pairs["same_bytes"] = known.isin(list(map(tuple, by_bytes)))
    looked = dict(zip(map(tuple, compare), like, strict=True))
    pairs["likeness"] = [looked.get(pair, np.nan) for pair in known]
    pairs.loc[pairs["same_bytes"], "likeness"] = 1.0
    pairs["same_picture"] = pairs["same_bytes"] | (pairs["likeness"] >= SAME)
    for side in "ab":
        for column in _SIDES:
            values = frame[column] if column in frame else pd.Series(pd.NA, index=frame.index)
            pairs[f"{column}_{side}"] = values.iloc[pairs[f"row_{side}"]].to_numpy()
    known = pairs["target_a"].notna() & pairs["target_b"].notna()
    differ = (pairs["target_a"] != pairs["target_b"]).fillna(False).astype(bool)
    pairs["targets_differ"] = known & differ
    unread = sorted(prints.errors)
    errors = frame.iloc[unread][["image_id", "path"]].reset_index(drop=True)
    errors["error"] = [prints.errors[row] for row in unread]
    return pairs[list(PAIR_COLUMNS)], errors


def read_images(path: Path) -> pd.DataFrame:
    """Return the rows of a manifest, or one row per image below a folder.

    Raises:
        InputError: Neither a manifest nor a folder that holds images.
    """
    from equiderm.data.manifest import conform, read_manifest
    from equiderm.photo.walk import find_images, printable

    if not path.is_dir():
        return read_manifest(path)
    # a name that no table can hold stands escaped, and is then named as a file that is not there
    files = [Path(printable(name)).absolute() for name in find_images([path])]
    frame = pd.DataFrame({"image_id": [file.stem for file in files], "path": list(map(str, files))})
    return conform(frame.assign(source=str(path)), name=str(path))


def rows_to_drop_of_first(
    first: pd.DataFrame, others: pd.DataFrame, pairs: pd.DataFrame
) -> list[int]:
    """Return the training rows of a manifest that stand elsewhere, in it or in other manifests.

    Args:
        first: The manifest; its rows without a split count as training.
        others: The rows that followed it when the pairs were looked for.
        pairs: As `find_duplicates` gives them, of ``first`` and ``others`` one after another.
    """
    own = pd.concat([first[["split"]].fillna("train"), others[["split"]].assign(split="elsewhere")])
    return rows_to_drop(own.reset_index(drop=True), pairs)


def summarize(images: int, pairs: pd.DataFrame, errors: pd.DataFrame) -> dict[str, int]:
    """Return how many images were compared and unreadable, and how many pairs there are by kind."""
    return {
        "images": images,
        "unreadable": len(errors),
        "pairs": len(pairs),
        **{name: int(pairs[name].sum()) for name in ("same_id", "same_bytes", "same_picture")},
        "same_picture_other_id": int((pairs["same_picture"] & ~pairs["same_id"]).sum()),
        "across_sources": int((pairs["source_a"] != pairs["source_b"]).fillna(False).sum()),
        "targets_differ": int(pairs["targets_differ"].sum()),
    }


def rows_to_drop(frame: pd.DataFrame, pairs: pd.DataFrame, *, train: str = "train") -> list[int]:
    """Return the rows of training that are elsewhere: no photograph trains and tests, none twice.

    Of photographs that are one (directly or through a third): if any is in another split than
    training, every training row goes; otherwise the first row stays. Rows without a split count as
    training. Tests are never touched.

    Args:
        frame: The manifest that the pairs were found in, with its ``split`` if it has one.
        pairs: As `find_duplicates` gives them.
        train: The name of the training split.
    """
    from equiderm.data.split import units

    split = pd.Series(frame.get("split", train), index=frame.index).fillna(train).to_numpy()
    group = units(frame[[]], same=pairs)
    drop: list[int] = []
    involved = np.unique(pairs[["row_a", "row_b"]].to_numpy(np.intp))
    for rows in pd.Series(involved).groupby(group[involved]).agg(list):
        training = [int(row) for row in rows if split[row] == train]
        drop += training[1:] if len(training) == len(rows) else training
    return sorted(drop)


def _plain_ids(ids: pd.Series) -> pd.Series:
    return ids.astype("string").str.removesuffix("_downsampled").reset_index(drop=True)


def _groups(keys: pd.Series) -> NDArray[np.intp]:
    """Return the pairs of rows of equal key: the first of each key with each of the others."""
    twice = np.flatnonzero((keys.duplicated(keep=False) & keys.notna()).to_numpy())
    groups = pd.Series(twice).groupby(keys.iloc[twice].to_numpy()).agg(list)
    pairs = [(rows[0], row) for rows in groups for row in rows[1:]]
    return np.array(pairs, np.intp).reshape(-1, 2)


def _likeness(
    pairs: NDArray[np.intp], paths: list[str], prints: Fingerprints, workers: int | None
) -> NDArray[np.float64]:
    """Return the likeness of each pair; 1 without a look where the bytes are the same."""
    like = np.ones(len(pairs))
    sha = np.array(prints.sha256, dtype=object)
    differ = np.flatnonzero(sha[pairs[:, 0]] != sha[pairs[:, 1]])
    both = [(paths[a], paths[b]) for a, b in pairs[differ]]
    results = run(_compare, both, shared=None, workers=workers if len(differ) > 256 else 1)
    with closing(results):
        for place, one in results:
            a, b = pairs[differ[place]]
            if isinstance(one, Failure):
                prints.errors.setdefault(
                    int(a), f"cannot be compared with {paths[b]} ({one.reason})"
                )
            like[differ[place]] = np.nan if isinstance(one, Failure) else one
    return like


def _compare(pair: tuple[str, str], _: None) -> float:
    return likeness(*pair)


def duplicates_page(pairs: pd.DataFrame, images: int) -> str:
    """Return a page that shows up to 200 pairs side by side, the least alike first.

    Args:
        pairs: As `find_duplicates` gives them.
        images: How many were compared.
    """
    from equiderm.page import Section, render_page, sheet_block

    shown = pairs.sort_values("likeness").head(200)
    kinds = (
        ("One picture under two ids", shown["same_picture"] & ~shown["same_id"]),
        ("One id, one picture", shown["same_picture"] & shown["same_id"]),
        ("One id, two pictures", ~shown["same_picture"] & shown["same_id"]),
    )
    sections = [
        Section(heading, (f"{counted(len(part), 'pair')} shown.",), (sheet_block(_cards(part)),))
        for heading, chosen in kinds
        if len(part := shown[chosen])
    ]
    lead = (
        f"{counted(len(pairs), 'pair')} among {counted(images, 'image')}; up to 200 are shown, the "
        "least alike first."
    )
    return render_page("Duplicate photographs", sections, lead=lead)


def _cards(pairs: pd.DataFrame) -> list[object]:
    import cv2

    from equiderm.page import image_block
    from equiderm.photo.decode import PhotoError, load_square

    cards: list[object] = []
    for _, pair in pairs.iterrows():
        try:
            both = [load_square(pair[f"path_{side}"], 160) for side in "ab"]
        except PhotoError:
            continue  # it is in the list of unreadable images
        coded = cv2.imencode(".jpg", np.hstack(both)[..., ::-1])[1].tobytes()
        names = " and ".join(f"{pair[f'image_id_{s}']} ({pair[f'source_{s}']})" for s in "ab")
        caption = f"{names}: detail correlates {number(pair['likeness'], 2)}"
        if pair["targets_differ"]:
            caption += "; their targets differ"
        cards.append(image_block(coded, alt=f"{names}, side by side", caption=caption, kind="jpeg"))
    return cards
