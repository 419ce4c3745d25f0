"""What is let in: hosts, origins, tokens and sizes; and the headers that every answer has."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "equiderm_token"
_SAFE = {"GET", "HEAD", "OPTIONS"}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; form-action 'self'; connect-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Limits:
    """What one request may hold.

    Attributes:
        files: How many files.
        file_bytes: Of one file.
        request_bytes: Of all together.
        stall_seconds: That a request may be silent before it is whole.
    """

    files: int = 50
    file_bytes: int = 60_000_000
    request_bytes: int = 300_000_000
    stall_seconds: float = 30.0


class TooLarge(Exception):
    """A request of more bytes than `Limits` allows; `too_large` is the answer to it."""


def too_large(limits: Limits) -> Response:
    """Return the answer to a request of too many bytes."""
    most = limits.request_bytes / 1e6
    return _refuse(413, f"More than {most:.0f} MB at a time; send fewer or smaller files.")


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware in front of everything.

    Args:
        app: What is guarded.
        host: The address that is listened on. On loopback only requests for a loopback name are
            answered, so that no page elsewhere can have its name point here.
        token: What a request must carry; "" asks for none.
        limits: What one request may hold.
    """

    def __init__(self, app: ASGIApp, *, host: str, token: str, limits: Limits) -> None:
        self._app, self._host, self._token, self._limits = app, host, token, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        taken, whole = 0, False

        async def receive_bounded() -> Message:
            nonlocal taken, whole
            if whole:  # what comes now is the end of the connection, whenever that is
                return await receive()
            with anyio.fail_after(self._limits.stall_seconds):
                message = await receive()
            taken += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if taken > self._limits.request_bytes:
                raise TooLarge
            return message

        await self._app(scope, receive_bounded, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._is_ours(headers.get("host", "")):
            return _refuse(421, "This server does not answer to that name.")
        if scope["method"] not in _SAFE and not _same_origin(headers):
            return _refuse(403, "The request comes from another page.")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._limits.request_bytes:
            return too_large(self._limits)
        return self._without_token(scope, headers) if self._token else None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if is_loopback(self._host):
            return is_loopback(name)
        return bool(name)  # another site has no token of ours, whatever name it gives this machine

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        given = query.pop("token", [""])[0]
        if scope["method"] == "GET" and self._fits(given):
            rest = urlencode(query, doseq=True)
            response = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), 303)
            response.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
            return response
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if self._fits(bearer) or self._fits(_cookie(headers)):
            return None
        return _refuse(401, "Open the address that the command printed: it holds the token.")

    def _fits(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _cookie(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _same_origin(headers: Headers) -> bool:
    """Return whether a request that changes something comes from a page of ours, or from none."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _refuse(status: int, sentence: str) -> Response:
    return PlainTextResponse(sentence + "\n", status)
