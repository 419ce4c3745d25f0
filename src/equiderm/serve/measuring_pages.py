"""Pages and JSON of what is computed: photographs looked at, tables audited, tests planned."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from equiderm.audit import Options
from equiderm.audit import Request as AuditRequest
from equiderm.errors import InputError
from equiderm.format import visible
from equiderm.serve.archive import Sent, unpack
from equiderm.serve.look import Looked, as_table, cards, look, scale_bands
from equiderm.serve.predict import Scored, predict
from equiderm.serve.site import (
    HERE,
    REPORT_POLICY,
    as_json,
    attachment,
    content_of,
    csv_of,
    files_of,
    page,
    read_upload,
    site_of,
    text_of,
    turn,
)
from equiderm.serve.tables import Answered, answer_upload, audit_one, plan_one, preview_one
from equiderm.tone.estimators import METHODS
from equiderm.tone.report import summarize

MOST_REPLICATES = 10_000
_FIELDS = {  # what arguments are called on the pages
    "by": "Groups",
    "target": "Truth",
    "score": "Score",
    "patient": "Patient",
    "positive": "Positive",
    "missing": "Not known",
    "logits": "The scores are (log-odds)",
    "percent": "The scores are (per cent)",
    "drop_missing": "Leave out rows without truth or score",
    "truth": "Table with the truth",
    "tones": "Tone table",
}
_TABLES = ("predictions", "other", "tones", "truth", "test_set")


def _look_page(request: Request, status: int = 200, **content: Any) -> HTMLResponse:
    site = site_of(request)
    empty: dict[str, Any] = {
        "photographs": [], "notes": [], "error": "", "csv": "", "scheme": site.schemes[site.first]
    }  # fmt: skip
    most = site.limits.files
    return page("look.html", status=status, schemes=site.schemes, most=most, **{**empty, **content})


async def show_look(request: Request) -> Response:
    """Return the page that photographs are dropped on."""
    return _look_page(request)


async def do_look(request: Request) -> Response:
    """Return what every method saw in what was dropped: shown, or as a report to save."""
    site = site_of(request)
    async with read_upload(request) as form:
        wanted = text_of(form, "answer", "show")
        try:
            scheme = site.scheme(text_of(form, "scheme", site.first))
            looked, notes = await _looked(request, form, types=True, scheme=scheme)
        except InputError as error:
            return _look_page(request, 400, error=str(error))
    types = site.scorer.about.types if site.scorer else None
    seen: dict[str, Any] = {
        "photographs": cards(looked, scheme, types),
        "notes": notes,
        "scheme": scheme,
        "bands": scale_bands(scheme),
        "has_types": bool(types or scheme.fit),
    }
    if wanted == "html":
        style = (HERE / "static" / "serve.css").read_text(encoding="utf-8")
        report = page("look_report.html", style=style, **seen).body
        return attachment(bytes(report), "text/html", "look.html")
    csv = base64.b64encode(csv_of(as_table(looked, tuple(METHODS), scheme))).decode("ascii")
    return _look_page(request, csv=csv, **seen)


async def _looked(
    request: Request, form: FormData, *, types: bool = False, **options: Any
) -> tuple[list[Looked], list[str]]:
    """Return every photograph that was sent, and in words what else was.

    ``types``: with a network's distribution over types, where the run is of such.
    """
    site = site_of(request)
    async with turn(request):
        sent = await photographs_of(request, form)
        looked = await run_in_threadpool(
            look, site.eyes, sent.photographs, seconds=site.seconds, **options
        )
        if types and site.scorer is not None and site.scorer.about.types:
            scored = await run_in_threadpool(predict, site.scorer, sent.photographs)
            looked = list(map(_with_types, looked, scored))
    refused = [Looked(visible(name), error=reason) for name, reason in sent.refused]
    return [*looked, *refused], sent.notes()


def _with_types(one: Looked, scored: Scored) -> Looked:
    """Return a photograph with a network's distribution over types, where a tone was measured."""
    if not one.is_measured or scored.error:
        return one
    return replace(one, shares=scored.shares)


async def photographs_of(request: Request, form: FormData) -> Sent:
    """Return the photographs that were sent as files, archives and a folder.

    Raises:
        InputError: There is none.
    """
    several = [await content_of(one) for one in files_of(request, form, "photographs")]
    folder = [await content_of(one) for one in files_of(request, form, "folder")]
    limits = site_of(request).limits
    sent = await run_in_threadpool(unpack, several, folder, limits=limits)
    if not sent.count:
        raise InputError(" ".join(["no photograph was sent.", *sent.notes()]))
    return sent


async def show_audit(request: Request) -> Response:
    """Return the page that a table of predictions is dropped on."""
    return page("audit.html", error="", columns=(), preview=(), given={})


async def show_plan(request: Request) -> Response:
    """Return the page that asks what is planned."""
    return page("plan.html", error="", columns=(), preview=(), given={})


async def do_audit(request: Request) -> Response:
    """Return the report, or the page with what is wrong and the columns that there are."""
    return await _report(request, _audited, "audit")


async def do_plan(request: Request) -> Response:
    """Return the plan, or the page with what is wrong and the columns that there are."""
    return await _report(request, _planned, "plan")


_Work = Callable[..., Awaitable[Answered]]


async def _report(request: Request, work: _Work, name: str) -> Response:
    async with read_upload(request) as form:
        given = {key: value for key, value in form.items() if isinstance(value, str)}
        wanted = text_of(form, "answer", "show")
        try:
            result = await work(request, form, as_json=wanted == "json")
        except InputError as error:
            result = Answered(error=str(error))
    if result.error or result.preview:
        return page(
            f"{name}.html",
            status=400 if result.error else 200,
            error=as_fields(result.error),
            columns=result.columns,
            preview=[as_fields(line) for line in result.preview],
            given=given,
        )
    if wanted == "json":
        return attachment(result.text, "application/json", f"{name}.json")
    if wanted == "html":
        return attachment(result.text, "text/html", f"{name}.html")
    return HTMLResponse(result.text, headers={"content-security-policy": REPORT_POLICY})


