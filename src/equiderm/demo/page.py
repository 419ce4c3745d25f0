"""The demo's page: a story in five steps, each with a picture; every sentence is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.demo.archive import CONFOUNDING, TONES, Labels
from equiderm.demo.models import DARK, ERM, FLAGGED, GROUP, METHODS, NO_EVIDENCE, Against
from equiderm.files import write_text
from equiderm.format import json_text, listed, number, of_100, per_hundred, percent, with_interval
from equiderm.page import (
    PALETTE,
    Section,
    figure_axes,
    figure_block,
    link_block,
    render_page,
    table_block,
    verdict_block,
)

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.audit import Audit
    from equiderm.compare import Compared

COLOURS = dict(zip(TONES, PALETTE, strict=False))


@dataclass(frozen=True)
class Story:
    """The results of the training part.

    Attributes:
        manifest: Manifest of the archive.
        compared: The methods over all seeds.
        audits: Audit of each method's first seed.
        against: Each other method beside ERM.
    """

    manifest: pd.DataFrame
    compared: Compared
    audits: dict[str, Audit]
    against: list[Against]


def write_index(directory: Path, labels: Labels, story: Story | None = None) -> Path:
    """Write the page, and its content as JSON beside it; return the page's path."""
    sections = [_labels(labels)]
    if story is not None:
        sections += [_shortcut(story), _found(story), _undone(story), _looks(story)]
    page = directory / "index.html"
    lead = f"{NO_EVIDENCE} Everything below is measured on drawings whose truth is known."
    write_text(page, render_page("Equiderm demo", [*sections, _further(story)], lead=lead))
    content: dict[str, Any] = {"labels": str(labels)}
    if story is not None:
        methods = _table(story).to_dict("records")
        content |= {"answer": answer(story), "methods": methods, "caption": _caption(story)}
    write_text(page.with_suffix(".json"), json_text(content))
    return page


def answer(story: Story) -> list[str]:
    """Return the conclusions of the last three steps, a sentence each or more."""
    return [_found_sentence(story), *_undone_sentences(story), *_looks_sentences(story)]


def _labels(labels: Labels) -> Section:
    figure, axes = figure_axes(3.6)
    ends = [-60, 75]
    axes.plot(ends, ends, color="#666666", linewidth=1, linestyle=":")
    axes.plot(labels.drawn, labels.measured, "o", color=PALETTE[0], markersize=4, alpha=0.7)
    axes.set(xlabel="ITA of the drawn skin, degrees (left is dark)", ylabel="ITA as labelled")
    axes.set(xlim=ends, ylim=ends)
    return Section(
        "1. Label: how far can the tone labels be trusted?",
        paragraphs=(str(labels),),
        blocks=(
            figure_block(
                figure,
                alt=f"Labelled against drawn ITA. {labels}",
                caption="A dot per photograph; on the line the label is right.",
            ),
            table_block(labels.table, caption="By the band of the drawn skin", digits=1),
        ),
    )


def _shortcut(story: Story) -> Section:
    figure, axes = _of_100(TONES, "Melanomas per 100 drawings", height=2.6)
    texts: list[str] = []
    for k, (split, named) in enumerate((("train", "training"), ("test", "test"))):
        frame = story.manifest[story.manifest["split"] == split]
        shares = [100 * frame.loc[frame[GROUP] == tone, "target"].mean() for tone in TONES]
        places = np.arange(len(TONES)) + 0.38 * (k - 0.5)
        axes.barh(places, shares, height=0.34, color=PALETTE[k], label=f"{named} drawings")
        texts.append(f"{named} {', '.join(number(share, 0) for share in shares)}")
    figure.legend(fontsize="small", frameon=False, loc="outside lower center", ncols=2)
    return Section(
        "2. Plant: a shortcut in the training drawings",
        paragraphs=(
            f"In {percent(CONFOUNDING, 0)} of the training drawings tone alone decides the "
            "diagnosis: the lightest skin has the melanomas. In the test drawings melanoma is as "
            "frequent on every skin. A model that reads tone in place of the lesion does well in "
            "training and misses melanomas on dark skin.",
        ),
        blocks=(
            figure_block(
                figure,
                alt=f"Melanomas per 100, light to dark: {'; '.join(texts)}.",
                caption="By the labelled tone, errors of the labels included.",
            ),
        ),
    )


