"""Points of reporting guidelines, answered from the table, from a file, or left to fill in.

The points are paraphrased; the guidelines' own texts are the reference.
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

from equiderm.audit.report import words
from equiderm.audit.report.naming import naming, spell
from equiderm.errors import InputError
from equiderm.format import listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from equiderm.audit.audit import Audit

SOURCES = (
    "STANDING Together recommendations on documenting and using health datasets (Alderman et al., "
    "Lancet Digital Health 2025)",
    "CLAIM 2024: Checklist for Artificial Intelligence in Medical Imaging (Tejani et al., "
    "Radiology: Artificial Intelligence 2024)",
    "Model cards (Mitchell et al., FAT* 2019)",
    "TRIPOD+AI (Collins et al., BMJ 2024;385:e078378)",
    "PROBAST+AI (Moons et al., BMJ 2025;388:e082505)",
    "FDA draft guidance of 7 January 2025, Artificial Intelligence-Enabled Device Software "
    "Functions: Lifecycle Management and Marketing Submission Recommendations",
    "Regulation (EU) 2024/1689 (AI Act), Annex IV and Articles 10 and 15",
    "45 CFR 92.210",
)
NO_ADVICE = (
    "This is not legal advice: it does not decide whether a rule applies to a device, or what "
    "fulfils it. Only points whose content could be checked against a source are listed; the "
    "lists are not complete."
)
# Points by guideline: key and question. A file of answers refers to the key.
POINTS: dict[str, dict[str, str]] = {
    "STANDING Together": {
        "data_origin": "Where the data come from, who collected them, and under what licence",
        "groups": "Which groups are represented, and how many of each",
        "group_labels": "How group attributes were obtained, and their known faults",
        "groups_too_small": "Groups too small or absent",
        "missing_data": "How missing data were handled",
        "performance_by_group": "Performance by group, with its uncertainty",
        "intersections": "Groups at intersections",
        "harms": "Who might be harmed by the differences, and what is done about it",
    },
    "CLAIM 2024": {
        "image_source": "Source and dates of the images, inclusion and exclusion",
        "reference_standard": "Reference standard: who decided the target, and how",
        "counts": "Numbers of images, patients and positives",
        "test_apart": "That test images and patients were kept apart from training",
        "operating_point": "Performance measures and operating point",
        "uncertainty": "Statistical uncertainty and tests",
        "sample_size": "Sample size: what differences it can show",
        "failures": "Analysis of the model's failures",
    },
    "Model card": {
        "model": "Model, version, owner",
        "intended_use": "Intended use, and uses out of scope",
        "training_data": "Training data",
        "evaluation_data": "Evaluation data",
        "factors": "Factors: groups considered",
        "quantitative": "Quantitative analyses, by group and intersection",
        "ethics": "Ethical considerations, caveats and recommendations",
    },
    "TRIPOD+AI": {
        "health_inequalities": "Known health inequalities between groups (item 3c)",
        "measures": "All measures of performance, and why these (item 12e)",
        "fairness_approach": "What was done about fairness, and why (item 14)",
        "development_differences": "How these data differ from those of development (item 16)",
        "subgroup_estimates": "Performance with confidence intervals, key subgroups included "
        "(item 23a)",
    },
    "PROBAST+AI": {
        "participants": "Evaluation, domain participants and data sources: could their choice bias "
        "the figures?",
        "analysis": "Evaluation, domain analysis: how many, what was missing, images of one person",
    },
    "FDA draft, January 2025": {
        "device_subgroups": "Performance by subgroup",
        "device_independence": "Test data independent of training data",
    },
    "AI Act, Annex IV": {
        "annex_iv_2g": "Test data and their characteristics, measures, potentially discriminatory "
        "impacts; reports dated and signed (2(g))",
        "annex_iv_3": "Accuracy for specific persons or groups, and overall (3)",
    },
    "AI Act, Articles 10 and 15": {
        "article_10_2f": "Examination for possible biases (10(2)(f))",
        "article_10_3": "Data relevant and representative, their properties by group (10(3))",
        "article_15_3": "Levels of accuracy and their measures, for the instructions of use "
        "(15(3))",
    },
    "45 CFR 92.210": {
        "cfr_identify": "Reasonable efforts to identify tools whose inputs measure race, color, "
        "national origin, sex, age or disability",
        "cfr_mitigate": "Reasonable efforts to mitigate the risk of discrimination from their use",
    },
}
KEYS = tuple(key for points in POINTS.values() for key in points)


class Item(NamedTuple):
    """One point of a guideline; an empty ``answer`` is left to the author."""

    guideline: str
    key: str
    asks: str
    answer: str = ""

    @property
    def state(self) -> str:
        """``filled`` if it is answered, else ``to be filled in``."""
        return "filled" if self.answer else "to be filled in"


def read_answers(path: Path) -> dict[str, str]:
    """Return the answers in a TOML or JSON file, by the key of the point.

    Raises:
        InputError: Not such a file, a key that is not a point, or an answer that is not text.
    """
    try:
        text = path.read_text(encoding="utf-8")
        read: Any = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name.") from error
    except ValueError as error:
        raise InputError(f"{path}: is not valid TOML or JSON ({error}); correct it.") from error
    if not isinstance(read, dict):
        raise InputError(f'{path}: holds no keys and answers; write lines such as ethics = "...".')
    return check_answers(read, str(path))


def check_answers(answers: Mapping[str, Any], name: str = "the answers") -> dict[str, str]:
    """Return answers whose keys are points and whose values are text, or raise InputError."""
    for key, value in answers.items():
        if key not in KEYS:
            raise InputError(f"{name}: '{key}' is not a point of the checklist; its keys are "
                             f"{', '.join(KEYS)}.")  # fmt: skip
        if not isinstance(value, str):
            raise InputError(f"{name}: the answer to '{key}' is not text; put it in quotes.")
    return {key: value.strip() for key, value in answers.items()}


def checklist(audit: Audit, answers: Mapping[str, str] | None = None) -> list[Item]:
    """Return the checklist of one audit; given answers replace those from the table."""
    filled = _from_the_table(audit) | check_answers({**audit.answers, **(answers or {})})
    return [
        Item(guideline, key, asks, filled.get(key, ""))
        for guideline, points in POINTS.items()
        for key, asks in points.items()
    ]


def _from_the_table(audit: Audit) -> dict[str, str]:
    study, options, by = audit.study, audit.options, audit.columns[0]
    names, few = naming(audit, by), words.unjudged_groups(audit, by)
    patients = "not known" if study.patients is None else f"{study.patients:,}"
    notes = " ".join(spell(audit, note) for note in study.notes)
    return {
        "groups": f"{len(names.grouping.labels)} groups of {by}; counts in 'What was audited'.",
        "group_labels": audit.provenance.tone_source,
        "groups_too_small": f"Too few for an AUROC: {names.several(few)}."
        if few
        else "Every group has an AUROC.",
        "missing_data": notes or "None.",
        "performance_by_group": "All figures by group with 95 % intervals; gap, chance and power.",
        "intersections": words.intersections(audit),
        "counts": f"{len(study.target):,} images, patients: {patients}, "
        f"{int(study.target.sum()):,} {names.positives}.",
        "operating_point": f"Threshold {options.threshold:g}; specificity {options.specificity:g} "
        f"and sensitivity {options.sensitivity:g} overall.",
        "uncertainty": f"95 % intervals; p adjusted over groups and over AUROC, sensitivity and "
        f"specificity; {options.replicates:,} bootstrap replicates, seed {options.seed}.",
        "sample_size": "See 'The gap, chance and power'.",
        "model": audit.provenance.model,
        "evaluation_data": listed(name for name, _ in audit.provenance.files),
        "factors": listed(audit.columns),
        "quantitative": "This report.",
        **_of_groups(audit, patients, notes),
    }


def _of_groups(audit: Audit, patients: str, notes: str) -> dict[str, str]:
    """Return answers from the table to points that ask for performance by group."""
    study, columns = audit.study, listed(audit.columns)
    each = "a patient's images count together"
    return {
        "measures": "AUROC, sensitivity and specificity decide; all figures in 'Every figure'.",
        "subgroup_estimates": f"By {columns}, with 95 % intervals: 'Performance by ...'.",
        "analysis": f"{len(study.target):,} images, patients: {patients}; left out: "
        f"{notes or 'nothing.'} "
        + (f"In every interval {each}." if study.patient is not None else "Images independent."),
        "device_subgroups": f"By {columns}, with 95 % intervals and the drop that would be seen.",
        "annex_iv_3": f"Overall and by {columns}: 'Performance by ...'.",
        "article_10_2f": f"The test data: differences of performance by {columns}, 'The gap, "
        "chance and power'. Training data were not examined.",
        "article_15_3": "'Every figure', with intervals, of these data.",
    }
