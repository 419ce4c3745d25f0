"""Ranks of the experiments over several tests, and how far apart two must be to differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from equiderm.statistics.intervals import simultaneous_z

if TYPE_CHECKING:
    from equiderm.compare.result import Compared


def rank_table(compared: Compared) -> tuple[pd.DataFrame, float]:
    """Return mean ranks by the worst group's figure, best first, and the critical difference.

    Source:
        Demšar 2006, Journal of Machine Learning Research 7:1, after Nemenyi 1963.
    """
    values = pd.DataFrame(
        {t.split: [t.figure(name, "worst")["value"] for name in compared.names]
         for t in compared.tests},
        index=compared.names,
    ).dropna(axis=1)  # fmt: skip
    ranks = values.rank(ascending=compared.about.sign < 0)
    k, tests = len(ranks), max(values.shape[1], 1)
    table = ranks.assign(rank=ranks.mean(axis=1)).sort_values("rank")
    critical = simultaneous_z(k) * (k * (k + 1) / (6 * tests)) ** 0.5 if k > 1 else 0.0
    return table.rename_axis("experiment").reset_index(), float(critical)
