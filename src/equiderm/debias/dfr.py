"""Deep feature reweighting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equiderm.debias.erm import ERM
from equiderm.debias.settings import Count, settings
from equiderm.errors import InputError

STRENGTHS = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)  # C of logistic regression, as published
LEAST = 4  # held-out rows of each target and group


class DFR(ERM):
    r"""Deep feature reweighting: ERM, then its head refitted on balanced held-out rows.

    .. math::
        \min_{w, a} \; |w|_1 + C \sum_{i \in S} \log\big(1 + e^{-y_i (w^\top z_i + a)}\big), \qquad
        z = \frac{f(x) - \mu}{\sigma}, \; y \in \{-1, 1\}

    with f the trained ``backbone``, which stands still, and S a draw of the validation rows with
    equally many of every target and group. C is the value, of seven, whose fit on half of the rows
    has the highest worst accuracy by target and group on the other half; w and a are then the mean
    over ``draws`` draws from all rows.

    Hyper-parameters: `ERM`'s for the training; draws 10 to 20. It takes seconds and needs positives
    of every group among the validation rows: the smallest cell decides how many rows it has.

    Args:
        backbone: Maps images to features.
        n_features: Width of the features.
        draws: Balanced draws whose heads are averaged.
        options: `Method`'s, too; ``deep_target_head`` has no single layer to fit
            and is refused.

    Source:
        Kirichenko et al. 2023, Last layer re-training is sufficient for robustness to spurious
        correlations, section 5 and appendix B.
    """

    uses_group = True
    targets = frozenset({"binary"})
    takes = frozenset()
    refits = "validation"

    @settings("[method]")
    class Options(ERM.Options):
        """DFR's hyper-parameters."""

        draws: Count = 10

        def __post_init__(self) -> None:
            """Check what the types cannot."""
            super().__post_init__()
            if self.deep_target_head:
                raise InputError(
                    "[method] deep_target_head: this method fits one layer; leave it out."
                )

    options: Options  # pyright: ignore[reportIncompatibleVariableOverride]

    @classmethod
    def check_refit(cls, target: Any, group: Any, groups: Sequence[Any]) -> None:
        """Raise InputError where a target of a group has too few rows."""
        for b in sorted(set(group.tolist()) - {-1}):
            for y in (0, 1):
                count = int(((group == b) & (target == y)).sum())
                if count < LEAST:
                    raise InputError(
                        f"dfr: {count} validation rows have group {groups[b]} and target {y}; "
                        f"{LEAST} of each target and group are needed; give more validation rows, "
                        "or wider groups."
                    )

    def refit(
        self, features: Tensor, target: Tensor, group: Tensor, *more: Tensor
    ) -> dict[str, Any]:
        """Fit the target head on balanced draws of the rows; return C and the rows of a draw."""
        known = (group >= 0).cpu().numpy()
        z = features.cpu().double().numpy()[known]
        y, b = (labels.cpu().numpy()[known].astype(int) for labels in (target, group))
        cells = 2 * b + y
        self.check_refit(y, b, range(self.n_groups))
        centre, spread = z.mean(0), z.std(0)
        z = (z - centre) / np.where(spread > 0, spread, 1.0)
        generator = np.random.default_rng(0)
        strength = _choose_strength(z, y, cells, generator)
        fits = [_fit(z, y, _draw(cells, generator), strength) for _ in range(self.options.draws)]
        weight, bias = (np.mean(values, axis=0) for values in zip(*fits, strict=True))
        weight = weight / np.where(spread > 0, spread, 1.0)
        set_layer(self.target_head, weight, float(bias - weight @ centre))
        return {"C": strength, "rows": len(_draw(cells, generator)), "held_out": len(y)}


def set_layer(head: nn.Module, weight: NDArray[np.float64], bias: float) -> None:
    """Write a fitted weight (n_features,) and bias into a head's one linear layer."""
    layer = next(part for part in head.modules() if isinstance(part, nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight).unsqueeze(0))
        layer.bias.fill_(bias)


def _draw(cells: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return positions with equally many of every cell, drawn without replacement."""
    places = [np.flatnonzero(cells == cell) for cell in np.unique(cells)]
    least = min(map(len, places))
    return np.concatenate([generator.permutation(rows)[:least] for rows in places])


def _fit(
    z: NDArray[np.float64], y: NDArray[np.int64], rows: NDArray[np.int64], strength: float
) -> tuple[NDArray[np.float64], float]:
    from sklearn.linear_model import LogisticRegression

    model: Any = LogisticRegression(l1_ratio=1.0, C=strength, solver="liblinear", random_state=0)
    model.fit(z[rows], y[rows])
    return model.coef_[0], float(model.intercept_[0])


def _choose_strength(
    z: NDArray[np.float64],
    y: NDArray[np.int64],
    cells: NDArray[np.int64],
    generator: np.random.Generator,
) -> float:
    first = np.zeros(len(cells), bool)
    for cell in np.unique(cells):
        places = generator.permutation(np.flatnonzero(cells == cell))
        first[places[: len(places) // 2]] = True
    halves = np.flatnonzero(first), np.flatnonzero(~first)
    rows = halves[0][_draw(cells[halves[0]], generator)]
    worst: list[float] = []
    for strength in STRENGTHS:
        weight, bias = _fit(z, y, rows, strength)
        right = (z[halves[1]] @ weight + bias > 0) == y[halves[1]]
        worst.append(min(right[cells[halves[1]] == cell].mean() for cell in np.unique(cells)))
    return STRENGTHS[int(np.argmax(worst))]
