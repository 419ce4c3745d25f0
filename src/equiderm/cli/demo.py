"""``equiderm demo``: the work from photographs to pages, on photographs made for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import pandas as pd


def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where everything is written.")
    ] = Path("demo"),
    images: Annotated[int, typer.Option(min=6, help="Photographs to make.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same pictures.")] = 0,
) -> None:
    """Make lesion photographs on skin of known tone, label them, and compare with the truth."""
    from equiderm.cli.label import print_summary
    from equiderm.data.synthetic import synthesize, write_archive
    from equiderm.tone import label
    from equiderm.tone.report import write_report

    typer.echo(f"1. Making {images} synthetic photographs, light to very dark skin ...")
    archive = synthesize(images, seed=seed, size=256)
    manifest = write_archive(archive, directory / "photographs")

    typer.echo("2. Labelling their skin tone ...")
    output, report = directory / "tones.parquet", directory / "tones.html"
    tones = label([manifest], output=output, overlays=directory / "overlays", overwrite=True)
    write_report(tones, report)
    print_summary(tones, output, report)

    typer.echo("3. Comparing the labels with the skin that was drawn ...")
    truth = archive.table["skin_ita"].to_numpy()
    table = compare(tones, truth)
    typer.echo(table.to_string(index=False))
    page = directory / "index.html"
    _write_index(table, page)
    typer.echo(f"Open {page} in a browser. These are drawings, no evidence about patients.")


def compare(tones: pd.DataFrame, truth: object) -> pd.DataFrame:
    """Return, by the true band, how far the measured ITA lies from the drawn one."""
    import numpy as np

    from equiderm.tone import SCHEMES

    drawn = np.asarray(truth, float)
    scheme = SCHEMES["paper"]
    frame = tones.assign(
        drawn=drawn,
        true_band=scheme.assign(drawn, np.zeros((len(drawn), 3))),
        distance=(tones["ita"] - drawn).abs(),
    )
    frame["same"] = frame["ita_band"] == frame["true_band"]
    frame["flagged"] = frame["flags"].fillna("") != ""
    by_band = frame.groupby("true_band").agg(
        images=("image", "size"),
        same_band=("same", "sum"),
        median_distance=("distance", "median"),
        flagged=("flagged", "sum"),
    )
    by_band = by_band.reindex([band for band in scheme.bands if band in by_band.index])
    return by_band.reset_index().rename(
        columns={
            "true_band": "band of the drawn skin",
            "same_band": "labelled the same",
            "median_distance": "median distance, degrees of ITA",
        }
    )


def _write_index(table: pd.DataFrame, page: Path) -> None:
    from equiderm.files import write_whole
    from equiderm.page import Section, link_block, render_page, table_block

    same, n = int(table["labelled the same"].sum()), int(table["images"].sum())
    constant = int(table["images"].max())
    lead = (
        f"{same} of {n} drawn photographs get the band of the skin that was drawn; the best "
        f"constant answer gets {constant}. Synthetic: no evidence about patients."
    )
    sections = [
        Section(
            "Labels against the truth",
            blocks=(table_block(table, caption="By the band of the drawn skin", digits=1),),
        ),
        Section(
            "Look further",
            blocks=(
                link_block("tones.html", "The page on the labels: bands, angles, doubtful images"),
                link_block("overlays/", "What was measured on each photograph"),
                link_block("photographs/images/", "The photographs"),
            ),
        ),
    ]
    with write_whole(page) as temporary:
        temporary.write_text(render_page("Equiderm demo", sections, lead=lead), encoding="utf-8")
