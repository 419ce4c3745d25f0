"""Several splits of one archive: the rows that train, validate and test, drawn anew by patient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm.data.split import check_leaks, split_random
from equiderm.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

DRAWN = "test"  # the test set that is drawn anew; test-... stay as they are


def draw_splits(
    manifest: pd.DataFrame,
    count: int,
    training: Sequence[str],
    tests: Sequence[str],
    *,
    tone: str,
    target: str = "target",
    is_number: bool = False,
) -> list[pd.DataFrame]:
    """Return the manifest once for each split, with a new ``split`` of the archive tested.

    Rows of training, validation and ``test`` are drawn anew in their present shares: by patient
    (lesion, picture), balanced in target and tone, with the split's number as the seed, so that
    more splits begin with the same ones. Every other split (``test-...``) stays as it is. So do the
    rows of any ``source`` of which nothing is in ``test``: an archive that only trains still does.

    Args:
        manifest: All rows.
        count: How many, 2 or more.
        training: Names of the splits that train and that validate.
        tests: Test sets that are compared, ``test`` among them.
        tone: Column to balance beside the target.
        target: Column of what is learned.
        is_number: Whether that is a number, of which fifths are balanced.

    Raises:
        InputError: Fewer than 2, no split ``test``, or what belongs together in two splits.
    """
    if count < 2:
        raise InputError(f"{count} splits: give 2 or more, or 1 for the manifest's own.")
    if DRAWN not in tests:
        raise InputError(
            f"manifest: {count} splits draw the split {DRAWN!r} anew, which is not among the test "
            f"sets ({', '.join(tests)}); give this name to the test part of the training archive."
        )
    names: Any = manifest["split"].astype("string")
    drawn = names.isin([*training, DRAWN]).fillna(False)
    if "source" in manifest.columns:
        source = manifest["source"].astype("string").fillna("")
        drawn &= source.isin(source[(names == DRAWN).fillna(False)])
    pool = manifest[drawn]
    if is_number:
        pool = pool.assign(target=pd.qcut(pool[target], 5, labels=False, duplicates="drop"))
    elif target != "target":
        pool = pool.assign(target=pool[target])
    shares = pool["split"].astype(str).value_counts(normalize=True, sort=False)
    fractions = {name: float(shares[name]) for name in (*training, DRAWN) if name in shares}
    splits: list[pd.DataFrame] = []
    for number in range(count):
        dealt = split_random(pool, fractions=fractions, seed=number, tone=tone)
        own = manifest.assign(split=names)
        own.loc[drawn, "split"] = dealt["split"].to_numpy()
        check_leaks(own)
        splits.append(own)
    return splits
