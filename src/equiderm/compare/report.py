"""The comparison as one offline page and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from equiderm.audit.report.export import plain
from equiderm.compare.charts import differences, pareto
from equiderm.page import Section, panel_block, render_page, table_block

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.compare.comparison import Compared, TestSet

SCHEMA = "equiderm.compare/1"
HEADLINE = {"overall": "overall AUROC", "worst": "worst group's AUROC", "gap": "gap"}
NO_INFORMATION = "any constant score"


def as_dict(compared: Compared) -> dict[str, Any]:
    """Return everything the page says as JSON types, by the schema that docs/compare.md has."""
    return plain(
        {
            "schema": SCHEMA,
            "answer": answer(compared),
            "experiments": {name: one.to_toml() for name, one in compared.experiments.items()},
            "references": compared.references,
            "seeds": compared.seeds,
            "group": compared.group,
            "by": compared.by,
            "replicates": compared.replicates,
            "costs": compared.costs,
            "selection": compared.selection.to_dict("records"),
            "tests": [
                {
                    "split": test.split,
                    "n": test.n,
                    "patients": test.patients,
                    "positives": test.positives,
                    "groups": test.groups.to_dict("records"),
                    "figures": test.figures.to_dict("records"),
                    "differences": test.differences.to_dict("records"),
                    "probes": test.probes.to_dict("records"),
                }
                for test in compared.tests
            ],
        }
    )


def answer(compared: Compared) -> list[str]:
    """Return, for each test set and reference, what differs from it beyond chance."""
    told: list[str] = []
    for test in compared.tests:
        for reference in compared.references:
            table: Any = test.differences
            rows = table[(table["against"] == reference) & (table["figure"] == "worst")]
            if not len(rows):
                continue
            held = [
                f"{row['experiment']} ({signed(row['difference'])})"
                for row in rows.to_dict("records")
                if row["p_holm"] < 0.05
            ]
            told.append(
                f"On {test.split}, of {len(rows)} experiments compared with {reference}, "
                f"{len(held)} differ in the worst group's AUROC after Holm's adjustment"
                + (f": {', '.join(held)}." if held else ".")
            )
        told += [text for name in compared.experiments if (text := _levelled(test, name, compared))]
    return told


def _levelled(test: TestSet, name: str, compared: Compared) -> str:
    """Return that an experiment's gap is smaller because groups got worse, where that is so."""
    reference = compared.references[0]
    if name == reference:
        return ""
    one = {figure: test.figure(name, figure)["value"] for figure in HEADLINE}
    other = {figure: test.figure(reference, figure)["value"] for figure in HEADLINE}
    if one["gap"] < other["gap"] and one["worst"] <= other["worst"]:
        return (
            f"Levelling down: {name}'s gap on {test.split} is smaller than {reference}'s, but its "
            f"worst group is no better ({one['worst']:.3f}, {reference} {other['worst']:.3f})."
        )
    return ""


def auroc_table(test: TestSet, names: list[str]) -> pd.DataFrame:
    """Return the AUROC of every experiment, overall and by group, as text with intervals."""
    import pandas as pd

    figures = list(dict.fromkeys(test.figures["figure"]))
    rows = [
        {"experiment": name}
        | {_heading(test, figure): _with_interval(test.figure(name, figure)) for figure in figures}
        for name in names
    ]
    constant = {_heading(test, f): "0.000" if f == "gap" else "0.500" for f in figures}
    return pd.DataFrame([*rows, {"experiment": NO_INFORMATION, **constant}])


def difference_rows(test: TestSet, reference: str) -> pd.DataFrame:
    """Return the headline differences against a reference, as text with intervals and p."""
    import pandas as pd

    table: Any = test.differences
    against = table[table["against"] == reference]
    rows: list[dict[str, str]] = []
    for name in dict.fromkeys(against["experiment"]):
        row = {f"minus {reference}": str(name)}
        for figure, words in HEADLINE.items():
            one = against[(against["experiment"] == name) & (against["figure"] == figure)].iloc[0]
            row[words] = (
                f"{signed(one['difference'])} ({signed(one['low'])} to {signed(one['high'])})"
            )
            row[f"p, {words}"] = _p(one["p_holm"])
        rows.append(row)
    return pd.DataFrame(rows)


def probe_rows(test: TestSet, compared: Compared) -> pd.DataFrame:
    """Return the probe and the cost of each experiment, as text."""
    import pandas as pd

    probes: Any = test.probes
    rows: list[dict[str, str]] = []
    for name in compared.experiments:
        row = {"experiment": name, "probe": "–", "cost of a step": f"{compared.costs[name]:.2f}"}
        if len(probes):
            found = probes[(probes["experiment"] == name) & (probes["features"] == "trained")]
            row["probe"] = _with_interval(found.iloc[0])
        rows.append(row)
    if len(probes):
        for one in probes[probes["features"] == "untrained"].to_dict("records"):
            named = f"untrained backbone of {one['experiment']}"
            rows.append({"experiment": named, "probe": _with_interval(one), "cost of a step": "–"})
        chance = f"{probes['chance'].iloc[0]:.3f}"
        rows.append({"experiment": "chance", "probe": chance, "cost of a step": "–"})
    return pd.DataFrame(rows)


