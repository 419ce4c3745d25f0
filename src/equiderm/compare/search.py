"""The search before a comparison: equally many draws per experiment, chosen on validation alone.

A draw is a run like any other, trained with a seed that no compared run has and never scored on a
test: the seeds of the comparison have no part in the choice.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from equiderm.compare.result import no_trials
from equiderm.compare.runs import Job, Outcome, Work, best_figure
from equiderm.errors import InputError
from equiderm.training import Experiment
from equiderm.training.ranges import draw

SEED = 1_000_000


def check_search(experiments: Mapping[str, Experiment]) -> None:
    """Raise InputError unless all experiments can be searched, and by one figure."""
    figures = {experiment.validation.figure for experiment in experiments.values()}
    if len(figures) > 1 or "none" in figures:
        raise InputError(
            f"[validation] figure = {' and '.join(map(repr, sorted(figures)))}: a search chooses "
            "every experiment by one figure; take 'auroc' or 'worst_group_auroc' in all of them."
        )
    for name, experiment in experiments.items():
        if not experiment.search:
            raise InputError(
                f"{name}: states no range under [search]; give every experiment its own, so that "
                "all have as many draws, such as optimizer.backbone = {low = 1e-4, high = 1e-2, "
                "log = true}."
            )


def search(
    experiments: Mapping[str, Experiment],
    draws: int,
    work: Work,
    out: Path,
    make: Callable[[list[Job], Work], list[Outcome]],
    *,
    part: str = "",
) -> tuple[dict[str, Experiment], pd.DataFrame]:
    """Train equally many draws of every experiment; return each with its best draw's settings.

    Best is the highest validation figure of any epoch, before what is refitted after training. Runs
    are stored in ``out/NAME/PART/search/draw-K``; finished ones are used.

    Args:
        experiments: By name, each with a ``[search]`` table.
        draws: Draws per experiment.
        work: Rows and images; no test of it is scored.
        out: Folder of the comparison.
        make: Runs the jobs, as `equiderm.compare.runs.make_runs`.
        part: Folder of the split, where there are several.

    Returns:
        The experiments by name, each with the settings of its best draw; and every draw, a row
        each: `equiderm.compare.Compared.tried`.

    Raises:
        InputError: An experiment of which no draw could be trained.
    """
    jobs: list[Job] = []
    named: list[dict[str, object]] = []
    for number in range(draws):
        for name, experiment in experiments.items():
            drawn, values = draw(experiment, number)
            named.append({"experiment": name, "draw": number, "settings": json.dumps(values)})
            drawn = dataclasses.replace(drawn, seed=SEED)
            folder = out / name / part / "search" / f"draw-{number}"
            jobs.append(Job(f"{name}, draw {number}", drawn, folder, untrained=False))
    outcomes = make(jobs, dataclasses.replace(work, tests=()))
    reasons = [outcome.reason for outcome in outcomes]
    tried = pd.DataFrame(named).assign(
        value=[best_figure(job) for job in jobs], chosen=False, reason=reasons
    )
    chosen: dict[str, Experiment] = {}
    for name in experiments:
        own: Any = tried.loc[tried["experiment"] == name, "value"]
        if own.isna().all():
            why = reasons[own.index[0]].rstrip(".")
            raise InputError(
                f"{name}: none of {draws} draws could be trained ({why}); state lower rates under "
                "[search]."
            )
        best = int(own.idxmax())
        tried.loc[best, "chosen"] = True
        chosen[name] = jobs[best].experiment
    return chosen, tried[list(no_trials().columns)]
