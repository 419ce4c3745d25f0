"""The comparison's tables as people read them: text with intervals, a row per experiment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm.compare.answer import WHOLE, established, figure_name, group_name, groups_of
from equiderm.format import MISSING, listed, number, p_value, with_interval

if TYPE_CHECKING:
    from equiderm.compare.result import Compared, TestSet


def paper_tables(compared: Compared) -> dict[str, pd.DataFrame]:
    """Return every table of the page, and every figure of every run, by the name of its file."""
    tables: dict[str, pd.DataFrame] = {}
    for test in compared.tests:
        tables[f"{test.split}-{compared.measure.replace('_', '-')}"] = figures_by_group(
            compared, test
        )
        for reference in compared.references:
            if len(table := difference_rows(compared, test, reference)):
                tables[f"{test.split}-minus-{reference}"] = table
        if len(table := probe_rows(compared, test)):
            tables[f"{test.split}-probes"] = table
        tables[f"{test.split}-runs"] = test.runs
    if len(compared.splits):
        tables["splits"] = compared.splits
    if len(compared.tried):
        tables["tried"] = tried_rows(compared)
    return tables


def figures_by_group(compared: Compared, test: TestSet) -> pd.DataFrame:
    """Return the figure of every experiment, worst group and gap first, as text with intervals."""
    figures = [*WHOLE, *groups_of(test)]
    rows = [
        {"experiment": name}
        | {
            _heading(compared, figure): _with_interval(test.figure(name, figure))
            for figure in figures
        }
        for name in compared.names
    ]
    constant = {_heading(compared, figure): number(test.constant.get(figure)) for figure in figures}
    return pd.DataFrame([*rows, {"experiment": compared.about.trivial, **constant}])


def difference_rows(compared: Compared, test: TestSet, reference: str) -> pd.DataFrame:
    """Return the differences of every figure from a reference, a row each, as text.

    Intervals and p are the adjusted ones.
    """
    table: Any = test.differences
    against = table[table["against"] == reference]
    order = {figure: k for k, figure in enumerate(WHOLE)}
    rows = sorted(
        against.to_dict("records"),
        key=lambda row: (compared.names.index(row["experiment"]), order.get(row["figure"], 3)),
    )
    return pd.DataFrame(
        [
            {
                f"minus {reference}": row["experiment"],
                "in": figure_name(compared, row["figure"]),
                "difference": _difference(row),
                "p": p_value(row["p_holm"]),
                "established": "yes" if established(row) else "no",
            }
            for row in rows
        ]
    )


def headline_rows(compared: Compared, test: TestSet) -> pd.DataFrame:
    """Return worst group, gap and the worst group's differences of every experiment, as text."""
    rows: list[dict[str, str]] = []
    for name in compared.names:
        row = {"experiment": name}
        for figure in ("worst", "gap"):
            row[_heading(compared, figure)] = _with_interval(test.figure(name, figure))
        for reference in compared.references:
            cell, difference = MISSING, test.difference(name, reference, "worst")
            if difference is not None:
                cell = _difference(difference) + (" *" if established(difference) else "")
            row[f"worst group, minus {reference}"] = cell
        rows.append(row)
    return pd.DataFrame(rows)


def probe_rows(compared: Compared, test: TestSet) -> pd.DataFrame:
    """Return the probe and the cost of each experiment, as text; empty where neither is known."""
    probes: Any = test.probes
    rows: list[dict[str, str]] = []
    if not compared.costs:
        return pd.DataFrame(rows)
    columns = list(dict.fromkeys(probes["group"])) if len(probes) else [""]
    for name in compared.names:
        row = {"experiment": name} | dict.fromkeys(_probe_names(columns), MISSING)
        row["cost of a step"] = number(compared.costs[name], 2)
        if len(probes):
            of_name = probes[(probes["experiment"] == name) & (probes["features"] == "trained")]
            row |= _both_probes(of_name, columns)
        rows.append(row)
    if len(probes):
        untrained = probes[probes["features"] == "untrained"]
        for name, of_name in untrained.groupby("experiment", sort=False):
            row = {"experiment": f"untrained backbone of {name}"}
            row |= dict.fromkeys(_probe_names(columns), MISSING) | _both_probes(of_name, columns)
            rows.append({**row, "cost of a step": MISSING})
        row = {"experiment": "chance"}
        for probe in probes.drop_duplicates("group").to_dict("records"):
            names = _probe_names(columns, only=probe["group"])
            row |= dict.fromkeys(names, number(probe["chance"]))
        rows.append({**row, "cost of a step": MISSING})
    return pd.DataFrame(rows)


def _probe_names(columns: list[str], *, only: str | None = None) -> list[str]:
    """Return the headings of both probes of each column, which is named where there are several."""
    return [
        f"{kind} probe, {column}" if len(columns) > 1 else f"{kind} probe"
        for column in columns
        for kind in ("linear", "network")
        if only in (None, column)
    ]


def _both_probes(of_name: Any, columns: list[str]) -> dict[str, str]:
    cells: dict[str, str] = {}
    for row in of_name.to_dict("records"):
        linear, network = _probe_names(columns, only=row["group"])
        cells[linear] = _with_interval(row)
        cells[network] = with_interval(row["mlp_value"], row["mlp_low"], row["mlp_high"])
    return cells


def probe_caption(compared: Compared, test: TestSet) -> str:
    """Return which figure the probes of which group columns have."""
    titles = {"balanced_accuracy": "Balanced accuracy", "spearman": "Spearman's correlation"}
    probes: Any = test.probes
    if not len(probes):
        return f"Balanced accuracy of the probes for {compared.group}"
    by_figure = probes.drop_duplicates("group").groupby("figure", sort=False)["group"]
    return "; ".join(f"{titles[str(f)]} of the probes for {listed(of)}" for f, of in by_figure)


def tried_rows(compared: Compared) -> pd.DataFrame:
    """Return every draw of a search, the best of each experiment first, as text."""
    table: Any = compared.tried
    rows: list[dict[str, str]] = []
    for name in compared.names:
        own = table[table["experiment"] == name].sort_values("value", ascending=False)
        own = own.sort_values("split", kind="stable") if "split" in own else own
        for row in own.to_dict("records"):
            values = json.loads(row["settings"]).items()
            drawn = {key: f"{v:.3g}" if isinstance(v, float) else str(v) for key, v in values}
            rows.append(
                {
                    "experiment": name,
                    **({"split": str(row["split"])} if "split" in row else {}),
                    "draw": str(row["draw"]),
                    "settings": ", ".join(f"{key} {value}" for key, value in drawn.items()),
                    "validation": number(row["value"]),
                    "": "compared" if row["chosen"] else row["reason"],
                }
            )
    return pd.DataFrame(rows)


def _heading(compared: Compared, figure: str) -> str:
    if figure == "worst":
        return "worst group"
    return figure if figure in WHOLE else f"{compared.by} {group_name(compared.by, figure)}"


def _difference(row: Any) -> str:
    return with_interval(row["difference"], row["low_holm"], row["high_holm"], with_sign=True)


def _with_interval(row: Any) -> str:
    return with_interval(row["value"], row["low"], row["high"])
