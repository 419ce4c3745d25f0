"""What raters agree on, with each other and with themselves; and a scheme from their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from equiderm.agreement.agreement import MINIMUM_IMAGES
from equiderm.agreement.labelings import align_labelings, compare_labelings
from equiderm.format import counted, json_text, number, percent
from equiderm.serve.judgements import Scale

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from equiderm.agreement.labelings import Pair


@dataclass(frozen=True)
class Compared:
    """Two series of judgements of the same images.

    Attributes:
        names: Of the raters; one name twice for a rater's first and second answers.
        n: Images that both judged.
        pair: Their figures with intervals; None below `MINIMUM_IMAGES`.
    """

    names: tuple[str, str]
    n: int
    pair: Pair | None

    def words(self) -> str:
        """Return the figures as a sentence."""
        one, two = self.names
        who = f"{one} and {two}" if one != two else f"{one}, first and second answers"
        if self.pair is None:
            return (
                f"{who}: {counted(self.n, 'image')} judged twice; figures need at least "
                f"{MINIMUM_IMAGES}."
            )
        exact, near, kappa = (self.pair.figures[key] for key in ("exact", "within_one", "kappa"))
        return (
            f"{who}, {counted(self.n, 'image')}: same type {percent(exact[0])} "
            f"(95 % interval {percent(exact[1])} to {percent(exact[2])}), within one type "
            f"{percent(near[0])} ({percent(near[1])} to {percent(near[2])}), weighted kappa "
            f"{number(kappa[0], 2)} ({number(kappa[1], 2)} to {number(kappa[2], 2)})."
        )


def between_raters(table: pd.DataFrame, scale: Scale) -> list[Compared]:
    """Return every pair of raters on the images that both judged, by each one's first answer."""
    first = table[(table["again"] == 0) & table[scale.column].notna()]
    series = {str(name): _types(rows, scale) for name, rows in first.groupby("rater", sort=False)}
    pairs = combinations(series, 2)
    return [_compare((one, two), series[one], series[two], scale) for one, two in pairs]


def with_themselves(table: pd.DataFrame, scale: Scale) -> list[Compared]:
    """Return each rater's first answers against the second ones, of the images shown twice."""
    known = table[table[scale.column].notna()]
    compared: list[Compared] = []
    for name, rows in known.groupby("rater", sort=False):
        first, again = (_types(rows[rows["again"] == k], scale) for k in (0, 1))
        if len(again):
            compared.append(_compare((str(name), str(name)), first, again, scale))
    return compared


def _types(rows: pd.DataFrame, scale: Scale) -> pd.Series:
    return rows.set_index("image")[scale.column].astype(float)


def _compare(names: tuple[str, str], one: pd.Series, two: pd.Series, scale: Scale) -> Compared:
    n = len(one.index.intersection(two.index))
    if n < MINIMUM_IMAGES:
        return Compared(names, n, None)
    import pandas as pd

    ids = {
        name: (pd.Series(series.index, dtype="string"), series.to_numpy())
        for name, series in (("first", one), ("second", two))
    }
    return Compared(names, n, compare_labelings(align_labelings(ids), scale.types)[0])


def one_row_per_image(
    table: pd.DataFrame, scale: Scale, patients: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Return first answers with one row per image: a column for all, then one per rater.

    The column for all holds a type, or every type that a rater gave, such as ``2 or 4``: what
    `equiderm agree` and `equiderm calibrate` read as a judgement that may be any of these.

    Args:
        table: `Judgements.table`.
        scale: Its scale.
        patients: Of each image, where they are known: a column ``patient_id``.
    """
    first = table[(table["again"] == 0) & table[scale.column].notna()]
    wide = first.pivot(index="image", columns="rater", values=scale.column)
    wide = wide.reindex(columns=first["rater"].drop_duplicates())
    together = first.groupby("image")[scale.column].agg(
        lambda types: " or ".join(map(str, sorted(set(types))))
    )
    wide.columns = [f"{scale.column}_{name}" for name in wide.columns]
    wide.insert(0, scale.column, together.astype("string"))
    wide = wide.reset_index()
    if patients:
        wide.insert(1, "patient_id", wide["image"].map(patients))
    return wide


def fit_scheme(judged: pd.DataFrame, how: tuple[Path, Scale]) -> tuple[str, str]:
    """Return a scheme fitted to judgements, as JSON, and the page on it; the work of one process.

    Folds are drawn by patient, or by image where no patient is known: as ``equiderm calibrate``.

    Args:
        judged: `one_row_per_image`.
        how: The table that `label` wrote, and the scale.

    Raises:
        InputError: Too few judgements, or a table that cannot be matched.
    """
    from equiderm.agreement.page import agreement_page
    from equiderm.agreement.tables import calibrate_tables

    tones, scale = how
    fit = calibrate_tables(
        tones,
        judged,
        truth_columns=[scale.column],
        types=scale.types,
        patient="patient_id" if "patient_id" in judged.columns else "image",
    )
    page = agreement_page(
        fit.agreement,
        title="A scheme fitted to these judgements, against judgements it was not fitted on",
        quality=fit.quality,
        remarks=fit.remarks,
    )
    return json_text(fit.scheme.to_json()), page
