"""Rows: the manifest's columns as arrays, checked before the first batch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from equiderm.audit.input.cells import NO_NUMBER
from equiderm.batch import Target
from equiderm.columns import plain_spelling
from equiderm.debias import METHODS
from equiderm.debias.method import BINARY, Attribute
from equiderm.errors import InputError
from equiderm.format import counted, listed
from equiderm.training.experiment import DataChoice, Experiment
from equiderm.training.figures import FIGURES, large_groups

# What training, prediction and probes read of a manifest, beside the column of the group.
READ = ("image_id", "path", "source", "target", "split", "patient_id", "lesion_id", "sha256")
MOST_NAMES = 50  # of groups that need not be listed; an audit compares as many
MOST_GROUPS = 20  # distinct whole numbers beyond which a column is a number, such as years
LEAST_VALUES = 10  # distinct numbers that a density needs


@dataclass(frozen=True)
class Labels:
    """A column of the manifest as a head learns it.

    Attributes:
        column: Its name.
        target: What its values are.
        values: Per row, shape (n,): the index of its class, -1 where unknown; for a number the
            standardised value, NaN where unknown.
    """

    column: str
    target: Target
    values: NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Training and validation rows of a manifest.

    Attributes:
        frame: The manifest's rows that have a target and a picture, in its order.
        target: 0 or 1 per row, shape (n,); for several classes the index, for a number the
            standardised value.
        labels: The group columns, mostly one.
        train: Positions of the training rows.
        validation: Positions of the validation rows; may be empty.
        outcome: What the target's values are.
    """

    frame: pd.DataFrame
    target: NDArray[Any]
    labels: tuple[Labels, ...]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    outcome: Target = BINARY

    @property
    def groups(self) -> tuple[Any, ...]:
        """The values of the first group column, in order; none of a number."""
        return self.labels[0].target.names

    @property
    def group(self) -> NDArray[np.int64]:
        """Index into ``groups`` of each row, shape (n,), -1 where unknown; -1 of a number."""
        first = self.labels[0]
        number = first.target.kind == "number"
        return np.full(len(self.frame), -1) if number else first.values

    @property
    def cell(self) -> NDArray[np.int64]:
        """Index of each row's values of all group columns together, shape (n,)."""
        if len(self.labels) == 1:
            return self.group
        index = [labels.values for labels in self.labels if labels.target.kind != "number"]
        if not index:
            return self.group
        return np.unique(np.stack(index), axis=1, return_inverse=True)[1].ravel()

    @property
    def group_weights(self) -> NDArray[np.float32]:
        """Inverse frequency of each group in the training rows, summing to 1; 0 where absent."""
        return self._weights(self.labels[0])

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """The group columns as a method is given them."""
        return tuple(
            Attribute(
                labels.column,
                labels.target,
                torch.tensor(self._weights(labels)),
                torch.tensor(self._counts(labels)),
            )
            for labels in self.labels
        )

    def _weights(self, labels: Labels) -> NDArray[np.float32]:
        counts = self._counts(labels).sum(0).astype(np.float64)
        inverse = np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0)
        return (inverse / max(inverse.sum(), 1e-300)).astype(np.float32)

    def _counts(self, labels: Labels) -> NDArray[np.float32]:
        """Count training rows by target and known group, (C, K); for a numeric target (1, K)."""
        outcomes = max(len(self.outcome.names), 1)
        counts = np.zeros((outcomes, len(labels.target.names)), np.float32)
        if labels.target.kind != "number":
            known = self.train[labels.values[self.train] >= 0]
            row = self.target[known] if outcomes > 1 else np.zeros(len(known), int)
            np.add.at(counts, (row, labels.values[known]), 1)
        return counts


