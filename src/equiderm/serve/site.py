"""What every page of the server shares: settings, templates, uploads within their limits."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import jinja2
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from equiderm import __version__
from equiderm.engine import Kept
from equiderm.errors import InputError
from equiderm.format import json_text
from equiderm.page import NOT_A_DIAGNOSIS
from equiderm.serve.guard import Limits
from equiderm.serve.judgements import Judgements
from equiderm.serve.look import open_eyes
from equiderm.serve.predict import Scorer
from equiderm.serve.review import Review
from equiderm.tables import write_table
from equiderm.tone.scales import SCHEMES, Scheme

HERE = Path(__file__).parent
# A report brings its own style, and no script; it may do nothing else.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox allow-popups"
)
WAITING = 100  # uploads that may wait to be read
READING = 3  # uploads that are read, or wait for their turn with their files, at one time
MOST_SENT = 250  # files of one upload, those of a folder that are no photographs among them


@dataclass
class Site:
    """One server.

    Attributes:
        review: What is to be judged; None where no photographs were named.
        judgements: Where judgements go; None likewise.
        scorer: The run that scores photographs; None where none was named.
        schemes: That a form may ask for, by name; of a fitted one, that of its file.
        first: The scheme that is asked for unless another is chosen.
        limits: Of one upload.
        seconds: That measuring or auditing one upload may take.
        eyes: The processes that decode and measure photographs.
    """

    review: Review | None = None
    judgements: Judgements | None = None
    scorer: Scorer | None = None
    schemes: Mapping[str, Scheme] = field(default_factory=lambda: SCHEMES)
    first: str = "paper"
    limits: Limits = field(default_factory=Limits)
    seconds: float = 60.0
    eyes: Kept = field(default_factory=open_eyes)
    waiting: int = 0

    def close(self) -> None:
        """Close the file of judgements, and end the processes that wait for photographs."""
        self.eyes.close()
        if self.judgements is not None:
            self.judgements.close()
        if self.scorer is not None:
            self.scorer.worker.close()

    def scheme(self, name: str) -> Scheme:
        """Return the scheme of that name; no file is read.

        Raises:
            InputError: There is none.
        """
        if name not in self.schemes:
            known = ", ".join(self.schemes)
            raise InputError(f"there is no scheme '{name[:60]}'; choose one of {known}.")
        return self.schemes[name]

    @functools.cached_property
    def lock(self) -> anyio.Lock:
        """Return what `turn` holds."""
        return anyio.Lock()

    @functools.cached_property
    def reading(self) -> anyio.Semaphore:
        """Return what `read_upload` holds."""
        return anyio.Semaphore(READING)


def site_of(request: Request) -> Site:
    """Return the server that a request came to."""
    return request.app.state.site


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(version=__version__, disclaimer=NOT_A_DIAGNOSIS)
    return environment


def page(template: str, *, status: int = 200, **content: Any) -> HTMLResponse:
    """Return a page."""
    return HTMLResponse(_templates().get_template(template).render(**content), status)


def read_form(request: Request) -> AbstractAsyncContextManager[FormData]:
    """Return a ``with`` block that has what a form without files holds."""
    return request.form(max_files=0, max_fields=50, max_part_size=100_000)


@contextlib.asynccontextmanager
async def read_upload(request: Request) -> AsyncGenerator[FormData]:
    """Return a ``with`` block that has what was uploaded; the files are gone after it.

    Few uploads are read at a time, so that memory and disk are bounded; nothing is read of the
    others, which wait.

    Raises:
        HTTPException: 503, too many are waiting.
    """
    site = site_of(request)
    if site.waiting >= WAITING:
        busy = "Too many uploads are waiting; try again in a minute."
        raise HTTPException(503, busy, headers={"retry-after": "60"})
    site.waiting += 1
    try:
        async with (
            site.reading,
            request.form(max_files=MOST_SENT, max_fields=50, max_part_size=100_000) as form,
        ):
            yield form
    finally:
        site.waiting -= 1


def files_of(request: Request, form: FormData, field: str) -> list[UploadFile]:
    """Return every file of a field.

    Raises:
        InputError: One is larger than the limit.
    """
    most = site_of(request).limits.file_bytes
    files = [one for one in form.getlist(field) if isinstance(one, UploadFile) and one.filename]
    for one in files:
        if (one.size or 0) > most:
            raise InputError(
                f"{one.filename}: is larger than {most / 1e6:.0f} MB; send it smaller."
            )
    return files


async def content_of(file: UploadFile) -> tuple[str, bytes]:
    """Return a file's name and its bytes, in memory; only for the upload whose turn it is."""
    return str(file.filename), await file.read()


def text_of(form: FormData, name: str, default: str = "") -> str:
    """Return a field's text without blanks around it."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) and value.strip() else default


def turn(request: Request) -> AbstractAsyncContextManager[Any]:
    """Return a ``with`` block that one upload at a time is in, so that memory is bounded."""
    return site_of(request).lock


def csv_of(table: Any) -> bytes:
    """Return a table as `equiderm.tables.write_table` writes it."""
    with tempfile.TemporaryDirectory(prefix="equiderm-") as folder:
        path = Path(folder) / "table.csv"
        write_table(table, path)
        return path.read_bytes()


def as_json(content: Any, status: int = 200) -> Response:
    """Return content as JSON, as the commands write it."""
    return Response(json_text(content), status, media_type="application/json")


def attachment(content: str | bytes, kind: str, name: str) -> Response:
    """Return content as a file to save."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=kind, headers=headers)