def _found(story: Story) -> Section:
    from equiderm.audit.report.charts import forest

    screen = story.audits[ERM].first_screen()
    return Section(
        "3. Audit: the ordinary classifier takes the shortcut",
        paragraphs=(
            "ERM does not use tone. Its audit, at the threshold that flags "
            f"{of_100(FLAGGED)} of 100 test drawings: {screen.title}",
        ),
        blocks=(
            verdict_block(screen.outcome.replace(" ", "-"), screen.headline, screen.evidence),
            forest(story.audits[ERM], GROUP, "sensitivity"),
        ),
        notes=(
            "The AUROC within each tone hardly shows it: the shortcut moves all scores of a tone "
            "up or down, which shows only at a threshold.",
        ),
    )


def _found_sentence(story: Story) -> str:
    screen = story.audits[ERM].first_screen()
    return f"The audit of ERM: {screen.title} {screen.headline}"


def _undone(story: Story) -> Section:
    return Section(
        "4. Compare: what undoes it",
        paragraphs=tuple(_undone_sentences(story)),
        blocks=(_sensitivity(story), table_block(_table(story), caption=_caption(story))),
        notes=("Every method has its published constants; none was tuned on these drawings.",),
    )


def _undone_sentences(story: Story) -> list[str]:
    undo = sorted(
        (method for method in story.against if method.undoes), key=lambda method: -method.dark["a"]
    )
    rest = [method.name for method in story.against if not method.finds_more]
    sentences = [
        f"On dark skin {method.name} finds {of_100(method.dark['a'])} of 100 melanomas where ERM "
        f"finds {of_100(method.dark['b'])}, and its AUROC over all skin is higher by "
        f"{with_interval(*_overall(method))}: both established."
        for method in undo
    ]
    if not undo:
        sentences = ["No method is established to undo it on these drawings."]
    if rest:
        sentences.append(f"Not established to find more on dark skin: {listed(rest)}.")
    return sentences


def _looks(story: Story) -> Section:
    from equiderm.compare.charts import levels

    return Section(
        "5. Look twice: what only looks as if it did",
        paragraphs=tuple(_looks_sentences(story)),
        blocks=(levels(story.compared, story.compared.tests[0], "overall"),),
        notes=(
            "A gap also closes when a model finds less for everybody, so read a gap beside the "
            "groups themselves. A linear probe at chance proves nothing where a small network "
            "still reads the tone.",
        ),
    )


def _looks_sentences(story: Story) -> list[str]:
    looks = [method for method in story.against if method.only_looks]
    light = next(iter(TONES))
    sentences = [
        f"{method.name}'s gap in sensitivity is smaller than ERM's by "
        f"{with_interval(-method.gap['difference'], -method.gap['high'], -method.gap['low'])}, but "
        "on light skin it finds "
        f"{of_100(story.audits[method.name].figure('sensitivity', light).value)} of 100 "
        f"where ERM finds {of_100(story.audits[ERM].figure('sensitivity', light).value)}, and its "
        f"AUROC over all skin is {_change(method)}."
        for method in looks
    ]
    probes: Any = story.compared.tests[0].probes
    own = probes[probes["features"] == "trained"].set_index("experiment")
    for name in [method.name for method in looks]:
        if name in own.index and own.loc[name, "high"] < own.loc[ERM, "low"]:
            sentences.append(
                f"A linear probe for tone has a balanced accuracy of "
                f"{number(own.loc[name, 'value'], 2)} on {name}'s features, against "
                f"{number(own.loc[ERM, 'value'], 2)} on ERM's (chance "
                f"{number(own.loc[name, 'chance'], 2)}); a small network still reads it with "
                f"{number(own.loc[name, 'mlp_value'], 2)}."
            )
    return sentences or ["No method closes the gap without ranking better."]


