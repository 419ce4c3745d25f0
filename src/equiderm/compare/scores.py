"""Compare existing scores: arrays or a table in, the comparison out; no training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from equiderm.audit.groupings import make_grouping
from equiderm.compare.answer import COPY
from equiderm.compare.estimates import difference_tables, figure_table, run_table
from equiderm.compare.measures import MEASURES, MIN_COUNT, MacroAuroc, default_margin
from equiderm.compare.result import Compared, TestSet, lost_runs, no_images
from equiderm.compare.scores_table import GROUP, class_text, from_table
from equiderm.compare.spread import Test, spread
from equiderm.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW_VALUES = 10  # in which two runs may agree by luck
SPLIT_SEEDS = 1000  # a run's seed is this times its split, and its number there


def compare_scores(
    scores: Any,
    target: Any = None,
    patient: Any = None,
    group: Any = None,
    *,
    names: Sequence[str] | None = None,
    references: Sequence[str] | None = None,
    margin: float | None = None,
    by: str = GROUP,
    test: str = "test",
    kind: str = "binary",
    classes: Sequence[Any] = (),
) -> Compared:
    """Compare methods whose scores of the same images are known, over seeds and by group.

    Args:
        scores: Shape (methods, seeds, images), or a mapping of names to (seeds, images). A run
            whose scores are all NaN has none (it diverged); it is left out and counted. With
            several splits (methods, splits, seeds, images), where an image that a split does not
            test is NaN in all of its runs. Or a table of one row per experiment, seed and image:
            columns ``experiment``, ``seed``, ``image_id``, ``score``, ``target`` and, where there
            are any, ``split``, ``patient_id`` and the column ``by``; the next three are then not
            given. For several classes arrays have a last axis of classes, and a table has columns
            ``score_CLASS``. For ordered classes and numbers a score is the model's answer, in a
            table ``predicted``.
        target: 0 or 1 of each image, or its class, rank or number, shape (images,).
        patient: The patient of each image, shape (images,); where it is missing, and with None for
            all, an image is on its own.
        group: Each image's group, shape (images,); missing where unknown. None: overall alone.
        names: What the methods are called; "method 0", ... by default.
        references: With which of them the others are compared; the first by default.
        margin: Difference below which methods count as equivalent, above 0; by default 0.03, or for
            a number a tenth of the standard deviation of the targets.
        by: What the groups are called, such as "ita_band", whose values then have a meaning.
        test: What the test set is called.
        kind: Kind of target: ``binary`` (compared by AUROC), ``classes`` (macro AUROC), ``ordered``
            (quadratic-weighted kappa of ranks) or ``number`` (mean absolute error).
        classes: The classes in the order of their scores; ordered ones from the lowest, where
            targets and answers are not their ranks.

    Returns:
        As from `compare`, without probes, costs and settings.

    Raises:
        InputError: Shapes that do not agree, targets other than 0 and 1, a run of which some
            scores are NaN, a name that is unknown.

    Example:
        >>> random = np.random.default_rng(0)
        >>> target = np.arange(400) % 2
        >>> scores = random.normal(size=(2, 5, 400)) + target
        >>> compared = compare_scores(scores, target, group=np.arange(400) // 200)
        >>> compared.tests[0].differences["figure"].tolist()
        ['overall', '0', '1', 'worst', 'gap']
    """
    if kind not in MEASURES:
        raise InputError(f"kind {kind!r}: a target is one of {', '.join(MEASURES)}.")
    if kind == "classes" and len({*map(class_text, classes)}) < max(len(classes), 2):
        raise InputError("`classes` names two classes or more, each once, in the scores' order.")
    named: tuple[int, ...] = ()
    if hasattr(scores, "columns"):
        if any(values is not None for values in (target, patient, group, names)):
            raise InputError("a table of scores holds targets, patients, groups and names itself.")
        scores, target, patient, group, named = from_table(scores, by, kind, classes)
    if isinstance(scores, Mapping):
        names = [str(name) for name in scores]
        scores = _stacked(list(scores.values()), kind)
    array = _as_array(scores, kind, classes)
    _check_shape(array, kind)
    names = _names(names, len(array))
    images = make_test(test, target, patient, group, by=by, kind=kind, classes=classes)
    _check_matches(array, images, classes)
    if array.ndim - (kind == "classes") == 4:
        known = np.isfinite(array).any(axis=(0, 2, *range(4, array.ndim)))
        images = in_splits(images, [np.flatnonzero(split) for split in np.asarray(known)])
        array = array.reshape(len(names), -1, *array.shape[3:])
    margin = default_margin(kind, images.target) if margin is None else margin
    check_margin(margin, kind)
    chosen = _names_of(references, names)
    seeds = named or run_seeds(len(images.tested), array.shape[1] // len(images.tested))
    check_scores(array, names, seeds, images)
    failed = _without_scores(array, names, seeds)
    array, copies = _without_copies(array, names, seeds, len(images.tested))
    return Compared(
        experiments=dict.fromkeys(names),
        references=chosen,
        seeds=seeds[: len(seeds) // len(images.tested)],
        group=by,
        by=by,
        margin=margin,
        tests=tuple(results_of([(images, array)], names, chosen, seeds, margin)),
        costs={},
        selection=pd.DataFrame(columns=["experiment", "rule", "images", "test_images"]),
        failed=lost_runs([*failed, *copies]),
        unreadable=no_images(),
        curves=pd.DataFrame(columns=["experiment", "seed", "epoch", "name", "value"]),
        splits=split_table(images),
        measure=images.measure.key,
    )


def check_margin(margin: float, kind: str) -> None:
    """Raise InputError unless a margin is a difference that the figure can have."""
    measure = MEASURES[kind]
    if not 0 < margin <= measure.span:
        raise InputError(
            f"a margin of {margin:g}: give a difference in {measure.name} above 0"
            f"{f' and at most {measure.span:g}' if np.isfinite(measure.span) else ''}, such as "
            f"{'0.03' if measure.sign > 0 else 'a tenth of its standard deviation'}."
        )


def _names_of(references: Sequence[str] | str | None, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the references, each once; without any the first of all names."""
    if references is None:
        return (names[0],)
    several = [references] if isinstance(references, str) else references
    if not len(several):
        raise InputError("`references` is empty; name the methods to compare the others with.")
    chosen = tuple(dict.fromkeys(map(str, several)))
    if unknown := [name for name in chosen if name not in names]:
        raise InputError(
            f"reference '{unknown[0]}': no method has this name; there are {', '.join(names)}."
        )
    return chosen


def _as_array(scores: Any, kind: str, classes: Sequence[Any]) -> NDArray[np.float64]:
    """Return scores as numbers, ordered answers as ranks."""
    try:
        if kind != "ordered":
            return np.asarray(scores, np.float64)
        array = _as_ranks(scores, classes)
        strange = np.asarray(scores)[np.isnan(array)]
    except (TypeError, ValueError) as error:
        raise InputError(f"scores that are not an array of numbers: {error}.") from error
    if len(strange := strange[~pd.isna(strange)]):
        which = f"none of the classes {', '.join(map(str, classes))}" if len(classes) else "no rank"
        raise InputError(f"an answer is {strange[0]}, which is {which}.")
    return array


def _check_shape(array: NDArray[np.float64], kind: str) -> None:
    """Raise InputError unless scores have as many axes as they need, and hold any."""
    wide = " and classes" if kind == "classes" else ""
    if array.ndim - bool(wide) not in (3, 4):
        raise InputError(
            f"scores have {array.ndim} dimensions; give methods, seeds and images{wide}, in this "
            f"order, or methods, splits, seeds and images{wide}."
        )
    if not array.size:
        raise InputError(f"scores of shape {array.shape} hold none; give a run or more.")


def _check_matches(array: NDArray[np.float64], images: Test, classes: Sequence[Any]) -> None:
    """Raise InputError unless scores are of as many images, and classes, as the test set."""
    several = images.kind == "classes"
    n = array.shape[-2 if several else -1]
    if n != len(images.target):
        raise InputError(
            f"scores are for {n:,} images, targets for {len(images.target):,}; give both in the "
            "same order."
        )
    if several and array.shape[-1] != len(classes):
        raise InputError(f"scores are of {array.shape[-1]} classes; `classes` has {len(classes)}.")


def _as_ranks(values: Any, classes: Sequence[Any]) -> NDArray[np.float64]:
    """Return the place of each value among the classes, as numbers; numbers where none are named.

    Missing values, and those that are not among the classes, are NaN.
    """
    array = np.asarray(values)
    if len(classes):
        place = {str(name): float(k) for k, name in enumerate(classes)}
        ranks = pd.Series(array.ravel(), dtype=object).map(
            lambda value: place.get(class_text(value))
        )
    else:
        ranks = pd.Series(pd.to_numeric(pd.Series(array.ravel()), errors="coerce"))
    return np.asarray(ranks.to_numpy(np.float64, na_value=np.nan)).reshape(array.shape)


def _stacked(runs: list[Any], kind: str) -> NDArray[Any]:
    """Return the methods' runs as one array; where one has fewer seeds, its last are NaN."""
    if not runs:
        raise InputError("no method: give the scores of two or more by name.")
    arrays = [np.atleast_2d(np.asarray(array)) for array in runs]
    if any(array.ndim > 2 + (kind == "classes") for array in arrays):
        if len({array.shape for array in arrays}) > 1:
            raise InputError("the methods' scores are not of the same splits, seeds and images.")
        return np.stack(arrays)
    if len({array.shape[1:] for array in arrays}) > 1:
        raise InputError("the methods' scores are not of the same number of images.")
    most = max(len(array) for array in arrays)
    padded = np.full((len(arrays), most, *arrays[0].shape[1:]), np.nan, dtype=object)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded


def _names(names: Sequence[str] | None, count: int) -> list[str]:
    known = [f"method {k}" for k in range(count)] if names is None else [str(n) for n in names]
    if len(known) != count or len(set(known)) < count:
        raise InputError(f"{len(known)} names for {count} methods; give each a different name.")
    return known


def make_test(
    name: str,
    target: Any,
    patient: Any,
    group: Any,
    *,
    by: str,
    kind: str = "binary",
    classes: Sequence[Any] = (),
) -> Test:
    """Return the checked images of a test set.

    Raises:
        InputError: Targets that are not of the kind or all the same, or other lengths.
    """
    values = _targets(name, target, kind, classes)
    n = len(values)
    who = np.arange(n)
    if patient is not None:
        who, known = pd.factorize(pd.Series(np.asarray(patient)))
        who = np.where(who < 0, len(known) + np.cumsum(who < 0) - 1, who)
    column = pd.Series(np.full(n, "all") if group is None else np.asarray(group), name=by)
    for what, of in (("patients", who), ("groups", column)):
        if len(of) != n:
            raise InputError(f"{name}: {len(of):,} {what} for {n:,} targets.")
    grouping, _ = make_grouping(column, by, name)
    texts = tuple(map(str, classes))
    test = Test(name, values, who.astype(np.intp), grouping, kind=kind, classes=texts)
    if isinstance(test.measure, MacroAuroc) and len(test.measure.classes) < 2:
        raise InputError(
            f"{name}: fewer than two classes have {MIN_COUNT} images, of two patients; compare "
            "larger tests, or fewer classes."
        )
    return test


def _targets(name: str, target: Any, kind: str, classes: Sequence[Any]) -> NDArray[Any]:
    """Return the checked targets of a test set: booleans, indices of classes, ranks or numbers."""
    named = kind in ("classes", "ordered") and len(classes) > 0
    values = _as_ranks(target, classes if named else ())
    wrong = np.flatnonzero(
        ~(np.isin(values, (0.0, 1.0)) if kind == "binary" else np.isfinite(values))
    )
    if len(wrong):
        what = {"binary": "neither 0 nor 1", "number": "no number"}
        others = f"none of the classes {', '.join(map(str, classes))}" if named else "no rank"
        raise InputError(f"{name}: the target of image {wrong[0] + 1} is {what.get(kind, others)}.")
    _check_varied(values, kind, f"{name}: all {len(values):,} targets are")
    if kind == "binary":
        return values == 1
    return values.astype(np.intp) if kind == "classes" else values


def _check_varied(target: NDArray[Any], kind: str, start: str) -> None:
    """Raise InputError where all targets are the same; ``start`` begins the sentence."""
    if len(target) and (target == target[0]).all():
        alike = {
            "binary": "of one class; both are needed",
            "number": "the same number; targets that differ are needed",
        }
        raise InputError(f"{start} {alike.get(kind, 'of one class; two are needed')}.")


def in_splits(test: Test, rows: Sequence[NDArray[np.intp]]) -> Test:
    """Return a test set whose images are tested in several splits, which may overlap.

    Args:
        test: All images that a split tests.
        rows: Those of each split.

    Raises:
        InputError: A split without scores, or whose targets are all the same.
    """
    if len(rows) == 1:
        return test
    for j, tested in enumerate(rows):
        if not len(tested):
            raise InputError(f"{test.name}: no run of split {j} has scores.")
        start = f"{test.name}: all {len(tested):,} targets of split {j} are"
        _check_varied(test.target[tested], test.kind, start)
    return dataclasses.replace(test, splits=tuple(rows))


def split_table(test: Test, training: Sequence[Mapping[str, int]] = ()) -> pd.DataFrame:
    """Return what each split tests, `Compared.splits`; empty where there is one split.

    Args:
        test: The test set that is drawn anew for each split.
        training: More columns of each split: images that train and that validate.
    """
    rows: list[dict[str, int]] = []
    times = np.bincount(
        np.concatenate([np.unique(test.patient[tested]) for tested in test.tested]),
        minlength=int(test.patient.max()) + 1,
    )
    for j, tested in enumerate(test.splits):
        who = np.unique(test.patient[tested])
        row = {"split": j, **(training[j] if training else {}), "test": len(tested)}
        row |= {"positives": int(test.target[tested].sum())} if test.kind == "binary" else {}
        row |= {"patients": len(who)}
        rows.append({**row, "in_other_tests": int((times[who] > 1).sum())})
    return pd.DataFrame(rows)


def run_seeds(splits: int, seeds: int) -> tuple[int, ...]:
    """Return the seed of every run, one split after the other; no two runs have the same."""
    return tuple(SPLIT_SEEDS * j + k for j in range(splits) for k in range(seeds))


def check_scores(
    scores: NDArray[np.float64], names: Sequence[str], seeds: Sequence[int], test: Test
) -> None:
    """Raise InputError where a run has scores of some of its images and NaN for others."""
    each = len(seeds) // len(test.tested)
    for j, rows in enumerate(test.tested):
        of = scores[:, j * each : (j + 1) * each][:, :, rows]
        of = of.reshape(*of.shape[:3], -1).sum(axis=-1)  # over classes
        bad = ~np.isfinite(of)
        part = np.argwhere(bad.any(axis=2) & ~np.isnan(of).all(axis=2))
        if len(part):
            e, s = part[0]
            raise InputError(
                f"{names[e]}, seed {seeds[j * each + s]}: {int(bad[e, s].sum()):,} of "
                f"{len(rows):,} scores on {test.name} are not finite; a run is compared on every "
                "image or not at all."
            )


def _without_scores(
    scores: NDArray[np.float64], names: Sequence[str], seeds: Sequence[int]
) -> list[dict[str, Any]]:
    return [
        {"experiment": names[e], "seed": seeds[s], "reason": "has no scores"}
        for e, s in np.argwhere(np.isnan(scores).all(axis=tuple(range(2, scores.ndim))))
    ]


def _without_copies(
    scores: NDArray[np.float64], names: Sequence[str], seeds: Sequence[int], splits: int
) -> tuple[NDArray[np.float64], list[dict[str, Any]]]:
    """Return scores in which a run that is a copy of an earlier one has none, and the copies.

    Of a method and split: with the same scores, of more than ten different values, of all images.
    """
    rows: list[dict[str, Any]] = []
    kept, each = scores.copy(), len(seeds) // splits
    for e, runs in enumerate(scores):
        for s, run in enumerate(runs):
            same = [r for r in range(s - s % each, s) if np.array_equal(runs[r], run, True)]
            values = np.unique(run[np.isfinite(run)]) if same else ()
            if len(values) > FEW_VALUES:
                kept[e, s] = np.nan
                reason = f"{COPY} {seeds[same[0]]}"
                rows.append({"experiment": names[e], "seed": seeds[s], "reason": reason})
    return kept, rows


def results_of(
    tests: Sequence[tuple[Test, NDArray[np.float64]]],
    names: Sequence[str],
    references: Sequence[str],
    seeds: Sequence[int],
    margin: float,
    probes: Sequence[pd.DataFrame] | None = None,
) -> list[TestSet]:
    """Return the results on each test set; differences are adjusted over all of them together.

    Args:
        tests: Images, and scores of shape (experiments, runs, images).
        names: Of the experiments.
        references: Those that the others are compared with.
        seeds: Of the runs, one split after the other.
        margin: Of equivalence.
        probes: Of each test set.
    """
    spreads = [spread(test, scores) for test, scores in tests]
    tables = difference_tables(spreads, names, references, margin)
    return [
        TestSet(
            split=test.name,
            n=len(test.target),
            patients=int(test.patient.max()) + 1,
            positives=int(test.target.sum()) if test.kind == "binary" else 0,
            groups=_groups(test),
            figures=figure_table(runs, names),
            differences=differences,
            probes=pd.DataFrame() if probes is None else probes[t],
            runs=run_table(runs, names, seeds),
            needs=needs.assign(images=np.ceil(needs["images"] * len(test.target))),
            constant=_constant(test),
        )
        for t, ((test, _), runs, (differences, needs)) in enumerate(
            zip(tests, spreads, tables, strict=True)
        )
    ]


def _groups(test: Test) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "group": label,
                "n": int((test.grouping.codes == k).sum()),
                "positives": int(test.target[test.grouping.codes == k].sum())
                if test.kind == "binary"
                else None,
                "missing": test.missing(k),
            }
            for k, label in enumerate(test.grouping.labels)
        ]
    )


def _constant(test: Test) -> dict[str, float]:
    """Return every figure of the best answer that is the same for all images."""
    answer, measure = test.measure.constant(test.target), test.measure
    inside = [test.grouping.codes == k for k in test.kept]
    every = [np.ones(len(test.target), bool), *inside]
    values = [measure.of(test.target[one], answer[one], test.patient[one])[0] for one in every]
    labels = [test.grouping.labels[k] for k in test.kept]
    found = dict(zip(["overall", *labels], values, strict=True))
    if len(inside) > 1:
        found |= {"worst": min(values[1:])}
    turned = {name: measure.sign * value for name, value in found.items()}
    gap = {"gap": max(values[1:]) - min(values[1:])} if len(inside) > 1 else {}
    return turned | gap
