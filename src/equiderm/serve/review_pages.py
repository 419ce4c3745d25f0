"""Pages of the review: who judges, one image at a time, how far it has come, what agrees."""

from __future__ import annotations

from contextlib import closing
from functools import lru_cache, partial
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from equiderm.agreement.agreement import MINIMUM_IMAGES
from equiderm.agreement.crossfit import MINIMUM_OF_A_TYPE
from equiderm.engine import Failure, run
from equiderm.errors import InputError
from equiderm.photo.raster import PhotoError
from equiderm.serve.agreement import (
    between_raters,
    fit_scheme,
    one_row_per_image,
    with_themselves,
)
from equiderm.serve.judgements import CANNOT_TELL, ORDERS, SKIPPED, Judgements, Rater
from equiderm.serve.review import Review, picture
from equiderm.serve.site import (
    REPORT_POLICY,
    attachment,
    csv_of,
    page,
    read_form,
    site_of,
    text_of,
    turn,
)
from equiderm.tone.scales import SCHEMES
from equiderm.tone.table import stamp_of

_KEPT_PICTURES = 64  # so that the next image, asked for while one is judged, is there at once


@lru_cache(maxsize=_KEPT_PICTURES)
def _picture(file: str, stamp: str) -> bytes:  # the stamp changes with the file
    return picture(file)


def _study(request: Request) -> tuple[Review, Judgements]:
    site = site_of(request)
    if site.review is None or site.judgements is None:
        raise HTTPException(404, "No photographs were named; start with: equiderm serve FOLDER")
    return site.review, site.judgements


def _rater(request: Request) -> Rater:
    _, judgements = _study(request)
    rater = judgements.rater(request.path_params["rater"])
    if rater is None:
        raise HTTPException(404, "There is no such rater.")
    return rater


def _begin(request: Request, error: str = "", status: int = 200) -> Response:
    site = site_of(request)
    if site.review is None or site.judgements is None:
        return page("review_none.html")
    known = [(one, site.judgements.progress(one)) for one in site.judgements.raters()]
    return page(
        "review.html",
        status=status,
        error=error,
        images=len(site.review.names),
        by_doubt=site.review.by_doubt,
        machine=bool(site.review.machine),
        scale=site.judgements.scale,
        raters=known,
        orders=ORDERS,
    )


def show_begin(request: Request) -> Response:
    """Return the page on which raters say who they are."""
    return _begin(request)


async def begin(request: Request) -> Response:
    """Begin, or go on, under a name."""
    _, judgements = _study(request)
    async with read_form(request) as form:
        repeats = text_of(form, "repeats", "0")
        ordering = text_of(form, "ordering", "random")
        name, blind = text_of(form, "name"), not text_of(form, "machine")
    try:
        if not (repeats.isdecimal() and len(repeats) < 4):
            raise InputError("repeats are a number of 0 to 50 of 100.")
        choose = partial(
            judgements.join, name, ordering=ordering, blind=blind, repeats=int(repeats)
        )
        rater = await run_in_threadpool(choose)
    except InputError as error:
        return _begin(request, str(error), 400)
    return RedirectResponse(f"/review/{rater.id}", 303)


def show_turn(request: Request) -> Response:
    """Return the page with the next image of a rater."""
    review, judgements = _study(request)
    rater = _rater(request)
    now = judgements.turn(rater)
    name = judgements.name_of(now.image) if now else ""
    return page(
        "turn.html",
        rater=rater,
        turn=now,
        machine="" if rater.blind else review.machine.get(name, ""),
        progress=judgements.progress(rater),
        scale=judgements.scale,
        swatches=SCHEMES["monk"].swatches,
        cannot_tell=CANNOT_TELL,
        skipped=SKIPPED,
    )


async def answer(request: Request) -> Response:
    """Keep an answer, and go on to the next image."""
    _, judgements = _study(request)
    rater = _rater(request)
    async with read_form(request) as form:
        position, given = text_of(form, "position", "0"), text_of(form, "answer")
    if not position.isdecimal() or len(position) > 12:
        raise HTTPException(400, "There is no such image.")
    try:
        await run_in_threadpool(judgements.answer, rater, int(position), given)
    except InputError as error:
        raise HTTPException(400, str(error)) from error
    return RedirectResponse(f"/review/{rater.id}", 303)


