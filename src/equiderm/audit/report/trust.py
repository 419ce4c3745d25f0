"""How far the group labels of an audit can be trusted, and which images it left out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from equiderm.audit.input import CORRECTED, ROWS, subject_of
from equiderm.audit.metrics import phrases_of
from equiderm.audit.report.advice import rounded
from equiderm.audit.report.naming import spell
from equiderm.format import count, counted, of_100

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from equiderm.audit.audit import Audit
    from equiderm.audit.report.naming import Naming
    from equiderm.audit.verdict import Verdict

# Measured on the judged photographs that docs/trust.md lists, per 100: the computed band (or the
# estimate fitted to types) equals the judged type, or is within one. For judged types: a second
# person's judgement.
COMPUTED_EXACT, COMPUTED_WITHIN_ONE = (26, 32), (57, 83)
JUDGED_EXACT, JUDGED_WITHIN_ONE = 48, 91


def trust(audit: Audit, names: Naming) -> Iterable[str]:
    """Yield sentences on how far the labels of one grouping can be trusted."""
    yield from (note for note in audit.study.notes if subject_of(note) == CORRECTED)
    if audit.agreement is not None:
        yield (
            f"Compared with people the labels were right in {of_100(audit.agreement.exact)} of "
            f"100 of {count(audit.agreement.confusion.sum())} images; the report shows the figures "
            "corrected for that error."
        )
        return
    if not names.is_tone:
        yield "Not examined here: the groups are taken as given."
        return
    if names.is_judged:
        yield (
            "These labels were not checked here. Elsewhere (Fitzpatrick17k) two people who "
            f"judged the same photographs gave the same type to {JUDGED_EXACT} of 100, and "
            f"types at most one apart to {JUDGED_WITHIN_ONE}. Such errors mix the groups and "
            "usually hide a gap."
        )
        return
    exact, near = COMPUTED_EXACT, COMPUTED_WITHIN_ONE
    yield (
        "These labels were not checked here. In other collections a label computed from the "
        f"photograph equalled the type that people judged on {exact[0]} to {exact[1]} of 100 "
        f"photographs, and was at most one step off on {near[0]} to {near[1]}, depending on the "
        "collection and the method. Such errors mix neighbouring groups and usually hide a gap "
        "rather than create one. To check these labels, have two people judge 100 of the "
        "photographs and compare with the command equiderm agree."
    )


def _to_notice(verdict: Verdict, names: Naming, counts: Mapping[str, int]) -> str:
    """Return a sentence on how many positives a difference needs, if a group has fewer."""
    known = [need for need in verdict.needed.values() if math.isfinite(need)]
    if not known or max(known) <= min(counts.values()):
        return ""
    limit = phrases_of("sensitivity").write_limit(verdict.acceptable["sensitivity"])
    return (
        f" That is too few to notice a difference of {limit}, which takes up to "
        f"{rounded(max(known))} {names.positives} in a group."
    )


def left_out(audit: Audit, names: Naming, verdict: Verdict | None) -> list[str]:
    """Return sentences on groups that are pooled or cannot be judged, and on rows left out."""
    enough: list[str] = []
    if verdict is not None:
        pooled = [names.several(groups) for groups in verdict.pooled]
        few = [group.group for group in verdict.too_few]
        enough = [f"Judged together, as each alone has too few images: {text}." for text in pooled]
        if few:
            enough.append(f"Too few images to be judged: {names.several(few)}.")
        elif not pooled:
            results = audit.results[names.grouping.name]
            counts = {name: results.people(name)[1] for name in names.grouping.labels}
            least = min(counts, key=counts.__getitem__)
            enough.append(
                f"Every group has enough images for a figure; the fewest {names.positives}, "
                f"{counts[least]:,}, are {names.at(least)}.{_to_notice(verdict, names, counts)}"
            )
    notes = [note for note in audit.study.notes if subject_of(note) == ROWS]
    for grouping in audit.study.groupings:
        if grouping.left_out:
            notes.append(
                f"{counted(grouping.left_out, 'image')} in intersections of {grouping.name} that "
                "are too small to show."
            )
    source = audit.provenance.tone_source
    if "not in" in source:
        notes.append(source)
    notes = [spell(audit, note) for note in notes]
    return [*enough, *(notes or ["No image in the file was left out."])]
