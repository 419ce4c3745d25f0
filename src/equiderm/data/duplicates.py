"""Find the same photograph twice: by name, by bytes, by what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array

from equiderm.data.fingerprints import (
    SAME,
    Fingerprints,
    Progress,
    likeness,
    near_pairs,
    placed_likeness,
    take_fingerprints,
)
from equiderm.data.placement import (
    COPY,
    PLACED,
    UPRIGHT,
    Likely,
    Placement,
    Upright,
    likely_alignments,
    pairs_of_like_colours,
    place,
    place_upright,
)
from equiderm.engine import Failure, run
from equiderm.format import counted, number
from equiderm.identity import name_ids
from equiderm.remote import url_of
from equiderm.tables import is_table

_SIDES = ("image_id", "source", "split", "target", "path")
PAIR_COLUMNS = (
    *("row_a", "row_b", "same_id", "same_bytes", "same_picture", "likeness", "targets_differ"),
    *(f"{column}_{side}" for side in "ab" for column in _SIDES),
)


def find_duplicates(
    frame: pd.DataFrame,
    *,
    workers: int | None = None,
    engine: str = "local",
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the pairs of rows that show one photograph, and the images that cannot be read.

    Three tests, each reported on its own. Same id: equal ``image_id``, the archive's
    ``_downsampled`` mark aside. Same bytes: equal SHA-256. Same picture: the two images, aligned,
    have the same fine detail. Candidates are files with close perceptual hashes
    (`perceptual_hash`, at most 7 of 64 bits apart: resized, recompressed, stretched, recoloured
    copies) or similar colours (`placement`: cropped, turned, mirrored, marked, framed copies).
    Two photographs of one lesion are not one picture. For a picture that occurs m times, m - 1
    pairs or a few more are returned, which link all copies.

    Args:
        frame: A manifest, or several one after another: ``image_id`` and ``path``, absolute.
        workers: Processes; None takes one per core.
        engine: ``ray`` reads and compares the files on a Ray cluster, whose machines see them
            under the same paths; see `equiderm.engine.run`.
        progress: Called with images read and in total.

    Returns:
        Pairs with the columns `PAIR_COLUMNS` (``row_a < row_b`` are positions in the frame;
        ``likeness`` is the correlation of detail, NaN where it was not compared), and errors:
        ``image_id, path, error``.
    """
    paths = [str(path) for path in frame["path"]]
    prints = take_fingerprints(paths, workers=workers, engine=engine, progress=progress)
    by_id = _groups(_plain_ids(frame["image_id"]))
    by_bytes = _groups(pd.Series([digest or None for digest in prints.sha256]))
    readable = np.array([row not in prints.errors for row in range(len(frame))], bool)
    same_ids = by_id[readable[by_id].all(axis=1)]
    comparisons = _Comparisons(paths, prints, workers, by_bytes, engine)
    comparisons.compare(same_ids, _likeness, SAME)
    near = comparisons.unlinked(near_pairs(prints))
    comparisons.compare_links(near, _likeness, SAME, first=(_upright, UPRIGHT))
    coloured = pairs_of_like_colours(prints.colours, np.flatnonzero(readable))
    coloured = comparisons.unlinked(np.concatenate([coloured, same_ids]))
    each = enumerate(likely_alignments(prints.grids, coloured))
    likely = {index: how for index, how in each if how.ways or how.angles}
    coloured, placed = comparisons.promising(
        coloured[list(likely)], _place, PLACED, list(likely.values())
    )
    comparisons.compare_links(coloured, _placed_likeness, COPY, placed=placed)
    pairs = pd.DataFrame(
        np.unique(np.concatenate([by_id, by_bytes, comparisons.same]), axis=0),
        columns=["row_a", "row_b"],
    )
    index = pd.MultiIndex.from_arrays(list(pairs.to_numpy().T))
    pairs["same_id"] = index.isin(list(map(tuple, by_id)))
    pairs["same_bytes"] = index.isin(list(map(tuple, by_bytes)))
    pairs["likeness"] = [comparisons.likeness.get(pair, np.nan) for pair in index]
    pairs.loc[pairs["same_bytes"], "likeness"] = 1.0
    pairs["same_picture"] = pairs["same_bytes"] | index.isin(list(map(tuple, comparisons.same)))
    for side in "ab":
        for column in _SIDES:
            values = frame[column] if column in frame else pd.Series(pd.NA, index=frame.index)
            pairs[f"{column}_{side}"] = values.iloc[pairs[f"row_{side}"]].to_numpy()
    known = pairs["target_a"].notna() & pairs["target_b"].notna()
    differ = (pairs["target_a"] != pairs["target_b"]).fillna(False).astype(bool)
    if "target_name" in frame:  # 1 may mean melanoma in one source and malignant in another
        names = frame["target_name"].astype("string").fillna("").to_numpy()
        differ &= names[pairs["row_a"]] == names[pairs["row_b"]]
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

    if is_table(path):
        return read_manifest(path)
    if url := url_of(path):
        files = find_images([url])
        ids = name_ids(pd.Series(files, dtype="string"))
        return conform(pd.DataFrame({"image_id": ids, "path": files, "source": url}), name=url)
    if not path.is_dir():
        return read_manifest(path)
    # a name that no table can hold is escaped; the file is then reported as missing
    files = [Path(printable(name)).absolute() for name in find_images([path])]
    root = path.absolute()
    names = [file.relative_to(root) if root in file.parents else file for file in files]
    ids = name_ids(pd.Series([name.as_posix() for name in names], dtype="string"))
    frame = pd.DataFrame({"image_id": ids, "path": list(map(str, files)), "source": str(path)})
    return conform(frame, name=str(path))


