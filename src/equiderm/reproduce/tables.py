"""The paper's tables 1 to 3: rows, labels and images made ready, every row trained and compared."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm.data.manifest import write_manifest
from equiderm.files import write_whole
from equiderm.format import MISSING, counted, number, signed, with_interval
from equiderm.reproduce.published import Row, Trained
from equiderm.reproduce.result import NAN, Figure, Result, agreement_with_paper
from equiderm.reproduce.rows import Rows, isic_rows, type_rows
from equiderm.reproduce.work import Settings, digest_of, measure_tones

if TYPE_CHECKING:
    from equiderm.compare import Compared, TestSet
    from equiderm.data.sources.release import Reading
    from equiderm.training import Experiment, Images


def read_experiments(table: Trained, settings: Settings) -> dict[str, Experiment]:
    """Return the experiment of each row of a table, by the name of its file.

    Raises:
        InputError: A file that is missing or wrong.
    """
    from equiderm.training import read_experiment

    files = [row.file(as_published=settings.as_published) for row in table.rows]
    folder = settings.experiments / table.folder
    return {name: read_experiment(folder / f"{name}.toml") for name in files if name is not None}


def run_trained(table: Trained, readings: Mapping[str, Reading], settings: Settings) -> Result:
    """Return a table's figures, after training whatever is not trained yet.

    Args:
        table: Which.
        readings: The sources that are there; those it needs are.
        settings: Where, and how.

    Raises:
        InputError: Rows that cannot train, no test set, or a folder of other runs.
    """
    import torch

    from equiderm.compare import as_dict, compare, render

    experiments = read_experiments(table, settings)
    name = table.folder or "isic"
    rows = make_rows(table, readings, settings)
    missing = _drop_untestable(rows)
    settings.watch(f"{table.name}: decoding {counted(len(rows.frame), 'image')}")
    size = next(iter(experiments.values())).data.size
    images = _decode(rows, settings.out / "images", f"{name}-{size}px", size)
    write_manifest(rows.frame, settings.out / "manifests" / f"{name}.parquet")
    compared = compare(
        experiments,
        rows.frame,
        settings.out / "runs" / name,
        images=images,
        by=table.by,
        seeds=settings.seeds,
        workers=settings.workers or torch.cuda.device_count() or 1,
        watch=lambda sentence: settings.watch(f"{table.name}: {sentence}"),
    )
    page = f"{table.name}-comparison.html"
    with write_whole(settings.out / page) as temporary:
        temporary.write_text(render(compared, lead=table.title), encoding="utf-8")
    figures = _figures(table, compared, settings)
    return Result(
        table.name,
        table.title,
        missing=tuple(missing),
        figures=figures,
        listed=rows.listed,
        left_out=tuple(rows.left_out),
        kept={str(k): int(n) for k, n in rows.frame["split"].value_counts().sort_index().items()},
        answers=(agreement_with_paper(figures), *_answers(table, compared, settings)),
        tables=((_CAPTION, difference_table(table, compared, settings)),),
        detail=as_dict(compared),
        page=page,
    )


_CAPTION = (
    "Differences in AUROC, same seeds and images, with 95 % intervals adjusted, as p is, for all "
    "differences of the table's comparison; * where p < 0.05"
)


def make_rows(table: Trained, readings: Mapping[str, Reading], settings: Settings) -> Rows:
    """Return a table's rows with splits and the column of the groups that are unlearned."""
    if table.folder == "fitzpatrick17k":
        return type_rows(readings["fitzpatrick17k"], settings)
    rows = isic_rows(readings, settings)
    trains = (rows.frame["split"] == "train").to_numpy()
    for chosen in (trains, ~trains):  # apart, so that Figure 4 finds the labels of the first
        part: Any = rows.frame[chosen]
        if len(part):
            tones = measure_tones(part, settings.tone_method, settings)
            rows.frame.loc[chosen, "ita"] = tones["ita"].to_numpy()
            rows.frame.loc[chosen, "ita_band"] = tones["ita_band"].to_numpy()
    rows.frame["tone_method"] = f"{settings.tone_method}, paper bands"
    return rows


def _decode(rows: Rows, folder: Path, stem: str, size: int) -> Images:
    """Return the store of the rows' images; one of an earlier call with other images goes."""
    from equiderm.training.images import build_images

    place = folder / f"{stem}-{digest_of(rows.frame['path'].astype(str).tolist())}"
    for old in folder.glob(f"{stem}-*"):
        if old != place:
            shutil.rmtree(old)
    images, rows.frame, errors = build_images(rows.frame, place, size=size)
    rows.note_unread(errors)
    return images


