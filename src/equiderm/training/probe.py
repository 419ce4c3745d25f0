"""Probe: how well the group can still be read from a run's features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import norm, rankdata
from torch import Tensor
from torch.nn import functional

from equiderm.errors import InputError
from equiderm.files import AnyPath
from equiderm.format import listed
from equiderm.statistics.bootstrap import Resampler, replicate
from equiderm.statistics.intervals import ALPHA, Z95, expanded, percentile
from equiderm.statistics.ranks import rank_correlation
from equiderm.training.checkpoint import Run, load_run, weights_hash
from equiderm.training.pixels import Images, batches
from equiderm.training.precision import autocast, choose_device, settings_of
from equiderm.training.predict import features
from equiderm.training.rows import numbers_of, patients_of

FOLDS, RESAMPLES = 5, 4000
PENALTY = 10.0  # of the linear probe, times the squared weights; 1 / C of logistic regression
OUTLYING = 5.0  # ranges of the middle 90 % from them
HIDDEN, EPOCHS, STEPS, BATCH = 16, 10, 300, 100  # of the network; the least epochs and steps


@dataclass(frozen=True)
class Probe:
    """How well two fresh probes read the group from features, out of fold by patient.

    Attributes:
        features: ``trained``, or ``untrained``: the backbone as the run started.
        balanced_accuracy: Of the linear probe: the mean over groups of the share of a group's
            images whose group is predicted correctly.
        low: Lower end of its 95 % interval, a bootstrap over patients.
        high: Upper end.
        chance: 1 / K, what any constant answer reaches.
        accuracy: Share of all images whose group the linear probe predicts correctly.
        best_constant: The accuracy of always predicting the commonest group.
        n: Images probed.
        patients: Patients they are of.
        mlp: Balanced accuracy of a small network, which can often read the group from features
            where a linear probe cannot.
        mlp_low: Lower end of its 95 % interval.
        mlp_high: Upper end.
        group: The column that is probed for.
    """

    features: str
    balanced_accuracy: float
    low: float
    high: float
    chance: float
    accuracy: float
    best_constant: float
    n: int
    patients: int
    mlp: float
    mlp_low: float
    mlp_high: float
    group: str = ""
    figure: ClassVar[str] = "balanced accuracy"

    @property
    def value(self) -> float:
        """The figure of the linear probe."""
        return self.balanced_accuracy


@dataclass(frozen=True)
class NumberProbe:
    """How well two fresh probes read a measured number from features, out of fold by patient.

    Attributes:
        features: ``trained``, or ``untrained``: the backbone as the run started.
        spearman: Of the linear probe: Spearman's correlation of its predictions with the number.
        low: Lower end of its 95 % interval, a bootstrap over patients.
        high: Upper end.
        chance: 0, what any constant answer reaches.
        n: Images probed.
        patients: Patients they are of.
        mlp: Spearman's correlation of a small network's predictions.
        mlp_low: Lower end of its 95 % interval.
        mlp_high: Upper end.
        group: The column that is probed for.
    """

    features: str
    spearman: float
    low: float
    high: float
    chance: float
    n: int
    patients: int
    mlp: float
    mlp_low: float
    mlp_high: float
    group: str = ""
    figure: ClassVar[str] = "Spearman's correlation"

    @property
    def value(self) -> float:
        """The figure of the linear probe."""
        return self.spearman


def probe(
    run: AnyPath | Run,
    images: Images,
    frame: pd.DataFrame,
    *,
    untrained: bool = True,
    note: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    leave_out: bool = False,
) -> list[Probe | NumberProbe]:
    """Return how well fresh probes read the group from a run's features, trained and untrained.

    "Unlearned" means that both probes' figures are below ERM's, not that they are zero: pictures
    differ by group in more than skin. What neither reads another classifier may.

    Args:
        run: A finished run, or its folder.
        images: A store of the run's image size.
        frame: Columns ``image_id``, the run's group column and, where known, ``patient_id`` or
            ``lesion_id``. Rows of unknown group are left out. Give rows that the run did not train
            on.
        untrained: Probe the untrained backbone, too, where its initial weights are still there.
        note: Called with the reason where they are not, and with the groups that are left out.
        progress: Called with images done and in total: per backbone each image counts once for
            reading its features, and once for each group column probed.
        leave_out: Leave out groups of too few patients, and a column that then has too few.

    Returns:
        For each backbone a probe of each of the run's group columns.

    Raises:
        InputError: No such column, or too few patients in two groups.
    """
    run = run if isinstance(run, Run) else load_run(run)
    say = note or (lambda reason: None)
    columns = [_column(frame, one.name, one.target.kind, leave_out, say) for one in run.attributes]
    columns = [column for column in columns if column.known.any() or not leave_out]
    if not columns:
        return []
    seen = np.logical_or.reduce([column.known for column in columns])
    rows: Any = frame[seen].reset_index(drop=True)
    patients, image_ids = patients_of(rows), rows["image_id"].astype(str).tolist()
    untrained = untrained and images.images.ndim == 4  # features have no other beginning
    parts = 1 + len(columns)
    part = _parts(progress, len(rows), parts * (1 + untrained))

    def probes(module: torch.nn.Module, name: str, first: int) -> list[Probe | NumberProbe]:
        matrix = _features(run, module, images, image_ids, part(first))
        results: list[Probe | NumberProbe] = []
        for k, column in enumerate(columns, 1):
            known, values = column.known[seen], column.values[column.known]
            rows_of = matrix if known.all() else matrix[torch.from_numpy(known).to(matrix.device)]
            measure: Any = probe_number if column.number else probe_features
            results.append(
                measure(
                    rows_of, values, patients[known], name=name, column=column.name,
                    progress=part(first + k),
                )
            )  # fmt: skip
        return results

    with settings_of(run.experiment):
        results = probes(run.method, "trained", 0)
        if untrained:
            try:
                started = initial_backbone(run)
            except InputError as error:
                say(f"the untrained backbone is not probed: {error}")
            else:
                results += probes(started, "untrained", parts)
    return results


class _Column(NamedTuple):
    """A column that is probed for: its values, shape (n,), and which rows are probed."""

    name: str
    number: bool
    values: NDArray[Any]
    known: NDArray[np.bool_]


def _column(
    frame: Any,
    column: str,
    kind: str,
    leave_out: bool,
    note: Callable[[str], None] = lambda reason: None,
) -> _Column:
    if column not in frame.columns:
        raise InputError(f"no column {column!r} to probe for, which the run was trained with.")
    who = frame.assign(_who=patients_of(frame))
    if kind == "number":
        values = numbers_of(frame, column)
        known = np.isfinite(values)
        few = who["_who"][known].nunique() < FOLDS or len(set(values[known])) < 2
        return _Column(column, True, values, known & (not (few and leave_out)))
    known = frame[column].notna()
    if leave_out:
        sizes = who.groupby(column)["_who"].nunique()
        large = sizes.index[sizes >= FOLDS]
        if len(small := sizes.index.difference(large)):
            note(f"{column}: left out, as of fewer than {FOLDS} patients: {listed(small)}.")
        known = frame[column].isin(large) & (len(large) >= 2)
    values = frame[column].astype(str).to_numpy(dtype=object)
    return _Column(column, False, values, known.to_numpy())


def initial_backbone(run: Run) -> torch.nn.Module:
    """Return the backbone with the weights that the run started from.

    Raises:
        InputError: They are no longer there, or others are in their place.
    """
    before = run.about.get("weights")
    if before and weights_hash(run.experiment) != before:
        raise InputError(
            f"{run.experiment.backbone.weights}: holds other weights than at the start."
        )
    torch.manual_seed(run.experiment.seed)
    return run.experiment.build_backbone().module


def _parts(
    progress: Callable[[int, int], None] | None, n: int, parts: int
) -> Callable[[int], Callable[[int, int], None]]:
    """Return a function of a part's number that returns the part's own progress."""

    def part(number: int) -> Callable[[int, int], None]:
        def report(done: int, total: int) -> None:
            if progress is not None:
                progress(n * number + n * done // total, n * parts)

        return report

    return part


def _features(
    run: Run,
    module: torch.nn.Module,
    images: Images,
    image_ids: list[str],
    progress: Callable[[int, int], None],
) -> Tensor:
    device = choose_device()
    pixels = batches(images, run.experiment, run.backbone, device=device, resident=False)
    with autocast(run.experiment, device):
        return features(module.to(device), pixels, images.rows(image_ids), progress)


def probe_features(
    matrix: NDArray[np.floating] | Tensor,
    group: NDArray[Any],
    patients: NDArray[Any],
    *,
    name: str,
    column: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> Probe:
    """Return how well a logistic regression and a small network read the group from features.

    Both are weighted by inverse frequency, so that neither gains by predicting the commonest group,
    and predict for patients that they were not trained on. They run on the features' device; the
    caller's random generators are not used.

    Args:
        matrix: Features, shape (n, n_features); an array, or a tensor on any device.
        group: Group of each image, shape (n,).
        patients: The patient of each image, shape (n,); no patient is in two folds.
        name: Name of the features.
        column: Name of the group column.
        progress: Called with epochs of the network done and in total.

    Raises:
        InputError: Fewer than two groups of five patients, or features that are not numbers.
    """
    groups, index = np.unique(group, return_inverse=True)
    counts = [len(set(patients[index == k])) for k in range(len(groups))]
    if len(groups) < 2 or min(counts) < FOLDS:
        least = "" if len(groups) < 2 else f"; {groups[int(np.argmin(counts))]!s} has {min(counts)}"
        raise InputError(
            f"a probe needs two groups of {FOLDS} patients or more{least}; take its rows out."
        )
    x, who = _checked(matrix, patients, name)
    task = _Task(x, index, _folds(index, who))
    logits = _linear(task)
    linear, mlp = task.named(logits) == index, task.named(_network(task, logits, progress)) == index
    (low, high), (mlp_low, mlp_high) = _intervals([linear, mlp], index, who)
    return Probe(
        features=name,
        balanced_accuracy=_balanced(linear, index),
        low=low,
        high=high,
        chance=1 / len(groups),
        accuracy=float(linear.mean()),
        best_constant=float(np.bincount(index).max() / len(index)),
        n=len(index),
        patients=int(who.max()) + 1,
        mlp=_balanced(mlp, index),
        mlp_low=mlp_low,
        mlp_high=mlp_high,
        group=column,
    )


def probe_number(
    matrix: NDArray[np.floating] | Tensor,
    value: Any,
    patients: NDArray[Any],
    *,
    name: str,
    column: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> NumberProbe:
    """Return how well a ridge regression and a small network read a number from features.

    As `probe_features`, by the squared error of the standardised number.

    Args:
        matrix: Features, shape (n, n_features); an array, or a tensor on any device.
        value: The number of each image, shape (n,).
        patients: The patient of each image, shape (n,); no patient is in two folds.
        name: Name of the features.
        column: Name of the column of numbers.
        progress: Called with epochs of the network done and in total.

    Raises:
        InputError: Fewer than five patients, a constant number, one that is missing, or features
            that are not numbers.
    """
    y = np.asarray(value, np.float64)
    if not np.isfinite(y).all():
        raise InputError(f"{column or 'the number'}: is missing or infinite in some rows.")
    if len(set(patients)) < FOLDS or len(set(y)) < 2:
        raise InputError(
            f"a probe of a number needs {FOLDS} patients or more and two values or more."
        )
    y = y / np.abs(y).max()  # squares of what is very large are infinite
    x, who = _checked(matrix, patients, name)
    fifth = np.minimum((FOLDS * rankdata(y) / (len(y) + 1)).astype(int), FOLDS - 1)
    task = _NumberTask(x, y, _folds(fifth, who))
    outputs = _linear(task)
    answers = [task.answer(outputs), task.answer(_network(task, outputs, progress))]
    (low, high), (mlp_low, mlp_high) = _rank_intervals(answers, y, who)
    linear, mlp = (rank_correlation(answer, y)[0] for answer in answers)
    return NumberProbe(
        features=name,
        spearman=float(linear),
        low=low,
        high=high,
        chance=0.0,
        n=len(y),
        patients=int(who.max()) + 1,
        mlp=float(mlp),
        mlp_low=mlp_low,
        mlp_high=mlp_high,
        group=column,
    )


def _checked(
    matrix: NDArray[np.floating] | Tensor, patients: NDArray[Any], name: str
) -> tuple[Tensor, NDArray[np.int64]]:
    """Return the features, each less its mean and about 1 or below, and patients as numbers.

    Of whatever scale: a group can be read from a column of 1e-8 beside others of 1e3. A range of a
    few units in the last place of the values is rounding, not a feature, and becomes 0.
    """
    x = torch.as_tensor(matrix)
    x = x if x.is_floating_point() else x.double()
    if not bool(x.isfinite().all()):
        raise InputError(f"the {name} features hold values that are not numbers; train again.")
    if not x.shape[1]:
        raise InputError(f"the {name} features have no columns.")
    x = _without_outliers(x)
    high, low = x.amax(0), x.amin(0)
    size = torch.maximum(high.abs(), low.abs())
    varies = high - low > 4 * torch.finfo(x.dtype).eps * size
    x = torch.where(varies, x / torch.where(varies, size, 1), 0)
    return (x - x.mean(0)).float(), np.unique(patients.astype(str), return_inverse=True)[1]


def _without_outliers(x: Tensor) -> Tensor:
    """Return the features with each column's outliers moved in, so that they hide no other value.

    An outlier is further from the middle 90 % of a column's values than five times their range:
    where one is at 1e6, all others of its column are one value to a probe. Columns without a value
    beyond four standard deviations hold none; one of which 90 % are one value is left as it is.
    """
    unit = x / x.abs().amax(0).clamp_min(torch.finfo(x.dtype).tiny)
    spread, mean = torch.std_mean(unit, 0)
    far = (unit - mean).abs().amax(0) > 4 * spread
    if not bool(far.any()):
        return x
    few, columns = len(x) // 20, x[:, far]
    low, high = (columns.kthvalue(k, 0).values for k in (few + 1, len(x) - few))
    reach = OUTLYING * (high - low)
    moved = columns.clamp(low - reach, high + reach)
    x = x.clone()
    x[:, far] = torch.where(reach > 0, moved, columns)
    return x


def _folds(index: NDArray[Any], who: NDArray[Any]) -> NDArray[np.int64]:
    """Return the fold of each row: patients whole, each group's patients spread over the folds."""
    _, first = np.unique(who, return_index=True)
    shuffled = np.random.default_rng(0).permutation(len(first))
    order = shuffled[np.argsort(index[first][shuffled], kind="stable")]  # group by group
    fold = np.empty(len(first), np.int64)
    fold[order] = np.arange(len(first)) % FOLDS
    return fold[who]


