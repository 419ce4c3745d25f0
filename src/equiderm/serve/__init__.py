"""A local page to look with: measure photographs, judge types by key, audit a table, score.

Starlette serves it; nothing here is imported by other rooms but the command line, and nothing of
Starlette before a server is asked for.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equiderm.errors import InputError
from equiderm.format import listed

if TYPE_CHECKING:
    from equiderm.serve.site import Site

NEEDED = ("starlette", "uvicorn", "python_multipart")


def require_web() -> None:
    """Raise InputError unless what the extra ``web`` installs is there."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(f"{missing[0]} is not installed; run: pip install 'equiderm[web]'")


def open_site(
    paths: Sequence[str],
    judgements: Path,
    scale: str,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    run: Path | None = None,
    audit: Path | None = None,
    scheme: str | None = None,
) -> tuple[Site, str]:
    """Return what is served, and the token that it asks for, "" for none.

    Args:
        paths: Photographs to judge; where there are none, no judgement is taken and no file made.
        judgements: The SQLite file of judgements.
        scale: A key of `equiderm.serve.judgements.SCALES`.
        host: The address that is listened on; any but loopback has a token.
        token: The token; None draws one where one is needed.
        run: Folder of a training run that scores photographs; None for no scores.
        audit: JSON of an audit of its predictions.
        scheme: Bands to be offered first: a key of `equiderm.tone.SCHEMES`, or a fitted scheme's
            file.

    Raises:
        InputError: An extra is missing, or the arguments cannot be used.
    """
    require_web()
    from equiderm.photo.walk import keep_out_of_image_folders
    from equiderm.serve.guard import is_loopback
    from equiderm.serve.judgements import SCALES, Judgements
    from equiderm.serve.review import read_review
    from equiderm.serve.site import Site

    if scale not in SCALES:
        raise InputError(f"there is no scale '{scale}'; choose one of {', '.join(SCALES)}.")
    asked = token or ("" if is_loopback(host) else secrets.token_urlsafe(24))
    if audit is not None and run is None:
        raise InputError('an audit is shown beside scores; name their run: `run="RUN"`.')
    offered = _with_first(scheme)
    scorer = None
    if run is not None:
        from equiderm.serve.predict import open_scorer

        scorer = open_scorer(run, audit)
    if not paths:
        return Site(scorer=scorer, **offered), asked
    review = read_review(paths)
    keep_out_of_image_folders([judgements], paths, list(review.files.values()))
    kept = Judgements(judgements, SCALES[scale], review.names)
    return Site(review, kept, scorer, **offered), asked


def _with_first(name: str | None) -> dict[str, Any]:
    """Return the schemes that a form may ask for, and the first of them.

    Raises:
        InputError: There is no such scheme, or it was fitted on what one method does not measure.
    """
    if name is None:
        return {}
    from equiderm.tone.estimate import COLUMNS
    from equiderm.tone.scales import ESTIMATED, SCHEMES, get_scheme

    first = get_scheme(name)
    if name.startswith(ESTIMATED):
        raise InputError(f"scheme '{name}': is of a trained network; name its run, `run=\"RUN\"`.")
    missing = sorted(set(first.fit.columns) - set(COLUMNS)) if first.fit else []
    if missing:
        raise InputError(
            f"{name}: was fitted on {listed(missing)}, which no method measures; fit one on "
            "columns of `equiderm label`."
        )
    first = replace(first, name=Path(name).name)  # no form shows or asks for a path
    return {"schemes": {first.name: first, **SCHEMES}, "first": first.name}


def web_address(host: str, port: int, token: str) -> str:
    """Return the address to open in a browser: of this machine's name, where any is listened on."""
    host = socket.gethostname() if host in ("0.0.0.0", "::") else host
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


def listen(
    site: Site, *, host: str, port: int, token: str, ready: Callable[[], None] = lambda: None
) -> None:
    """Serve until Ctrl-C.

    Args:
        site: What is served.
        host: The address to listen on.
        port: Likewise.
        token: What every request must carry; "" asks for none.
        ready: Called when the first request would be answered.

    Raises:
        InputError: The address cannot be listened on.
    """
    import logging

    import uvicorn

    from equiderm.serve.app import create_app

    # of damaged forms, which are answered; strangers could fill a disk with its lines
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once (TCP_NODELAY) only where the protocol is named: 40 ms an answer
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except (OSError, UnicodeError) as error:
            raise InputError(
                f"{host}:{port} cannot be listened on ({error}); choose another `port=8001`."
            ) from error
        config = uvicorn.Config(
            create_app(site, host=host, token=token),
            log_level="warning",
            access_log=False,  # it would hold tokens
            server_header=False,
            timeout_keep_alive=30,
            limit_concurrency=200,
        )
        ready()
        uvicorn.Server(config).run(sockets=[listener])
    site.close()
