"""The first screen of a report: whether there is a gap, how large, for whom, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from equiderm import __version__
from equiderm.audit.report import advice
from equiderm.audit.report.naming import Naming, model_of, naming, spell
from equiderm.audit.report.statement import Statement, state
from equiderm.audit.report.trust import left_out, trust
from equiderm.format import count, counted, per_hundred, whole_of_100, with_interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from equiderm.audit.audit import Audit
    from equiderm.audit.groups import Figure


@dataclass(frozen=True)
class Row:
    """One group in the table of the first screen.

    Attributes:
        group: Name of the group, with "lightest" or "darkest" at the ends of the scale.
        tested: Number of its positives; without a truth, of its images.
        share: How many of 100 positives are found, with the interval; without a truth, how many of
            100 images are flagged.
        low: Lower end of the interval, out of 100.
        at: Place of the estimate on the track, out of 100.
        high: Upper end, out of 100.
        more: Further cells: false alarms per 100, AUROC.
        why: Why the group cannot be judged, or empty.
        state: "worst", "few" or empty.
        marks: Whether ``share`` and each further cell are established to be worse.
    """

    group: str
    tested: str
    share: str
    low: float
    at: float
    high: float
    more: tuple[str, ...]
    why: str = ""
    state: str = ""
    marks: tuple[bool, ...] = ()


@dataclass(frozen=True)
class FirstScreen:
    """The text of the first sheet.

    Attributes:
        title: The question that the audit answers.
        about: What was tested, when, and the origin of the labels.
        outcome: "gap", "none found", "cannot say" or "mixed".
        headline: The verdict in one or two sentences.
        evidence: The evidence, the most important first.
        question: The heading of the table.
        caption: How to read the table.
        columns: Column headings of the table.
        rows: The rows of the table: all images, then the groups.
        meaning: What the verdict means for 100 patients.
        others: The verdict by each further grouping.
        steps: What to do next.
        trust: How far the group labels can be trusted.
        left_out: Images that were left out.
        foot: Limits of the report, and how p was adjusted.
    """

    title: str
    about: str
    outcome: str
    headline: str
    evidence: tuple[str, ...]
    question: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    meaning: tuple[str, ...]
    others: tuple[str, ...]
    steps: tuple[str, ...]
    trust: tuple[str, ...]
    left_out: tuple[str, ...]
    foot: str

    def lines(self) -> list[str]:
        """Return verdict, meaning and steps as lines of text, for a terminal."""
        steps = [f"{k}. {text}" for k, text in enumerate(self.steps, 1)]
        sentences = [self.headline, *self.evidence, *self.meaning, *self.others]
        return [*sentences, "What to do next:", *steps]


def first_screen(
    audit: Audit,
    by: str | None = None,
    *,
    others: bool = True,
) -> FirstScreen:
    """Return the first screen of an audit by one group column (the first by default).

    Args:
        audit: The audit.
        by: The group column.
        others: Whether to add the verdict by each further grouping.
    """
    by = by or audit.columns[0]
    names = naming(audit, by)
    if not audit.study.truth:
        return _without_truth(audit, by, names)
    statement = state(audit, by)
    headline, evidence = statement.verdict_words()
    return FirstScreen(
        title=_title(audit, names),
        about=_about(audit, names),
        outcome=statement.verdict.outcome,
        headline=headline,
        evidence=(
            *(spell(audit, text) for text in advice.against_constant(statement)),
            *evidence,
            *(spell(audit, doubt) for doubt in audit.study.doubts),
        ),
        question=f"Out of 100 {names.positives}, how many does the model find?",
        caption=f"{_flagged(audit)} False alarms: of 100 {names.negatives}. AUROC: "
        f"how often {names.a_finding} gets a higher score than {names.a_negative}; 0.5 is no "
        "better than tossing a coin, 1 is perfect.",
        columns=(
            names.heading,
            names.positives,
            "found of 100",
            "found, 0 to 100",
            "false alarms of 100",
            "AUROC",
        ),
        rows=tuple(_rows(statement)),
        meaning=tuple(spell(audit, text) for text in advice.meaning(statement)),
        others=tuple(_others(audit, by)) if others else (),
        steps=tuple(spell(audit, step) for step in advice.steps(statement)),
        trust=tuple(trust(audit, names)),
        left_out=tuple(left_out(audit, names, statement.verdict)),
        foot=_foot(audit, "" if len(names.grouping.labels) < 2 else "p is adjusted over "
        f"{len(names.grouping.labels)} groups and over AUROC, sensitivity and specificity. "),
    )  # fmt: skip


def _others(audit: Audit, by: str) -> Iterable[str]:
    """Yield the verdict by each further grouping, a sentence each."""
    for other in audit.results:
        if other == by:
            continue
        statement = state(audit, other)
        headline, evidence = statement.verdict_words()
        why = (
            f" {evidence[0]}" if evidence and statement.verdict.outcome in ("gap", "mixed") else ""
        )
        yield f"By {other}: {headline}{why}"


def _title(audit: Audit, names: Naming) -> str:
    where = "on all skin tones" if names.is_tone else f"in all groups of {names.grouping.name}"
    return f"{model_of(audit)}: does it work equally well {where}?"


def today() -> str:
    """Return today's date in UTC, such as "3 May 2026"."""
    now = datetime.now(UTC)
    return f"{now.day} {now:%B %Y}"


