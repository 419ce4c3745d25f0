"""One table from Python objects: frames of any library, arrays, lists, series and mappings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def from_arrays(
    frame: Any, target: Any, score: Any, by: Any, patient: Any, weight: Any = None
) -> tuple[pd.DataFrame, tuple[Any, Any, list[Any], Any, Any]]:
    """Return one table, and the names of its target, scores, groups, patient and weight.

    Without a frame all others are arrays, as in fairlearn; with one, an array is added to its
    columns. Series are aligned by their index.

    Args:
        frame: A data frame, a mapping of columns, a polars frame, or None.
        target: Column or array (n,); None if the truth is not known.
        score: Column, several columns, or array of shape (n,), (n, 1) or (n, 2), where the second
            column is that of the positive class, as in ``predict_proba``.
        by: Columns, or ``sensitive_features``: a mapping of names to arrays, a data frame, a
            series, or one array (then called "group").
        patient: Column or array (n,), or None.
        weight: Column or array (n,), or None.

    Raises:
        InputError: The arrays differ in length or index.
    """
    import pandas as pd

    frame = None if frame is None else as_frame(frame)
    given: dict[str, Any] = {}

    def column(value: Any, name: str) -> Any:
        if value is None or is_name(value):
            if frame is None and value is not None:
                raise InputError(f"{name}='{value}' names a column, but no table was given.")
            return value
        given[name] = _array(value, name)
        return name

    named_target = column(target, "target")
    if isinstance(score, list | tuple) and score and all(isinstance(name, str) for name in score):
        scores: Any = list(score)
    else:
        scores = column(score, "score")
    groups: list[Any] = []
    if is_name(by):
        groups = [column(by, "group")]
    elif isinstance(by, list | tuple) and frame is not None and all(map(is_name, by)):
        groups = list(by)
    elif by is not None:
        for part in by if isinstance(by, list | tuple) and not all(map(_is_cell, by)) else [by]:
            features = {} if is_name(part) else _features(part, f"group_{len(groups)}")
            given |= {name: _array(values, name) for name, values in features.items()}
            groups += list(features) or [part]
    named = (
        *(named_target, scores, groups),
        *(column(patient, "patient_id"), column(weight, "weight")),
    )
    if frame is not None:
        if not given:
            return frame, named
        given = {"the table": frame, **given}
    aligned = _align(given)
    if frame is not None:
        table = aligned.pop("the table").assign(**{str(k): v for k, v in aligned.items()})
        return table.reset_index(drop=True), named
    return pd.DataFrame(aligned), named


def is_name(value: Any) -> bool:
    """Return whether a value names a column: a text or a whole number."""
    return isinstance(value, str | int | np.integer) and not isinstance(value, bool)


def as_frame(table: Any) -> pd.DataFrame:
    """Return a pandas frame of a pandas or polars frame, a mapping of columns or a matrix.

    Raises:
        InputError: Any other type, or columns that differ in length.
    """
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return table
    if hasattr(table, "collect"):  # a lazy frame of polars
        table = table.collect()
    if hasattr(table, "to_pandas"):  # polars, pyarrow
        return table.to_pandas()
    if hasattr(table, "items") or (isinstance(table, np.ndarray) and table.ndim == 2):
        try:
            return pd.DataFrame(table)
        except ValueError as error:
            raise InputError(f"the columns of the table differ in length ({error}).") from error
    raise InputError(
        f"a {type(table).__name__} is not a table; give a data frame, or arrays as target, score "
        "and by."
    )


def _is_cell(value: Any) -> bool:
    return not hasattr(value, "__len__") or isinstance(value, str)


def _features(by: Any, called: str = "group_0") -> dict[str, Any]:
    import pandas as pd

    if isinstance(by, pd.DataFrame) or (hasattr(by, "to_pandas") and hasattr(by, "columns")):
        by = as_frame(by)
        return {str(name): by[name] for name in by.columns}
    if hasattr(by, "items") and not isinstance(by, pd.Series):
        return {str(name): values for name, values in by.items()}
    name = getattr(by, "name", None)
    return {str(name if name is not None else "group" if called == "group_0" else called): by}


def _array(values: Any, name: str) -> Any:
    """Return one value per row: a series, or an array or list of shape (n,).

    Raises:
        InputError: Another shape.
    """
    import pandas as pd

    if isinstance(values, pd.Series):
        return values
    if isinstance(values, pd.DataFrame):
        index, values = values.index, values.to_numpy()
        return pd.Series(_array(values, name), index=index)
    if hasattr(values, "to_pandas"):
        return _array(values.to_pandas().to_numpy(), name)
    if hasattr(values, "detach"):  # torch
        values = values.detach().cpu().numpy()
    if not hasattr(values, "__len__") or isinstance(values, str):
        raise InputError(f"{name} is a {type(values).__name__}; give one value per image.")
    shape = np.shape(values) if isinstance(values, np.ndarray) else ()
    if len(shape) < 2:
        nested = len(values) > 0 and isinstance(next(iter(values)), list | tuple | np.ndarray)
        return _array(np.array(list(values)), name) if nested else list(values)
    if len(shape) == 2 and shape[1] == 1:
        return list(values[:, 0])
    if len(shape) == 2 and shape[1] == 2 and name == "score":
        if np.allclose(np.asarray(values, float).sum(axis=1), 1.0, atol=1e-3):
            return list(values[:, 1])
        raise InputError(
            "score has two columns that do not add up to 1; give the column of the positive class."
        )
    raise InputError(
        f"{name} has the shape {shape}; give one value per image, the positive class's for a score."
    )


def _align(given: dict[str, Any]) -> dict[str, Any]:
    """Return arrays and frames row by row: series by their index, the rest by position.

    Raises:
        InputError: Lengths differ, or an index that cannot be aligned.
    """
    import pandas as pd

    sizes = {name: len(values) for name, values in given.items()}
    if len(set(sizes.values())) > 1:
        lengths = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise InputError(f"the arrays differ in length ({lengths}); give one value per image.")
    indexed = {n: v for n, v in given.items() if isinstance(v, pd.Series | pd.DataFrame)}
    if indexed:
        first = next(iter(indexed))
        index = indexed[first].index
        for name, values in indexed.items():
            if values.index.equals(index):
                continue
            unique = index.is_unique and values.index.is_unique
            if not unique or len(values.index.difference(index)) or len(indexed) < len(given):
                raise InputError(
                    f"{first} and {name} have different indexes, so their rows cannot be paired; "
                    "give both the same index, or arrays."
                )
            given[name] = values.loc[index]
    return {
        name: values.reset_index(drop=True) if name in indexed else values
        for name, values in given.items()
    }
