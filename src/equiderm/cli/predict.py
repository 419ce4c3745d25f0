"""``equiderm predict``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from equiderm.cli.console import TABLE_HELP, Console, Engine, Json, Quiet
from equiderm.errors import InputError, require_training
from equiderm.format import count, counted, interval, number
from equiderm.remote import name_of

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.training import Images, Run


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of equiderm train.")],
    data: Annotated[
        list[Path], typer.Option(help="Manifest, folder or image; may be given several times.")
    ],
    out: Annotated[Path, typer.Option("--output", "-o", "--out", metavar="TABLE", help=TABLE_HELP)],
    split: Annotated[
        str | None, typer.Option(help="Only the manifest's rows of this split, such as test.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            help="Image store of equiderm train, or its URL; without it, images are decoded again."
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Features of the images in place of the images; see equiderm embed."),
    ] = None,
    per_group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Recalibrate scores for each group of a column, on the run's validation rows.",
        ),
    ] = None,
    sensitivity: Annotated[
        float | None,
        typer.Option(help="With --per-group: column positive, by a threshold of each group."),
    ] = None,
    saliency: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Also write there which pixels each score rests on, and by group."
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Lesion masks of the images, for --saliency."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that decode and score, where there is no store. Default: one per GPU.",
        ),
    ] = None,
    engine: Engine = "local",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Score images with a trained run: image_id, target, logit, score and the group columns.

    An image that cannot be read keeps its row, without a score and with the reason in error; the
    command then ends with status 1. Columns logit, score and error of an earlier run are replaced.
    For several classes there are a score for each and the predicted class, for a number the
    predicted number. With --per-group the score is recalibrated by the group, which must then be
    known for every image; the logit stays the network's. Without a store, images are decoded
    16,384 at a time, so that millions need no more disk space than those, in a process for each
    GPU or on a Ray cluster.

    Examples:
        equiderm predict runs/lntl --data manifest.parquet --split test -o scores.csv
        equiderm predict runs/lntl --data photographs -o scores.csv
        equiderm predict runs/lntl --data all.csv --split test --per-group ita_band -o scores.csv
        equiderm predict runs/lntl --data millions.parquet -o scores.parquet --engine ray
        equiderm predict runs/lntl --data manifest.parquet -o scores.csv --saliency maps
    """
    require_training()

    from equiderm.models import FEATURES
    from equiderm.tables import check_table_path, write_table
    from equiderm.training import load_run
    from equiderm.training.images import read_rows, rows_of_split
    from equiderm.training.parts import forget
    from equiderm.training.predict import score_columns
    from equiderm.training.saliency import check_saliency

    console = Console(quiet=quiet, as_json=as_json, output=out)
    check_table_path(out)
    if masks is not None and saliency is None:
        raise InputError('lesion masks are for maps; name their folder with `saliency="DIR"`.')
    console.hold(out)
    trained = load_run(run)
    if saliency is not None:
        check_saliency(trained)
    if per_group is not None:
        trained.require_binary("recalibration per group")
    table = read_rows(data, group=trained.experiment.data.read)
    frame = rows_of_split(table, split)
    held_out = _held_out(trained, table, frame, per_group, sensitivity)
    stored = trained.experiment.backbone.name == FEATURES or bool(store or features)
    if (stored or saliency) and (workers is not None or engine != "local"):
        raise InputError(
            "--workers and --engine: are for images that are decoded; leave them out with "
            "--store, --features or --saliency."
        )

    def scores_of(rows: pd.DataFrame, what: str, maps: Path | None = None) -> _Scored:
        if stored or maps:
            return _from_store(trained, rows, (store, features), maps, masks, console)
        how = {"workers": workers, "engine": engine, "output": out}
        return _in_batches(run, trained, rows, what, how, console)

    scored, errors, explained = scores_of(frame, "scoring", saliency)
    if held_out is not None:
        from equiderm.debias.per_group import WARNING, fit_per_group

        fit_on, unread, _ = scores_of(held_out, "scoring validation")
        if len(unread):
            console.note(f"{counted(len(unread), 'validation image')} in error, not fitted on.")
        fitted = fit_per_group(fit_on, by=str(per_group), sensitivity=sensitivity)
        scored = fitted.apply(scored)
        console.table(fitted.table)
        console.warn(WARNING)
    added = [*score_columns(trained.target), *(["positive"] if sensitivity is not None else [])]
    write_table(_joined(frame, scored, errors, added, out, console), out)
    forget(out)
    console.json(
        {"output": name_of(out), "scored": len(scored), "errors": len(errors), **explained}
    )
    console.say(
        f"{name_of(out)}: {counted(len(scored), 'image')} scored, {count(len(errors))} in error"
    )
    if len(errors):
        raise typer.Exit(1)


class _Scored(NamedTuple):
    """Rows with their scores, rows in error, and what the JSON says of maps."""

    rows: pd.DataFrame
    errors: pd.DataFrame
    explained: dict[str, Any]


