"""Data sets: one table of images for every source, read, checked, split and stored."""

from __future__ import annotations

import importlib
import inspect
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiderm.errors import InputError
from equiderm.files import AnyPath

if TYPE_CHECKING:
    from equiderm.data.sources.release import Reading, Release

# name -> module:Release; a module is imported when its source is asked for.
SOURCES: dict[str, str] = {
    "isic2017": "isic:ISIC2017",
    "isic2018": "isic:ISIC2018",
    "isic2019": "isic:ISIC2019",
    "isic2020": "isic_by_patient:ISIC2020",
    "isic2024": "isic_by_patient:ISIC2024",
    "fitzpatrick17k": "fitzpatrick17k:FITZPATRICK17K",
    "mclass-d": "mclass:MCLASS_D",
    "mclass-c": "mclass:MCLASS_C",
    "atlas": "atlas:ATLAS",
    "asan": "asan:ASAN",
    "ham10000": "ham10000:HAM10000",
    "bcn20000": "bcn20000:BCN20000",
    "ddi": "ddi:DDI",
    "ddi-2": "ddi:DDI_2",
    "pad-ufes-20": "pad_ufes:PAD_UFES_20",
    "scin": "scin:SCIN",
    "mskcc": "mskcc:MSKCC",
    "milk10k": "milk10k:MILK10K",
    "mra-midas": "midas:MRA_MIDAS",
    "passion": "passion:PASSION",
    "ph2": "ph2:PH2",
    "med-node": "mednode:MED_NODE",
    "isic-archive": "isic_archive:ISIC_ARCHIVE",
    "folder": "folder:FOLDER",
}


def get_release(name: str) -> Release:
    """Return the record of a source.

    Raises:
        InputError: No source has this name.
    """
    if name not in SOURCES:
        raise InputError(f"{name}: no such source; the sources are {', '.join(SOURCES)}.")
    module, _, attribute = SOURCES[name].partition(":")
    return getattr(importlib.import_module(f"equiderm.data.sources.{module}"), attribute)


def read_source(name: str, directory: AnyPath, **options: Any) -> Reading:
    """Return a release as one checked manifest, with the list of images that are missing.

    Args:
        name: A source, one of ``SOURCES``.
        directory: The folder of its unpacked download.
        **options: Options of the source's ``read`` function, such as ``target``; None is ignored.

    Raises:
        InputError: The folder is not that release, or the source has no such option.
    """
    from equiderm.data.manifest import check_manifest, conform
    from equiderm.data.sources.release import Reading

    release = get_release(name)
    given = {key: value for key, value in options.items() if value not in (None, (), [])}
    takes = list(inspect.signature(release.read).parameters)[1:]
    unknown = [key for key in given if key not in takes]
    if unknown:
        has = ", ".join(takes) or "none"
        raise InputError(f"{name}: has no option {unknown[0]}; its options are: {has}.")
    _check_choices(release, given)
    for key in ("column", "positive"):  # one name is a list of one
        if isinstance(given.get(key), str):
            given[key] = [given[key]]
    reading = release.read(Path(directory), **given)
    frame = conform(reading.frame, name=name)
    check_manifest(frame, name=name)
    return Reading(frame, reading.missing, reading.unnamed, reading.notes)


def _check_choices(release: Release, given: dict[str, Any]) -> None:
    hints = typing.get_type_hints(release.read)
    for key, value in given.items():
        choices = typing.get_args(hints[key])
        if typing.get_origin(hints[key]) is typing.Literal and value not in choices:
            raise InputError(
                f"{release.name}: `{key}={value}` is not one of its choices: {', '.join(choices)}."
            )