def render(compared: Compared, *, lead: str = "") -> str:
    """Return the whole page; ``lead`` is said first, as what the images are."""
    sections = [Section("The answer", paragraphs=tuple(answer(compared)))]
    for test in compared.tests:
        sections += [
            _figures(compared, test),
            _differences(compared, test),
            _probes(compared, test),
        ]
    sections += [_selection(compared), _settings(compared)]
    title = f"{len(compared.experiments)} experiments, {len(compared.seeds)} seeds each"
    return render_page(f"Comparison: {title}", sections, lead=lead)


def _figures(compared: Compared, test: TestSet) -> Section:
    counts = [f"{one['group']}: {one['n']} ({one['positives']})"
              for one in test.groups.to_dict("records")]  # fmt: skip
    left_out = [
        f"{compared.by} {one['group']} has no AUROC: {one['missing']}."
        for one in test.groups.to_dict("records")
        if one["missing"]
    ]
    return Section(
        f"How well, for whom: {test.split}",
        paragraphs=(
            f"{test.n:,} images of {test.patients:,} patients, {test.positives:,} positive; by "
            f"{compared.by}, images (positive): {', '.join(counts)}.",
            *left_out,
        ),
        blocks=(
            table_block(
                auroc_table(test, list(compared.experiments)),
                caption="AUROC, mean over seeds (95 % interval over seeds and patients)",
            ),
            panel_block(
                [pareto(compared, test), *(differences(test, one) for one in compared.references)]
            ),
        ),
        notes=(
            "The worst group and the gap (best minus worst) are each run's own, then averaged; "
            "noise makes the first smaller and the second larger than they are. Read a gap "
            "beside the groups: it also shrinks when the best group gets worse.",
        ),
    )


def _differences(compared: Compared, test: TestSet) -> Section:
    blocks = [
        table_block(table, caption=f"Minus {one}, same seeds and images, with 95 % intervals")
        for one in compared.references
        if len(table := difference_rows(test, one))
    ]
    return Section(
        f"Paired differences: {test.split}",
        blocks=tuple(blocks),
        notes=(
            "p after Holm over all comparisons of one figure on this test set, with every "
            "reference. Variance from a bootstrap that draws patients and seeds "
            f"({compared.replicates:,} replicates); quantiles of t, for the seeds are few.",
        ),
    )


def _probes(compared: Compared, test: TestSet) -> Section:
    return Section(
        f"What the features still tell, and the cost: {test.split}",
        blocks=(
            table_block(
                probe_rows(test, compared),
                caption=f"Balanced accuracy of a fresh linear probe that reads {compared.group} "
                "from the features, out of fold by patient (95 % interval)",
            ),
        ),
        notes=(
            f"Cost: time of a training step on an image relative to {compared.references[0]}, "
            "measured in turn on this machine; it is the one figure that varies between runs.",
        ),
    )


def _selection(compared: Compared) -> Section:
    table = compared.selection.rename(
        columns={
            "rule": "weights kept",
            "images": "images seen to choose",
            "test_images": "test images among them",
        }
    )
    return Section(
        "What model selection saw",
        blocks=(table_block(table, caption="How the weights of each experiment were chosen"),),
        notes=(
            "Checked before training: no image and no patient of a test split is among the rows "
            "that train or select. The experiments themselves were chosen by whoever wrote them.",
        ),
    )


def _settings(compared: Compared) -> Section:
    import pandas as pd

    rows = [
        {
            "experiment": name,
            "method": one.method["name"],
            "options": ", ".join(f"{k} {v}" for k, v in one.method.items() if k != "name"),
            "backbone": f"{one.backbone.name}, {one.backbone.weights}",
            "rates (backbone, target, group)": f"{one.optimizer.backbone:g}, "
            f"{one.optimizer.target_head:g}, {one.optimizer.group_head:g}",
            "epochs": one.training.epochs,
            "batch": one.training.batch_size,
        }
        for name, one in compared.experiments.items()
    ]
    return Section(
        "Settings", blocks=(table_block(pd.DataFrame(rows), caption="What was compared"),)
    )


def _heading(test: TestSet, figure: str) -> str:
    if figure == "worst":
        return "worst group"
    return figure if figure in ("overall", "gap") else f"group {figure}"


def _with_interval(one: Any) -> str:
    if one["value"] != one["value"]:
        return "–"
    return f"{one['value']:.3f} ({one['low']:.3f}–{one['high']:.3f})"


def signed(value: float) -> str:
    """Return a difference with its sign, to three digits."""
    return "–" if value != value else f"{value:+.3f}".replace("-", "−")


def _p(value: float) -> str:
    if value != value:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