def select_rows(experiment: Experiment, manifest: pd.DataFrame, *, fold: int | None = None) -> Rows:
    """Return the rows of an experiment.

    Args:
        experiment: Names the group column, the splits and the folds.
        manifest: Columns ``image_id``, ``target`` (0, 1), ``split`` and the group column; for folds
            ``patient_id``.
        fold: With cross-validation, the fold that validates, 0 to folds - 1.

    Raises:
        InputError: A column that is missing, an image twice, a test image in training, a training
            set without both targets or two groups, a batch larger than the training set.
    """
    data = experiment.data
    _check_columns(manifest, ["image_id", data.target, "split", *data.columns])
    frame: Any = manifest.assign(image_id=manifest["image_id"].astype(str)).reset_index(drop=True)
    _check_images(frame, data)
    outcome, target = outcome_of(frame, data)
    keep = ~np.isnan(target)
    frame, target = frame[keep].reset_index(drop=True), target[keep]
    target = target if outcome.kind == "number" else target.astype(np.int64)
    split = frame["split"].astype(str).to_numpy()
    train = np.flatnonzero(split == data.train)
    validation = np.flatnonzero(split == data.validation)
    if not len(train):
        splits = ", ".join(sorted(set(frame["split"].dropna().astype(str)))) or "none"
        raise InputError(
            f"manifest: no row of split {data.train!r} has a target; splits with a target: "
            f"{splits}. `equiderm split` makes a split; [data] train names it."
        )
    if fold is not None and not experiment.validation.folds:
        raise InputError(f"fold {fold}: the experiment has no folds; set [validation] folds.")
    if experiment.validation.folds:
        train, validation = _fold(frame, target, train, experiment.validation.folds, fold)
    labels = tuple(_labels(frame, train, column, data) for column in data.columns)
    rows = Rows(frame, target, labels, train, validation, outcome)
    _check_training(rows, experiment)
    return rows


def _check_columns(frame: pd.DataFrame, wanted: list[str]) -> None:
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        columns = ", ".join(map(str, frame.columns))
        raise InputError(f"manifest: no column {missing[0]!r}; it has {columns}.")
    several = list | tuple | dict | set | np.ndarray
    for name in wanted:
        if (
            frame[name].dtype == object
            and frame[name].map(lambda cell: isinstance(cell, several)).any()
        ):
            raise InputError(
                f"manifest: column {name!r} holds lists; give each cell one value, or name another."
            )


def _check_images(frame: Any, data: DataChoice) -> None:
    training = frame["split"].astype(str) == data.train
    for column in ("image_id", "path", "sha256"):
        if column not in frame.columns:
            continue
        elsewhere = frame[~training & frame["split"].notna() & frame[column].notna()]
        both = frame[training & frame[column].isin(elsewhere[column])]
        if len(both):
            other = elsewhere[elsewhere[column] == both[column].iloc[0]].iloc[0]
            raise InputError(
                f"manifest: image {both['image_id'].iloc[0]} of split {data.train!r} is the same "
                f"picture as {other['image_id']} of split {other['split']!r} ({len(both)} such "
                "images); take it out of one of the two."
            )
    twice = frame.loc[frame["image_id"].duplicated(), "image_id"]
    if len(twice):
        raise InputError(f"manifest: image {twice.iloc[0]} is listed twice; keep one row of it.")


def outcome_of(frame: Any, data: DataChoice) -> tuple[Target, NDArray[np.float64]]:
    """Return the kind of target, by the training rows, and the target of each row.

    Returns:
        0 and 1, the index of the class, or the standardised number; NaN where there is none.
    """
    column, kind = data.target, data.target_kind
    if kind == "binary":
        return BINARY, target_of(frame, column)
    train = (frame["split"].astype(str) == data.train).to_numpy()
    if kind == "number":
        return _standardised(frame, train, column)
    present = _present(frame[column][train])
    if data.targets is None:
        _check_unlisted(present, column, "targets", "target_kind = 'number'")
        if kind == "ordered" and (words := [one for one in present if _number(one) is None]):
            raise InputError(
                f"[data] {column!r}: the order of words, such as {words[0]!r}, is not known; list "
                f"them from the lowest to the highest in [data] targets ({listed(present)})."
            )
    names = _in_order("targets", data.targets, present, column)
    index = group_index(frame[column], names)
    return Target(kind, names), np.where(index < 0, np.nan, index)