def _drop_untestable(rows: Rows) -> list[str]:
    """Leave out test splits without both classes; return why, in sentences."""
    sentences: list[str] = []
    for split, part in rows.frame.groupby("split"):
        if str(split).startswith("test") and part["target"].nunique() < 2:
            why = f"{split}: only one class is among its {len(part)} images, no AUROC"
            rows.drop(rows.frame["split"] == split, f"{split} has one class only")
            sentences.append(why)
    return sentences


def _figures(table: Trained, compared: Compared, settings: Settings) -> tuple[Figure, ...]:
    tests = {test.split: test for test in compared.tests}
    figures: list[Figure] = []
    for row in table.rows:
        name = row.file(as_published=settings.as_published)
        for column in table.columns:
            published = row.published.get(column.name, NAN)
            test = tests.get(column.split)
            if test is None:
                figures.append(Figure(row.name, column.name, published))
                continue
            n, positives = _counts(test, column.figure)
            estimate: Mapping[str, float] = {}
            if name is not None and column.figure in set(test.figures["figure"]):
                estimate = test.figure(name, column.figure)
            figures.append(
                Figure(
                    row.name,
                    column.name,
                    published,
                    *(estimate.get(key, NAN) for key in ("value", "low", "high")),
                    trivial=0.0 if column.figure == "gap" else 0.5,
                    n=n,
                    positives=positives,
                )
            )
    return tuple(figures)


def _counts(test: TestSet, figure: str) -> tuple[int, int]:
    """Return images and positives behind a figure: of its group, or of the whole test set."""
    for group in test.groups.to_dict("records"):
        if group["group"] == figure:
            return int(group["n"]), int(group["positives"])
    return test.n, test.positives


def _differences(table: Trained, compared: Compared, settings: Settings) -> list[dict[str, Any]]:
    """Return every difference of a row from a baseline, as published and as estimated here."""
    rows = {row.file(as_published=settings.as_published): row for row in table.rows}
    tests = {test.split: test for test in compared.tests}
    differences: list[dict[str, Any]] = []
    for column in table.columns:
        if column.split not in tests:
            continue
        for one in tests[column.split].differences.to_dict("records"):
            if one["figure"] == column.figure:
                row, base = rows[one["experiment"]], rows[one["against"]]
                differences.append(
                    {**one, "row": row, "base": base, "column": column.name}
                    | {"published": _minus(row, base, column.name)}
                )
    return differences


def _minus(row: Row, base: Row, column: str) -> float:
    return row.published.get(column, NAN) - base.published.get(column, NAN)


def difference_table(table: Trained, compared: Compared, settings: Settings) -> pd.DataFrame:
    """Return the differences as text, each comparison twice: in the paper, and here."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for one in _differences(table, compared, settings):
        what = f"{one['row'].name} minus {one['base'].name}"
        star = "*" if one["p_holm"] < 0.05 else ""
        here = f"{_estimate(one)}{star}"
        lines.setdefault((what, "paper"), {})[one["column"]] = signed(one["published"])
        lines.setdefault((what, "here"), {})[one["column"]] = here
    shown = [
        {"": what, "from": origin, **cells}
        for (what, origin), cells in lines.items()
        if any(text != MISSING for text in cells.values())
    ]
    return pd.DataFrame(shown).fillna(MISSING)


def _answers(table: Trained, compared: Compared, settings: Settings) -> list[str]:
    sentences: list[str] = []
    differences = _differences(table, compared, settings)
    for reference in compared.references:
        here = [one for one in differences if one["against"] == reference]
        methods = [one for one in here if one["experiment"] not in compared.references]
        if methods:
            held = [one for one in methods if one["p_holm"] < 0.05]
            sentences.append(
                f"Of {len(methods)} differences from {methods[0]['base'].name}, {len(held)} differ "
                "from 0 after Holm's adjustment"
                + (f": {', '.join(_named(one) for one in held)}." if held else ".")
            )
    gap = [
        one
        for one in differences
        if one["figure"] == "gap" and one["published"] == one["published"]
    ]
    sentences += [_gap_sentence(one, compared) for one in gap]
    if len(compared.seeds) == 1:
        sentences.append(
            "One seed: intervals cover images alone; no difference has an interval or p."
        )
    return sentences


def _named(one: Mapping[str, Any]) -> str:
    return f"{one['row'].name} on {one['column']} ({signed(one['difference'])})"


def _gap_sentence(one: Mapping[str, Any], compared: Compared) -> str:
    test = compared.tests[0]
    base, here = (test.figure(one[key], "gap") for key in ("against", "experiment"))
    published = (one["base"].published["Gap"], one["row"].published["Gap"])
    return (
        f"The gap between types 3&4 and 5&6: published {number(published[0])} for the baseline and "
        f"{number(published[1])} for {one['row'].name}; here {number(base['value'])} and "
        f"{number(here['value'])}, a difference of {_estimate(one)}."
    )


def _estimate(one: Mapping[str, Any]) -> str:
    return with_interval(one["difference"], one["low_holm"], one["high_holm"], with_sign=True)
