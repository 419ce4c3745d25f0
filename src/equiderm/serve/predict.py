"""Photographs scored with a run, and what an audit says of such skin.

Only `work_on`, which another process runs, imports torch.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from equiderm.audit import Audit
from equiderm.audit.groupings import Grouping
from equiderm.audit.report.naming import Naming
from equiderm.engine import Failure, Kept, default_workers
from equiderm.engine.worker import limit_threads
from equiderm.errors import InputError, require_training
from equiderm.format import listed, of_100, visible
from equiderm.photo.decode import PhotoError, load_square
from equiderm.serve.look import Types

if TYPE_CHECKING:
    from equiderm.audit.saved import SavedAudit
    from equiderm.training import Run

SECONDS = 180.0  # for all photographs of one upload
AUDIT = "audit.json"  # in the folder of a run, where no audit is named
OVERALL = "overall"
_STARTING = 300.0  # s until a run is loaded, on a slow disk
_QUALITY = 85


@dataclass(frozen=True)
class About:
    """What a run gives.

    Attributes:
        name: Its backbone and method.
        columns: What it adds to a table: ``logit`` and ``score``, or those of several classes.
        no_maps: Why it has no saliency maps; "" where it has.
        types: The types of skin that it tells apart; None where its target is another.
    """

    name: str
    columns: tuple[str, ...]
    no_maps: str
    types: Types | None = None


@dataclass(frozen=True)
class Scorer:
    """A run that scores what is dropped.

    Attributes:
        worker: The process that has loaded it.
        about: What it gives.
        audit: Of its predictions; None where none was given.
    """

    worker: Kept
    about: About
    audit: SavedAudit | None = None

    def skins(self) -> list[tuple[str, str]]:
        """Return every group of the audit: column and name."""
        if self.audit is None:
            return []
        rows = ((row["by"], row["group"]) for row in self.audit.content["figures"])
        return [one for one in dict.fromkeys(rows) if one[1] != OVERALL]


def open_scorer(folder: Path, audit: Path | None = None) -> Scorer:
    """Return a run, loaded in another process, which is kept to score with.

    Args:
        folder: Of ``equiderm train``.
        audit: JSON of ``equiderm audit``; the run's own ``audit.json`` where not given.

    Raises:
        InputError: torch is not installed, no finished run on images, or no audit's JSON.
    """
    require_training()
    if audit is None and (folder / AUDIT).is_file():
        audit = folder / AUDIT
    saved = None if audit is None else Audit.from_json(audit)
    worker = Kept(work_on, str(folder.absolute()))
    (about,) = worker.run([("describe", b"")], seconds=_STARTING)
    if isinstance(about, Failure):
        worker.close()
        raise about.error or InputError(f"{folder}: the run {about.reason}.")
    return Scorer(worker, about, saved)


def work_on(item: tuple[str, bytes], folder: str) -> About | dict[str, Any] | Map:
    """Return what a run gives ("describe"), or a photograph's scores ("score") or map ("map").

    Raises:
        InputError: No finished run on images.
        PhotoError: The photograph cannot be read.
    """
    kind, blob = item
    loaded = _loaded(folder)
    if kind == "describe":
        return _describe(loaded)
    return _score(loaded, blob) if kind == "score" else _map(loaded, blob)


@functools.cache  # a process scores many photographs with one run
def _loaded(folder: str) -> Run:
    from equiderm.training import load_run

    run = load_run(folder)
    # No other process of ours works at the same time, but threads that wait for each other on a
    # machine that is busy take ten times as long.
    limit_threads(max(1, default_workers() // 2))
    return run


def _describe(loaded: Run) -> About:
    from equiderm.models import FEATURES
    from equiderm.training.predict import score_columns
    from equiderm.training.saliency import check_saliency

    backbone, target = loaded.experiment.backbone.name, loaded.target
    if backbone == FEATURES:
        raise InputError(f"{loaded.directory}: was trained on features, not on photographs.")
    no_maps = ""
    try:
        check_saliency(loaded)
    except InputError as error:
        no_maps = str(error).removeprefix(f"{loaded.directory}: ")  # no path is shown
    name = f"{backbone} trained with {loaded.experiment.method['name']}"
    about = About(name, tuple(score_columns(target)), no_maps)
    names = tuple(map(str, target.names))
    naming = _naming(loaded.experiment.data.target, names)
    if target.kind != "ordered" or not naming.is_judged:
        return about
    return replace(about, types=Types(names, naming.heading, name))


@dataclass(frozen=True)
class Map:
    """Which pixels a score rests on.

    Attributes:
        picture: The photograph beside its map, as JPEG.
        measures: Of `equiderm.training.saliency.measure_map`.
    """

    picture: bytes
    measures: dict[str, float]


@dataclass(frozen=True)
class Scored:
    """One photograph.

    Attributes:
        name: As it was sent.
        scores: What the run gives, by column.
        map: None where it was not asked for, or could not be had.
        no_map: Why it could not.
        error: Why there is no score.
    """

    name: str
    scores: dict[str, Any] = field(default_factory=dict)
    map: Map | None = None
    no_map: str = ""
    error: str = ""

    @property
    def shares(self) -> tuple[float, ...]:
        """The distribution over the classes that the scores are."""
        names = (name for name in self.scores if name.startswith("score_"))
        return tuple(float(self.scores[name]) for name in names)


def predict(
    scorer: Scorer,
    photographs: Sequence[tuple[str, bytes]],
    *,
    maps: bool = False,
    seconds: float = SECONDS,
) -> list[Scored]:
    """Return each photograph's score, and which pixels it rests on, in the order given.

    One other process does it: all scores first, so that maps that take too long cost none.

    Args:
        scorer: The run.
        photographs: Name and bytes of each.
        maps: Whether to compute saliency.
        seconds: For all of them.

    Raises:
        InputError: Maps of a run that has none.
    """
    if maps and scorer.about.no_maps:
        raise InputError(scorer.about.no_maps)
    n = len(photographs)
    work = [(kind, blob) for kind in ("score", "map")[: 1 + maps] for _, blob in photographs]
    results = scorer.worker.run(work, seconds=seconds)
    scored: list[Scored] = []
    for place, (name, _) in enumerate(photographs):
        found, drawn = results[place], results[n + place] if maps else None
        if isinstance(found, Failure):
            scored.append(Scored(visible(name), error=found.reason))
        elif isinstance(drawn, Failure):
            scored.append(Scored(visible(name), found, no_map=drawn.reason))
        else:
            scored.append(Scored(visible(name), found, drawn))
    return scored


def _score(loaded: Run, blob: bytes) -> dict[str, Any]:
    import pandas as pd

    from equiderm.training import ArrayImages, predict
    from equiderm.training.predict import score_columns

    images = ArrayImages(_square(loaded, blob)[np.newaxis], ["it"])
    scored = predict(loaded, images, pd.DataFrame({"image_id": ["it"]}))
    return {name: scored[name].iloc[0] for name in score_columns(loaded.target)}


def _map(loaded: Run, blob: bytes) -> Map:
    from equiderm.training import ArrayImages
    from equiderm.training.saliency import draw_map, measure_map, saliency

    square = _square(loaded, blob)
    heat = saliency(loaded, ArrayImages(square[np.newaxis], ["it"]), ["it"])[0][0]
    buffer = io.BytesIO()
    draw_map(square, heat).save(buffer, "JPEG", quality=_QUALITY)
    return Map(buffer.getvalue(), measure_map(heat))


def _square(loaded: Run, blob: bytes) -> NDArray[np.uint8]:
    if not blob:
        raise PhotoError("the file is empty")
    return load_square(blob, loaded.experiment.data.size)


def on_such_skin(audit: SavedAudit, by: str, group: str) -> list[str]:
    """Return what an audit found on the skin of one group, in sentences.

    Args:
        audit: The audit.
        by: The group column.
        group: One of its groups.
    """
    if by not in audit.columns:
        there = listed(audit.columns)
        return [f"The audit has no groups by {by}; it has {there}. Say above which skin it is."]
    figures = audit.content["figures"]
    groups = dict.fromkeys(row["group"] for row in figures if row["by"] == by)
    labels = tuple(label for label in groups if label != OVERALL)
    names = _naming(by, labels, audit.content["provenance"]["finding"])
    such = f"{names.noun} {names.spelled(group)}"
    if group not in names.grouping.labels:
        return [f"The audit had no image of {such}, so nothing is known of skin like this."]
    if not audit.content["truth"]:
        return ["The audit had no truth: how often the score is right is not known."]
    words: list[str] = []
    for metric, verb, what in (
        ("sensitivity", "found", names.positives),
        ("specificity", "flagged", names.negatives),
    ):
        here, why = _per_100(audit, metric, by, group, f" of 100 {what} in the audit")
        everywhere, unknown = _per_100(audit, metric, by, OVERALL)
        known = (
            f"it {verb} {here}" if here else f"it is not known how many {what} it {verb} ({why})"
        )
        whole = f"on all skin {everywhere}" if everywhere else f"on all skin not known ({unknown})"
        words.append(f"On skin like this ({such}) {known}; {whole}.")
    return words


def _naming(column: str, labels: tuple[str, ...], finding: str = "positive") -> Naming:
    return Naming(Grouping(column, labels, np.array([], np.intp), (column,)), finding)


def _per_100(audit: SavedAudit, metric: str, by: str, group: str, of: str = "") -> tuple[str, str]:
    """Return how many of 100 a group's figure is, with its interval, or why it is missing."""
    value, low, high, _, why = audit.figure(metric, group, by=by)
    if why:
        return "", why
    if metric == "specificity":  # what is not left alone is flagged
        value, low, high = 1 - value, 1 - high, 1 - low
    return f"{of_100(value)}{of}, {of_100(low)} to {of_100(high)}", ""