def target_of(frame: Any, column: str = "target") -> NDArray[np.float64]:
    """Return the targets of a manifest's rows, 0, 1 or NaN; any other value is an InputError."""
    numbers: Any = pd.to_numeric(frame[column], errors="coerce")
    target = numbers.to_numpy(np.float64, na_value=np.nan)
    wrong = ~np.isin(target, (0.0, 1.0)) & frame[column].notna().to_numpy()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        value = frame[column].iloc[row]
        raise InputError(
            f"manifest: image {frame['image_id'].iloc[row]} has {column} {value}; "
            "a target is 0, 1 or empty, unless [data] target_kind names another kind."
        )
    return target


def _fold(
    frame: pd.DataFrame, target: NDArray[Any], train: NDArray[Any], folds: int, fold: int | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    from sklearn.model_selection import StratifiedGroupKFold

    if fold is None or not 0 <= fold < folds:
        raise InputError(f"fold {fold}: the experiment has folds 0 to {folds - 1}.")
    patients = patients_of(frame)[train]
    if len(set(patients)) < folds:
        raise InputError(f"manifest: {len(set(patients))} patients cannot make {folds} folds.")
    # The folds do not depend on the experiment's seed: methods and seeds are compared on them.
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    stratum = target[train]
    if not np.issubdtype(target.dtype, np.integer):  # fifths of a number
        stratum = (5 * stratum.argsort().argsort() / len(train)).astype(int)
    with warnings.catch_warnings():  # of a class in fewer images than folds: allowed
        warnings.simplefilter("ignore", UserWarning)
        pairs = list(splitter.split(train, stratum, patients))
    return train[pairs[fold][0]], train[pairs[fold][1]]


def patients_of(frame: Any) -> NDArray[Any]:
    """Return who each image is of: its patient, else its lesion, else the image itself."""
    who = frame["image_id"].astype(str).map("image {}".format)
    for column in ("lesion_id", "patient_id"):
        if column in frame.columns and frame[column].notna().any():
            named = frame[column].astype("string").map(f"{column} {{}}".format, na_action="ignore")
            who = named.where(frame[column].notna(), who)
    return who.to_numpy(dtype=object)


def _labels(frame: Any, train: NDArray[Any], column: str, data: DataChoice) -> Labels:
    if column in data.numbers:
        return Labels(column, *_standardised(frame, train, column))
    groups = _groups(frame[column].iloc[train], column, data)
    return Labels(column, Target("classes", groups), group_index(frame[column], groups))


def _standardised(
    frame: Any, train: NDArray[Any], column: str
) -> tuple[Target, NDArray[np.float64]]:
    """Return a column of numbers as a target, and its values standardised by the training rows."""
    values = numbers_of(frame, column)
    rest = frame[np.isnan(values)]
    texts = rest[column].astype("string").str.strip().str.lower()
    wrong = rest[~(texts.isna() | texts.isin(NO_NUMBER)).to_numpy(bool)]
    if len(wrong):
        row = wrong.iloc[0]
        raise InputError(
            f"manifest: image {row['image_id']} has {column} {str(row[column])!r}, which is no "
            "number; write the number alone, with a point, or leave the cell empty."
        )
    _check_measured(values[train], column)
    with np.errstate(over="ignore"):
        mean, std = float(np.nanmean(values[train])), float(np.nanstd(values[train]))
    if not np.isfinite(std):
        raise InputError(
            f"manifest: column {column!r} holds numbers up to {np.nanmax(np.abs(values)):g}, too "
            "large to standardise; take another unit."
        )
    return Target("number", (), mean, std), (values - mean) / std


def _groups(training: Any, column: str, data: DataChoice) -> tuple[Any, ...]:
    present = _present(training)
    if data.groups is None:
        _check_unlisted(present, column, "groups", f"numbers = [{column!r}]")
        if len(present) > MOST_NAMES:
            raise InputError(
                f"[data] group = {column!r}: has {len(present)} values, such as {present[0]!r} and "
                f"{present[1]!r}, among {len(training)} training rows, each of which would be a "
                "group; name a column of groups, or list the values in [data] groups."
            )
    return _in_order("groups", data.groups, present, column)


def _in_order(
    key: str, wanted: Sequence[Any] | None, present: list[Any], column: str
) -> tuple[Any, ...]:
    """Return a column's classes in the listed order; without a list, those of the training rows."""
    if wanted is None:
        return tuple(present)
    by_text = {str(value): value for value in present}  # "1" of a band is 1 of a TOML file
    names = tuple(by_text.get(str(value), value) for value in wanted)
    unknown = [value for value in present if value not in names]
    if unknown:
        raise InputError(
            f"[data] {key} = {list(wanted)}: the training rows also hold {column} = "
            f"{unknown[0]}; add it, or take those rows out."
        )
    return names


def _present(training: Any) -> list[Any]:
    """Return the different values of a column: numbers in their order, then words in theirs."""
    values = {plain_value(value) for value in training.dropna().unique()} - {""}

    def place(value: Any) -> tuple[bool, float, str]:
        number = _number(value)
        return number is None, number or 0.0, str(value)

    return sorted(values, key=place)


def _number(value: Any) -> float | None:
    """Return the number that a value is, or that its text says; None of a word."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _check_unlisted(present: list[Any], column: str, key: str, remedy: str) -> None:
    """Refuse values that are hardly classes: measured numbers, and words that differ in capitals.

    Each measured number would be a class of its own.
    """
    numbers = [number for value in present if (number := _number(value)) is not None]
    if len(numbers) < len(present):
        alike: dict[str, str] = {}
        for value in map(str, present):
            other = alike.setdefault(plain_spelling(value), value)
            if other != value:
                raise InputError(
                    f"manifest: column {column!r} has {other!r} and {value!r}, "
                    "which differ in capitals, blanks, dashes or hidden signs only; write them "
                    f"alike, or list both in [data] {key}."
                )
        return
    if not (any(number % 1 for number in numbers) or len(numbers) > MOST_GROUPS):
        return
    raise InputError(
        f"[data] {column!r}: holds numbers ({len(numbers)} values from {numbers[0]:g} "
        f"to {numbers[-1]:g}), each of which would be a group; take it as a number with [data] "
        f"{remedy}, name a column of bands, such as ita_band, or list the values in [data] {key}."
    )


def plain_value(value: Any) -> Any:
    """Return a group's value as Python's own: a whole number is an int, the rest text."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    return value if isinstance(value, int) else str(value).strip()


def group_index(column: Any, groups: tuple[Any, ...]) -> NDArray[np.int64]:
    """Return the index of each row's group in ``groups``; -1 where it is not among them."""
    position = {plain_value(value): index for index, value in enumerate(groups)}
    codes, values = column.factorize()
    return np.array([*(position.get(plain_value(value), -1) for value in values), -1])[codes]


def tensor_of(labels: Labels) -> torch.Tensor:
    """Return the values of a column as `equiderm.batch.Batch` has them."""
    number = labels.target.kind == "number"
    return torch.tensor(labels.values, dtype=torch.float32 if number else torch.int64)


def values_of(rows: Rows, column: str) -> NDArray[np.float64]:
    """Return the training rows' values of a column of measured numbers, NaN where unknown.

    Raises:
        InputError: No such column, or fewer than ten different numbers in it.
    """
    _check_columns(rows.frame, [column])
    values = numbers_of(rows.frame.iloc[rows.train], column)
    _check_measured(values, column)
    return values


def numbers_of(frame: Any, column: str) -> NDArray[np.float64]:
    """Return the numbers of a column, NaN for everything else."""
    numbers: Any = pd.to_numeric(frame[column], errors="coerce")
    values = numbers.to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)


