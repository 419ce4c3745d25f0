"""Run the tables of the paper whose data is there; the others say why they did not run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import equiderm
from equiderm.errors import InputError
from equiderm.reproduce.downloads import Download, read_downloads
from equiderm.reproduce.labels import run_figure4, run_labelling
from equiderm.reproduce.published import (
    STAND_IN,
    STAND_IN_FOLDER,
    TABLES,
    Labelled,
    Trained,
    sources_of,
)
from equiderm.reproduce.report import write_report
from equiderm.reproduce.result import Reproduction, Result, picture
from equiderm.reproduce.rows import Training, training
from equiderm.reproduce.work import Settings

NO_TORCH = "training needs torch: pip install 'equiderm[train]'"
# The cheap ones first, so that they can be read while the others train for hours.
_ORDER = ("labelling", "figure4", "table1", "table3", "table2", "heads", "backbones")


def project_experiments() -> Path:
    """Return the folder of the project's own experiment files: in the wheel, or in the clone."""
    package = Path(equiderm.__file__).parent
    for folder in (package / "experiments", package.parents[1] / "experiments"):
        if (folder / "erm.toml").is_file():
            return folder
    raise InputError(f"{package}: its experiment files are missing; install equiderm again.")


def choose(table: str) -> list[str]:
    """Return the tables that a word of the command line names: one, or all.

    Raises:
        InputError: There is no such table.
    """
    if table != "all" and table not in TABLES:
        raise InputError(f"{table}: there is no such table; choose {', '.join(TABLES)} or all.")
    return list(TABLES) if table == "all" else [table]


def reproduce(names: Sequence[str], settings: Settings) -> Reproduction:
    """Run the named tables whose data is there; write page, Markdown and JSON after each.

    Args:
        names: Keys of `TABLES`.
        settings: Data, output, experiments and number of seeds.

    Raises:
        InputError: An unknown table, no data folder, or an experiment file that is missing or
            wrong.
    """
    for name in names:
        choose(name)
    if settings.as_published and settings.stand_in:
        raise InputError(
            "`as_published=True` and `stand_in=True`: a stand-in is not what was published; choose "
            "one."
        )
    _check_experiments(names, settings)
    sources = dict.fromkeys(source for name in names for source in _used(TABLES[name], settings))
    settings.watch(f"reading {settings.data}")
    downloads = read_downloads(settings, tuple(sources))
    results: dict[str, Result] = {}
    reproduction = Reproduction(settings, downloads, ())
    for name in sorted(names, key=_ORDER.index):
        settings.watch(TABLES[name].title)
        started = time.monotonic()
        result = _run(TABLES[name], downloads, settings)
        results[name] = dataclasses.replace(result, seconds=time.monotonic() - started)
        ordered = tuple(results[key] for key in TABLES if key in results)
        reproduction = dataclasses.replace(reproduction, results=ordered)
        write_report(reproduction, names)
    return reproduction


def _check_experiments(names: Sequence[str], settings: Settings) -> None:
    if find_spec("torch") is None:
        return
    for name in names:
        table = TABLES[name]
        if isinstance(table, Trained):
            from equiderm.reproduce.tables import read_experiments

            read_experiments(table, settings)
            if settings.stand_in and table.any_of:
                read_experiments(dataclasses.replace(table, folder=STAND_IN_FOLDER), settings)


def _used(table: Trained | Labelled, settings: Settings) -> tuple[str, ...]:
    """Return the sources of a table, with ISIC 2019 where it may replace ISIC 2017."""
    used = sources_of(table, as_published=settings.as_published, stand_in=settings.stand_in)
    if "isic2019" in table.uses and not settings.place("isic2017").is_dir():
        used = tuple(dict.fromkeys((*used, "isic2019")))
    return used


def _run(
    table: Trained | Labelled, downloads: Mapping[str, Download], settings: Settings
) -> Result:
    readings = {
        source: reading
        for source in _used(table, settings)
        if (reading := downloads[source].reading) is not None
    }
    trained_on = ""
    if table.any_of:
        trains = training(readings, settings)
        table, trained_on = _in_part(table, trains)
        absent = [] if trains.sources else list(table.needs)
    else:
        absent = [source for source in table.needs if source not in readings]
    missing = [_is_missing(source, downloads[source]) for source in absent]
    if isinstance(table, Trained) and find_spec("torch") is None:
        missing.append(NO_TORCH)
    if missing:
        return Result(table.name, table.title, missing=tuple(missing))
    try:
        if isinstance(table, Trained):
            from equiderm.reproduce.tables import run_trained

            result = run_trained(table, readings, settings, trained_on)
        else:
            run = {"labelling": run_labelling, "figure4": run_figure4}[table.name]
            result = run(readings, settings)
        result = dataclasses.replace(result, title=table.title, trained_on=trained_on)
    except InputError as error:
        return Result(table.name, table.title, missing=(str(error),))
    if result.figures:
        shown = (picture(result), *result.pictures)
        result = dataclasses.replace(result, pictures=shown)
    return _with_absent(result, table, downloads, settings)


def _in_part(table: Trained | Labelled, trains: Training) -> tuple[Trained | Labelled, str]:
    """Return a table as it runs on the sources there are, and what replaces its training data.

    A stand-in has experiments of its own: a small network.
    """
    substitute = trains.substitute
    if not substitute:
        return table, ""
    changes: dict[str, Any] = {"title": f"{table.title} ({substitute})"}
    if isinstance(table, Trained) and substitute.startswith("stand-in"):
        changes["folder"] = STAND_IN_FOLDER
    return dataclasses.replace(table, **changes), substitute


def _is_missing(source: str, download: Download) -> str:
    hint = f" ({download.get})" if download.get.startswith("it seems") else ""
    return f"{source} is missing: {download.missing}{hint}"


def _lacks(downloads: Mapping[str, Download], source: str) -> bool:
    return source not in downloads or downloads[source].reading is None


def _with_absent(
    result: Result,
    table: Trained | Labelled,
    downloads: Mapping[str, Download],
    settings: Settings,
) -> Result:
    """Return the result with the test sets, and the sources of exclusions, that were absent."""
    used = _used(table, settings)
    tests = table.tests if isinstance(table, Trained) else {}
    absent = [f"{test}: {source} is missing" for test, source in tests.items()
              if _lacks(downloads, source)]  # fmt: skip
    notes = [
        f"{source} is missing: its images, where they are in ISIC, could not be left out."
        for source in ("mclass-d", "isic2018")
        if source in used and _lacks(downloads, source)
    ]
    parts = [fragment for name in used if (fragment := downloads[name].fragment)]
    if result.trained_on:
        wanted = [*table.needs, *([STAND_IN] if STAND_IN in used else [])]
        parts += [_is_missing(name, downloads[name]) for name in wanted if _lacks(downloads, name)]
    if settings.as_published and "isic2019" in used and _lacks(downloads, "isic2019"):
        notes.append(
            "isic2019 is missing: the challenge's own 2017 replaces what the released code calls "
            "2017, which is ISIC 2019 less HAM10000 and BCN20000."
        )
    caution = []
    if result.trained_on:
        caution = [
            f"Not the paper's training data: {result.trained_on}. Its figures are set beside the "
            "published ones, and neither confirm nor refute them."
        ]
    return dataclasses.replace(
        result, missing=(*parts, *absent, *result.missing), notes=(*caution, *result.notes, *notes)
    )