class _Task:
    """All folds at once: one copy of the features, and the weights of each fold's rows.

    Attributes:
        x: Features, shape (n, d), standardised over all rows.
        mean: Mean of each fold's training rows, shape (folds, d).
        scale: One over their standard deviation, shape (folds, d).
        weight: Weight of each row in each fold's loss, shape (folds, n): inverse frequency of its
            group among the fold's training rows, mean 1 over them; 0 for the rows held out.
        group: Index of each row's group, shape (n,).
        one_hot: The same, shape (n, K).
        n_groups: K.
    """

    def __init__(self, x: Tensor, index: NDArray[Any], fold: NDArray[np.int64]) -> None:
        self.group = torch.as_tensor(index, device=x.device)
        self.fold = torch.as_tensor(fold, device=x.device)
        self.n_groups = int(index.max()) + 1
        trains = self._standardise(x)
        size = trains.sum(1, keepdim=True)
        self.one_hot = functional.one_hot(self.group, self.n_groups).float()
        frequency = trains @ self.one_hot / size
        self.weight = trains / (self.n_groups * frequency[:, self.group]).clamp_min(1e-9)

    def _standardise(self, x: Tensor) -> Tensor:
        """Set ``x``, ``mean`` and ``scale``; return which rows train each fold (folds, n)."""
        spread = x.std(0)
        self.x = (x - x.mean(0)) / torch.where(spread > 0, spread, torch.inf)
        trains = (self.fold != torch.arange(FOLDS, device=x.device)[:, None]).float()
        size = trains.sum(1, keepdim=True)
        self.mean = trains @ self.x / size
        variance = trains @ self.x.square() / size - self.mean.square()
        self.scale = torch.where(variance > 1e-6, variance.clamp_min(1e-6).rsqrt(), 0.0)
        return trains

    def project(self, weights: Tensor) -> Tensor:
        """Return each fold's standardised features times its weights (folds, d, h): (folds, n, h).

        Standardised by the fold's training rows, in one product for all folds: mean and scale are
        applied to the weights.
        """
        scaled = weights * self.scale[:, :, None]
        folds, width, h = scaled.shape
        product = self.x @ scaled.permute(1, 0, 2).reshape(width, folds * h)
        shift = torch.einsum("fd,fdh->fh", self.mean, scaled)
        return product.view(-1, folds, h).permute(1, 0, 2) - shift[:, None]

    def back(self, gradient: Tensor) -> Tensor:
        """Return the derivative by the weights of `project`, given that by its result."""
        folds, n, h = gradient.shape
        product = self.x.T @ gradient.permute(1, 0, 2).reshape(n, folds * h)
        shift = self.mean[:, :, None] * gradient.sum(1, keepdim=True)
        by = (product.view(-1, folds, h).permute(1, 0, 2) - shift) * self.scale[:, :, None]
        return by.contiguous()

    def loss(self, logits: Tensor) -> Tensor:
        """Return the weighted sum of the cross-entropy over folds and rows, of (folds, n, K)."""
        return -(self.weight[:, :, None] * self.one_hot * logits.log_softmax(2)).sum()

    def gradient(self, logits: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return the derivative of the loss by the logits of rows, (folds, n, K).

        By hand, as the layers' below: on a GPU what takes time is the number of operations.
        """
        return self.weight[:, rows, None] * (logits.softmax(2) - self.one_hot[rows])

    def named(self, logits: Tensor) -> NDArray[np.int64]:
        """Return each row's group as predicted by the probe that was not trained on it."""
        rows = torch.arange(len(self.group), device=logits.device)
        return logits[self.fold, rows].argmax(1).cpu().numpy()


class _NumberTask(_Task):
    """As `_Task`, with a number in place of the group, one output and the squared error.

    Attributes:
        value: Of each row, standardised by each fold's training rows, shape (folds, n).
    """

    def __init__(self, x: Tensor, value: NDArray[np.float64], fold: NDArray[np.int64]) -> None:
        self.fold = torch.as_tensor(fold, device=x.device)
        self.n_groups = 1
        self.weight = self._standardise(x)
        y = torch.as_tensor((value - value.mean()) / value.std(), device=x.device).float()
        size = self.weight.sum(1, keepdim=True)
        mean = self.weight @ y[:, None] / size
        variance = (self.weight @ y.square()[:, None] / size - mean.square()).clamp_min(1e-6)
        self.centre, self.spread = mean, variance.sqrt()
        self.value = (y - mean) / self.spread

    def loss(self, logits: Tensor) -> Tensor:
        """Return half the weighted sum of squared errors over folds and rows, of (folds, n, 1)."""
        return (self.weight * (logits.squeeze(2) - self.value).square()).sum() / 2

    def gradient(self, logits: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return the derivative of the loss by the predictions of rows, (folds, n, 1)."""
        return self.weight[:, rows, None] * (logits - self.value[:, rows, None])

    def answer(self, outputs: Tensor) -> NDArray[np.float64]:
        """Return each row's number, standardised, as predicted by the probe not trained on it."""
        rows = torch.arange(len(self.fold), device=outputs.device)
        whole = self.centre + self.spread * outputs.squeeze(2)
        return whole[self.fold, rows].cpu().double().numpy()


def _linear(task: _Task) -> Tensor:
    """Return the logits (folds, n, K) of logistic regression with an L2 penalty, by L-BFGS.

    For a number, the predictions (folds, n, 1) of ridge regression.
    """
    width, device = task.x.shape[1], task.x.device
    weights = torch.zeros(FOLDS, width, task.n_groups, device=device)
    bias = torch.zeros(FOLDS, 1, task.n_groups, device=device)
    optimizer = torch.optim.LBFGS(
        [weights, bias], max_iter=60, history_size=10, tolerance_grad=1e-2,
        tolerance_change=1e-5, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        logits = task.project(weights) + bias
        gradient = task.gradient(logits)
        weights.grad = task.back(gradient).add_(weights, alpha=PENALTY)
        bias.grad = gradient.sum(1, keepdim=True)
        return task.loss(logits) + PENALTY / 2 * weights.square().sum()

    optimizer.step(closure)
    return task.project(weights) + bias


def _network(task: _Task, linear: Tensor, progress: Callable[[int, int], None] | None) -> Tensor:
    """Return the logits (folds, n, K) of the linear probe with one hidden layer beside it.

    The layer learns what the linear probe, which is fixed, leaves over, so that with many features
    the network reads no less than it. By AdamW over shuffled batches that all folds share.
    """
    (n, width), device = task.x.shape, task.x.device
    generator = torch.Generator().manual_seed(0)

    def start(*shape: int, fan_in: int) -> Tensor:
        drawn = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
        return drawn.to(device)

    # One product for the first layers of all folds; their features are standardised over all rows.
    first = start(width, FOLDS * HIDDEN, fan_in=width)
    second = start(FOLDS, HIDDEN, task.n_groups, fan_in=HIDDEN)
    biases = [torch.zeros(FOLDS, 1, h, device=device) for h in (HIDDEN, task.n_groups)]
    parameters = [first, second, *biases]
    per_epoch = -(-n // BATCH)
    epochs = max(EPOCHS, -(-STEPS // per_epoch))
    optimizer = torch.optim.AdamW(parameters, lr=0.03, weight_decay=0.1, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * per_epoch)

    def forward(x: Tensor, rows: Tensor | slice) -> tuple[Tensor, Tensor]:
        product = (x @ first).unflatten(1, (FOLDS, HIDDEN)).transpose(0, 1)
        hidden = (product + biases[0]).relu_()
        return hidden, linear[:, rows] + torch.baddbmm(biases[1], hidden, second)

    for epoch in range(epochs):
        for rows in torch.randperm(n, generator=generator).to(device).split(BATCH):
            x = task.x[rows]
            hidden, logits = forward(x, rows)
            gradient = task.gradient(logits, rows) / len(rows)
            below = gradient @ second.transpose(1, 2) * (hidden > 0)
            first.grad = x.T @ below.transpose(0, 1).flatten(1)
            second.grad = hidden.transpose(1, 2) @ gradient
            biases[0].grad, biases[1].grad = below.sum(1, True), gradient.sum(1, True)
            optimizer.step()
            schedule.step()
        if progress is not None:
            progress(epoch + 1, epochs)
    return forward(task.x, slice(None))[1]


def _balanced(right: NDArray[Any], index: NDArray[Any]) -> float:
    return float(np.mean([right[index == k].mean() for k in range(int(index.max()) + 1)]))


def _intervals(
    right: list[NDArray[np.bool_]], index: NDArray[Any], who: NDArray[Any]
) -> list[tuple[float, float]]:
    """Percentile bootstrap of balanced accuracies over patients, each drawn within its group.

    Wider than these resamples by the share of `_trained_on`: two patients of different folds are
    each named by a probe that the other trained, and resampling fixed answers counts that once.
    Resamples cannot vary a group of which none or all are named: it adds its exact (Clopper-
    Pearson) interval's width, in quadrature.
    """
    _, first = np.unique(who, return_index=True)
    resampler = Resampler(index[first], who)
    total = np.eye(int(index.max()) + 1)[index]  # (n, K)
    rows = np.hstack([total, *(total * one[:, None] for one in right)])
    sums = np.zeros((resampler.clusters, rows.shape[1]))  # of each patient, as they are drawn
    np.add.at(sums, resampler.place, rows)

    def balanced(random: np.random.Generator, count: int) -> NDArray[np.float64]:
        drawn = resampler.draw(random, count).astype(np.float64) @ sums
        of, *named = np.split(drawn, 1 + len(right), axis=1)
        with np.errstate(invalid="ignore"):
            return np.stack([np.nanmean(one / of, axis=1) for one in named], axis=1)

    drawn = replicate(balanced, rows=len(index), replicates=RESAMPLES, seed=0, workers=1)
    z = expanded(Z95, int(np.bincount(index[first]).min()))
    unseen = (1 - (ALPHA / 2) ** (1 / np.bincount(index[first]))) / total.shape[1]  # of each group
    ends: list[tuple[float, float]] = []
    for one, named in zip(drawn.T, right, strict=True):
        share = (total * named[:, None]).sum(0) / total.sum(0)
        wider = np.sqrt(1 + _trained_on(share).mean())
        low, high = (wider * (end - share.mean()) for end in percentile(one, z))
        low = -np.hypot(min(low, 0.0), np.sqrt((unseen[share == 1] ** 2).sum()))
        high = np.hypot(max(high, 0.0), np.sqrt((unseen[share == 0] ** 2).sum()))
        ends.append((max(float(share.mean() + low), 0.0), min(float(share.mean() + high), 1.0)))
    return ends


def _trained_on(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much variance training adds to shares named correctly, over that of the naming.

    An image is named by the sign of a sum over the training rows, in which the term of a pair of
    rows stands for both. Of a normal sum that is positive in a share p of images, the slope at the
    sign is pdf(ppf(p)), and the sums' shared variance counts by its square over p (1 - p): 2 / pi
    at chance, 0 where all are named. `bench/probe_claims.py` has the coverage.
    """
    p = np.clip(share, 1e-12, 1 - 1e-12)
    return norm.pdf(norm.ppf(p)) ** 2 / (p * (1 - p))


def _rank_intervals(
    answers: list[NDArray[np.float64]], value: NDArray[np.float64], who: NDArray[Any]
) -> list[tuple[float, float]]:
    """Percentile bootstrap of Spearman's correlations over patients.

    Wider than these resamples, as `_intervals`: of a correlation r the training adds 1 - r^2 of
    their variance.
    """
    resampler = Resampler(np.zeros(int(who.max()) + 1, int), who)

    def correlations(random: np.random.Generator, count: int) -> NDArray[np.float64]:
        times = resampler.rows(resampler.draw(random, count))
        return np.stack([rank_correlation(one, value, times) for one in answers], axis=1)

    drawn = replicate(correlations, rows=len(who), replicates=RESAMPLES, seed=0, workers=1)
    z = expanded(Z95, int(who.max()) + 1)
    ends: list[tuple[float, float]] = []
    for one, answer in zip(drawn.T, answers, strict=True):
        r = float(rank_correlation(answer, value)[0])
        low, high = (np.sqrt(2 - r**2) * (end - r) for end in percentile(one, z))
        ends.append((max(r + low, -1.0), min(r + high, 1.0)))
    return ends
