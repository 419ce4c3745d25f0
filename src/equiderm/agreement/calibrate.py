"""Fit a scheme to a table of judged images and measure its out-of-fold agreement."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from equiderm.agreement.agreement import (
    MINIMUM_IMAGES,
    MINIMUM_PATIENTS,
    Agreement,
    measure_agreement,
    patient_codes,
)
from equiderm.agreement.confusion import dark_types
from equiderm.agreement.crossfit import Choice, CrossFit, check_types, crossfit
from equiderm.agreement.distributions import DistributionQuality, measure_distributions
from equiderm.agreement.judged import JudgedTypes, as_judged
from equiderm.errors import InputError
from equiderm.format import number
from equiderm.identity import first_few
from equiderm.records import Record
from equiderm.tone.fitted_scheme import FittedScheme, read_features

FOLDS = 5


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Record):
    """A fitted scheme with its out-of-fold results.

    Attributes:
        scheme: The scheme, fitted on all judged and measured rows.
        agreement: Out-of-fold answers against people; rows without a measurement abstain.
        quality: Out-of-fold distributions against people.
        remarks: How the scheme was fitted, in sentences.
    """

    scheme: FittedScheme
    agreement: Agreement
    quality: DistributionQuality
    remarks: tuple[str, ...]


def calibrate(
    frame: pd.DataFrame,
    truth: NDArray[np.float64] | NDArray[np.bool_] | JudgedTypes,
    types: Sequence[int],
    *,
    columns: Sequence[str],
    patient: pd.Series | None = None,
    fold: pd.Series | None = None,
    target: NDArray[np.float64] | None = None,
    notes: Sequence[str] = (),
) -> Calibration:
    """Fit a scheme that maps colour to a type, and measure it on patients left out of the fit.

    Args:
        frame: A table with the colour columns, n rows.
        truth: Judged types, shape (n,), NaN where there is none; or the types that people allow,
            shape (n, k). Rows without a judgement are left out.
        types: The scale, lightest first, length k.
        columns: Colour columns: a single one gives cut-points, several an ordinal model.
        patient: Patient of each row, for five folds by patient unless ``fold`` is given.
        fold: The fold of each row, any values.
        target: Share of each type where the scheme will be used, shape (k,).
        notes: Remarks to put before the agreement's own.

    Raises:
        InputError: Neither patient nor fold, a patient in two folds, or too few rows.
    """
    if patient is None and fold is None:
        raise InputError(
            'name the column of patients, as in `patient="patient_id"`, or of folds, as in '
            '`fold="fold"`; a fit can only be assessed on patients it was not fitted on.'
        )
    if target is not None and (target > 0).sum() < 2:
        raise InputError(
            "the target distribution holds one type alone; a scheme needs at least two types."
        )
    features = read_features(frame, columns, "the table")
    everyone = as_judged(truth, types)
    used = everyone.known & ~np.isnan(features).any(axis=1)
    if used.sum() < MINIMUM_IMAGES:
        raise InputError(
            f"only {used.sum()} images have a judged type and all of {', '.join(columns)}; at "
            f"least {MINIMUM_IMAGES} are needed."
        )
    judged = everyone.take(used)
    check_types(judged, target)
    people = None if patient is None else patient_codes(patient.loc[used])
    folds = (
        _draw_folds(judged.row, people) if fold is None else _given_folds(fold.loc[used], people)
    )
    fit = crossfit(features[used], judged, folds, types=types, columns=columns, target=target)
    answers = np.full(len(used), np.nan)
    answers[used] = np.asarray(types, dtype=float)[fit.index]
    agreement = measure_agreement(
        everyone, answers, types, patient=patient, target=target, notes=notes
    )
    weights = np.ones(len(judged.row))
    if target is not None:
        ratio = (judged.members @ target) / np.maximum(judged.members @ fit.scheme.judged, 1e-12)
        weights = ratio[judged.row]
    quality = measure_distributions(
        fit.shares,
        judged.allowed if judged.has_ranges else judged.row,
        n_dark=len(dark_types(types)),
        weights=weights,
        clusters=people,
    )
    remarks = _remarks(fit, len(np.unique(folds)), given=fold is not None)
    methods = frame["method"].dropna().unique() if "method" in frame else []
    method = str(methods[0]) if len(methods) == 1 else None
    return Calibration(
        _with_record(fit.scheme, agreement, quality, remarks, method), agreement, quality, remarks
    )


def _draw_folds(index: NDArray[np.intp], people: NDArray[np.intp] | None) -> NDArray[np.intp]:
    from sklearn.model_selection import StratifiedGroupKFold

    assert people is not None
    if len(np.unique(people)) < MINIMUM_PATIENTS:
        raise InputError(
            f"only {len(np.unique(people))} patients; folds by patient need at least "
            f"{MINIMUM_PATIENTS}."
        )
    folds = np.zeros(len(index), dtype=np.intp)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # types with fewer patients than folds
        for fold, (_, test) in enumerate(splitter.split(index, index, people)):
            folds[test] = fold
    return folds


def _given_folds(fold: pd.Series, people: NDArray[np.intp] | None) -> NDArray[np.intp]:
    if fold.isna().any():
        raise InputError(f"column '{fold.name}' is empty in {fold.isna().sum()} rows; fill it in.")
    folds = pd.factorize(fold, sort=True)[0]
    if people is not None:
        spread = pd.Series(folds).groupby(people).nunique()
        if (spread > 1).any():
            raise InputError(
                f"{(spread > 1).sum()} patients are in more than one fold of '{fold.name}'; put "
                "each patient into one fold."
            )
    return folds.astype(np.intp)


def _remarks(fit: CrossFit, n_folds: int, *, given: bool) -> tuple[str, ...]:
    scheme = fit.scheme
    *inner, final = fit.choices
    what = (
        "Cut-points, lightest type first: " + ", ".join(number(cut, 1) for cut in scheme.cuts)
        if scheme.cuts is not None
        else f"Cumulative logits on cubic splines of {', '.join(scheme.columns)}"
    )
    target = "as judged" if scheme.target is None else ", ".join(number(x) for x in scheme.target)
    return (
        f"{what}.",
        f"{n_folds} {'given folds' if given else 'folds drawn by patient'}; every figure on this "
        "page is of images whose fold took no part in the fit nor in its choices.",
        f"Chosen on training folds: {_counted(inner)}; on all rows: {_words(final)}.",
        f"Distribution of types that it answers for: {target}.",
    )


def _counted(choices: Sequence[Choice]) -> str:
    words = [_words(choice) for choice in choices]
    return "; ".join(f"{word} ({words.count(word)} x)" for word in dict.fromkeys(words))


def _words(choice: Choice) -> str:
    if not choice.n_knots:
        return f"least {choice.decision} cost"
    answer = {"exact": "mode", "absolute": "median", "squared": "mean"}[choice.decision]
    return f"{choice.n_knots} knots, C = {choice.strength:g}, answering the {answer}"


def _with_record(
    scheme: FittedScheme,
    agreement: Agreement,
    quality: DistributionQuality,
    remarks: tuple[str, ...],
    method: str | None,
) -> FittedScheme:
    figures = agreement.to_json()["figures"]
    record = {
        "images": agreement.n,
        "patients": agreement.patients,
        "method": method,
        "how": list(remarks),
        "out_of_fold": {
            name: {key: figure[key] for key in ("value", "low", "high", "constant")}
            for name, figure in figures.items()
        },
        "distributions": quality.to_json(),
    }
    return replace(scheme, fitted_on=record)


def read_target(text: str, types: Sequence[int]) -> NDArray[np.float64]:
    """Return a target distribution of types, shape (k,), scaled to sum 1.

    Args:
        text: Shares separated by commas, JSON (a list, or type to share), or a file of such JSON.
        types: The scale, lightest first, length k.

    Raises:
        InputError: Not one share per type, or a share below 0.

    Example:
        >>> read_target("1,2,1", (1, 2, 3)).tolist()
        [0.25, 0.5, 0.25]
    """
    path = Path(text)
    try:
        body = path.read_text(encoding="utf-8") if text.endswith(".json") else text
        content = json.loads(body if body.lstrip()[:1] in ("[", "{") else f"[{body}]")
        if isinstance(content, dict):
            unknown = set(content) - {str(kind) for kind in types}
            if unknown:
                raise InputError(
                    f"target distribution: {first_few(sorted(unknown))} is not a type on the scale "
                    f"{types[0]}-{types[-1]}."
                )
            content = [content.get(str(kind), 0.0) for kind in types]
        shares = np.array(content, dtype=float)
    except (OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"target distribution {text}: cannot be read ({error}); write one share per type, as "
            "in 0.3,0.4,0.2,0.06,0.03,0.01, or name a .json file."
        ) from error
    if shares.shape != (len(types),) or not (shares >= 0).all() or not 0 < shares.sum() < np.inf:
        raise InputError(
            f"target distribution {text}: give {len(types)} shares of 0 or more, one for each of "
            f"types {types[0]}-{types[-1]}."
        )
    return shares / shares.sum()
