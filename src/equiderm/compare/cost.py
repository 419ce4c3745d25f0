"""What a training step costs, relative to ERM's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

from equiderm.batch import Batch
from equiderm.debias import take_step
from equiderm.training import Experiment
from equiderm.training.features import bare_backbone
from equiderm.training.pixels import Images
from equiderm.training.precision import autocast, choose_device, settings_of
from equiderm.training.rows import Rows

ROUNDS, FEWEST, ENOUGH = 7, 3, 20.0  # s, after which the fewest rounds are enough


def step_costs(
    experiments: Mapping[str, Experiment],
    reference: str,
    *,
    rows: Rows,
    images: Images,
) -> dict[str, float]:
    """Return the time of each experiment's step per image over the reference's.

    Steps are timed in turn, on one batch of noise, so that other load on the machine affects all
    of them; the result is the median over rounds. The caller's random generators are left as they
    were.

    Args:
        experiments: By name.
        reference: One of the names.
        rows: What is learned and unlearned.
        images: What the experiments train on, images or features; only the kind matters.
    """
    width = images.images.shape[1] if images.images.ndim == 2 else None
    seconds: dict[str, list[float]] = {name: [] for name in experiments}
    with settings_of(experiments[reference]):
        steps = {name: _stepper(one, rows, width) for name, one in experiments.items()}
        for step in steps.values():
            step()
        begun = time.perf_counter()
        for k in range(ROUNDS):
            if k >= FEWEST and time.perf_counter() - begun > ENOUGH:
                break
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                took = time.perf_counter() - start
                seconds[name].append(took / experiments[name].training.batch_size)
    of = np.array(seconds[reference])
    return {name: float(np.median(np.array(times) / of)) for name, times in seconds.items()}


def _stepper(experiment: Experiment, rows: Rows, width: int | None) -> Callable[[], None]:
    device = choose_device()
    n, size = experiment.training.batch_size, experiment.data.size
    if width is None:
        backbone, shape = experiment.build_backbone("random"), (n, 3, size, size)
    else:
        units = experiment.backbone.units
        backbone, shape = bare_backbone(torch.zeros(width), torch.ones(width), units), (n, width)
    attributes = rows.attributes
    method = experiment.build_method(
        backbone.module, backbone.n_features, attributes=attributes, target=rows.outcome
    )
    method.to(device).train()
    optimizers = experiment.build_optimizers(method)
    index = torch.arange(n, device=device)
    group, *more = (
        torch.randn(n, device=device)
        if attribute.target.kind == "number"
        else index % max(attribute.n_groups, 1)  # n_groups is 0 where no method needs groups
        for attribute in attributes
    )
    image = torch.rand(shape, device=device)
    if experiment.training.channels_last and width is None:
        method.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        image = image.to(memory_format=torch.channels_last)
    batch = Batch(image, (index % 2).float(), group, tuple(more))

    def step() -> None:
        with autocast(experiment, device):
            take_step(method, optimizers, batch)  # reads the losses: waits for the device

    return step
