"""Counts of labels against judged types: what `agree` writes and the audit reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equiderm.errors import InputError
from equiderm.records import Record

SCHEMA = "equiderm.agreement/1"
SMOOTHING = 0.5  # added to every cell, so that a confusion that was not observed stays possible


@dataclass(frozen=True, eq=False, repr=False)
class Confusion(Record):
    """Counts of labels against judgements: ``confusion[i, j]`` images judged i and labelled j.

    Attributes:
        types: The scale as text, lightest first, length k.
        confusion: Shape (k, k).
    """

    types: tuple[str, ...]
    confusion: NDArray[np.float64]

    @property
    def exact(self) -> float:
        """Share of labels that equal the judged type."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def transition(self) -> NDArray[np.float64]:
        """P(label | truth), rows sum to 1."""
        smoothed = self.confusion + SMOOTHING
        return smoothed / smoothed.sum(axis=1, keepdims=True)


def confusion_json(types: tuple[int, ...], judged: tuple[str, ...], counts: Any) -> dict[str, Any]:
    """Return counts of labels against judgements as the plain values that `read_confusion` reads.

    Args:
        types: The scale, lightest first, length k.
        judged: The judgement of each row of the counts, length r: the types, then ranges of types.
        counts: Images per judgement and label, shape (r, k).
    """
    return {
        "schema": SCHEMA,
        "types": list(types),
        "judged": list(judged),
        "confusion": np.asarray(counts).tolist(),
    }


def read_confusion(path: Path) -> Confusion:
    """Return the labeller's confusion from the JSON that ``equiderm agree`` writes.

    Images that were judged a range of types are left out.

    Raises:
        InputError: Not such a file, or its counts do not fit its types.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'cannot be read'}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not JSON; give the file that `agree` writes.") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise InputError(f"{path}: its schema is {schema!r}; '{SCHEMA}' is expected.")
    try:
        types = tuple(str(name) for name in content["types"])
        counts = np.array(content["confusion"], dtype=float)
        ranges = len(content.get("judged", types)) - len(types)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: 'types' or 'confusion' cannot be read; write it again with `agree`."
        ) from error
    k = len(types)
    whole = counts.shape == (k + max(ranges, 0), k) and k > 1
    if not whole or not np.isfinite(counts).all() or (counts < 0).any():
        raise InputError(f"{path}: 'confusion' must hold a count for every pair of 'types'.")
    if not counts[:k].sum() > 0:
        only = "only images that were judged a range" if counts.sum() > 0 else "no images"
        raise InputError(
            f"{path}: 'confusion' counts {only}; run `agree` on images judged a single type."
        )
    return Confusion(types, counts[:k])
