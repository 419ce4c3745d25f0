"""The comparison as one offline page, as JSON, and as tables for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm.compare import charts
from equiderm.compare.answer import SCALES, WHOLE, answer, capital, conclude, group_name, groups_of
from equiderm.compare.ranks import rank_table
from equiderm.compare.tables import (
    difference_rows,
    figures_by_group,
    headline_rows,
    paper_tables,
    probe_caption,
    probe_rows,
    tried_rows,
)
from equiderm.files import AnyPath, write_text
from equiderm.format import counted, json_text, number, plain
from equiderm.page import (
    Section,
    bullets_block,
    panel_block,
    render_page,
    table_block,
    verdict_block,
)
from equiderm.tables import write_table

if TYPE_CHECKING:
    from equiderm.compare.result import Compared, TestSet

SCHEMA = "equiderm.compare/2"
TABLES = ("groups", "figures", "differences", "probes", "runs", "needs")
BOX = {"help": "none-found", "equivalent": "none-found", "harm": "gap", "unknown": "cannot-say"}
HOLM = (
    "Holm's adjustment makes p larger and intervals wider for the number of differences tested, "
    "here all methods, references, figures and test sets together; without it some would be "
    "established by luck."
)
PROBE = (
    "Probe: a fresh classifier, linear or a small network, that reads the group from a model's "
    "features; unlearned means that both read less than from ERM's, and what neither reads another "
    "may; chance is the floor."
)


def as_dict(compared: Compared) -> dict[str, Any]:
    """Return everything the page says as JSON types, by the schema that docs/compare.md has."""
    conclusion = conclude(compared)
    return plain(
        {
            "schema": SCHEMA,
            "verdict": {"kind": conclusion.kind, "headline": conclusion.headline},
            "answer": answer(compared),
            "experiments": {
                name: None if experiment is None else experiment.to_toml()
                for name, experiment in compared.experiments.items()
            },
            "references": compared.references,
            "seeds": compared.seeds,
            "group": compared.group,
            "by": compared.by,
            "margin": compared.margin,
            "measure": compared.measure,
            "costs": dict(compared.costs),
            "selection": compared.selection.to_dict("records"),
            "failed": compared.failed.to_dict("records"),
            "unreadable": compared.unreadable.to_dict("records"),
            "curves": compared.curves.to_dict("records"),
            "tried": compared.tried.to_dict("records"),
            "splits": compared.splits.to_dict("records"),
            "tests": [
                {
                    "split": test.split,
                    "n": test.n,
                    "patients": test.patients,
                    "positives": test.positives if compared.measure == "auroc" else None,
                    "constant": dict(test.constant),
                }
                | {name: getattr(test, name).to_dict("records") for name in TABLES}
                for test in compared.tests
            ],
        }
    )


def write(compared: Compared, page: AnyPath, *, lead: str = "") -> list[Path]:
    """Write the page, ``.json`` beside it, and a folder of tables as CSV and LaTeX.

    Returns:
        The files, the page first.
    """
    page = Path(page)
    files = [page, page.with_suffix(".json")]
    write_text(page, render(compared, lead=lead))
    write_text(files[1], json_text(as_dict(compared)))
    folder = page.with_name(f"{page.stem}-tables")
    for name, table in paper_tables(compared).items():
        files.append(folder / f"{name}.csv")
        write_table(table, files[-1])
        if not name.endswith("-runs"):
            files.append(folder / f"{name}.tex")
            write_text(files[-1], table.to_latex(index=False, escape=True, na_rep="--"))
    return files


def verdict(compared: Compared) -> Any:
    """Return what may be concluded as a box for a page."""
    conclusion = conclude(compared)
    return verdict_block(BOX[conclusion.kind], conclusion.headline, conclusion.sentences)


def notebook(compared: Compared) -> str:
    """Return the conclusion and the figures by group as an HTML fragment for notebooks."""
    what = capital(compared.about.name)
    tables = [
        str(table_block(figures_by_group(compared, test), caption=f"{what} on {test.split}"))
        for test in compared.tests
    ]
    return str(bullets_block(answer(compared))) + "".join(tables)


def render(compared: Compared, *, lead: str = "") -> str:
    """Return the whole page; ``lead`` comes first, such as what the images are."""
    sections = [Section("", blocks=(verdict(compared),))]
    for test in compared.tests:
        sections.append(_worst(compared, test))
    if len(compared.tests) > 1:
        sections.append(_ranks(compared))
    for test in compared.tests:
        sections += [_differences(compared, test), _figures(compared, test)]
        sections += [_probes(compared, test)] if compared.costs else []
    if len(compared.splits):
        sections.append(_splits(compared))
    if len(compared.curves):
        blocks = (panel_block(charts.learning_curves(compared)),)
        sections.append(Section("Learning curves, a line per seed", blocks=blocks))
    for heading, table, caption in (
        ("Runs left out", compared.failed, "Left out of every mean, and why"),
        ("Images left out", compared.unreadable, "In no training and no test set"),
    ):
        if len(table):
            sections.append(Section(heading, blocks=(table_block(table, caption=caption),)))
    if len(compared.selection):
        sections.append(_selection(compared))
    if len(compared.tried):
        sections.append(_tried(compared))
    if any(compared.experiments.values()):
        sections.append(_settings(compared))
    title = f"{len(compared.experiments)} experiments, {compared.repeats} each"
    return render_page(f"Comparison: {title}", sections, lead=lead)


def _worst(compared: Compared, test: TestSet) -> Section:
    groups, about = test.groups.to_dict("records"), compared.about
    is_binary = compared.measure == "auroc"
    counts = [
        f"{group_name(compared.by, str(row['group']))}: {row['n']:,}"
        + (f" ({row['positives']:,})" if is_binary else "")
        for row in groups
    ]
    positive = f", {test.positives:,} positive" if is_binary else ""
    left_out = [
        f"{compared.by} {row['group']} has no {about.name}: {row['missing']}."
        for row in groups
        if row["missing"]
    ]
    scale = [
        f"{compared.by} runs from {ends[0]}, the lightest skin, to {ends[1]}, the darkest."
        for column, ends in SCALES.items()
        if column in compared.by
    ]
    repeated = ""
    if len(compared.splits):
        repeated = f", tested in {counted(len(compared.splits), 'split')} (see Splits)"
    return Section(
        f"Worst group and gap: {test.split}",
        paragraphs=(
            f"{counted(test.n, 'image')} of {counted(test.patients, 'patient')}"
            f"{positive}{repeated}. {compared.by}, images"
            f"{' (positive)' if is_binary else ''}: {'; '.join(counts)}.",
            *scale,
            *left_out,
        ),
        blocks=(
            table_block(
                headline_rows(compared, test),
                caption=f"{capital(about.name)}, mean over seeds, with 95 % intervals; "
                "differences of the same seeds and images with adjusted intervals, * established",
            ),
            panel_block(_headline_pictures(compared, test)),
        ),
        notes=(
            about.says,
            f"Worst group: the group with the {'lowest' if about.sign > 0 else 'highest'} "
            f"{about.name} of a run; gap: between best and worst group of a run; both averaged "
            "over runs. Noise makes the worst look worse and the gap wider, most in small groups; "
            "the intervals reach back as far as noise may have moved them.",
        ),
    )


def _headline_pictures(compared: Compared, test: TestSet) -> list[Any]:
    if len(groups_of(test)) < 2:
        return [charts.levels(compared, test, "overall")]
    every = [charts.levels(compared, test, figure) for figure in WHOLE]
    return [charts.pareto(compared, test), *every]


def _differences(compared: Compared, test: TestSet) -> Section:
    blocks: list[Any] = []
    if any(len(difference_rows(compared, test, reference)) for reference in compared.references):
        groups = groups_of(test)
        figures = [*WHOLE, *groups] if len(groups) > 1 else ["overall"]
        blocks.append(
            panel_block([charts.differences(compared, test, figure) for figure in figures])
        )
    blocks += [
        table_block(
            table, caption=f"Minus {reference}, same seeds and images; adjusted 95 % intervals"
        )
        for reference in compared.references
        if len(table := difference_rows(compared, test, reference))
    ]
    return Section(
        f"Paired differences, overall and by group: {test.split}",
        blocks=tuple(blocks),
        notes=(
            HOLM,
            f"The interval adds, in quadrature, the half widths that {compared.unit}s (t, one "
            f"degree of freedom fewer than {compared.unit}s) and patients give; p is the level at "
            "which it would just touch 0. So an interval excludes 0 exactly where p is below 0.05.",
        ),
    )


def _figures(compared: Compared, test: TestSet) -> Section:
    return Section(
        f"{capital(compared.about.name)} of every group: {test.split}",
        blocks=(
            table_block(
                figures_by_group(compared, test),
                caption=f"{capital(compared.about.name)}, mean over seeds (95 % interval over "
                "seeds and patients)",
            ),
            panel_block([charts.levels(compared, test, group) for group in groups_of(test)]),
        ),
        notes=("Read a gap beside the groups: it also shrinks when the best group gets worse.",),
    )


def _ranks(compared: Compared) -> Section:
    """Return mean ranks over the tests, with Nemenyi's critical difference."""
    table, critical = rank_table(compared)
    tests = table.shape[1] - 2  # beside the names and the mean rank
    return Section(
        "Ranks over the tests",
        blocks=(
            table_block(
                table,
                caption=f"Rank by the worst group's {compared.about.name}, and its mean",
                digits=2,
            ),
            charts.ranks(compared, table, critical),
        ),
        notes=(
            f"Critical difference {number(critical, 2)}: mean ranks closer than this are not "
            f"distinguished (Demšar 2006); with {counted(tests, 'test')} few are.",
        ),
    )


