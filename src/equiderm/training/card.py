"""A model card in the Hugging Face form: what a run is, and an audit's figures by skin tone."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from equiderm import __version__
from equiderm.audit.metrics import HEADLINE, METRICS
from equiderm.audit.report.export import markdown_bullets, markdown_table
from equiderm.files import AnyPath
from equiderm.format import count, counted, with_interval
from equiderm.training.checkpoint import Run, load_run

if TYPE_CHECKING:
    from equiderm.audit.saved import SavedAudit

INTENDED = (
    "For research: to study classifiers of skin lesions and how they differ by skin tone.",
    "Not for diagnosis, triage, or any decision on a patient. It is not a medical device.",
    "Not for photographs unlike those that it was trained on: another camera, clinic, part of the "
    "body or disease is untested unless the figures below are of it.",
)
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


def model_card(run: AnyPath | Run, audit: SavedAudit | None = None) -> str:
    """Return a README.md with YAML front matter, as model hubs read it.

    It is not checked that the audited scores are this run's: the table is named with its SHA-256.

    Args:
        run: A finished run, or its folder.
        audit: An audit of its predictions, from `equiderm.audit.Audit.from_json`.

    Raises:
        InputError: No finished run, or an audit for a target that is not binary.
    """
    run = run if isinstance(run, Run) else load_run(run)
    if audit is not None:
        run.require_binary("an audit in a model card")
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


def _no_audit(run: Run) -> str:
    score = "None: no audit was given. Score a test set with `equiderm predict`, "
    kind, column, first = run.target.kind, run.experiment.data.target, run.attributes[0]
    target = "" if column == "target" else f" --target {shlex.quote(column)}"
    groups = first.target.kind != "number" and first.name != column
    by = shlex.quote(first.name) if groups else "GROUP"
    if kind == "binary":
        how, then = f"--by {by} -o audit.json", "write this card again with `--audit audit.json`"
    else:
        how = "--number" if kind == "number" else "--classes all --predicted predicted"
        how += f" --by {by}"
        then = "put the result beside this card"
    return f"{score}audit it with `equiderm audit scores.csv{target} {how}`, and {then}."


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


def _header(run: Run, audit: SavedAudit | None) -> str:
    """Return the front matter; figures as the hub's ``model-index``, a configuration per group."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type="audited-table",
            dataset_name=", ".join(name for name, _ in _tables(audit)) or "audited table",
            dataset_config=f"{row['by']}={row['group']}",
            metric_type=row["figure"],
            metric_name=METRICS[row["figure"]].label,
            metric_value=row["value"],
            metric_args={key: row[key] for key in ("low", "high", "n", "positives")},
        )
        for row in (_rows(audit) if audit is not None else [])
        if row["value"] is not None
    ]
    data = ModelCardData(
        library_name="equiderm",
        pipeline_tag=None if run.target.kind == "number" else "image-classification",
        tags=["dermatology", "skin-lesion", "skin-tone", "research", "not-for-diagnosis"],
        model_name=_name(run),
        eval_results=results or None,
    )
    return data.to_yaml()


def _training(run: Run) -> Any:
    import pandas as pd

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
        "versions": ", ".join(f"{name} {text}" for name, text in _versions(about).items()),
    }
    return pd.DataFrame({"": list(facts), "this run": list(facts.values())})


def _public(weights: str) -> str:
    """Return where initial weights came from, without the folders of whoever trained."""
    return weights.replace("\\", "/").rpartition("/")[2]


def _versions(about: Mapping[str, Any]) -> dict[str, str]:
    return dict(about.get("versions", {}))


def _tables(audit: SavedAudit | None) -> list[tuple[str, str]]:
    files = audit.content["provenance"]["files"] if audit is not None else []
    return [(str(name), str(digest)) for name, digest in files]


def _rows(audit: SavedAudit) -> list[dict[str, Any]]:
    """Return the headline figures of everyone and of each group."""
    return [row for row in audit.content["figures"] if row["figure"] in HEADLINE]


def _figures(audit: SavedAudit) -> list[str]:
    """Return what was audited, the answer, and a table for each group column."""
    import pandas as pd

    content, parts = audit.content, []
    of = f" of {counted(content['patients'], 'patient')}" if content["patients"] else ""
    names = ", ".join(f"{name} (SHA-256 {digest})" for name, digest in _tables(audit))
    parts.append(
        markdown_bullets(
            [
                f"Audited: {counted(content['rows'], 'image')}{of}, "
                f"{count(content['positives'])} positive; {names or 'a table without a name'}. "
                "That its scores are this model's is stated by the card's author and not checked.",
                f"Threshold of sensitivity and specificity: {content['options']['threshold']:g}. "
                "An AUROC of 0.5 is that of chance; intervals are of 95 %.",
                *audit.answer(),
            ]
        )
    )
    for by in audit.columns:
        rows = [row for row in _rows(audit) if row["by"] == by]
        table = pd.DataFrame(
            {
                by: row["group"],
                "figure": METRICS[row["figure"]].label,
                "text": _with_interval(row),
                "n": count(row["n"]),
                "positives": count(row["positives"]),
            }
            for row in rows
        )
        keys = [by, "n", "positives"]
        wide = table.pivot_table(
            index=keys, columns="figure", values="text", aggfunc="first", sort=False
        )
        parts.append(markdown_table(wide.reset_index()))
    return parts


def _with_interval(row: Mapping[str, Any]) -> str:
    value, low, high = (
        math.nan if row[key] is None else float(row[key]) for key in ("value", "low", "high")
    )
    return with_interval(value, low, high, why=row["missing"])


def _of_audit(audit: SavedAudit) -> list[str]:
    """Return what the audit itself says of its limits: small groups, then its notes."""
    few = [
        f"{verdict['by']} {row['group']}: too few images for a figure, or for a large loss to be "
        "noticed."
        for verdict in audit.content["verdicts"]
        for row in verdict["too_few"]
    ]
    return [*few, *audit.content["notes"]]