def _check_measured(values: NDArray[np.float64], column: str) -> None:
    if (count := len(set(values[~np.isnan(values)]))) < LEAST_VALUES:
        raise InputError(
            f"manifest: the training rows have {counted(count, 'different number')} in {column!r}; "
            f"measured values are needed, {LEAST_VALUES} or more, as of ita by `equiderm split "
            "--tones`."
        )


def _check_training(rows: Rows, experiment: Experiment) -> None:
    method = experiment.method["name"]
    kind = rows.outcome.kind
    if len(set(rows.target[rows.train])) < 2:
        needed = "both 0 and 1 are needed" if kind == "binary" else "two classes or more are needed"
        only = rows.outcome.names[rows.target[rows.train][0]]
        raise InputError(
            f"manifest: the training rows have one target only, {experiment.data.target} = {only}; "
            f"{needed}."
        )
    if kind not in METHODS[method].targets:
        able = ", ".join(name for name, other in METHODS.items() if kind in other.targets)
        raise InputError(
            f"[data] target_kind = {kind!r}: {method} does not learn it; take one of {able}."
        )
    _check_attributes(rows, experiment)
    size = experiment.training.batch_size
    if experiment.training.drop_last and len(rows.train) < size:
        raise InputError(
            f"[training] batch_size = {size}: only {len(rows.train)} training rows; "
            "take a smaller batch or drop_last = false."
        )
    if (measured := getattr(experiment.options, "column", None)) is not None:
        _ = values_of(rows, measured)
    if METHODS[method].refits == "validation" and not len(rows.validation):
        raise InputError(
            f"[method] {method}: fits its head on validation rows, and split "
            f"{experiment.data.validation!r} has none with a target; name the split, or use folds."
        )
    fitted = rows.train if METHODS[method].refits == "train" else rows.validation
    METHODS[method].check_refit(rows.target[fitted], rows.group[fitted], rows.groups)
    _check_validation(rows, experiment)