def _in_batches(
    run: Path, trained: Run, rows: pd.DataFrame, what: str, how: dict[str, Any], console: Console
) -> _Scored:
    """Return the scores of photographs that are decoded a part at a time."""
    import pandas as pd

    from equiderm.training.parts import Job, in_parts

    job = Job(str(run.absolute()), None, trained.experiment.data.size)
    with console.progress(what) as bar:
        done = list(in_parts(job, rows, **how, progress=bar))
    tables = [[part.table for part in done], [part.errors for part in done]]
    scored, errors = (pd.concat(parts, ignore_index=True) for parts in tables)
    return _Scored(scored, errors, {})


def _from_store(
    trained: Run,
    rows: pd.DataFrame,
    stores: tuple[Path | None, Path | None],
    saliency: Path | None,
    masks: Path | None,
    console: Console,
) -> _Scored:
    """Return the scores of images, or of features, that are all at hand; and write their maps."""
    from equiderm.training import predict as score
    from equiderm.training.images import images_of_run

    store, features = stores
    explained: dict[str, Any] = {}
    with contextlib.ExitStack() as decoded:
        with console.progress("decoding") as bar:
            images, readable, errors = decoded.enter_context(
                images_of_run(trained, rows, store=store, features=features, progress=bar)
            )
        with console.progress("scoring") as bar:
            scored = score(trained, images, readable, progress=bar)
        if saliency is not None:
            explained = _explain(trained, images, scored, saliency, masks, console)
    return _Scored(scored, errors, explained)


def _joined(
    frame: pd.DataFrame,
    scored: pd.DataFrame,
    errors: pd.DataFrame,
    added: list[str],
    out: Path,
    console: Console,
) -> pd.DataFrame:
    """Return the input's rows with scores or an error; columns of these names are replaced."""
    replaced = [name for name in dict.fromkeys((*added, "positive", "error")) if name in frame]
    if replaced:
        console.note(f"{name_of(out)}: the input's columns {', '.join(replaced)} are replaced.")
    results = scored.drop_duplicates("image_id").set_index("image_id")[added]
    if len(errors):
        results = results.join(errors.set_index("image_id")["error"], how="outer")
    return frame.drop(columns=replaced).join(results, on="image_id")


def _held_out(
    run: Run,
    table: pd.DataFrame,
    frame: pd.DataFrame,
    per_group: str | None,
    sensitivity: float | None,
) -> pd.DataFrame | None:
    """Return the validation rows to recalibrate on; None where that is not asked for."""
    from equiderm.training.rows import patients_of

    if per_group is None:
        if sensitivity is not None:
            raise InputError("--sensitivity: chooses a threshold for each group; name --per-group.")
        return None
    if run.method.refits == "validation":
        name = run.about["method"]
        raise InputError(f"--per-group: {name} has fitted its head on the validation rows.")
    validation = run.experiment.data.validation
    for name in ("split", "target", per_group):
        if name not in table.columns:
            raise InputError(f"--per-group: the table has no column {name!r}.")
    held_out: Any = table[table["split"].astype(str) == validation]
    if held_out.empty:
        raise InputError(f"--per-group: the table has no rows of split {validation!r} to fit on.")
    if shared := set(patients_of(held_out)) & set(patients_of(frame)):
        raise InputError(
            f"--per-group: {min(map(str, shared))} is in split {validation!r}, which is fitted on, "
            "and among the rows to score; choose other rows by --split."
        )
    return held_out


def _explain(
    run: Run,
    images: Images,
    scored: pd.DataFrame,
    folder: Path,
    masks: Path | None,
    console: Console,
) -> dict[str, Any]:
    """Write maps and their tables, print the means by group, and return them for the JSON."""
    from equiderm.training.saliency import by_group, write_saliency

    with console.progress("computing saliency") as bar:
        table = write_saliency(run, images, scored, folder, masks=masks, progress=bar)
    console.say(f"{folder}: {counted(len(table), 'map')} and saliency.csv")
    if masks is None:
        console.note("Which share lies on the lesion is not known without its masks: --masks.")
    else:
        without = int(table["lesion"].isna().sum())
        if without:
            console.warn(f"{counted(without, 'image')} without a lesion mask: see saliency.csv.")
    group = run.about["group"]
    if run.attributes[0].target.kind == "number":
        console.note(f"No table by group: {group} is a number.")
        return {"saliency": str(folder)}
    if group not in table:
        console.note(f"No table by group: the images have no column {group}.")
        return {"saliency": str(folder)}
    means = by_group(table, group)
    console.table(
        [
            {
                group: row["group"],
                "saliency": WORDS[str(row["measure"])],
                "mean": number(row["mean"]),
                "interval": interval(row["low"], row["high"]),
                "even map": number(row["even"]),
                "images": count(row["n"]),
                "patients": count(row["patients"]),
            }
            for row in means.to_dict("records")
        ],
        title=f"Where the saliency lies, by {group}; 95 % interval over patients",
    )
    return {"saliency": str(folder), "by_group": means.to_dict("records")}


WORDS = {
    "half_area": "area of half of it",
    "border": "share on the border",
    "lesion": "share on the lesion",
}