def as_fields(text: str) -> str:
    """Return a message with the keyword arguments in backticks spelled as fields of the form.

    Example:
        >>> as_fields('name it, as in `score="COLUMN"`, or say so with `missing="-1"`.')
        'name it, as in the field Score, or say so with the field Not known (-1).'
    """

    def field(match: re.Match[str]) -> str:
        value = match[2].strip("\"'")
        plain = value in ("True", "COLUMN") or not value
        return f"the field {_FIELDS[match[1]]}" + ("" if plain else f" ({value})")

    return re.sub(rf"`({'|'.join(_FIELDS)})=([^`]*)`", field, text)


async def _audited(request: Request, form: FormData, *, as_json: bool) -> Answered:
    if not files_of(request, form, "predictions"):
        raise InputError("no table of predictions was chosen.")
    work = preview_one if text_of(form, "answer") == "preview" else audit_one
    return await _answered(request, form, work, (_request(form), as_json))


async def _planned(request: Request, form: FormData, *, as_json: bool) -> Answered:
    figure = text_of(form, "figure", "all")
    wanted = {
        "by": text_of(form, "by", "ita_band"),
        "target": text_of(form, "target", "target"),
        "patient": text_of(form, "patient") or None,
        "positive": _split(form, "positive"),
        "missing": _split(form, "missing"),
        "split": text_of(form, "split"),
        "drop": _number(form, "drop"),
        "base": _number(form, "base"),
    }
    if figure != "all":
        wanted["metrics"] = figure
    return await _answered(request, form, plan_one, (wanted, as_json))


def _number(form: FormData, name: str) -> float | None:
    text = text_of(form, name)
    try:
        return float(text.replace(",", ".")) if text else None
    except ValueError as error:
        raise InputError(f"{name} '{text[:20]}' is no number; write 0.1.") from error


async def _answered(request: Request, form: FormData, work: Any, how: Any) -> Answered:
    files = {kind: files_of(request, form, kind) for kind in _TABLES}
    for kind, several in files.items():
        if len(several) > 1:
            raise InputError(f"{kind} is one table, not {len(several)}.")
    async with turn(request):
        tables = {kind: await content_of(one[0]) for kind, one in files.items() if one}
        return await run_in_threadpool(answer_upload, work, tables, how)


def _request(form: FormData) -> AuditRequest:
    cells: dict[str, Any] = {
        "positive": _split(form, "positive"),
        "missing": _split(form, "missing"),
        "drop_missing": bool(text_of(form, "drop_missing")),
    }
    scores = text_of(form, "scores", "probabilities")
    if scores not in ("probabilities", "logits", "percent"):
        raise InputError("the scores are probabilities, logits or percent.")
    if scores != "probabilities":
        cells[scores] = True
    return AuditRequest(
        by=_split(form, "by") or ("ita_band",),
        target=text_of(form, "target", "target"),
        score=_split(form, "score") or ("score",),
        patient=text_of(form, "patient") or None,
        model=text_of(form, "model"),
        finding=text_of(form, "finding", "positive"),
        cells=cells,
        options=Options(replicates=_replicates(form)),
        command="equiderm serve",
    )


def _replicates(form: FormData) -> int:
    text = text_of(form, "replicates", "2000")
    if not (text.isdecimal() and 100 <= int(text[:6]) <= MOST_REPLICATES):
        raise InputError(f"replicates are a number of 100 to {MOST_REPLICATES:,}.")
    return int(text)


def _split(form: FormData, name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text_of(form, name).split(",") if part.strip())


async def api_label(request: Request) -> Response:
    """Return the JSON of ``equiderm label --json``, and the rows of its table."""
    async with read_upload(request) as form:
        site, method = site_of(request), text_of(form, "method", "patch-max")
        try:
            scheme = site.scheme(text_of(form, "scheme", site.first))
            looked, notes = await _looked(
                request, form, methods=(method,), scheme=scheme, overlays=False
            )
        except InputError as error:
            return as_json({"error": str(error)}, 400)
    table = as_table(looked, (method,), scheme)
    return as_json({**summarize(table), "notes": notes, "rows": table.to_dict("records")})


async def api_audit(request: Request) -> Response:
    """Return the JSON of ``equiderm audit --json``."""
    return await _api(request, _audited)


async def api_plan(request: Request) -> Response:
    """Return the JSON of ``equiderm plan --json``."""
    return await _api(request, _planned)


async def _api(request: Request, work: _Work) -> Response:
    async with read_upload(request) as form:
        try:
            result = await work(request, form, as_json=True)
        except InputError as error:
            result = Answered(error=str(error))
    if result.error:
        return as_json({"error": result.error, "columns": list(result.columns)}, 400)
    return Response(result.text, media_type="application/json")


ROUTES = [
    Route("/look", show_look, methods=["GET"]),
    Route("/look", do_look, methods=["POST"]),
    Route("/audit", show_audit, methods=["GET"]),
    Route("/audit", do_audit, methods=["POST"]),
    Route("/plan", show_plan, methods=["GET"]),
    Route("/plan", do_plan, methods=["POST"]),
    Route("/api/label", api_label, methods=["POST"]),
    Route("/api/audit", api_audit, methods=["POST"]),
    Route("/api/plan", api_plan, methods=["POST"]),
]
