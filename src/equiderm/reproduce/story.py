"""One call for all tables: what can run runs, and what cannot says why."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import equiderm
from equiderm.errors import InputError
from equiderm.reproduce.downloads import Download, read_downloads
from equiderm.reproduce.labels import run_figure4, run_labelling
from equiderm.reproduce.published import TABLES, Labelled, Trained, sources_of
from equiderm.reproduce.report import write_report
from equiderm.reproduce.result import Reproduction, Result, picture
from equiderm.reproduce.work import Settings

NO_TORCH = "training needs torch: pip install 'equiderm[train]'"
# The cheap ones first: who has to wait hours for a table has the others meanwhile.
_ORDER = ("labelling", "figure4", "table1", "table3", "table2")


def project_experiments() -> Path:
    """Return the folder of the project's own experiment files: in the wheel, or in the clone."""
    package = Path(equiderm.__file__).parent
    for folder in (package / "experiments", package.parents[1] / "experiments"):
        if (folder / "erm.toml").is_file():
            return folder
    raise InputError(f"{package}: its experiment files are missing; install equiderm again.")


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
        if name not in TABLES:
            raise InputError(f"{name}: there is no such table; choose {', '.join(TABLES)} or all.")
    _check_experiments(names, settings)
    released = settings.as_published
    used = [sources_of(TABLES[name], as_published=released) for name in names]
    sources = dict.fromkeys(source for one in used for source in one)
    settings.watch(f"reading {settings.data}")
    downloads = read_downloads(settings.data, tuple(sources))
    results: dict[str, Result] = {}
    reproduction = Reproduction(settings, downloads, ())
    for name in sorted(names, key=_ORDER.index):
        settings.watch(TABLES[name].title)
        results[name] = _run(TABLES[name], downloads, settings)
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


def _run(
    table: Trained | Labelled, downloads: Mapping[str, Download], settings: Settings
) -> Result:
    missing = [
        f"{s} is missing: {downloads[s].missing}" for s in table.needs if _lacks(downloads, s)
    ]
    if isinstance(table, Trained) and find_spec("torch") is None:
        missing.append(NO_TORCH)
    if missing:
        return Result(table.name, table.title, missing=tuple(missing))
    readings = {
        source: one.reading
        for source in sources_of(table, as_published=settings.as_published)
        if (one := downloads[source]).reading is not None
    }
    try:
        if isinstance(table, Trained):
            from equiderm.reproduce.tables import run_trained

            result = run_trained(table, readings, settings)
        else:
            run = {"labelling": run_labelling, "figure4": run_figure4}[table.name]
            result = run(readings, settings)
    except InputError as error:
        return Result(table.name, table.title, missing=(str(error),))
    if result.figures:
        shown = (picture(result), *result.pictures)
        result = dataclasses.replace(result, pictures=shown)
    return _with_absent(result, table, downloads, settings)


def _lacks(downloads: Mapping[str, Download], source: str) -> bool:
    return downloads[source].reading is None


def _with_absent(
    result: Result,
    table: Trained | Labelled,
    downloads: Mapping[str, Download],
    settings: Settings,
) -> Result:
    """Return a result that names the test sets and the sources of exclusions that were absent."""
    used = sources_of(table, as_published=settings.as_published)
    tests = table.tests if isinstance(table, Trained) else {}
    absent = [f"{test}: {source} is missing" for test, source in tests.items()
              if _lacks(downloads, source)]  # fmt: skip
    notes = [
        f"{source} is missing: its images, where they are in ISIC, could not be taken out."
        for source in ("mclass-d", "isic2018")
        if source in used and _lacks(downloads, source)
    ]
    parts = [one.fragment for name in used if (one := downloads[name]).fragment]
    if settings.as_published and "isic2019" in used and _lacks(downloads, "isic2019"):
        notes.append(
            "isic2019 is missing: the challenge's own 2017 stands for what the released code calls "
            "2017, which is ISIC 2019 less HAM10000 and BCN20000."
        )
    return dataclasses.replace(
        result, missing=(*parts, *absent, *result.missing), notes=(*result.notes, *notes)
    )
