"""The demo's drawings: photographs of known skin, and an archive with a shortcut planted in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.format import count, counted

if TYPE_CHECKING:
    import pandas as pd

CONFOUNDING = 0.9
TONES = {  # the labelled bands of each group, dark skin last
    "light": ("1", "2"),
    "medium": ("3", "4"),
    "dark": ("5", "6"),
}


@dataclass(frozen=True)
class Size:
    """How large the training part is, and which network computes the features.

    Attributes:
        train: Drawings to train on.
        test: Drawings to test on.
        seeds: Seeds per method.
        epochs: Epochs per run.
        replicates: Bootstrap replicates of the audits.
        pixels: Side of the drawings.
        network: The network that computes features.
        weights: Its weights.
    """

    train: int = 2000
    test: int = 1500
    seeds: int = 5
    epochs: int = 6
    replicates: int = 1000
    pixels: int = 96
    network: str = "tf_efficientnet_lite0"
    weights: str = "pretrained"


def draw_photographs(
    directory: Path, n: int, *, seed: int, progress: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Draw photographs of known skin into ``photographs``; return their table."""
    from equiderm.data.synthetic import synthesize, write_archive

    archive = synthesize(n, seed=seed, size=256, progress=progress)
    write_archive(archive, directory / "photographs")
    return archive.table


def label_photographs(
    directory: Path, *, progress: Callable[[int, int], None] | None = None
) -> tuple[pd.DataFrame, tuple[Path, Path]]:
    """Label what `draw_photographs` drew; return the tones, and the files of table and page."""
    from equiderm.tone import label
    from equiderm.tone.report import write_report

    output, report = directory / "tones.parquet", directory / "tones.html"
    tones = label(
        [directory / "photographs" / "manifest.parquet"],
        output=output,
        overlays=directory / "overlays",
        overwrite=True,
        progress=progress,
    )
    write_report(tones, report, overlays=directory / "overlays")
    return tones, (output, report)


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels beside the skin that was drawn.

    Attributes:
        table: By the band of the drawn skin, how many were labelled the same, and how far off.
        drawn: ITA of the drawn skin, in degrees.
        measured: The labelled ITA.
    """

    table: pd.DataFrame
    drawn: np.ndarray
    measured: np.ndarray

    def __str__(self) -> str:
        """Return it in a sentence, beside the best constant answer."""
        same, n = int(self.table["labelled the same"].sum()), int(self.table["images"].sum())
        return (
            f"{count(same)} of {counted(n, 'drawn photograph')} get the band of the skin that was "
            f"drawn; the best constant answer gets {count(self.table['images'].max())}."
        )


def against_truth(tones: pd.DataFrame, truth: Any) -> Labels:
    """Return how far the measured ITA lies from the drawn one.

    Args:
        tones: Table of `equiderm.tone.label`.
        truth: The drawn skin's ITA of each row, in degrees.
    """
    from equiderm.tone import SCHEMES

    drawn = np.asarray(truth, float)
    scheme = SCHEMES["paper"]
    frame = tones.assign(
        drawn=drawn,
        true_band=scheme.assign(drawn, np.zeros((len(drawn), 3))),
        distance=(tones["ita"] - drawn).abs(),
    )
    frame["same"] = frame["ita_band"] == frame["true_band"]
    frame["flagged"] = frame["tone_flags"].fillna("") != ""
    by_band = frame.groupby("true_band").agg(
        images=("image", "size"),
        same_band=("same", "sum"),
        median_distance=("distance", "median"),
        flagged=("flagged", "sum"),
    )
    by_band = by_band.reindex([band for band in scheme.bands if band in by_band.index])
    table = by_band.reset_index().rename(
        columns={
            "true_band": "band of the drawn skin",
            "same_band": "labelled the same",
            "median_distance": "median distance, degrees of ITA",
        }
    )
    return Labels(table, drawn, tones["ita"].to_numpy(float))


def make_archive(
    directory: Path,
    size: Size,
    *,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[pd.DataFrame, Labels]:
    """Draw a training set with a shortcut and a test set without, and label them.

    In the training set tone alone decides the diagnosis of nine images in ten, the lightest skin
    having the melanomas; in the test set tone and diagnosis are independent, and all bands are as
    frequent.

    Returns:
        The manifest, with the labelled ``ita_band`` and its group ``tone``, and the labels against
        the truth.
    """
    import pandas as pd

    from equiderm.data.manifest import read_manifest, write_manifest
    from equiderm.data.synthetic import synthesize, write_archive
    from equiderm.data.synthetic.archive import join
    from equiderm.tone import label

    # Each image is drawn and then labelled: two steps of as many as there are images.
    both = 2 * (size.train + size.test)
    training = synthesize(
        size.train,
        seed=seed,
        size=size.pixels,
        confounding=CONFOUNDING,
        progress=lambda done, _: progress(done, both),
    )
    test = synthesize(
        size.test,
        seed=seed,
        size=size.pixels,
        tones=_every_band(),
        split="test",
        progress=lambda done, _: progress(size.train + done, both),
    )
    archive = join(training, test)
    drawn = write_archive(archive, directory)
    tones = label(
        [drawn],
        output=directory / "tones.parquet",
        overwrite=True,
        progress=lambda done, _: progress(both // 2 + done, both),
    )
    method = tones["method"].astype(str) + ", " + tones["scheme"].astype(str) + " bands"
    frame = archive.table.assign(
        path=pd.read_parquet(drawn)["path"],
        ita=tones["ita"].to_numpy(),
        ita_band=tones["ita_band"].to_numpy(),
        tone=tones["ita_band"].map({band: tone for tone, own in TONES.items() for band in own}),
        tone_method=method.to_numpy(),
    )
    manifest = directory / "labelled.parquet"
    write_manifest(frame, manifest)
    return read_manifest(manifest), against_truth(tones, archive.table["skin_ita"])


def _every_band() -> list[float]:
    """Return ITA values, equally many in each of the paper's bands, from -40 to 68 degrees."""
    from equiderm.tone import SCHEMES

    cuts = sorted(SCHEMES["paper"].cuts)
    ends = [-40.0, *cuts, 68.0]
    return [
        float(value)
        for low, high in itertools.pairwise(ends)
        for value in np.linspace(low + 1, high - 1, 12)
    ]
