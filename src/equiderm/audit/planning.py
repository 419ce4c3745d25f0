"""Size of a test set: the images of dark skin with which a drop would be noticed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from equiderm.audit.designs import LEAST, USUAL, Design, notices
from equiderm.audit.input import Reading, as_frame, as_texts
from equiderm.audit.metrics import HEADLINE
from equiderm.audit.power import smallest
from equiderm.audit.shown import report
from equiderm.audit.thirds import (
    Rule,
    Third,
    count_thirds,
    of_split,
    prevalence_of,
    quarter_rule,
    together_of,
)
from equiderm.audit.verdict import ACCEPTABLE, by_figure
from equiderm.errors import InputError
from equiderm.format import json_text, plain
from equiderm.records import Record

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "equiderm.plan/1"
MOST = 1e7  # images; if this many are too few, the answer is infinite


@dataclass(frozen=True)
class Need:
    """Images needed to notice a drop of one figure on dark skin in 80 of 100 test sets.

    Attributes:
        metric: "auroc", "sensitivity" or "specificity".
        base: The figure on the other tones.
        drop: How much lower it is on dark skin.
        counted: The class that ``images`` counts: "positive" or "negative".
        images: Images of dark skin needed; infinite if no number suffices (the others are too few).
        patients: Number of patients of these images.
        negatives: Negative images that an AUROC needs beside its positive ones; NaN otherwise.
        have: Images of that class in the test set; 0 without one.
        noticed: The smallest drop that the test set would show in 80 of 100; NaN if there is none,
            or without a test set.
        have_negatives: Negative images in the test set, for an AUROC; else 0.
    """

    metric: str
    base: float
    drop: float
    counted: str
    images: float
    patients: float
    negatives: float
    have: int
    noticed: float
    have_negatives: int = 0

    @property
    def missing(self) -> float:
        """Images that are still to be collected."""
        return max(self.images - self.have, 0.0)

    @property
    def missing_negatives(self) -> float:
        """Negative images that are still to be collected beside positive ones, for an AUROC."""
        return 0.0 if math.isnan(self.negatives) else max(self.negatives - self.have_negatives, 0.0)


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Record):
    """The size that a test set needs, and what a given one lacks; from `plan`.

    Attributes:
        needs: One per figure.
        thirds: The images of the test set; empty without one.
        rule: The rule of a quarter in each third; None without a test set.
        by: The tone column.
        images_per_patient: Planned images of one class per patient.
        correlation: Intraclass correlation of whether a patient's images are classified correctly.
        prevalence: Share of the planned images that are positive.
        others: Planned positive images of light and of middle tones, each; NaN if not given.
        notes: What was left out.
    """

    needs: tuple[Need, ...]
    thirds: tuple[Third, ...] = ()
    rule: Rule | None = None
    by: str = ""
    images_per_patient: float = 1.0
    correlation: float = 0.0
    prevalence: float = 0.25
    others: float = math.nan
    notes: tuple[str, ...] = field(default=())

    @property
    def table(self) -> pd.DataFrame:
        """One row per figure: base, drop, images needed, patients, images there and missing."""
        import pandas as pd

        return pd.DataFrame([asdict(need) | {"missing": need.missing} for need in self.needs])

    def answer(self) -> tuple[str, ...]:
        """Return the answer in words, a sentence or two per question."""
        return report().planned.sentences(self)

    def summaries(self) -> list[tuple[str, pd.DataFrame]]:
        """Return titles and small tables of text, for a terminal or a page."""
        return report().planned.summaries(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON types, in the schema "equiderm.plan/1"."""
        return plain({"schema": SCHEMA, "answer": self.answer(), **asdict(self)})

    def to_json(self) -> str:
        """Return `to_dict` as text; a missing or infinite number is null."""
        return json_text(self.to_dict())

    def to_markdown(self) -> str:
        """Return the answer and the tables as Markdown."""
        return report().planned.to_markdown(self)

    def to_html(self) -> str:
        """Return the plan as one HTML page that needs no network."""
        return report().planned.render(self)

    def _repr_html_(self) -> str:
        return report().export.fragment(self.answer(), self.summaries())


