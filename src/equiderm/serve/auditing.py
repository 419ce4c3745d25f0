"""A table of predictions that was dropped on the page: its audit, as the command gives it."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from equiderm.audit import Request, audit_files
from equiderm.engine import Failure, run
from equiderm.errors import InputError
from equiderm.files import read_table

SECONDS = 180.0


@dataclass(frozen=True)
class Audited:
    """What came of one upload.

    Attributes:
        text: The report as HTML, or what ``equiderm audit --json`` prints; "" where there is none.
        error: Why there is none, in a sentence.
        columns: Of the table, where it could be read but not audited.
    """

    text: str = ""
    error: str = ""
    columns: tuple[str, ...] = ()


def audit_upload(
    tables: Mapping[str, tuple[str, bytes]],
    request: Request,
    *,
    as_json: bool,
    seconds: float = SECONDS,
) -> Audited:
    """Return the audit of uploaded tables, made in another process and kept nowhere.

    Args:
        tables: Name and bytes of ``predictions`` and perhaps of ``other``, ``tones``, ``truth``.
        request: What is audited; its tables are those above.
        as_json: The JSON in place of the page.
        seconds: That it may take.
    """
    with tempfile.TemporaryDirectory(prefix="equiderm-") as folder:
        paths: dict[str, Path] = {}
        for kind, (name, blob) in tables.items():
            place = Path(folder) / kind
            place.mkdir()
            paths[kind] = place / safe_name(name)
            paths[kind].write_bytes(blob)
        with closing(run(audit_one, [paths], shared=(request, as_json), seconds=seconds)) as done:
            result = next(iter(done))[1]
        if isinstance(result, Failure):
            if result.error is not None:
                raise result.error
            result = Audited(error=f"The audit {result.reason}.")
        said = re.sub(re.escape(folder) + r"/\w+/", "", result.error)
        return Audited(result.text, said, result.columns)


def safe_name(name: str) -> str:
    """Return a file name that names nothing but a file in the folder where it is put."""
    kept = re.sub(r"[^\w.-]", "_", name.replace("\\", "/").rpartition("/")[2])[-80:].lstrip(".")
    return kept or "table.csv"


def audit_one(paths: Mapping[str, Path], how: tuple[Request, bool]) -> Audited:
    """Return the audit of files; the work of one process."""
    request, as_json = how
    request = replace(request, tones=paths.get("tones"), truth=paths.get("truth"))
    try:
        result = audit_files(paths["predictions"], paths.get("other"), request)
        result.audits[0].compute()
        return Audited(result.to_json() if as_json else result.to_html())
    except InputError as error:
        return Audited(error=str(error), columns=_columns(paths.values()))


def _columns(paths: Iterable[Path]) -> tuple[str, ...]:
    names: list[str] = []
    for path in paths:
        with contextlib.suppress(InputError):
            names += map(str, read_table(path).columns)
    return tuple(dict.fromkeys(names))
