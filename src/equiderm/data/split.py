"""Splits that keep each person on one side, balanced by diagnosis and tone."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from equiderm.columns import doubtful_patients, names_patients, patients_alike, without_zeros
from equiderm.errors import InputError
from equiderm.format import counted, percent
from equiderm.identity import as_ids, first_few, person_ids, stem

ROUNDING = 0.005  # three times 0.333 is 1
MOST_TONES = 50  # values of a column that parts can be balanced by
# People and lesions as the ISIC Archive and its challenges number them, whatever the source
_ARCHIVE_ID = r"(?:IP|IL|HAM|BCN)_[0-9]{7}$"
FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def units(frame: pd.DataFrame, *, same: pd.DataFrame | None = None) -> NDArray[np.intp]:
    """Return the unit of each row, a number, shape (n,); rows of one unit must stay together.

    Rows belong together if they share a patient or a lesion (of one source, or by an id that
    several sources have from the ISIC Archive), an image id (`_downsampled` aside), a file or its
    bytes, or if one is the owner's duplicate of the other (``duplicate_of``), directly or through
    other rows.

    Args:
        frame: A manifest.
        same: Pairs of rows that show one picture, as `find_duplicates` gives them: columns
            ``row_a`` and ``row_b``, positions in the manifest.
    """
    from scipy.sparse.csgraph import connected_components

    n = len(frame)
    source = frame["source"].astype("string").fillna("") if "source" in frame else ""
    edges: list[NDArray[np.intp]] = []
    for column in ("patient_id", "lesion_id", "image_id", "path", "sha256"):
        if column not in frame:
            continue
        key = as_ids(frame[column])
        if column in ("patient_id", "lesion_id"):
            key = person_ids(frame[column])
            key = key.where(key.str.match(_ARCHIVE_ID).fillna(False), source + "\t" + key)
        elif column == "image_id":
            key = key.str.removesuffix("_downsampled")
        edges.append(_to_the_first(key, np.arange(n)))
    if "duplicate_of" in frame and "image_id" in frame:
        edges.append(_owners_duplicates(frame, source))
    if same is not None and len(same):
        edges.append(same[["row_a", "row_b"]].to_numpy(np.intp).T)
    rows, columns = np.concatenate(edges, axis=1) if edges else np.empty((2, 0), np.intp)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.intp)


def doubts(frame: pd.DataFrame) -> list[str]:
    """Return a sentence on each reason why images of one person may not be kept together."""
    patient, lesion = (
        person_ids(frame[name]) if name in frame else pd.Series(pd.NA, frame.index, dtype="string")
        for name in ("patient_id", "lesion_id")
    )
    sentences = [
        f"'{name}' is one {what} with {count:,} images; if it means not known, empty those cells."
        for what, ids in (("patient", patient), ("lesion", lesion))
        for name, count in doubtful_patients(ids)
    ]
    if twins := patients_alike(patient):
        sentences.append(
            f"{len(twins):,} patients differ in capitals, blanks, dashes or leading zeros only "
            f"({first_few(twins)}) and are not kept together; if they are the same people, write "
            "them alike."
        )
    if alone := int((patient.isna() & lesion.isna()).sum()):
        sentences.append(
            f"{counted(alone, 'image')} of {len(frame):,} without patient_id and lesion_id: each "
            "counts as a patient of its own."
        )
        sentences += [
            f"The column '{name}' was not used; call it patient_id to keep people together."
            for name in map(str, frame.columns)
            if names_patients(name)
        ]
    return sentences


def _owners_duplicates(frame: pd.DataFrame, source: pd.Series | str) -> NDArray[np.intp]:
    """Return edges (2, e) between rows that ``duplicate_of`` names as one picture of one source."""
    ends = [as_ids(frame[column]) for column in ("image_id", "duplicate_of")]
    ends[1] = ends[1].where(ends[1].isin(ends[0]), _plain_names(ends[1]))  # named by its file
    names = pd.concat(ends)
    of = pd.concat([source, source]) if isinstance(source, pd.Series) else source
    return _to_the_first(of + "\t" + names, np.tile(np.arange(len(frame)), 2))


def _to_the_first(key: pd.Series, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return edges (2, e) from each row that has a key to the first row that has the same."""
    known = np.flatnonzero(key.notna().to_numpy())
    codes = pd.factorize(key.iloc[known])[0]
    first = np.zeros(codes.max(initial=-1) + 1, np.intp)
    first[codes[::-1]] = rows[known[::-1]]
    return np.stack([rows[known], first[codes]])


