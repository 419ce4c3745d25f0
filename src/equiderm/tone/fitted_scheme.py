"""A fitted scheme: how colour becomes a type on images that people judged, kept as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.columns import read_numbers, require_column
from equiderm.errors import InputError
from equiderm.files import AnyPath, read_json, write_whole
from equiderm.format import counted
from equiderm.tone.splines import CumulativeLogits

SCHEMA = "equiderm.scheme/1"
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Cost of an answer 0, 1, 2, ... types away from the judged one. The expected cost is lowest at the
# mode, the median and the (rounded) mean of the distribution, respectively.
DECISIONS = {
    "exact": lambda away: np.minimum(away, 1.0),
    "absolute": lambda away: away,
    "squared": lambda away: away**2,
}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FittedScheme:
    """How colour columns become types, fitted on judged images.

    Attributes:
        names: Names of the types, lightest first.
        columns: The columns of a table that it reads, in order.
        decision: The cost, a key of `DECISIONS`, that the answer minimises.
        judged: Share of each type among the images it was fitted on, shape (k,).
        target: Share of each type where it is used; None: as judged.
        cuts: Descending cut-points on the one column; None for an ordinal model.
        given_band: With cut-points, share of each judged type (columns) in each band, (k, k).
        model: The ordinal model; None for cut-points.
        fitted_on: The data it was fitted on (with the method that measured them, if it is known)
            and its results out of fold.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    decision: str
    judged: Floats
    target: Floats | None = None
    cuts: Floats | None = None
    given_band: Floats | None = None
    model: CumulativeLogits | None = None
    fitted_on: dict[str, Any] | None = None

    @property
    def caution(self) -> str:
        """Return on how much it was fitted, for whoever uses it; "" if its file does not say."""
        record = self.fitted_on if isinstance(self.fitted_on, dict) else {}
        images, patients, method = (record.get(key) for key in ("images", "patients", "method"))
        if not isinstance(images, int):
            return ""
        of = f" of {counted(patients, 'patient')}" if isinstance(patients, int) else ""
        by = f", measured by {method}" if isinstance(method, str) else ""
        return f"fitted on {counted(images, 'image')}{of}{by}"

    @property
    def kind(self) -> str:
        """Return ``cuts`` or ``ordinal``."""
        return "ordinal" if self.model else "cuts"

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Return the distribution over types of each row, shape (n, k); NaN where not measured.

        Raises:
            InputError: A column that the scheme reads is missing or holds no numbers.
        """
        return self.proba_of(self._read(frame))

    def predict(self, frame: pd.DataFrame) -> NDArray[np.object_]:
        """Return the name of each row's type, shape (n,); None where not measured."""
        names = np.array([*self.names, None], dtype=object)
        return names[self.index_of(self._read(frame))]

    def _read(self, frame: pd.DataFrame) -> Floats:
        features = read_features(frame, self.columns, "the table")
        expected = len(self.model.knots) if self.model else 1
        if features.shape[1] != expected and not np.isnan(features).all():
            raise InputError(
                f"the columns {', '.join(self.columns)} give {features.shape[1]} numbers per row "
                f"where the scheme was fitted on {expected}; a column of lists became one of "
                "numbers or the other way round."
            )
        return features

    def proba_of(self, features: Floats) -> Floats:
        """Return the distribution over types, shape (n, k), of features of shape (n, f)."""
        measured = ~np.isnan(features).any(axis=1)
        shares = np.full((len(features), len(self.judged)), np.nan)
        if self.model:
            shares[measured] = self.model.predict_proba(features[measured])
        elif self.given_band is not None:
            shares[measured] = self.given_band[self.index_of(features)[measured]]
        if self.target is not None:
            shares = shift_prior(shares, self.judged, self.target)
        return shares

    def index_of(self, features: Floats) -> NDArray[np.intp]:
        """Return each row's position in ``names``, shape (n,); -1 where not measured."""
        if self.cuts is not None:
            index = (features[:, :1] <= self.cuts).sum(axis=1)
        else:
            index = decide(np.nan_to_num(self.proba_of(features)), self.decision)
        return np.where(np.isnan(features).any(axis=1), -1, index)

    def to_json(self) -> dict[str, Any]:
        """Return the scheme as plain values, which `load_fitted` reads back from a file."""
        if self.model:
            fit: dict[str, Any] = {
                "knots": [at.tolist() for at in self.model.knots],
                "products": self.model.products,
                "intercepts": self.model.intercepts.tolist(),
                "coefficients": self.model.coefficients.tolist(),
            }
        else:
            assert self.cuts is not None and self.given_band is not None
            fit = {"cuts": self.cuts.tolist(), "given_band": self.given_band.tolist()}
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "names": list(self.names),
            "columns": list(self.columns),
            "decision": self.decision,
            "judged_distribution": self.judged.tolist(),
            "target_distribution": None if self.target is None else self.target.tolist(),
            **fit,
            "fitted_on": self.fitted_on,
        }

    def save(self, path: AnyPath) -> None:
        """Write the scheme as JSON, whole or not at all."""
        with write_whole(path) as temporary:
            temporary.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")