def undo(request: Request) -> Response:
    """Take the last answer back; its image is shown again."""
    rater = _rater(request)
    _study(request)[1].undo(rater)
    return RedirectResponse(f"/review/{rater.id}", 303)


def skipped_again(request: Request) -> Response:
    """Show again what was skipped."""
    rater = _rater(request)
    _study(request)[1].ask_skipped_again(rater)
    return RedirectResponse(f"/review/{rater.id}", 303)


def show_image(request: Request) -> Response:
    """Return the photograph of a number; no name or path is taken."""
    review, judgements = _study(request)
    name = judgements.name_of(request.path_params["image"])
    if name not in review.files:
        raise HTTPException(404, "There is no such image.")
    try:
        blob = _picture(review.files[name], stamp_of(review.files[name]))
    except (PhotoError, OSError) as error:
        raise HTTPException(404, f"The photograph {error}.") from error
    return Response(blob, media_type="image/jpeg", headers={"cache-control": "private, max-age=60"})


def show_agreement(request: Request) -> Response:
    """Return the page on progress and agreement."""
    review, judgements = _study(request)
    table = judgements.table()
    return page(
        "agreement.html",
        scale=judgements.scale,
        measured=review.tones is not None,
        least=(MINIMUM_IMAGES, MINIMUM_OF_A_TYPE),
        raters=[(one, judgements.progress(one)) for one in judgements.raters()],
        between=[one.words() for one in between_raters(table, judgements.scale)],
        alone=[one.words() for one in with_themselves(table, judgements.scale)],
    )


def every_judgement(request: Request) -> Response:
    """Return every judgement as CSV."""
    table = _study(request)[1].table()
    return attachment(csv_of(table), "text/csv", "judgements.csv")


def per_image(request: Request) -> Response:
    """Return first judgements as CSV, a row per image."""
    review, judgements = _study(request)
    table = one_row_per_image(judgements.table(), judgements.scale, review.patients)
    return attachment(csv_of(table), "text/csv", "judged.csv")


async def scheme(request: Request) -> Response:
    """Return a scheme fitted to the judgements: what ``equiderm calibrate`` writes."""
    return attachment((await _fitted(request))[0], "application/json", "scheme.json")


async def scheme_report(request: Request) -> Response:
    """Return the page on that scheme: how well it answers where it was not fitted."""
    text = (await _fitted(request))[1]
    return HTMLResponse(text, headers={"content-security-policy": REPORT_POLICY})


async def _fitted(request: Request) -> tuple[str, str]:
    review, judgements = _study(request)
    if review.tones is None:
        raise HTTPException(404, "There are no measured tones; start with a table of label.")
    work = partial(_fit, review.tones, review.patients, judgements, site_of(request).seconds)
    async with turn(request):
        return await run_in_threadpool(work)


def _fit(
    tones: Path, patients: dict[str, str], judgements: Judgements, seconds: float
) -> tuple[str, str]:
    judged = one_row_per_image(judgements.table(), judgements.scale, patients)
    how = (tones, judgements.scale)
    with closing(run(fit_scheme, [judged], shared=how, seconds=seconds)) as done:
        result = next(iter(done))[1]
    if isinstance(result, Failure):
        raise result.error or HTTPException(500, f"The work on it {result.reason}.")
    return result


ROUTES = [
    Route("/review", show_begin, methods=["GET"]),
    Route("/review", begin, methods=["POST"]),
    Route("/review/agreement", show_agreement, methods=["GET"]),
    Route("/review/judgements.csv", every_judgement, methods=["GET"]),
    Route("/review/judged.csv", per_image, methods=["GET"]),
    Route("/review/scheme.json", scheme, methods=["GET"]),
    Route("/review/scheme", scheme_report, methods=["GET"]),
    Route("/review/image/{image:int}", show_image, methods=["GET"]),
    Route("/review/{rater:int}", show_turn, methods=["GET"]),
    Route("/review/{rater:int}", answer, methods=["POST"]),
    Route("/review/{rater:int}/undo", undo, methods=["POST"]),
    Route("/review/{rater:int}/skipped", skipped_again, methods=["POST"]),
]