def _check_validation(rows: Rows, experiment: Experiment) -> None:
    """Raise InputError where the validation rows do not define the figure that is watched."""
    figure, kind = experiment.validation.figure, rows.outcome.kind
    if figure not in ("none", *FIGURES[kind]):
        raise InputError(
            f"[validation] figure = {figure!r}: is not defined for a target of kind {kind}; take "
            f"{' or '.join(map(repr, FIGURES[kind]))}, or 'none'."
        )
    if figure != "none" and len(set(rows.target[rows.validation])) < 2:
        both = "both targets" if kind == "binary" else "two different targets"
        raise InputError(
            f"[validation] figure = {figure!r}: the rows of split {experiment.data.validation!r} "
            f"do not hold {both}; name the split, use folds, or take figure = 'none'."
        )
    target, group = rows.target[rows.validation], rows.group[rows.validation]
    least = experiment.validation.least
    if figure == "worst_group_auroc" and not large_groups(target, group, least=least):
        raise InputError(
            f"[validation] figure = {figure!r}: no {rows.labels[0].column} has {least} positives "
            f"and {least} negatives in the validation rows; take figure = 'auroc', more rows, or a "
            "lower [validation] least."
        )


def _check_attributes(rows: Rows, experiment: Experiment) -> None:
    """Raise InputError where the method cannot learn what the group columns hold."""
    name, first = experiment.method["name"], rows.labels[0].column
    method = METHODS[name]
    needs_groups = method.uses_group or "number" not in method.takes  # as resampling
    if len(rows.labels) > 1 and "several" not in method.takes:
        able = ", ".join(key for key, other in METHODS.items() if "several" in other.takes)
        raise InputError(
            f"[data] group = {list(experiment.data.columns)}: {name} takes one column; give one, "
            f"or take one of {able}."
        )
    for attribute in rows.attributes:
        column, weights = attribute.name, attribute.weights
        if attribute.target.kind == "number":
            if "number" not in method.takes:
                able = ", ".join(key for key, other in METHODS.items() if "number" in other.takes)
                raise InputError(
                    f"[data] numbers = [{column!r}]: {name} compares groups and cannot use a "
                    f"number; name a column of bands, or take one of {able}."
                )
        elif needs_groups and weights is not None and int((weights > 0).sum()) < 2:
            raise InputError(
                f"manifest: the training rows have fewer than two values of {column!r}; "
                f"{name} needs two. Name another column in [data] group, or fill "
                "ita_band by `equiderm split --tones`."
            )
        if method.uses_group:
            experiment.options_of(column).check_attribute(column, attribute.target)
    if experiment.validation.figure == "worst_group_auroc" and not rows.groups:
        raise InputError(
            f"[validation] figure = 'worst_group_auroc': {first} is a number, "
            "without groups; take figure = 'auroc'."
        )
