"""What reporting guidelines ask for, filled where the table says it and marked where not.

The items are in our words; the guidelines' own texts are the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from equiderm.audit.report.words import unjudged_groups

if TYPE_CHECKING:
    from equiderm.audit.audit import Audit

SOURCES = (
    "STANDING Together recommendations on documenting and using health datasets (Alderman et al., "
    "Lancet Digital Health 2025)",
    "CLAIM 2024: Checklist for Artificial Intelligence in Medical Imaging (Tejani et al., "
    "Radiology: Artificial Intelligence 2024)",
    "Model cards (Mitchell et al., FAT* 2019)",
)


class Item(NamedTuple):
    """One point of a guideline; an empty ``answer`` is for the author to fill in."""

    guideline: str
    asks: str
    answer: str = ""

    @property
    def state(self) -> str:
        """Whether the audit could answer it."""
        return "filled" if self.answer else "to be filled in"


def checklist(audit: Audit) -> list[Item]:
    """Return the checklist of one audit."""
    return [*_standing(audit), *_claim(audit), *_card(audit)]


def _standing(audit: Audit) -> list[Item]:
    by = audit.columns[0]
    few = unjudged_groups(audit, by)
    labels = audit.results[by].grouping.labels
    guideline = "STANDING Together"
    return [
        Item(guideline, "Where the data come from, who collected them, and under what licence"),
        Item(
            guideline,
            "Which groups are represented, and how many of each",
            f"{len(labels)} groups of {by}; counts in 'What was audited'.",
        ),
        Item(
            guideline,
            "How group attributes were obtained, and their known faults",
            audit.provenance.tone_source,
        ),
        Item(
            guideline,
            "Groups too small or absent",
            f"Too few for an AUROC: {', '.join(few)}." if few else "Every group has an AUROC.",
        ),
        Item(guideline, "How missing data were handled", " ".join(audit.study.notes) or "None."),
        Item(
            guideline,
            "Performance by group, with its uncertainty",
            "All figures by group with 95 % intervals; gap, chance and power.",
        ),
        Item(
            guideline,
            "Groups at intersections",
            "See the intersections."
            if len(audit.results) > len(audit.columns)
            else "One kind of grouping only; none made.",
        ),
        Item(guideline, "Who might be harmed by the differences found, and what is done about it"),
    ]


def _claim(audit: Audit) -> list[Item]:
    study, options = audit.study, audit.options
    patients = "unknown" if study.patient is None else f"{int(study.patient.max()) + 1:,}"
    guideline = "CLAIM 2024"
    return [
        Item(guideline, "Source and dates of the images, inclusion and exclusion"),
        Item(guideline, "Reference standard: who decided the target, and how"),
        Item(
            guideline,
            "Numbers of images, patients and positives",
            f"{len(study.target):,} images, patients: {patients}, "
            f"{int(study.target.sum()):,} positive.",
        ),
        Item(guideline, "That test images and patients were kept apart from training"),
        Item(
            guideline,
            "Performance measures and operating point",
            f"Threshold {options.threshold:g}; specificity {options.specificity:g} and sensitivity "
            f"{options.sensitivity:g} overall.",
        ),
        Item(
            guideline,
            "Statistical uncertainty and tests",
            f"95 % intervals, {options.replicates:,} bootstrap replicates and shuffles, Holm over "
            f"groups, seed {options.seed}.",
        ),
        Item(
            guideline,
            "Sample size: what differences it can show",
            "See 'The gap, chance and power'.",
        ),
        Item(guideline, "Analysis of the model's failures"),
    ]


def _card(audit: Audit) -> list[Item]:
    guideline = "Model card"
    return [
        Item(guideline, "Model, version, owner", audit.provenance.model),
        Item(guideline, "Intended use, and uses out of scope"),
        Item(guideline, "Training data"),
        Item(
            guideline,
            "Evaluation data",
            ", ".join(name for name, _ in audit.provenance.files),
        ),
        Item(guideline, "Factors: groups considered", ", ".join(audit.columns)),
        Item(guideline, "Quantitative analyses, by group and intersection", "This report."),
        Item(guideline, "Ethical considerations, caveats and recommendations"),
    ]
