"""Page and JSON of photographs scored with a run."""

from __future__ import annotations

import base64
from typing import Any

import pandas as pd
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from equiderm.errors import InputError, as_flags, require_training
from equiderm.format import number, percent, visible
from equiderm.serve.look import as_table, cards, look
from equiderm.serve.measuring_pages import photographs_of
from equiderm.serve.predict import Scored, Scorer, on_such_skin, predict
from equiderm.serve.site import as_json, csv_of, page, read_upload, site_of, text_of, turn
from equiderm.tone.estimators import METHODS

_BAND = "ita_band"  # the column of bands that equiderm computes
_NO_RUN = "No run was named when this page was started."


def _page(request: Request, status: int = 200, **content: Any) -> Response:
    site = site_of(request)
    scorer = site.scorer
    if scorer is None:
        try:
            require_training()
            missing = ""
        except InputError as error:
            missing = str(error)
        return page("predict_none.html", status=status, missing=missing)
    given = {"photographs": [], "notes": [], "error": "", "csv": "", "given": {}, **content}
    return page(
        "predict.html",
        status=status,
        about=scorer.about,
        audit=scorer.audit,
        answer=[as_flags(words) for words in scorer.audit.answer()] if scorer.audit else [],
        skins=scorer.skins(),
        methods=METHODS,
        schemes=site.schemes,
        first=site.first,
        threshold=scorer.audit.content["options"]["threshold"] if scorer.audit else None,
        shown=shown,
        half=percent,
        most=site.limits.files,
        **given,
    )


async def show_predict(request: Request) -> Response:
    """Return the page that photographs to be scored are dropped on."""
    return _page(request)


async def do_predict(request: Request) -> Response:
    """Return the page with scores, tones, maps and what the audit found on such skin."""
    if site_of(request).scorer is None:
        return _page(request, 404)
    async with read_upload(request) as form:
        given = {key: value for key, value in form.items() if isinstance(value, str)}
        try:
            rows, notes = await _predicted(request, form)
        except InputError as error:
            return _page(request, 400, error=str(error), given=given)
    plain = [{key: row[key] for key in row if key not in _NESTED} for row in rows]
    csv = base64.b64encode(csv_of(pd.DataFrame(plain))).decode("ascii")
    return _page(request, photographs=rows, notes=notes, csv=csv, given=given)


async def api_predict(request: Request) -> Response:
    """Return a row of each photograph as JSON."""
    if site_of(request).scorer is None:
        return as_json({"error": f"{_NO_RUN} Start it with: equiderm serve --run RUN"}, 404)
    async with read_upload(request) as form:
        try:
            rows, notes = await _predicted(request, form)
        except InputError as error:
            return as_json({"error": str(error)}, 400)
    kept = [{key: row[key] for key in row if key not in ("card", "types")} for row in rows]
    failed = sum(bool(row["error"]) for row in rows)
    return as_json({"scored": len(rows) - failed, "errors": failed, "notes": notes, "rows": kept})


_NESTED = ("card", "types", "audit", "map", "map_jpeg", "no_map")


async def _predicted(request: Request, form: FormData) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a row of each photograph that was sent, and in words what else was."""
    site = site_of(request)
    scorer = site.scorer
    assert scorer is not None
    method = text_of(form, "method", "patch-max")
    scheme = site.scheme(text_of(form, "scheme", site.first))
    skin, maps = _skin(scorer, text_of(form, "skin")), bool(text_of(form, "maps"))
    async with turn(request):
        sent = await photographs_of(request, form)
        looked = await run_in_threadpool(
            look, site.eyes, sent.photographs, methods=(method,), scheme=scheme, overlays=False,
            seconds=site.seconds,
        )  # fmt: skip
        scored = await run_in_threadpool(predict, scorer, sent.photographs, maps=maps)
    tones: Any = as_table(looked, (method,), scheme).to_dict("records")
    rows = [
        _row(scorer, tone, card, one, skin)
        for tone, card, one in zip(tones, cards(looked, scheme), scored, strict=True)
    ]
    refused = [_refused(scorer, visible(name), reason) for name, reason in sent.refused]
    return [*rows, *refused], sent.notes()


def _skin(scorer: Scorer, text: str) -> tuple[str, str] | None:
    """Return the group of the audit that was chosen; None for the computed band."""
    if not text:
        return None
    by, _, group = text.partition("=")
    if (by, group) not in scorer.skins():
        raise InputError(f"skin '{text[:60]}' is no group of the audit, as column=group.")
    return by, group


def _row(
    scorer: Scorer,
    tone: dict[str, Any],
    card: dict[str, Any],
    one: Scored,
    skin: tuple[str, str] | None,
) -> dict[str, Any]:
    band = tone["ita_band"]
    if skin is None and isinstance(band, str):
        skin = (_BAND, band)
    words: list[str] = []
    if scorer.audit is not None and not one.error:
        none = ["No tone could be computed, so which figures of the audit apply is not known."]
        words = on_such_skin(scorer.audit, *skin) if skin is not None else none
    made = one.map
    return {
        **tone,
        "image": one.name,
        **(one.scores or dict.fromkeys(scorer.about.columns)),
        "error": one.error or None,
        "audit": words,
        "map": made.measures if made else None,
        "map_jpeg": base64.b64encode(made.picture).decode("ascii") if made else None,
        "no_map": one.no_map,
        "card": card,
        "types": scorer.about.types.card(one.shares) if scorer.about.types and one.scores else None,
    }


def _refused(scorer: Scorer, name: str, reason: str) -> dict[str, Any]:
    return {
        "image": name,
        **dict.fromkeys(scorer.about.columns),
        "error": reason,
        **dict.fromkeys(_NESTED),
    }


def shown(value: Any) -> str:
    """Return a score, or the class that is predicted, as a person reads it."""
    return number(value) if isinstance(value, float) else str(value)


ROUTES = [
    Route("/predict", show_predict, methods=["GET"]),
    Route("/predict", do_predict, methods=["POST"]),
    Route("/api/predict", api_predict, methods=["POST"]),
]
