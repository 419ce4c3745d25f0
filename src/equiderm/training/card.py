"""A model card in the Hugging Face form: what a run is, and an audit's figures by skin tone."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from equiderm import __version__
from equiderm.audit.metrics import HEADLINE, METRICS
from equiderm.audit.report.classes import MEANS
from equiderm.audit.report.export import markdown_bullets, markdown_table
from equiderm.audit.report.number import NAMES
from equiderm.audit.saved import CLASSES, NUMBER, OTHERS, SavedAudit
from equiderm.errors import InputError
from equiderm.files import AnyPath
from equiderm.format import count, counted, with_interval
from equiderm.training.checkpoint import Run, load_run
from equiderm.training.predict import score_columns

if TYPE_CHECKING:
    from equiderm.audit.saved import SavedAnswer

INTENDED = (
    "For research: to study classifiers of skin lesions and how they differ by skin tone.",
    "Not for diagnosis, triage, or any decision on a patient. It is not a medical device.",
    "Not for photographs unlike those that it was trained on: another camera, clinic, part of the "
    "body or disease is untested unless the figures below are of it.",
)
_ARGS = ("low", "high", "n", "positives")  # what stands beside a figure in the header
LIMITS = (
    "The figures describe the images that were audited. They can show a gap; they cannot show that "
    "there is none elsewhere.",
    "An ITA band is computed from one photograph's colours and is not a Fitzpatrick type, which a "
    "person judges; light and camera move it.",
    "A score is the network's output and not a probability unless calibration was shown on images "
    "like yours.",
    "A method that unlearns the group aims at features that do not show it; equiderm probe "
    "measures whether it succeeded. No method here is known to help patients.",
)


def model_card(run: AnyPath | Run, audit: SavedAnswer | None = None) -> str:
    """Return a README.md with YAML front matter, as model hubs read it.

    It is not checked that the audited scores are this run's: the table is named with its SHA-256.

    Args:
        run: A finished run, or its folder.
        audit: An audit of its predictions, from `equiderm.audit.saved.read_saved`.

    Raises:
        InputError: No finished run, or an audit of another kind than the run's target.
    """
    run = run if isinstance(run, Run) else load_run(run)
    if audit is not None:
        _check_kind(run, audit)
    parts = [
        f"# {_name(run)}",
        _what_it_is(run),
        "## Intended use",
        markdown_bullets(INTENDED),
        "## Data and training",
        markdown_table(_training(run)),
        "## Figures by skin tone",
        *(_figures(audit) if audit is not None else [_no_audit(run)]),
        "## Limits",
        markdown_bullets([*(_of_audit(audit) if audit is not None else []), *LIMITS]),
        f"Written with equiderm {__version__} from the run's own record. The licence of the "
        "weights is not stated here: whoever publishes them adds `license` to the header.",
    ]
    return f"---\n{_header(run, audit)}\n---\n\n" + "\n\n".join(parts) + "\n"


def _check_kind(run: Run, audit: SavedAnswer) -> None:
    several = CLASSES if len(run.target.names) > 2 else ""
    schema = NUMBER if run.target.kind == "number" else several
    given = "" if isinstance(audit, SavedAudit) else audit.content["schema"]
    if given != schema:
        of = {"": "0 and 1", **OTHERS}
        raise InputError(
            f"{run.directory}: its target needs an audit of {of[schema]}, and this is one of "
            f"{of[given]}; audit its predictions anew."
        )


def _no_audit(run: Run) -> str:
    kind, column, first = run.target.kind, run.experiment.data.target, run.attributes[0]
    target = "" if column == "target" else f" --target {shlex.quote(column)}"
    groups = first.target.kind != "number" and first.name != column
    by = shlex.quote(first.name) if groups else "GROUP"
    several = "--classes all --predicted predicted"
    if len(run.target.names) == 2:  # which are audited as one against the other
        name, scores = map(shlex.quote, (str(run.target.names[1]), score_columns(run.target)[1]))
        several = f"--positive {name} --score {scores}"
    as_kind = {"number": " --number", "binary": ""}.get(kind, f" {several}")
    how = f"{target}{as_kind} --by {by} -o audit.json"
    return (
        "None: no audit was given. Score a test set with `equiderm predict`, audit it with "
        f"`equiderm audit scores.csv{how}`, and write this card again with `--audit audit.json`."
    )


def _predicted(run: Run) -> str:
    """Return, in words, what the network puts out."""
    target, column = run.target, run.experiment.data.target
    names = ", ".join(map(str, target.names))
    if target.kind == "binary":
        return f"the logit and the score, in [0, 1], of the target ({column}) out"
    if target.kind == "number":
        return f"an estimate of the number {column} out"
    order = ", which have an order" if target.kind == "ordered" else ""
    return f"a score, in [0, 1], of each class of {column} ({names}{order}) out"


def _name(run: Run) -> str:
    return f"{run.experiment.backbone.name} trained with {run.experiment.method['name']}"


def _what_it_is(run: Run) -> str:
    views = run.experiment.prediction.views
    seen = "the eight flips and transposes of the image, averaged" if views == 8 else "the image"
    side = run.experiment.data.size
    return (
        f"A network for skin lesion images: a square sRGB image of {side} x {side} pixels in; "
        f"{_predicted(run)}. It reads {seen}."
    )


def _header(run: Run, audit: SavedAnswer | None) -> str:
    """Return the front matter; figures as the hub's ``model-index``, a configuration per group."""
    from huggingface_hub import EvalResult, ModelCardData

    task = None if run.target.kind == "number" else "image-classification"
    results = [
        EvalResult(
            task_type=task or "image-regression",
            dataset_type="audited-table",
            dataset_name=", ".join(name for name, _ in _tables(audit)) or "audited table",
            dataset_config=f"{row['by']}={row['group']}",
            metric_type=row["figure"],
            metric_name=row["label"],
            metric_value=row["value"],
            metric_args={key: row[key] for key in _ARGS if key in row},
        )
        for row in (_rows(audit) if audit is not None else [])
        if row["value"] is not None
    ]
    data = ModelCardData(
        library_name="equiderm",
        pipeline_tag=task,
        tags=["dermatology", "skin-lesion", "skin-tone", "research", "not-for-diagnosis"],
        model_name=_name(run),
        eval_results=results or None,
    )
    return data.to_yaml()


