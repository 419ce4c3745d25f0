"""``equiderm audit``: a table of predictions in, one report by group out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.audit import Audit, Comparison

ENDINGS = (".html", ".md", ".json")


def audit(
    predictions: Annotated[
        Path, typer.Argument(help="CSV or Parquet, one row an image: target, score, groups.")
    ],
    other: Annotated[
        Path | None, typer.Argument(help="A second model's table of the same images: A minus B.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Group columns, repeated or separated by commas; their intersections follow. "
            "Default: ita_band.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="Report to write: .html, .md or .json; repeatable."),
    ] = None,
    target: Annotated[str, typer.Option(help="Column of 0 and 1.")] = "target",
    score: Annotated[str, typer.Option(help="Column of probabilities.")] = "score",
    patient: Annotated[
        str | None,
        typer.Option(
            help="Column of the patient: one patient's images stay together. Default: "
            "patient_id where there is one.",
            show_default=False,
        ),
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Column of the image. Default: image_id, image or path.")
    ] = None,
    tones: Annotated[
        Path | None, typer.Option(help="Tone table (from `equiderm label`) to join by image.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images: label their tone on the way.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Score from which an image is called positive.")
    ] = 0.5,
    specificity: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Overall specificity to read sensitivity at.")
    ] = 0.90,
    sensitivity: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Overall sensitivity to read specificity at.")
    ] = 0.90,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Group of the first column to compare with. Default: the largest.",
            show_default=False,
        ),
    ] = None,
    label_error: Annotated[
        Path | None,
        typer.Option(help="JSON from `equiderm agree`: how the labeller errs."),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(help='Exit with 3 if it holds: "gap(auroc) > 0.05 with confidence".'),
    ] = None,
    logits: Annotated[bool, typer.Option("--logits", help="The scores are log-odds.")] = False,
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="Leave rows without target or score out.")
    ] = False,
    min_count: Annotated[
        int, typer.Option(min=2, help="Fewest positives (negatives, ...) behind a figure.")
    ] = 5,
    min_rows: Annotated[int, typer.Option(min=1, help="Smallest intersection shown.")] = 30,
    replicates: Annotated[
        int, typer.Option(min=100, help="Bootstrap replicates, and shuffles of the groups.")
    ] = 2000,
    interval: Annotated[str, typer.Option(help="Of bootstrap figures: bca or percentile.")] = "bca",
    seed: Annotated[int, typer.Option(min=0, help="Of all random draws.")] = 0,
    model: Annotated[str, typer.Option(help="The model's name, for the report.")] = "",
    finding: Annotated[
        str, typer.Option(help="What a positive image shows, in the singular: melanoma.")
    ] = "positive",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Audit any classifier by group: how well it does, for whom, how sure that is.

    Every figure comes overall and by group with n and a 95 % interval, every gap beside the gap
    that chance gives and the smallest gap these numbers could show. With two tables the models are
    compared on the same images, paired.

    Exit status: 0 done, 2 unusable input, 3 a --fail-if condition holds.

    Examples:
        equiderm audit predictions.csv --by ita_band -o report.html
        equiderm audit predictions.csv --tones tones.csv --by ita_band,sex -o report.json
        equiderm audit ours.csv theirs.csv --by ita_band -o difference.html
        equiderm audit predictions.csv --fail-if "gap(auroc) > 0.05 with confidence"
    """
    from equiderm.audit import Options, parse_condition, read_agreement
    from equiderm.errors import InputError

    if interval not in ("bca", "percentile"):
        raise InputError(f"there is no interval '{interval}'; choose bca or percentile.")
    for path in output or []:
        if path.suffix.lower() not in ENDINGS:
            raise InputError(f"{path}: a report ends in one of {', '.join(ENDINGS)}; rename it.")
    conditions = [parse_condition(text) for text in fail_if or []]
    options = Options(threshold, specificity, sensitivity, replicates, min_count, interval, seed)
    columns = [name.strip() for text in by or ["ita_band"] for name in text.split(",")]
    agreement = None if label_error is None else read_agreement(label_error)
    tone_table, source = _tones(tones, images)

    def one(path: Path) -> Audit:
        return _audit_file(
            path,
            columns=[name for name in columns if name],
            names={"target": target, "score": score, "patient": patient, "image": image},
            tones=tone_table,
            source=source,
            words={"model": model, "finding": finding},
            reference=reference,
            options=options,
            agreement=agreement,
            flags={"logits": logits, "drop_missing": drop_missing, "min_rows": min_rows},
        )

    first = one(predictions)
    result = first if other is None else first.compare(one(other))
    _write(result, output or [])
    _print(result, as_json)
    held = [condition.holds(first) for condition in conditions]
    for _, sentence in held:
        typer.echo(sentence, err=True)
    if any(holds for holds, _ in held):
        raise typer.Exit(3)


def _tones(tones: Path | None, images: Path | None) -> tuple[pd.DataFrame | None, str]:
    """Return the tone table to join, read or made, and where it comes from."""
    from equiderm.errors import InputError
    from equiderm.files import read_table

    if tones is not None and images is not None:
        raise InputError("--tones and --images both give tone labels; choose one.")
    if tones is not None:
        return read_table(tones), f"Tone labels from {tones.name}: "
    if images is None:
        return None, ""
    from equiderm.tone import label

    table = label([images], workers=None)
    return table, f"Tone labels made from the images in {images.name}: "


def _audit_file(
    path: Path,
    *,
    columns: list[str],
    names: dict[str, str | None],
    tones: pd.DataFrame | None,
    source: str,
    words: dict[str, str],
    reference: str | None,
    options: object,
    agreement: object,
    flags: dict[str, bool | int],
) -> Audit:
    from equiderm.audit import Provenance, audit
    from equiderm.audit.reading import image_column, join_tones, read_predictions

    frame, digest = read_predictions(path)
    if tones is not None:
        frame, told = join_tones(frame, tones, image=names["image"], by=columns, name=path.name)
        source += told
    patient = names["patient"] or ("patient_id" if "patient_id" in frame.columns else None)
    return audit(
        frame,
        target=names["target"],
        score=names["score"],
        by=columns,
        patient=patient,
        image=image_column(frame, names["image"]),
        options=options,  # pyright: ignore[reportArgumentType]
        reference={columns[0]: reference} if reference is not None else None,
        agreement=agreement,  # pyright: ignore[reportArgumentType]
        provenance=Provenance(
            files=(digest,),
            command=" ".join(["equiderm", *sys.argv[1:]]),
            model=words["model"],
            tone_source=source,
            finding=words["finding"],
        ),
        name=path.name,
        **flags,  # pyright: ignore[reportArgumentType]
    )


def _write(result: Audit | Comparison, outputs: list[Path]) -> None:
    from equiderm.files import write_whole

    for path in outputs:
        text = {".html": result.to_html, ".md": result.to_markdown, ".json": result.to_json}[
            path.suffix.lower()
        ]()
        with write_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {path}", err=True)


def _print(result: Audit | Comparison, as_json: bool) -> None:
    if as_json:
        typer.echo(result.to_json(), nl=False)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    for title, frame in result.summaries():
        table = Table(title=escape(title), title_justify="left")
        for column in frame.columns:
            table.add_column(escape(str(column)))
        for row in frame.to_numpy().tolist():
            table.add_row(*(escape(str(cell)) for cell in row))
        console.print(table)
    for sentence in result.answer():
        console.print(escape(sentence), soft_wrap=True, highlight=False)
