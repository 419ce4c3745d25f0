"""The server as one ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from equiderm.errors import InputError
from equiderm.serve import measuring_pages, openapi, predict_pages, review_pages
from equiderm.serve.guard import Guard, TooLarge, too_large
from equiderm.serve.site import HERE, Site, as_json, page, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


_PLAIN = {  # Starlette's words, in plain ones
    "Not Found": "There is no such page.",
    "Method Not Allowed": "This address is not asked in that way.",
}


def create_app(site: Site, *, host: str = "127.0.0.1", token: str = "") -> Starlette:
    """Return the application.

    Args:
        site: What it serves.
        host: The address that it will listen on; see `Guard`.
        token: What every request must carry; "" asks for none.
    """
    guard = Middleware(Guard, host=host, token=token, limits=site.limits)
    app = Starlette(
        routes=[
            Route("/", home, methods=["GET"]),
            *measuring_pages.ROUTES,
            *review_pages.ROUTES,
            *predict_pages.ROUTES,
            *openapi.ROUTES,
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[guard],
        exception_handlers={
            HTTPException: show_error,
            InputError: show_error,
            TooLarge: show_too_large,
            TimeoutError: show_too_slow,
            ClientDisconnect: show_too_slow,
        },
    )
    app.state.site = site
    return app


async def home(request: Request) -> Response:
    """Return the first page."""
    review = site_of(request).review
    return page("home.html", images=len(review.names) if review else 0)


async def show_error(request: Request, error: Exception) -> Response:
    """Return an error as a page of one sentence, or as JSON."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    words = error.detail if isinstance(error, HTTPException) else str(error)
    words = _PLAIN.get(words, words)
    if request.url.path.startswith("/api/"):
        answer = as_json({"error": words}, status)
    else:
        answer = page("error.html", status=status, words=words)
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


async def show_too_large(request: Request, error: Exception) -> Response:
    """Return the answer to a request of too many bytes."""
    return too_large(site_of(request).limits)


async def show_too_slow(request: Request, error: Exception) -> Response:
    """Return the answer to a request that stopped before it was whole."""
    return PlainTextResponse("The request stopped before it was whole.\n", 408)
