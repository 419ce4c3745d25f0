"""One call for all tables: what can run runs, and what cannot says why."""

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
# The cheap ones first: who has to wait hours for a table has the others meanwhile.
_ORDER = ("labelling", "figure4", "table1", "table3", "table2", "heads", "backbones")


def project_experiments() -> Path:
    """Return the folder of the project's own experiment files: in the wheel, or in the clone."""
    package = Path(equiderm.__file__).parent
    for folder in (package / "experiments", package.parents[1] / "experiments"):
        if (folder / "erm.toml").is_file():
            return folder
    raise InputError(f"{package}: its experiment files are missing; install equiderm again.")


def choose(table: str) -> list[str]:
    """Return the names of the tables that one word asks for: its own, or all.

    Raises:
        InputError: There is no such table.
    """
    if table != "all" and table not in TABLES:
        raise InputError(f"{table}: there is no such table; choose {', '.join(TABLES)} or all.")
    return list(TABLES) if table == "all" else [table]


def reproduce(names: Sequence[str], settings: Settings) -> Reproduction:
    """Run what can run of the named tables, write page, Markdown and JSON after each, return all.

    Args:
        names: Keys of `TABLES`.
        settings: Data, output, experiments and how often.

    Raises:
        InputError: A name that is no table, a data folder that is none, or an experiment file
            that is missing or wrong.
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
        ordered = tuple(results[one] for one in TABLES if one in results)
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
    """Return the sources of a table; ISIC 2019 as well where it may have what is called 2017."""
    used = sources_of(table, as_published=settings.as_published, stand_in=settings.stand_in)
    if "isic2019" in table.uses and not settings.place("isic2017").is_dir():
        used = tuple(dict.fromkeys((*used, "isic2019")))
    return used


def _run(
    table: Trained | Labelled, downloads: Mapping[str, Download], settings: Settings
) -> Result:
    readings = {
        source: one.reading
        for source in _used(table, settings)
        if (one := downloads[source]).reading is not None
    }
    said = ""
    if table.any_of:
        trains = training(readings, settings)
        table, said = _in_part(table, trains)
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

            result = run_trained(table, readings, settings)
        else:
            run = {"labelling": run_labelling, "figure4": run_figure4}[table.name]
            result = run(readings, settings)
        result = dataclasses.replace(result, title=table.title, trained_on=said)
    except InputError as error:
        return Result(table.name, table.title, missing=(str(error),))
    if result.figures:
        shown = (picture(result), *result.pictures)
        result = dataclasses.replace(result, pictures=shown)
    return _with_absent(result, table, downloads, settings)


def _in_part(table: Trained | Labelled, trains: Training) -> tuple[Trained | Labelled, str]:
    """Return a table as it is run on what is there, and what that is called.

    A stand-in has experiments of its own: a small network.
    """
    if not trains.said:
        return table, ""
    changes: dict[str, Any] = {"title": f"{table.title} ({trains.said})"}
    if isinstance(table, Trained) and trains.said.startswith("stand-in"):
        changes["folder"] = STAND_IN_FOLDER
    return dataclasses.replace(table, **changes), trains.said


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
    """Return a result that names the test sets and the sources of exclusions that were absent."""
    used = _used(table, settings)
    tests = table.tests if isinstance(table, Trained) else {}
    absent = [f"{test}: {source} is missing" for test, source in tests.items()
              if _lacks(downloads, source)]  # fmt: skip
    notes = [
        f"{source} is missing: its images, where they are in ISIC, could not be taken out."
        for source in ("mclass-d", "isic2018")
        if source in used and _lacks(downloads, source)
    ]
    parts = [one.fragment for name in used if (one := downloads[name]).fragment]
    if result.trained_on:
        wanted = [*table.needs, *([STAND_IN] if STAND_IN in used else [])]
        parts += [_is_missing(one, downloads[one]) for one in wanted if _lacks(downloads, one)]
    if settings.as_published and "isic2019" in used and _lacks(downloads, "isic2019"):
        notes.append(
            "isic2019 is missing: the challenge's own 2017 stands for what the released code calls "
            "2017, which is ISIC 2019 less HAM10000 and BCN20000."
        )
    notes_on = []
    if result.trained_on:
        notes_on = [
            f"Not the paper's training data: {result.trained_on}. Its figures are set beside the "
            "published ones, and neither confirm nor refute them."
        ]
    return dataclasses.replace(
        result, missing=(*parts, *absent, *result.missing), notes=(*notes_on, *result.notes, *notes)
    )