def _about(audit: Audit, names: Naming) -> str:
    study, labels = audit.study, names.grouping.labels
    of = "" if study.patients is None else f" of {counted(study.patients, 'patient')}"
    positive = ""
    if study.truth:
        positive = f", {counted(int(study.target.sum()), names.finding, names.positives)}"
    if positive and names.finding == "positive":
        positive += " (images that the model should flag)"
    text = f"{counted(len(study.target), 'image')}{of}{positive}. "
    if (weighting := study.weighting) is not None:
        text += (
            f"Every figure is weighted by {weighting.column} (the weights add up to "
            f"{weighting.sum:,.6g}; effective n {count(weighting.effective_n)}); counts are not. "
        )
    if names.is_tone:
        how = "judged by people" if names.is_judged else "computed from each photograph"
        if audit.provenance.tone_source == "" and not names.is_judged:
            how = f"as given in the column {names.grouping.name}"
        text += (
            f"Skin tone {how}: {names.noun} {names.spelled(labels[0])} is the lightest, "
            f"{names.spelled(labels[-1])} the darkest. "
        )
    return f"{text}Audited on {today()}."


def _flagged(audit: Audit) -> str:
    return (
        f"An image is flagged when its score is {audit.options.threshold:g} or more. In brackets "
        "the 95 % interval: the range that the true number probably lies in."
    )


def _foot(audit: Audit, adjusted: str = "") -> str:
    return (
        f"{adjusted}This describes the images that were tested, not every clinic. Equiderm "
        f"{__version__} measures; it is not a diagnosis tool. The full report has every figure, "
        f"its interval and how it was computed."
    )


def _rows(statement: Statement) -> Iterable[Row]:
    """Yield the rows of the table: all images, every group, and pooled bands that are worse."""
    results = statement.audit.results[statement.by]
    named = [name for group in statement.worse_groups() for name in statement.worse(group)]
    worst = _with_members(statement, named)
    pooled = [name for name in statement.names.pooled if name in worst]
    for group in ["overall", *results.grouping.labels, *pooled]:
        positives = int(statement.audit.study.target[results.of(group)].sum())
        sensitivity, specificity, auroc = (
            results.figure(metric, group) for metric in ("sensitivity", "specificity", "auroc")
        )
        alarms = per_hundred(1 - specificity.value, 1 - specificity.high, 1 - specificity.low)
        why = sensitivity.why
        state = "worst" if group in worst else "few" if group in statement.few_names else ""
        yield Row(
            group=statement.names.shown(group),
            tested=f"{positives:,}",
            **_track(sensitivity),
            more=(alarms, with_interval(*auroc[:3], 2)),
            why=_too_few(statement, positives, why) if why else "",
            state=state,
            marks=tuple(
                group in _with_members(statement, statement.verdict.worse(metric))
                for metric in ("sensitivity", "specificity", "auroc")
            ),
        )  # fmt: skip


def _track(share: Figure) -> dict[str, Any]:
    """Return a row's share of 100 and its place on the track."""
    if share.why:
        return {"share": "", "low": 0, "at": 0, "high": 0}
    low, at, high = (100 * end for end in (share.low, share.value, share.high))
    return {"share": per_hundred(*share[:3]), "low": low, "at": min(at, 97.0), "high": high}


def _with_members(statement: Statement, groups: Iterable[str]) -> set[str]:
    """Return groups and the members of those that are pooled."""
    return {name for group in groups for name in (group, *statement.names.members(group))}


def _too_few(statement: Statement, positives: int, why: str) -> str:
    """Return why a group cannot be judged; the audit's own reason if patients are too few."""
    if "patient" in why:
        return why.replace("positives", statement.names.positives)
    return f"{counted(positives, statement.names.finding, statement.names.positives)}, too few"


def _without_truth(audit: Audit, by: str, names: Naming) -> FirstScreen:
    """Return the first screen of an audit without targets."""
    results = audit.results[by]
    shares = {name: results.figure("selection_rate", name) for name in results.grouping.labels}
    known = {name: share for name, share in shares.items() if not share.why}
    evidence = [
        "Without knowing which images are positive, only how many it flags can be compared."
    ]
    if len(known) > 1:
        low, high = (pick(known, key=lambda n: known[n].value) for pick in (min, max))
        evidence.append(
            f"Of 100 images it flags {whole_of_100(known[low].value)} {names.at(low)} and "
            f"{whole_of_100(known[high].value)} {names.at(high)}; that may be right or wrong."
        )
    rows: list[Row] = []
    for group in ["overall", *results.grouping.labels]:
        share = results.figure("selection_rate", group)
        rows.append(
            Row(
                names.shown(group),
                f"{len(results.of(group)):,}",
                **_track(share),
                more=(),
                why=share.why,
            )
        )  # fmt: skip
    return FirstScreen(
        title=_title(audit, names),
        about=_about(audit, names),
        outcome="cannot say",
        headline="Nobody can say: the truth is not known yet.",
        evidence=tuple(evidence),
        question="Out of 100 images, how many does the model flag?",
        caption=_flagged(audit),
        columns=(names.heading, "images", "flagged of 100", "0 to 100"),
        rows=tuple(rows),
        meaning=(),
        others=(),
        steps=(
            "Have the images diagnosed, and audit again with the truth.",
            "Until then do not read a difference in what is flagged as good or bad: groups may "
            "differ in how many have the disease.",
        ),
        trust=tuple(trust(audit, names)),
        left_out=tuple(left_out(audit, names, None)),
        foot=_foot(audit),
    )  # fmt: skip