def load_fitted(path: AnyPath) -> FittedScheme:
    """Return the scheme that `FittedScheme.save` wrote.

    Raises:
        InputError: The file cannot be read or is not a fitted scheme.
    """
    content = read_json(Path(path), "make it with equiderm calibrate")
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(
            f"{path}: is not a fitted scheme ({SCHEMA}); make it with equiderm calibrate."
        )
    try:
        return _from_json(content)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise InputError(
            f"{path}: a damaged scheme ({type(error).__name__}: {error}); fit it again with "
            "equiderm calibrate."
        ) from error


def _from_json(content: dict[str, Any]) -> FittedScheme:
    names = tuple(map(str, content["names"]))
    k = len(names)
    target = content["target_distribution"]
    common: dict[str, Any] = {
        "names": names,
        "columns": tuple(map(str, content["columns"])),
        "decision": str(content["decision"]),
        "judged": _array(content["judged_distribution"], (k,)),
        "target": None if target is None else _array(target, (k,)),
        "fitted_on": content.get("fitted_on"),
    }
    if common["decision"] not in DECISIONS:
        raise ValueError(f"decision '{common['decision']}'")
    if not common["columns"]:
        raise ValueError("no columns")
    if content["kind"] == "cuts":
        given = _array(content["given_band"], (k, k))
        return FittedScheme(**common, cuts=_array(content["cuts"], (k - 1,)), given_band=given)
    knots = tuple(_array(at, (len(at),)) for at in content["knots"])
    coefficients = np.array(content["coefficients"], dtype=float)
    coefficients = _array(coefficients, coefficients.shape)
    model = CumulativeLogits(
        knots, bool(content["products"]), _array(content["intercepts"], (k - 1,)), coefficients
    )
    model.predict_proba(np.zeros((1, len(knots))))
    return FittedScheme(**common, model=model)


def _array(values: Any, shape: tuple[int, ...]) -> Floats:
    array = np.array(values, dtype=float)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"shape {array.shape} or a value is wrong, {shape} is expected")
    return array


def decide(shares: Floats, decision: str) -> NDArray[np.intp]:
    """Return the answer with the least expected cost, shape (n,), for shares of shape (n, k)."""
    return (shares @ cost_matrix(decision, shares.shape[1])).argmin(axis=1)


def cost_matrix(decision: str, k: int) -> Floats:
    """Return the cost of answering i where j was judged, shape (k, k), symmetric."""
    types = np.arange(k)
    return DECISIONS[decision](np.abs(types[:, None] - types).astype(float))


def shift_prior(shares: Floats, source: Floats, target: Floats) -> Floats:
    """Return shares, shape (n, k), moved from one distribution of types to another.

    Source:
        Saerens, Latinne and Decaestecker 2002, Neural Computation 14:21, Eq. 2.4.
    """
    ratio = np.divide(target, source, out=np.zeros_like(target), where=source > 0)
    moved = shares * ratio
    total = moved.sum(axis=1, keepdims=True)
    # Where nothing is left of a row, the target; a row that was not measured stays NaN.
    whole = np.broadcast_to(target, moved.shape).copy()
    return np.divide(moved, total, out=whole, where=total != 0)


def read_features(frame: pd.DataFrame, columns: Sequence[str], where: str) -> Floats:
    """Return colour columns as numbers, shape (n, f); a row that lacks any of them is all NaN.

    A column of lists (or of numbers separated by spaces, as CSV holds them) gives its minimum,
    quartiles and maximum: five features, whatever the number and the order of the samples.

    Raises:
        InputError: A column is missing or a cell is not a number.
    """
    blocks = [_read_column(require_column(frame, name, where), where) for name in columns]
    features = np.hstack(blocks)
    features[~np.isfinite(features).all(axis=1)] = np.nan
    return features


def _read_column(column: pd.Series, where: str) -> Floats:
    cells = list(column)
    if any(_is_list(cell) for cell in cells):
        return np.array([_quantiles(cell, column.name, where) for cell in cells])
    return read_numbers(column.to_frame(), str(column.name), where).reshape(-1, 1)


def _is_list(cell: object) -> bool:
    return len(cell.split()) > 1 if isinstance(cell, str) else hasattr(cell, "__len__")


def _quantiles(cell: Any, name: object, where: str) -> Floats:
    try:
        parts = cell.split() if isinstance(cell, str) else np.atleast_1d(cell)
        numbers = np.array(parts, dtype=float)
    except ValueError as error:
        raise InputError(
            f"{where}: column '{name}' holds '{cell}', not a list of numbers; name columns of "
            "colour values, such as patch_ita."
        ) from error
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) == 0:
        return np.full(len(QUANTILES), np.nan)
    return np.quantile(numbers, QUANTILES)