def _training(run: Run) -> Any:
    experiment, about = run.experiment, run.about
    rows = about.get("rows", {})
    facts = {
        "method": experiment.method["name"],
        "backbone": f"{experiment.backbone.name}, weights at the start: "
        f"{_public(experiment.backbone.weights)}",
        "images": f"{count(rows.get('training'))} to train, {count(rows.get('validation'))} to "
        "validate",
        "target": f"{experiment.data.target}, {run.target.kind}",
        "group column": ", ".join(attribute.name for attribute in run.attributes),
        "groups in training": "; ".join(
            ", ".join(map(str, attribute.target.names)) or f"{attribute.name} as a number"
            for attribute in run.attributes
        ),
        "epochs": count(len(about["history"])),
        "seed": str(about.get("seed")),
        "manifest (SHA-256)": about["manifest"],
        "versions": ", ".join(f"{k} {text}" for k, text in about.get("versions", {}).items()),
    }
    return pd.DataFrame({"": list(facts), "this run": list(facts.values())})


def _public(weights: str) -> str:
    """Return where initial weights came from, without the folders of whoever trained."""
    return weights.replace("\\", "/").rpartition("/")[2]


def _tables(audit: SavedAnswer | None) -> list[tuple[str, str]]:
    files = audit.content["provenance"]["files"] if audit is not None else []
    return [(str(name), str(digest)) for name, digest in files]


def _rows(audit: SavedAnswer) -> list[dict[str, Any]]:
    """Return the figures of everyone and of each group, of several classes their means."""
    rows = audit.content["figures"]
    if isinstance(audit, SavedAudit):
        return [
            row | {"label": METRICS[row["figure"]].label}
            for row in rows
            if row["figure"] in HEADLINE
        ]
    labels = NAMES if audit.content["schema"] == NUMBER else MEANS
    return [
        row | {"label": labels[row["figure"]]}
        for row in rows
        if row.get("class", "macro") == "macro"
    ]


def _figures(audit: SavedAnswer) -> list[str]:
    """Return what was audited, the answer, and a table for each group column."""
    content = audit.content
    of = f" of {counted(content['patients'], 'patient')}" if content["patients"] else ""
    names = ", ".join(f"{name} (SHA-256 {digest})" for name, digest in _tables(audit))
    whole = isinstance(audit, SavedAudit)
    positive = f", {count(content['positives'])} positive" if whole else ""
    threshold = (
        f"Threshold of sensitivity and specificity: {content['options']['threshold']:g}. "
        "An AUROC of 0.5 is that of chance; intervals are of 95 %."
    )
    facts = [
        f"Audited: {counted(content['rows'], 'image')}{of}{positive}; "
        f"{names or 'a table without a name'}. "
        "That its scores are this model's is stated by the card's author and not checked.",
        *([threshold] if whole else []),
        *audit.answer(),
    ]
    parts = [markdown_bullets(facts)]
    if not isinstance(audit, SavedAudit):
        for title, table in audit.summaries():
            parts += [f"{title[0].upper()}{title[1:]}:", markdown_table(table)]
        return parts
    return [*parts, *(_by_group(audit, by) for by in audit.columns)]


def _by_group(audit: SavedAudit, by: str) -> str:
    table = pd.DataFrame(
        {
            by: row["group"],
            "figure": row["label"],
            "text": _with_interval(row),
            "n": count(row["n"]),
            "positives": count(row["positives"]),
        }
        for row in _rows(audit)
        if row["by"] == by
    )
    keys = [by, "n", "positives"]
    wide = table.pivot_table(
        index=keys, columns="figure", values="text", aggfunc="first", sort=False
    )
    return markdown_table(wide.reset_index())


def _with_interval(row: Mapping[str, Any]) -> str:
    value, low, high = (
        math.nan if row[key] is None else float(row[key]) for key in ("value", "low", "high")
    )
    return with_interval(value, low, high, why=row["missing"])


def _of_audit(audit: SavedAnswer) -> list[str]:
    """Return what the audit itself says of its limits: small groups, then its notes."""
    few = [
        f"{verdict['by']} {row['group']}: too few images for a figure, or for a large loss to be "
        "noticed."
        for verdict in audit.content.get("verdicts", [])
        for row in verdict["too_few"]
    ]
    return [*few, *audit.content["notes"]]