def _change(method: Against) -> str:
    value, low, high = _overall(method)
    if high < 0:
        return f"lower by {with_interval(-value, -high, -low)}"
    return f"not established to be higher ({with_interval(value, low, high, with_sign=True)})"


def _overall(method: Against) -> tuple[float, float, float]:
    return method.overall["difference"], method.overall["low_holm"], method.overall["high_holm"]


def _of_100(rows: Sequence[str] | Mapping[str, Any], what: str, *, height: float) -> Any:
    """Return a figure and its axes: a row for each name, from 0 to 100."""
    figure, axes = figure_axes(height)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set(xlabel=what, xlim=(0, 100), ylim=(len(rows) - 0.5, -0.5))
    return figure, axes


def _sensitivity(story: Story) -> Any:
    """Draw how many of 100 melanomas every method finds, by tone."""
    figure, axes = _of_100(METHODS, "Melanomas found, of 100", height=1.2 + 0.5 * len(METHODS))
    texts: list[str] = []
    for t, tone in enumerate(TONES):
        for k, name in enumerate(METHODS):
            result, y = story.audits[name].figure("sensitivity", tone), k + 0.2 * (t - 1)
            style = {"color": COLOURS[tone], "label": tone if k == 0 else None}
            axes.plot([100 * result.low, 100 * result.high], [y, y], linewidth=2, **style)
            axes.plot(100 * result.value, y, "o", color=COLOURS[tone], markersize=5)
            if tone == DARK:
                texts.append(f"{name} {of_100(result.value)}")
    figure.legend(fontsize="small", frameon=False, loc="outside lower center", ncols=3)
    return figure_block(
        figure,
        alt=f"Melanomas found of 100 on dark skin: {', '.join(texts)}.",
        caption="By labelled tone, with 95 % intervals; first seed of each method.",
    )


def _table(story: Story) -> pd.DataFrame:
    import pandas as pd

    test = story.compared.tests[0]
    rows: list[dict[str, str]] = []
    for name in METHODS:
        row = {"method": name}
        for tone in TONES:
            result = story.audits[name].figure("sensitivity", tone)
            row[f"found of 100, {tone}"] = per_hundred(result.value, result.low, result.high)
        result = test.figure(name, "overall")
        row["AUROC"] = with_interval(result["value"], result["low"], result["high"])
        rows.append(row)
    constant = dict.fromkeys((f"found of 100, {tone}" for tone in TONES), str(of_100(FLAGGED)))
    return pd.DataFrame([*rows, {"method": "any constant score", **constant, "AUROC": "0.500"}])


def _caption(story: Story) -> str:
    seeds, n = len(story.compared.seeds), story.compared.tests[0].n
    return (
        f"Melanomas found by the first seed at the threshold that flags {of_100(FLAGGED)} of 100; "
        f"AUROC, mean of {seeds} seeds; {n:,} drawings, 95 % intervals"
    )


def _further(story: Story | None) -> Section:
    links = [
        link_block("tones.html", "The page on the labels: bands, angles, doubtful images"),
        link_block("overlays/", "What was measured on each photograph"),
        link_block("photographs/images/", "The photographs"),
    ]
    if story is not None:
        links = [
            link_block("comparison.html", "The comparison: differences, probes, costs"),
            *(link_block(f"audit-{name}.html", f"The audit of {name}") for name in reported(story)),
            *links,
        ]
    return Section("Look further", blocks=tuple(links))


def reported(story: Story) -> Sequence[str]:
    """Return the methods whose audits are written: ERM, and those that change the gap."""
    return [ERM, *(method.name for method in story.against if method.undoes or method.only_looks)]