def plan(
    frame: Any = None,
    *,
    by: str = "ita_band",
    target: str = "target",
    patient: str | None = None,
    positive: str | Sequence[str] = (),
    missing: str | Sequence[str] = (),
    split: str = "",
    thirds: str = "",
    drop: float | Mapping[str, float] | None = None,
    base: float | Mapping[str, float] | None = None,
    metrics: str | Sequence[str] = HEADLINE,
    images_per_patient: float | None = None,
    correlation: float = 0.3,
    prevalence: float | None = None,
    others: float | None = None,
    name: str = "the table",
) -> Plan:
    """Return how many images of dark skin a test set needs for a drop to be noticed.

    A drop is noticed if an audit of three groups (light, middle and dark tones), each against the
    other two, establishes it. Positive images are those to be detected, such as malignant ones.

    Args:
        frame: The test set, one row per image with tone and target; or None, to plan a new one.
        by: The tone column.
        target: Column of 0 and 1, or of class names with ``positive``.
        patient: Column of the patient; by default images are independent.
        positive: Names of the classes that count as positive.
        missing: Texts that mean "not known".
        split: Value of the column ``split`` that is the test set; by default all rows.
        thirds: The labels of light / middle / dark, as in "1,2/3,4/5,6"; by default from the scale:
            six steps in pairs, the ten of Monk as 1-4, 5-7 and 8-10.
        drop: How much lower the figure is on dark skin, for all figures or by figure; by default
            0.05 for the AUROC, 0.10 for sensitivity and specificity.
        base: The figure on the other tones, in [0, 1], for all or by figure; by default 0.85 for
            the AUROC, 0.80 for sensitivity and specificity.
        metrics: The figures to plan for.
        images_per_patient: Images of one class (positive, negative) per patient with such an
            image, at least 1; by default that of the test set, or 1.
        correlation: Intraclass correlation, in [0, 1], of whether a patient's images are classified
            correctly.
        prevalence: Share of the planned images that are positive; by default that of the test set,
            or 0.25.
        others: Positive images of light and of middle tones, each; by default those of the test
            set, or as many as of dark skin.
        name: Name of the table for messages.

    Raises:
        InputError: A number outside its range, or a table that cannot be read.

    Example:
        >>> result = plan(metrics="sensitivity", drop=0.10, base=0.80)
        >>> result.needs[0].images > 100
        True
    """
    chosen = as_texts(metrics)
    drops, bases = by_figure(drop, ACCEPTABLE, "drop"), by_figure(base, USUAL, "base")
    _check(chosen, drops, bases, images_per_patient, correlation, prevalence, others)
    counted: tuple[Third, ...] = ()
    notes: tuple[str, ...] = ()
    people = None
    if frame is not None:
        reading = Reading(positive=as_texts(positive), missing=as_texts(missing), drop_missing=True)
        table, of_splits = of_split(as_frame(frame), split, name)
        counted, notes, people = count_thirds(table, by, target, patient, reading, thirds, name)
        notes = (*of_splits, *notes)
    ratio = prevalence_of(counted) if prevalence is None else prevalence
    size = images_per_patient or 1.0
    of_class = (size, size)
    known = people is not None
    if counted and images_per_patient is None and known:
        of_class = together_of(counted)
    design = Design(counted, ratio, of_class, correlation if known or not counted else 0.0, others)
    needs = tuple(_need(design, metric, bases[metric], drops[metric]) for metric in chosen)
    return Plan(
        needs,
        counted,
        quarter_rule(counted, people) if counted else None,
        by if counted else "",
        of_class[0],
        design.correlation,
        ratio,
        math.nan if others is None else others,
        notes,
    )


def _check(
    metrics: Sequence[str],
    drops: Mapping[str, float],
    bases: Mapping[str, float],
    size: float | None,
    correlation: float,
    prevalence: float | None,
    others: float | None,
) -> None:
    for metric in metrics:
        if metric not in HEADLINE:
            raise InputError(
                f"'{metric}' cannot be planned for; choose from {', '.join(HEADLINE)}."
            )
        base, drop = bases[metric], drops[metric]
        floor, called = (0.5, "an AUROC") if metric == "auroc" else (0.0, f"a {metric}")
        if not floor < base < 1:
            raise InputError(f"{called} of {base:g} is not between {floor:g} and 1.")
        if not 0 < drop <= base - floor:
            raise InputError(
                f"a drop of {drop:g} from {called} of {base:g} is not possible; give one above 0 "
                f"and at most {base - floor:g}."
            )
    if size is not None and not size >= 1:
        raise InputError(f"{size:g} images per patient; give 1 or more.")
    if not 0 <= correlation <= 1:
        raise InputError(f"the correlation {correlation:g} is not within 0 to 1.")
    if prevalence is not None and not 0 < prevalence < 1:
        raise InputError(f"the prevalence {prevalence:g} is not between 0 and 1.")
    if others is not None and not others >= LEAST:
        raise InputError(f"{others:g} positive images of other tones; give {LEAST} or more.")


def _need(design: Design, metric: str, base: float, drop: float) -> Need:
    """Return the images needed to notice a drop of one figure."""
    negative = metric == "specificity"

    def enough(log_count: float) -> bool:
        return notices(design, metric, base, math.exp(log_count), drop)

    images = math.inf
    if enough(math.log(MOST)):
        images = float(math.ceil(math.exp(smallest(enough, math.log(MOST))) - 0.05))
        images = max(images, float(LEAST))
    size = design.together[1 if negative else 0]
    have, noticed = 0, math.nan
    if design.thirds:
        dark = design.thirds[2]
        have = dark.negatives if negative else dark.positives
        floor = 0.5 if metric == "auroc" else 0.0
        both = min(dark.positives, dark.negatives)
        if (both if metric == "auroc" else have) >= LEAST:
            share = dark.positives / dark.images
            held = Design(
                (design.thirds[0], design.thirds[1], dark),
                share if both >= LEAST else min(max(share, 0.01), 0.99),
                dark.together,
                design.correlation,
                None,
            )
            most = base - floor - 1e-6

            def shows(size: float) -> bool:
                return notices(held, metric, base, have, size)

            noticed = smallest(shows, most) if shows(most) else math.nan
    others = math.nan
    if metric == "auroc" and images < math.inf:
        others = math.ceil(design.dark(images, negative=False).negatives)
    return Need(
        metric,
        base,
        drop,
        "negative" if negative else "positive",
        images,
        math.ceil(images / size - 1e-6) if images < math.inf else images,
        others,
        have,
        noticed,
        design.thirds[2].negatives if design.thirds and metric == "auroc" else 0,
    )
