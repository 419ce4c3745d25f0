"""A search over subgroups for people: what differs, and what could not have been seen."""

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
    """Return what was found, and what could not have been, in words."""
    looked = f"Of {found.looked:,} subgroups by {', '.join(found.columns)}"
    known = found.established
    if known:
        names = len({one.name for one in known})
        lines = [
            f"{looked}, {names:,} differ{'s' if names == 1 else ''} from all other rows by "
            "more than chance and having looked explain."
        ]
        lines += [_sentence(one) for one in known[:3]]
    else:
        lines = [
            f"{looked}, none differs from all other rows by more than chance and having looked "
            "explain."
        ]
    lines += _could_not(found)
    return (*lines, *found.notes)


def table(found: Found, most: int = 12) -> pd.DataFrame:
    """Return the surest differences as text; a star marks the established ones."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "subgroup": one.name,
                "figure": METRICS[one.metric].label,
                "images (positive)": f"{one.images:,} ({one.positives:,})",
                "in it": number(one.value, 2),
                "outside": number(one.others_value, 2),
                "difference, adjusted": with_interval(
                    one.difference, one.low, one.high, with_sign=True
                )
                + (" *" if one.established else ""),
            }
            for one in found.rows[:most]
        ]
    )


def _sentence(one: Subgroup) -> str:
    gap = with_interval(one.difference, one.low, one.high, 2, with_sign=True)
    return (
        f"{one.name} ({one.images:,} images, {one.positives:,} positive): "
        f"{METRICS[one.metric].label.lower() if one.metric != 'auroc' else 'AUROC'} "
        f"{number(one.value, 2)}, outside {number(one.others_value, 2)}; {gap} after adjustment."
    )


def _could_not(found: Found) -> list[str]:
    """Return what the search could not have seen."""
    lines: list[str] = []
    if found.unseen_count:
        largest = found.unseen[0]
        lines.append(
            f"{found.unseen_count:,} more are too small to be looked at (under {LEAST} patients or "
            f"images of a class); the largest is {largest.name} with {largest.images:,} images."
        )
    drops = [one.noticed for one in found.rows if one.metric == "sensitivity"]
    if drops:
        half = 100 * float(np.median(drops))
        lines.append(
            "In half of those that were looked at, up to "
            f"{half:.0f} of 100 positives missed beyond what is missed elsewhere would usually go "
            "unnoticed."
        )
    return lines


def section(found: Found) -> Section:
    """Return the report's part on a search over subgroups."""
    blocks: list[Any] = [bullets_block(sentences(found))]
    if found.rows:
        blocks.append(
            table_block(table(found), caption="The surest differences; a star: established")
        )
    return Section(
        "Search for subgroups",
        blocks=tuple(blocks),
        notes=(
            f"Every value of {', '.join(found.columns)} and every intersection of up to "
            f"{found.depth}, against all rows outside it; intervals and p are adjusted over all of "
            "them and over the figures. A subgroup that is named asks for new data, not for a "
            "headline: it was looked for.",
        ),
    )
