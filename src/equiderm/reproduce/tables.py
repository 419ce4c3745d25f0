"""The paper's tables 1 to 3: prepare rows, labels and images; train and compare every row."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm.data.manifest import write_manifest
from equiderm.files import write_text
from equiderm.format import MISSING, counted, signed
from equiderm.reproduce.published import CONTROL, GAP, Row, Trained
from equiderm.reproduce.result import (
    NAN,
    Difference,
    Estimate,
    Figure,
    Result,
    difference_interval,
    from_here,
    written,
)
from equiderm.reproduce.rows import Rows, isic_rows, training, type_rows
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


def run_trained(
    table: Trained, readings: Mapping[str, Reading], settings: Settings, trained_on: str = ""
) -> Result:
    """Return a table's figures, after training whatever is not trained yet.

    Args:
        table: The table.
        readings: The sources that are there, all that it needs among them.
        settings: Folders, seeds and workers.
        trained_on: What stands in place of the paper's training data, see `Result`.

    Raises:
        InputError: Rows that cannot train, no test set, or a folder of other runs.
    """
    import torch

    from equiderm.compare import as_dict, compare, render

    experiments = read_experiments(table, settings)
    name = table.folder or "-".join(["isic", *_parts(readings, settings)])
    rows = make_rows(table, readings, settings)
    missing = _drop_untestable(rows)
    settings.watch(f"{table.name}: decoding {counted(len(rows.frame), 'image')}")
    size = next(iter(experiments.values())).data.size
    images = _decode(rows, settings, f"{name}-{size}px", size)
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
        progress=settings.progress("runs finished"),
    )
    page = f"{table.name}-comparison.html"
    write_text(settings.out / page, render(compared, lead=table.title))
    figures = _figures(table, compared, settings)
    differences = _differences(table, compared, settings)
    return Result(
        table.name,
        table.title,
        missing=tuple(missing),
        figures=figures,
        differences=differences,
        listed=rows.listed,
        left_out=tuple(rows.left_out),
        kept={str(k): int(n) for k, n in rows.frame["split"].value_counts().sort_index().items()},
        answers=tuple(_answers(differences, figures, compared)),
        tables=((_CAPTION, difference_table(differences, from_here(trained_on))),),
        detail=as_dict(compared),
        page=page,
    )


def _parts(readings: Mapping[str, Reading], settings: Settings) -> list[str]:
    """Return the sources that train where they are not the paper's: they have their own runs."""
    trains = training(readings, settings)
    return list(trains.sources.values()) if trains.substitute else []


_CAPTION = (
    "Differences in AUROC, same seeds and images, with 95 % intervals adjusted, as p is, for all "
    "differences of the table's comparison; * where p < 0.05"
)


def make_rows(table: Trained, readings: Mapping[str, Reading], settings: Settings) -> Rows:
    """Return a table's rows with their splits and the group column that is unlearned."""
    if table.folder == "fitzpatrick17k":
        return type_rows(readings["fitzpatrick17k"], settings)
    rows = isic_rows(readings, settings)
    trains = (rows.frame["split"] == "train").to_numpy()
    for chosen in (trains, ~trains):  # separately, so that Figure 4 reuses the labels of the first
        part: Any = rows.frame[chosen]
        if len(part):
            tones = measure_tones(part, settings.tone_method, settings)
            rows.frame.loc[chosen, "ita"] = tones["ita"].to_numpy()
            rows.frame.loc[chosen, "ita_band"] = tones["ita_band"].to_numpy()
    rows.frame["tone_method"] = f"{settings.tone_method}, paper bands"
    return rows


def _decode(rows: Rows, settings: Settings, stem: str, size: int) -> Images:
    """Return the store of the rows' images; an earlier call's store of other images is deleted."""
    from equiderm.training.images import build_images

    folder = settings.out / "images"
    store = folder / f"{stem}-{digest_of(rows.frame['path'].astype(str).tolist())}"
    for old in folder.glob(f"{stem}-*"):
        if old != store:
            shutil.rmtree(old)
    images, rows.frame, errors = build_images(
        rows.frame, store, size=size, progress=settings.progress("decoding")
    )
    rows.note_unread(errors)
    return images


