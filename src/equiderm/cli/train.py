"""``equiderm train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from equiderm.cli.console import Console, Quiet
from equiderm.errors import InputError, require_training
from equiderm.format import counted, listed, number

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.training import Experiment, Images
    from equiderm.training.rows import Rows


def _show_schema(wanted: bool) -> None:
    if wanted:
        import json

        require_training()
        from equiderm.training import experiment_schema

        typer.echo(json.dumps(experiment_schema(), indent=1))
        raise typer.Exit()


def train(
    experiment: Annotated[
        Path, typer.Argument(metavar="EXPERIMENT.toml", help="What to train; see experiments/.")
    ],
    data: Annotated[Path, typer.Option(help="Manifest: CSV or Parquet, one row per image.")],
    out: Annotated[Path, typer.Option("--output", "-o", "--out", help="Folder of the run.")],
    store: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the decoded images, or its URL; built once, beside the manifest."
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Features of the images in place of the images; see equiderm embed."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed, instead of the experiment's.")
    ] = None,
    fold: Annotated[int | None, typer.Option(help="One fold of a cross-validation.")] = None,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            callback=_show_schema,
            is_eager=True,
            help="Print the JSON Schema of experiment files, and exit.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a classifier, with or without a method that unlearns skin tone.

    An interrupted run resumes when the same command is given again. Several GPUs or machines:
    torchrun --nproc-per-node 4 -m equiderm train ...

    Examples:
        equiderm train experiments/lntl.toml --data manifest.parquet -o runs/lntl
        equiderm train experiments/lntl.toml --data manifest.parquet -o runs/lntl-3 --seed 3
        equiderm train head.toml --data manifest.parquet --features features.parquet -o runs/head
    """
    import dataclasses

    require_training()

    from equiderm.models import FEATURES
    from equiderm.remote import twin_of, url_of
    from equiderm.training import read_experiment
    from equiderm.training.features import select_features
    from equiderm.training.images import read_rows
    from equiderm.training.rows import select_rows
    from equiderm.training.tracking import check_tracker

    settings = read_experiment(experiment)
    if seed is not None:
        settings = dataclasses.replace(settings, seed=seed)
    folds = settings.validation.folds
    chosen = [fold] if fold is not None or not folds else list(range(folds))
    frame = read_rows([data], group=settings.data.read)
    # Find every error that can be found before any image is decoded.
    settings.check_backbone()
    check_tracker(settings.training.tracker)
    rows = select_rows(settings, frame, fold=chosen[0])
    console = Console(quiet=quiet)
    if _is_main():
        _note_rows(console, settings, frame, rows)
    if features is not None:
        images, frame, errors = select_features(frame, features)
        if len(errors) and _is_main():
            console.warn(
                f"{counted(len(errors), 'image')} without features left out, "
                f"first {errors['image_id'].iloc[0]}."
            )
    elif settings.backbone.name == FEATURES:
        raise InputError(f"{experiment}: is for features; name their table with --features.")
    else:
        folder = store or data.with_name(f"{data.stem}-{settings.data.size}px")
        if store is None and (url := url_of(folder)):
            folder = twin_of(url, "stores")
        images, frame = _images(console, frame, folder, settings)
    console = Console(quiet=quiet or not _is_main())  # of several processes one prints
    for part in chosen:
        folder = out if part is None or fold is not None else out / f"fold-{part}"
        _fit(console, settings, frame, images, folder, part)
    if len(chosen) > 1 and _is_main():
        _write_out_of_fold(console, settings, frame, images, out)