def rows_of_pairs(pairs: pd.DataFrame, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a table of pairs as row positions in a manifest, for the arguments ``same``.

    Args:
        pairs: From `find_duplicates`, by the columns ``path_a`` and ``path_b``; or an owner's list
            of duplicates, by the two columns that name images, as ids or file names.
        frame: The manifest; pairs that reach outside it are left out.
        name: What messages call it.

    Raises:
        InputError: There are not two such columns, or no pair lies within the manifest.
    """
    if "path_a" in pairs and "path_b" in pairs:
        rows = _rows_of(frame["path"], pairs[["path_a", "path_b"]])
    else:
        ids = _plain_names(frame["image_id"])
        rows = _rows_of(ids, _with_first_line(pairs, ids).apply(_plain_names))
        if rows.empty:
            return pd.DataFrame({"row_a": [], "row_b": []}, dtype=int)
        rows = rows.loc[:, rows.notna().any()]
        if len(pairs) and rows.shape[1] != 2:
            raise InputError(
                f"the table of pairs has {rows.shape[1]} columns that name images of {name} and "
                f"needs two; its columns are {', '.join(map(str, pairs.columns))}."
            )
    within = rows.dropna().astype(int).set_axis(["row_a", "row_b"], axis=1)
    if len(pairs) and not len(within):
        raise InputError(f"no pair is of images in {name}; find the duplicates of that manifest.")
    return within


def rows_of_list(names: pd.DataFrame, frame: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """Return which rows of a manifest an owner's list names, shape (n,).

    Args:
        names: The list; the column that names the most images is used, as ids or file names.
        frame: The manifest.
        name: What messages call it.

    Raises:
        InputError: The list names no image of the manifest.
    """
    ids = _plain_names(frame["image_id"])
    names = _with_first_line(names, ids)
    named = [ids.isin(set(_plain_names(names[column]).dropna())) for column in names]
    most = max(named, key=lambda rows: int(rows.sum()), default=None)
    if most is None or not most.any():
        raise InputError(f"the list names no image of {name}; is it of another data set?")
    return most.to_numpy(bool)


def _with_first_line(table: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    """Return a table whose first line, read as its header, is a row where it names images."""
    first = pd.Series(table.columns.astype(str), dtype="string")
    if not _plain_names(first).isin(ids).any():
        return table
    line = pd.DataFrame([first.tolist()], columns=table.columns)
    return pd.concat([line, table.astype("string")], ignore_index=True)


def _plain_names(names: pd.Series) -> pd.Series:
    """Return ids or file names without folders, endings and the archive's downsampled mark."""
    return stem(as_ids(names)).str.removesuffix("_downsampled")


def _rows_of(names: pd.Series, asked: pd.DataFrame) -> pd.DataFrame:
    """Return the position of the first row with each name asked for, NaN where there is none."""
    position = pd.Series(range(len(names)), index=names.to_numpy())
    position = position[~position.index.duplicated()]
    return asked.apply(lambda column: column.map(position))


def far_shares(
    frame: pd.DataFrame, fractions: Mapping[str, float], *, same: pd.DataFrame | None = None
) -> list[str]:
    """Return a sentence on each part whose share of the images is far from what was asked for.

    Far is by more than a quarter of it and more than 1 % of the images.

    Args:
        frame: A manifest with its split; rows without one do not count.
        fractions: What was asked for, as in `split_random`.
        same: As in `units`.
    """
    parts = frame["split"].dropna()
    people = units(frame, same=same)[frame["split"].notna()]
    largest = counted(int(np.bincount(people).max(initial=0)), "image")
    sentences: list[str] = []
    for name, asked in fractions.items():
        share = float((parts == name).mean())
        if abs(share - asked) > max(asked / 4, 0.01) and abs(share - asked) * len(parts) > 1:
            sentences.append(
                f"{name} has {percent(share)} of the images, not {percent(asked)}: patients stay "
                f"whole (the largest has {largest}), and target and tone are balanced."
            )
    return sentences


def absent_values(
    frame: pd.DataFrame, column: str, groups: Mapping[str, Sequence[object]]
) -> list[str]:
    """Return the values of `split_groups` that no row of the column has."""
    there = set(_values(frame, column).dropna())
    named = [_name(value) for values in groups.values() for value in values]
    return [value for value in named if value not in there]


def _name(value: object) -> str:
    return unicodedata.normalize("NFC", str(value).strip())


def _values(frame: pd.DataFrame, column: str) -> pd.Series:
    return without_zeros(frame[column].astype("string").str.strip().str.normalize("NFC"))


def summarize(frame: pd.DataFrame, tone: str | None = None) -> pd.DataFrame:
    """Return one row per split: its size, and its shares of target and tone.

    Args:
        frame: A manifest; rows without a split are counted as "(left out)".
        tone: Column whose shares to give, at most ten values; by default `tone_column`.

    Returns:
        Columns ``split, images, patients, target`` (share of 1 among the known, NaN if there are
        none) and, for each value of the tone, its share of the split's images.
    """
    tone = tone or tone_column(frame)
    target = frame.get("target", np.nan)
    frame = frame.assign(
        unit=units(frame), split=frame["split"].fillna("(left out)"), target=target
    )
    values = sorted(frame[tone].dropna().unique())[:10] if tone else []
    rows: list[dict[str, object]] = []
    for name, part in frame.groupby("split", sort=False):
        row: dict[str, object] = {
            "split": str(name),
            "images": len(part),
            "patients": int(part["unit"].nunique()),
            "target": float(part["target"].mean()) if part["target"].notna().any() else np.nan,
        }
        shares = {f"{tone} {value}": float((part[tone] == value).mean()) for value in values}
        rows.append(row | shares)
    return pd.DataFrame(rows)


def check_leaks(frame: pd.DataFrame, *, same: pd.DataFrame | None = None) -> None:
    """Raise if rows that belong together are in two splits; rows without a split do not count.

    Raises:
        InputError: No row has a split, or there is a leak: the first, with its rows (counted from
            1), and their number.
    """
    if "split" not in frame or not frame["split"].notna().any():
        raise InputError("the manifest names no split; run `equiderm split` first.")
    parts = pd.DataFrame({"unit": units(frame, same=same), "split": frame["split"].to_numpy()})
    parts = parts[parts["split"].notna()]
    leaking = parts.groupby("unit")["split"].transform("nunique") > 1
    if leaking.any():
        leak = parts[parts["unit"] == parts.loc[leaking, "unit"].iloc[0]]
        first = leak.drop_duplicates("split").head(2)
        (row, other), (split, second) = first.index, first["split"]
        raise InputError(
            f"rows {row + 1} ({split}) and {other + 1} ({second}) belong to one patient, lesion "
            f"or picture, one of {parts.loc[leaking, 'unit'].nunique()} such leaks; run "
            "`equiderm split` to make a split without leaks."
        )


def split_random(
    frame: pd.DataFrame,
    *,
    fractions: Mapping[str, float] = FRACTIONS,
    seed: int = 0,
    tone: str | None = None,
    same: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the manifest with a new ``split`` by patient, balanced in target and tone.

    Args:
        frame: A manifest with ``target``.
        fractions: Share of the images in each split; they add up to 1.
        seed: The same seed and rows, in whatever order, give the same split.
        tone: Column to balance beside the target; by default `tone_column`.
        same: As in `units`.

    Raises:
        InputError: Fractions that do not add up to 1, or too few patients.
    """
    shares = np.array(list(fractions.values()), dtype=np.float64)
    if not math.isclose(shares.sum(), 1, abs_tol=ROUNDING) or shares.min() <= 0:
        raise InputError(f"fractions {dict(fractions)}: give shares above 0 that add up to 1.")
    deal = _deal(frame, shares / shares.sum(), seed, tone, same)
    return _with_split(frame, np.array(list(fractions), dtype=object)[deal], same)


def split_folds(
    frame: pd.DataFrame,
    k: int,
    *,
    seed: int = 0,
    tone: str | None = None,
    same: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the manifest with ``split`` fold-1 to fold-k; otherwise as `split_random`."""
    if k < 2:
        raise InputError(f"{k} folds: at least 2 are needed.")
    names = np.array([f"fold-{number + 1}" for number in range(k)], dtype=object)
    return _with_split(frame, names[_deal(frame, np.full(k, 1 / k), seed, tone, same)], same)


def split_groups(
    frame: pd.DataFrame,
    column: str,
    groups: Mapping[str, Sequence[object]],
    *,
    validation: float = 0.0,
    seed: int = 0,
    same: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the manifest with ``split`` by the values of a column, as in the paper's Table 1.

    Rows with other values get no split. Where one patient (or lesion, or picture) falls in several
    splits, only its rows in the last-named one stay: a test set is never cut to save training rows.

    Args:
        frame: A manifest.
        column: Such as ``fitzpatrick_type`` or ``ita_band``.
        groups: Split name to values, e.g. ``{"train": [1, 2], "test-34": [3, 4]}``.
        validation: Share of the first-named split to set aside as "validation", by patient.
        seed: Seed for drawing that share.
        same: As in `units`.

    Raises:
        InputError: No such column, a value named twice, or a split without rows.
    """
    if column not in frame or frame[column].isna().all():
        raise InputError(f"the manifest has no values in column {column!r}; choose another.")
    if validation and "validation" in groups:
        raise InputError("a group is called validation, as is the share to set aside; rename it.")
    named = [_name(value) for values in groups.values() for value in values]
    if len(set(named)) < len(named):
        raise InputError("a value of the groups is named twice; name each once.")
    places = [rank for rank, values in enumerate(groups.values()) for _ in values]
    cells = _values(frame, column)
    rank = cells.map(dict(zip(named, places, strict=True))).astype("float64").to_numpy()
    last = pd.Series(rank).groupby(units(frame, same=same)).transform("max").to_numpy()
    split = pd.Series(pd.NA, index=frame.index, dtype="string")
    for number, name in enumerate(groups):
        here = (rank == number) & (last == number)
        if not here.any():
            there = ", ".join(map(str, cells.dropna().unique()[:8]))
            why = f"{column} has none of its values; it has {there}"
            if (rank == number).any():
                why = "all its patients have images of a later split, too, which keeps them"
            raise InputError(f"split {name!r} has no rows: {why}.")
        split[here] = name
    if validation:
        first = np.flatnonzero((split == next(iter(groups))).fillna(False))
        inner = split_random(
            frame.iloc[first],
            fractions={"rest": 1 - validation, "validation": validation},
            seed=seed,
            tone=column,
            same=_pairs_within(same, first),
        )
        split.iloc[first[(inner["split"] == "validation").to_numpy()]] = "validation"
    return _with_split(frame, split.to_numpy(), same)


def tone_column(frame: pd.DataFrame) -> str | None:
    """Return the tone column to balance by: people's judgement before a computed band."""
    judged = ("fitzpatrick_type", "fitzpatrick_group", "monk_tone", "skin_tone_class")
    for column in (*judged, "ita_band"):
        if column in frame and frame[column].notna().any():
            return column
    return None


def _deal(
    frame: pd.DataFrame,
    shares: NDArray[np.float64],
    seed: int,
    tone: str | None,
    same: pd.DataFrame | None,
) -> NDArray[np.intp]:
    """Return the part, 0 to k - 1, of each row: units dealt one by one, the largest first.

    A unit goes to the part that has the least, for its share, of what the unit holds (strata of
    target and tone), so that every part comes to its share of each stratum. One that is larger than
    that part goes where the most room is; no part stays empty.
    """
    if tone is not None and tone not in frame:
        raise InputError(f"the manifest has no column {tone!r} to balance by; choose another.")
    if tone is not None and frame[tone].nunique() > MOST_TONES:
        raise InputError(
            f"column {tone!r} has {frame[tone].nunique():,} values, too many to balance by; cut it "
            "into groups, or choose another."
        )
    order = _canonical(frame)
    group = pd.factorize(units(frame, same=same)[order])[0]
    n_units, k = int(group.max(initial=-1)) + 1, len(shares)
    if n_units < k:
        raise InputError(f"{n_units} patients cannot make {k} parts; ask for fewer.")
    strata = _strata(frame.iloc[order], tone or tone_column(frame), group, k)
    shape = (n_units, int(strata.max(initial=-1)) + 1)
    held = csr_array((np.ones(len(group)), (group, strata)), shape=shape)
    held.sum_duplicates()
    # Rows of a stratum in a part, over those that it should have: the lower, the more it lacks.
    filled = np.zeros((k, shape[1]))
    worth = 1 / (shares[:, None] * np.maximum(np.bincount(strata), 1))
    full, size = np.zeros(k), np.bincount(group)
    part_of_unit = np.empty(n_units, np.intp)
    room = shares * len(frame)
    shuffled = np.random.default_rng(seed).permutation(n_units)
    for left, unit in zip(
        range(n_units, 0, -1), shuffled[np.argsort(-size[shuffled], kind="stable")], strict=True
    ):
        cells = slice(held.indptr[unit], held.indptr[unit + 1])
        which, counts = held.indices[cells], held.data[cells]
        lack = filled[:, which] @ counts / counts.sum() + 1e-9 * full
        part = int(lack.argmin())
        if size[unit] > shares[part] * len(frame):
            empty = full == 0
            part = int(np.where(empty | (left > empty.sum()), room, -np.inf).argmax())
        room[part] -= size[unit]
        filled[part, which] += counts * worth[part, which]
        full[part] += size[unit] / shares[part]
        part_of_unit[unit] = part
    parts = np.empty(len(frame), np.intp)
    parts[order] = part_of_unit[group]
    return parts


def _canonical(frame: pd.DataFrame) -> NDArray[np.intp]:
    """Return the rows in an order that does not depend on theirs."""
    keys = [column for column in ("source", "image_id") if column in frame]
    if not keys:
        return np.arange(len(frame), dtype=np.intp)
    plain = frame[keys].astype("string").fillna("").reset_index(drop=True)
    return plain.sort_values(keys, kind="stable").index.to_numpy(np.intp)


def _strata(
    frame: pd.DataFrame, tone: str | None, group: NDArray[np.intp], k: int
) -> NDArray[np.intp]:
    """Return the stratum of each row; those with fewer patients than parts go by target alone."""
    target = frame["target"] if "target" in frame else pd.Series(pd.NA, frame.index)
    target = target.astype("string").fillna("?")
    if tone is None:
        strata = target
    else:
        fine = target + "\t" + frame[tone].astype("string").fillna("?")
        patients = pd.Series(group).groupby(fine.to_numpy()).nunique()
        strata = fine.where(fine.map(patients) >= k, target)
    codes = pd.factorize(strata)[0]
    if np.bincount(codes).max() < k:
        return np.zeros(len(frame), np.intp)  # too few of anything to balance
    return codes


def _pairs_within(same: pd.DataFrame | None, rows: NDArray[np.intp]) -> pd.DataFrame | None:
    """Return the pairs among some rows, renumbered to their positions there."""
    if same is None:
        return None
    place = pd.Series(np.arange(len(rows)), index=rows)
    pairs = pd.DataFrame({key: same[key].map(place) for key in ("row_a", "row_b")}).dropna()
    return pairs.astype(int)


def _with_split(
    frame: pd.DataFrame, split: NDArray[np.object_], same: pd.DataFrame | None
) -> pd.DataFrame:
    done = frame.assign(split=pd.array(split, dtype="string"))
    check_leaks(done, same=same)
    return done