def rows_to_drop_of_first(
    first: pd.DataFrame, others: pd.DataFrame, pairs: pd.DataFrame
) -> list[int]:
    """Return the training rows of a manifest that occur elsewhere, in it or in other manifests.

    Args:
        first: The manifest; its rows without a split count as training.
        others: The rows that followed it in the table given to `find_duplicates`.
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
        "same_id_other_picture": int(_namesakes(pairs).sum()),
        "across_sources": int((pairs["source_a"] != pairs["source_b"]).fillna(False).sum()),
        "targets_differ": int(pairs["targets_differ"].sum()),
    }


def rows_to_drop(frame: pd.DataFrame, pairs: pd.DataFrame, *, train: str = "train") -> list[int]:
    """Return the training rows to drop, so that none is a second copy or occurs in another split.

    Among rows that show one photograph (directly or through a third): if any is in another split
    than training, every training row is dropped; otherwise the first row stays. Rows without a
    split count as training. Rows of other splits are never dropped. One name of two pictures that
    were compared and differ (IMG_0001 of two cameras) is no photograph that occurs twice.

    Args:
        frame: The manifest that the pairs were found in, with its ``split`` if it has one.
        pairs: As `find_duplicates` gives them.
        train: The name of the training split.
    """
    from equiderm.data.split import units

    if "same_id" in pairs:
        pairs = pairs[~_namesakes(pairs)]
    split = pd.Series(frame.get("split", train), index=frame.index).fillna(train).to_numpy()
    group = units(frame[[]], same=pairs)
    drop: list[int] = []
    involved = np.unique(pairs[["row_a", "row_b"]].to_numpy(np.intp))
    for rows in pd.Series(involved).groupby(group[involved]).agg(list):
        training = [int(row) for row in rows if split[row] == train]
        drop += training[1:] if len(training) == len(rows) else training
    return sorted(drop)


def _namesakes(pairs: pd.DataFrame) -> pd.Series:
    """Return which pairs share nothing but an id: the pictures were compared and differ."""
    return pairs["same_id"] & ~pairs["same_picture"] & pairs["likeness"].notna()


def _plain_ids(ids: pd.Series) -> pd.Series:
    return ids.astype("string").str.removesuffix("_downsampled").reset_index(drop=True)


def _groups(keys: pd.Series) -> NDArray[np.intp]:
    """Return the pairs of rows of equal key: the first of each key with each of the others."""
    twice = np.flatnonzero((keys.duplicated(keep=False) & keys.notna()).to_numpy())
    groups = pd.Series(twice).groupby(keys.iloc[twice].to_numpy()).agg(list)
    pairs = [(rows[0], row) for rows in groups for row in rows[1:]]
    return np.array(pairs, np.intp).reshape(-1, 2)


class _Comparisons:
    """Comparisons of pairs of files, and the pairs that they show to be one picture.

    Attributes:
        likeness: The highest correlation of detail of each pair that was compared.
        same: The pairs (m, 2) that are one picture.
    """

    def __init__(
        self,
        paths: list[str],
        prints: Fingerprints,
        workers: int | None,
        same_bytes: NDArray[np.intp],
        engine: str,
    ) -> None:
        self._paths, self._prints, self._workers = paths, prints, workers
        self._engine = engine
        self._sha = np.array(prints.sha256, dtype=object)
        self.likeness: dict[tuple[int, int], float] = {}
        self.same = np.empty((0, 2), np.intp)
        self._linked = same_bytes

    def unlinked(self, pairs: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return, each once, the pairs that are not yet known to be one picture."""
        pairs = np.unique(pairs, axis=0)
        return pairs[self._apart(pairs)]

    def _apart(self, pairs: NDArray[np.intp]) -> NDArray[np.bool_]:
        picture = self._pictures()
        return picture[pairs[:, 0]] != picture[pairs[:, 1]]

    def promising(
        self,
        pairs: NDArray[np.intp],
        match: Callable[..., Any],
        least: float,
        hints: Sequence[object] | None = None,
    ) -> tuple[NDArray[np.intp], list[Any]]:
        """Return the pairs that match well enough at a coarse scale to be compared finely, and how.

        Args:
            pairs: Rows of images.
            match: Called with the frames of a pair, and its hint; returns an alignment that has a
                ``score``.
            least: The least score of a pair that is returned.
            hints: One for each pair.
        """
        frames = self._prints.frames
        items: list[Any] = [
            (frames[a], frames[b], hint)
            for (a, b), hint in zip(pairs, hints or repeat(None), strict=False)
        ]
        kept: dict[int, Any] = {}
        with closing(run(match, items, shared=None, workers=self._few(items))) as results:
            for index, placed in results:
                if not isinstance(placed, Failure) and placed.score >= least:
                    kept[index] = placed
        order = sorted(kept)
        return pairs[order], [kept[index] for index in order]

    def compare_links(
        self,
        pairs: NDArray[np.intp],
        correlate: Callable[..., float],
        least: float,
        *,
        placed: Sequence[Any] | None = None,
        first: tuple[Callable[..., Any], float] | None = None,
    ) -> None:
        """Compare as many pairs as can link all, then those that are still not linked.

        Args:
            pairs: Rows of images.
            correlate: Returns the correlation of two files.
            least: A correlation of so much is one picture.
            placed: How each pair is aligned on a coarse scale.
            first: What `promising` takes; only pairs that are, are compared.
        """
        chosen = self._forest(pairs)
        for part in (np.flatnonzero(chosen), np.flatnonzero(~chosen)):
            part = part[self._apart(pairs[part])]
            these, how = pairs[part], placed and [placed[index] for index in part]
            if first is not None:
                these, how = self.promising(these, *first)
            self.compare(these, correlate, least, how)

    def compare(
        self,
        pairs: NDArray[np.intp],
        correlate: Callable[..., float],
        least: float,
        placed: Sequence[Any] | None = None,
    ) -> None:
        """Compare each pair; a correlation of ``least`` or more is one picture."""
        like = np.ones(len(pairs))
        differ = np.flatnonzero(self._sha[pairs[:, 0]] != self._sha[pairs[:, 1]])
        both = [
            (*(self._paths[row] for row in pairs[index]), placed[index] if placed else None)
            for index in differ.tolist()
        ]
        few, where = self._few(both), self._engine if len(both) > 256 else "local"
        with closing(run(correlate, both, shared=None, workers=few, engine=where)) as results:
            for index, value in results:
                a, b = pairs[differ[index]]
                if isinstance(value, Failure):
                    reason = f"cannot be compared with {self._paths[b]} ({value.reason})"
                    self._prints.errors.setdefault(int(a), reason)
                like[differ[index]] = np.nan if isinstance(value, Failure) else value
        for pair, value in zip(map(tuple, pairs), like, strict=True):
            self.likeness[pair] = float(np.fmax(value, self.likeness.get(pair, np.nan)))
        same = pairs[like >= least]
        self.same, self._linked = (
            np.concatenate([known, same]) for known in (self.same, self._linked)
        )

    def _few(self, items: Sequence[object]) -> int | None:
        return self._workers if len(items) > 256 else 1

    def _pictures(self) -> NDArray[np.intp]:
        from scipy.sparse.csgraph import connected_components

        n, (one, other) = len(self._paths), self._linked.T
        graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(n, n))
        return connected_components(graph, directed=False)[1]

    def _forest(self, pairs: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return which pairs, the first ones preferred, are enough to link all that they link."""
        from scipy.sparse.csgraph import minimum_spanning_tree

        picture = self._pictures()
        ends = np.sort(picture[pairs], axis=1)
        _, first = np.unique(ends, axis=0, return_index=True)  # one pair of two pictures is enough
        n, (one, other) = len(picture), ends[first].T
        tree = minimum_spanning_tree(coo_array((first + 1.0, (one, other)), shape=(n, n)).tocsr())
        chosen = np.zeros(len(pairs), bool)
        chosen[tree.data.astype(int) - 1] = True
        return chosen


def _likeness(pair: tuple[str, str, Upright | None], _: None) -> float:
    return likeness(*pair)


def _placed_likeness(pair: tuple[str, str, Placement | None], _: None) -> float:
    return placed_likeness(*pair)


def _upright(pair: tuple[NDArray[np.uint8], NDArray[np.uint8], None], _: None) -> Upright:
    return place_upright(*pair[:2])


def _place(pair: tuple[NDArray[np.uint8], NDArray[np.uint8], Likely], _: None) -> Placement:
    return place(*pair)


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
