"""The report on a search over subgroups: what differs, and what was too small to compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.audit.metrics import METRICS
from equiderm.audit.subsets import LEAST
from equiderm.format import number, with_interval
from equiderm.page import Section, bullets_block, table_block

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.audit.find import Found, Subgroup


def sentences(found: Found) -> tuple[str, ...]:
    """Return sentences on the established differences, and on what could not be compared."""
    looked = f"Of {found.looked:,} subgroups by {', '.join(found.columns)}"
    known = found.established
    if known:
        names = len({row.name for row in known})
        lines = [
            f"{looked}, {names:,} differ{'s' if names == 1 else ''} from all other rows by "
            "more than chance explains, allowing for the number of comparisons."
        ]
        lines += [_sentence(row) for row in known[:3]]
    else:
        lines = [
            f"{looked}, none differs from all other rows by more than chance explains, allowing "
            "for the number of comparisons."
        ]
    lines += _could_not(found)
    return (*lines, *found.notes)


def table(found: Found, most: int = 12) -> pd.DataFrame:
    """Return the differences with the lowest p as text; a star marks established ones."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "subgroup": row.name,
                "figure": METRICS[row.metric].label,
                "images (positive)": f"{row.images:,} ({row.positives:,})",
                "in it": number(row.value, 2),
                "outside": number(row.others_value, 2),
                "difference, adjusted": with_interval(
                    row.difference, row.low, row.high, with_sign=True
                )
                + (" *" if row.established else ""),
            }
            for row in found.rows[:most]
        ]
    )


def _sentence(row: Subgroup) -> str:
    gap = with_interval(row.difference, row.low, row.high, 2, with_sign=True)
    return (
        f"{row.name} ({row.images:,} images, {row.positives:,} positive): "
        f"{METRICS[row.metric].label.lower() if row.metric != 'auroc' else 'AUROC'} "
        f"{number(row.value, 2)}, outside {number(row.others_value, 2)}; {gap} after adjustment."
    )


def _could_not(found: Found) -> list[str]:
    """Return sentences on what the search could not notice."""
    lines: list[str] = []
    if found.unseen_count:
        largest = found.unseen[0]
        lines.append(
            f"{found.unseen_count:,} more are too small to be compared (under {LEAST} patients or "
            f"images of a class); the largest is {largest.name} with {largest.images:,} images."
        )
    drops = [row.noticed for row in found.rows if row.metric == "sensitivity"]
    if drops:
        half = 100 * float(np.median(drops))
        lines.append(
            f"In half of the compared subgroups, even if up to {half:.0f} more of 100 positives "
            "were missed than elsewhere, that would usually go unnoticed."
        )
    return lines


def section(found: Found) -> Section:
    """Return the section on a search over subgroups."""
    blocks: list[Any] = [bullets_block(sentences(found))]
    if found.rows:
        blocks.append(
            table_block(table(found), caption="Differences with the lowest p; a star: established")
        )
    return Section(
        "Search for subgroups",
        blocks=tuple(blocks),
        notes=(
            f"Every value of {', '.join(found.columns)} and every intersection of up to "
            f"{found.depth}, against all rows outside it; intervals and p are adjusted over all of "
            "them and over the figures. A subgroup that is named was selected by this search: "
            "confirm it on new data.",
        ),
    )