def _note_rows(console: Console, settings: Experiment, frame: pd.DataFrame, rows: Rows) -> None:
    """Say which rows are not learned from, and which groups and classes look doubtful."""
    import numpy as np

    from equiderm.columns import UNKNOWN_WORDS, placeholder
    from equiderm.training.rows import numbers_of, patients_of

    data, folds = settings.data, settings.validation.folds
    splits = [data.train] if folds else [data.train, data.validation]
    used = np.concatenate([rows.train, rows.validation])
    left_out = int(frame["split"].astype(str).isin(splits).sum()) - len(used)
    if left_out:
        console.note(
            f"{counted(left_out, 'image')} of split {' or '.join(splits)} left out: without "
            f"{data.target}, or of a class that no training image has."
        )
    split, who = frame["split"].astype("string"), patients_of(frame)
    elsewhere = (split.notna() & (split != data.train)).to_numpy(bool)
    both = np.isin(who[elsewhere], who[(split == data.train).fillna(False).to_numpy(bool)])
    if both.any():
        named = listed(sorted(set(split[elsewhere][both])))
        console.warn(
            f"{counted(int(both.sum()), 'image')} of split {named} are of people that train: "
            "figures there flatter. `equiderm split` keeps people in one split."
        )
    for labels in rows.labels if data.groups is None else ():
        for name in labels.target.names:
            if str(name).casefold() in UNKNOWN_WORDS:
                console.warn(
                    f"{name!r} is a group of {labels.column}; if it means not known, leave those "
                    "cells empty."
                )
    kinds = {data.target: rows.outcome.kind}
    kinds |= {labels.column: labels.target.kind for labels in rows.labels}
    for column in (name for name, kind in kinds.items() if kind == "number"):
        odd = placeholder(numbers_of(rows.frame, column)[used])
        if odd is not None:
            console.warn(
                f"{odd:g} stands in column {column}, far from all other numbers; if it means "
                "not known, leave those cells empty."
            )
    for index, name in enumerate(rows.outcome.names if folds else ()):
        images = int((rows.target[used] == index).sum())
        if images < folds:
            console.note(
                f"{data.target} {name} has {counted(images, 'image')}: of {folds} folds not every "
                "one validates on it."
            )


def _images(
    console: Console, frame: pd.DataFrame, directory: Path, settings: Experiment
) -> tuple[Images, pd.DataFrame]:
    from accelerate import PartialState

    from equiderm.remote import name_of
    from equiderm.training.images import build_images

    state = PartialState(cpu=not _has_gpu())
    with state.local_main_process_first(), console.progress("decoding") as bar:
        images, frame, errors = build_images(
            frame, directory, size=settings.data.size, progress=bar
        )
    if len(errors) and state.is_main_process:
        console.warn(
            f"{counted(len(errors), 'image')} that cannot be read left out, "
            f"first {errors['image_id'].iloc[0]}; all of them: {name_of(directory)}."
        )
    return images, frame


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _is_main() -> bool:
    from accelerate import PartialState

    return PartialState().is_main_process


def _fit(
    console: Console,
    settings: Experiment,
    frame: pd.DataFrame,
    images: Images,
    out: Path,
    fold: int | None,
) -> None:
    from equiderm.training import fit, load_run

    name, losses = settings.method["name"], ""
    with console.progress(name, "steps") as bar:

        def watch(now: Any) -> None:
            nonlocal losses
            shown = " ".join(f"{key} {number(value, 4)}" for key, value in now.losses.items())
            losses = shown or losses
            bar(now.step, now.steps, losses)

        fit(settings, frame, out, images=images, fold=fold, watch=watch)
    if _is_main():
        last = load_run(out).about["history"][-1]
        shown = ", ".join(f"{key} {number(last[key], 4)}" for key in last if key != "epoch")
        console.say(f"{out}: {name}, {counted(int(last['epoch']), 'epoch')}; last: {shown}")


def _write_out_of_fold(
    console: Console, settings: Experiment, frame: pd.DataFrame, images: Images, out: Path
) -> None:
    import pandas as pd

    from equiderm.tables import write_table
    from equiderm.training import predict
    from equiderm.training.rows import select_rows

    parts: list[pd.DataFrame] = []
    for fold in range(settings.validation.folds):
        rows = select_rows(settings, frame, fold=fold)
        held_out = rows.frame.iloc[rows.validation].assign(fold=fold)
        parts.append(predict(out / f"fold-{fold}", images, held_out))
    path = out / "out-of-fold.parquet"
    write_table(pd.concat(parts, ignore_index=True), path)
    console.say(f"{path}: every training image, scored by the fold that did not train on it")
