"""The OpenAPI document of what answers in JSON."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from equiderm import __version__
from equiderm.format import listed
from equiderm.serve.measuring_pages import MOST_REPLICATES
from equiderm.serve.site import as_json, site_of
from equiderm.tone.estimators import METHODS

_TEXT, _FILE = {"type": "string"}, {"type": "string", "format": "binary"}
_FILES = {"type": "array", "items": _FILE}


async def openapi(request: Request) -> Response:
    """Return the OpenAPI document of what answers in JSON."""
    site = site_of(request)
    return as_json(document(list(site.schemes), site.first))


def document(schemes: list[str], first: str) -> dict[str, Any]:
    """Return the OpenAPI document.

    Args:
        schemes: Names of the schemes that a request may ask for.
        first: The one that it gets without asking.
    """
    photographs = {
        "photographs": {**_FILES, "description": "Photographs, or zip archives of them."},
        "method": {**_TEXT, "enum": list(METHODS), "default": "patch-max"},
        "scheme": {**_TEXT, "enum": schemes, "default": first},
    }
    columns = ("by", "target", "score", "patient", "positive", "missing", "model", "finding")
    audit = {
        **dict.fromkeys(("predictions", "other", "tones", "truth"), _FILE),
        **dict.fromkeys(columns, _TEXT),
        "scores": {**_TEXT, "enum": ["probabilities", "logits", "percent"]},
        "drop_missing": _TEXT,
        "replicates": {"type": "integer", "minimum": 100, "maximum": MOST_REPLICATES},
    }
    plan = {
        **dict.fromkeys(("test_set", "tones"), _FILE),
        **dict.fromkeys(("by", "target", "patient", "positive", "missing", "split"), _TEXT),
        "figure": {**_TEXT, "enum": ["all", "auroc", "sensitivity", "specificity"]},
        **{key: {"type": "number", "minimum": 0, "maximum": 1} for key in ("drop", "base")},
    }
    predict = {
        **photographs,
        "skin": {**_TEXT, "description": "A group of the audit, as column=group; else the band."},
        "maps": {**_TEXT, "description": "Not empty: also which pixels a score rests on."},
    }
    without_run = {"404": "the server was started without --run"}
    paths = {
        "/api/label": _operation("Label photographs", photographs, ["photographs"]),
        "/api/audit": _operation("Audit a table of predictions", audit, ["predictions"]),
        "/api/plan": _operation("Plan a test set", plan, []),
        "/api/predict": _operation("Score photographs", predict, ["photographs"], without_run),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "equiderm",
            "version": __version__,
            "description": "Skin tone of photographs, audits of classifiers, plans of test sets "
            f"and scores of a run, as {listed(path.removeprefix('/api/') for path in paths)} of "
            "equiderm give them with --json. Not for diagnosis.",
        },
        "paths": paths,
    }


def _operation(
    summary: str,
    fields: dict[str, Any],
    required: list[str],
    more: dict[str, str] | None = None,
) -> dict[str, Any]:
    schema = {"type": "object", "properties": fields, "required": required}
    answers = {"200": "the result", "400": "what is wrong, in a sentence, as `error`",
               "413": "too many bytes", "503": "too many uploads are waiting",
               **(more or {})}  # fmt: skip
    return {
        "post": {
            "summary": summary,
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": {"schema": schema}},
            },
            "responses": {code: {"description": words} for code, words in answers.items()},
        }
    }


ROUTES = [Route("/api/openapi.json", openapi, methods=["GET"])]
