"""The positives that a model missed in one group, for inspection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from equiderm.audit.audit import Audit


def missed_positives(audit: Audit, by: str | None = None, group: str | None = None) -> pd.DataFrame:
    """Return the missed positives of a group, the lowest score first.

    Args:
        audit: The audit.
        by: The group column; the first by default.
        group: The group; by default the one that the verdict names as worse, or else the one with
            the lowest sensitivity.

    Returns:
        A data frame with ``image`` (or ``row``, from 1, without ids), the group column, ``score``
        and ``threshold``.
    """
    import pandas as pd

    by = by or audit.columns[0]
    results, study = audit.results[by], audit.study
    group = group or worst_group(audit, by)
    rows = results.of(group) if group else np.array([], dtype=np.intp)
    rows = rows[study.target[rows] & (study.score[rows] < audit.options.threshold)]
    rows = rows[np.argsort(study.score[rows], kind="stable")]
    name = {"row": rows + 1} if study.ids is None else {"image": study.ids[rows]}
    labels = np.array([*results.grouping.labels, ""], dtype=object)[results.grouping.codes[rows]]
    return pd.DataFrame(
        {**name, by: labels, "score": study.score[rows], "threshold": audit.options.threshold}
    )


def worst_group(audit: Audit, by: str) -> str:
    """Return the group that the verdict names as worse, else the one with lowest sensitivity."""
    findings = audit.verdict(by).findings
    worse = [finding for finding in findings if finding.outcome == "gap" and finding.is_worse]
    worse.sort(key=lambda finding: not finding.is_of_positives)
    if worse:
        return worse[0].group
    results = audit.results[by]
    names: Sequence[str] = results.compared("sensitivity")
    return min(names, key=lambda name: results.value("sensitivity", name)[0], default="")