def _drop_untestable(rows: Rows) -> list[str]:
    """Leave out test splits without both classes; return why, in sentences."""
    sentences: list[str] = []
    for split, part in rows.frame.groupby("split"):
        if str(split).startswith("test") and part["target"].nunique() < 2:
            why = f"{split}: its {len(part)} images are all of one class, so it has no AUROC"
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
                figures.append(Figure(row.name, column.name, published, origin=row.origin))
                continue
            n, positives = _counts(test, column.figure)
            estimate = (NAN, NAN, NAN)
            if name is not None:
                estimate = _interval_of(test, name, column.figure)
            figures.append(
                Figure(
                    row.name,
                    column.name,
                    published,
                    *estimate,
                    trivial=0.0 if column.figure == "gap" else 0.5,
                    n=n,
                    positives=positives,
                    origin=row.origin,
                )
            )
    return tuple(figures)


def _counts(test: TestSet, figure: str) -> tuple[int, int]:
    """Return images and positives behind a figure: of its group, or of the whole test set."""
    for group in test.groups.to_dict("records"):
        if group["group"] == figure:
            return int(group["n"]), int(group["positives"])
    return test.n, test.positives


def _interval_of(test: TestSet, name: str, figure: str) -> Estimate:
    """Return a figure of an experiment with its interval; NaN where it has none.

    The gap is signed as in the paper: types 3 and 4 minus types 5 and 6.
    """
    if figure == "gap":
        return difference_interval(*(_interval_of(test, name, group) for group in GAP))
    if figure not in set(test.figures["figure"]):
        return NAN, NAN, NAN
    estimate = test.figure(name, figure)
    return estimate["value"], estimate["low"], estimate["high"]


def _differences(table: Trained, compared: Compared, settings: Settings) -> tuple[Difference, ...]:
    """Return every difference of a row from a baseline, as published and as estimated here."""
    rows = {row.file(as_published=settings.as_published): row for row in table.rows}
    tests = {test.split: test for test in compared.tests}
    differences: list[Difference] = []
    for column in table.columns:
        test = tests.get(column.split)
        if test is None:
            continue
        for name, against in dict.fromkeys(
            zip(test.differences["experiment"], test.differences["against"], strict=True)
        ):
            row, base = rows[name], rows[against]
            here = _difference(test, name, against, column.figure)
            if here is not None:
                published = _minus(row, base, column.name)
                differences.append(Difference(row.name, base.name, column.name, published, *here))
    return tuple(differences)


def _difference(test: TestSet, name: str, against: str, figure: str) -> Estimate | None:
    """Return a difference with its adjusted interval, or None; that of the gap is signed."""
    if figure == "gap":
        parts = [_difference(test, name, against, group) for group in GAP]
        return None if None in parts else difference_interval(*parts)  # pyright: ignore[reportArgumentType]
    row = test.difference(name, against, figure)
    return None if row is None else (row["difference"], row["low_holm"], row["high_holm"])


def _minus(row: Row, base: Row, column: str) -> float:
    return row.published.get(column, NAN) - base.published.get(column, NAN)


def difference_table(differences: Sequence[Difference], ours: str) -> pd.DataFrame:
    """Return the differences as text, each twice: in the paper, and here (``ours``)."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for d in differences:
        what = f"{d.row} minus {d.base}"
        here = f"{written(d, with_sign=True)}{'*' if d.established else ''}"
        lines.setdefault((what, "paper"), {})[d.column] = signed(d.published)
        lines.setdefault((what, ours), {})[d.column] = here
    shown = [
        {"": what, "from": origin, **cells}
        for (what, origin), cells in lines.items()
        if any(text != MISSING for text in cells.values())
    ]
    return pd.DataFrame(shown).fillna(MISSING)


def _answers(
    differences: Sequence[Difference], figures: Sequence[Figure], compared: Compared
) -> list[str]:
    sentences: list[str] = []
    for base in dict.fromkeys(d.base for d in differences):
        methods = [d for d in differences if d.base == base and d.row != CONTROL.name]
        if methods:
            established = [d for d in methods if d.established]
            named = ", ".join(f"{d.row} on {d.column} ({signed(d.value)})" for d in established)
            sentences.append(
                f"Of {len(methods)} differences from {base}, {len(established)} differ from 0 "
                f"after Holm's adjustment{f': {named}' if established else ''}."
            )
    gaps = {figure.row: figure for figure in figures if figure.column == "Gap"}
    sentences += [
        f"The gap, types 3&4 minus 5&6: published {signed(gaps[d.base].published)} for "
        f"{d.base} and {signed(gaps[d.row].published)} for {d.row}; here "
        f"{signed(gaps[d.base].value)} and {signed(gaps[d.row].value)}, a difference of "
        f"{written(d, with_sign=True)}."
        for d in differences
        if d.column == "Gap" and not math.isnan(d.published)
    ]
    if len(compared.seeds) == 1:
        sentences.append(
            "One seed: intervals cover images alone; no difference has an interval or p."
        )
    return sentences