def _probes(compared: Compared, test: TestSet) -> Section:
    return Section(
        f"What the features still tell, and the cost: {test.split}",
        blocks=(
            table_block(
                probe_rows(compared, test),
                caption=f"{probe_caption(compared, test)}, out of fold by patient (95 % interval)",
            ),
        ),
        notes=(
            PROBE,
            f"Cost: time of a training step per image relative to {compared.references[0]}, "
            "measured in turn on this machine; it is the one figure that varies between runs.",
        ),
    )


def _splits(compared: Compared) -> Section:
    """Return how the splits were drawn, and how much their tests have in common."""
    names = {"patients": "patients tested", "in_other_tests": "of them in another split's test"}
    heads = {"train": "images, train", "validation": "validation", "test": "test"}
    how = "train, validation and test drawn anew by patient, in the manifest's shares"
    return Section(
        "Splits",
        blocks=(
            table_block(
                compared.splits.rename(columns=names | heads),
                caption=f"{how}; other test sets are the same in all"
                if "train" in compared.splits
                else "What each split tests",
            ),
        ),
        notes=(
            "Patients whom two splits test are counted as the same patients in every interval. "
            "What is averaged over is splits of these patients: how far training on other "
            "patients would move the figures no split of these can show.",
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


def _tried(compared: Compared) -> Section:
    experiment = next(
        experiment for experiment in compared.experiments.values() if experiment is not None
    )
    chance = 0 if experiment.validation.figure == "spearman" else 0.5
    figure = experiment.validation.figure.replace("_", " ").replace("auroc", "AUROC")
    return Section(
        "What was tried before",
        blocks=(
            table_block(
                tried_rows(compared),
                caption=f"Highest {figure} on the validation rows, one run per draw; chance is "
                f"{chance}",
            ),
        ),
        notes=(
            "Every experiment had equally many draws from the ranges of its file. The highest of "
            "several figures is optimistic: it only chooses the settings, which are judged by "
            "other seeds on the tests above, which no draw has seen.",
        ),
    )


def _settings(compared: Compared) -> Section:
    rows = [
        {
            "experiment": name,
            "method": experiment.method["name"],
            "options": ", ".join(f"{k} {v}" for k, v in experiment.method.items() if k != "name"),
            "backbone": f"{experiment.backbone.name}, {experiment.backbone.weights}",
            "rates (backbone, target, group)": f"{experiment.optimizer.backbone:g}, "
            f"{experiment.optimizer.target_head:g}, {experiment.optimizer.group_head:g}",
            "epochs": experiment.training.epochs,
            "batch": experiment.training.batch_size,
        }
        for name, experiment in compared.experiments.items()
        if experiment is not None
    ]
    return Section(
        "Settings", blocks=(table_block(pd.DataFrame(rows), caption="Of each experiment"),)
    )
