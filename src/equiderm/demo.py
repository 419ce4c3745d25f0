"""The demo: a drawn archive with a known fault, labelled, trained on, compared and audited."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.format import count, counted
from equiderm.page import Section, link_block, render_page, table_block

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.compare import Compared

NO_EVIDENCE = "Synthetic: no evidence about patients."
CONFOUNDING = 0.5
PIXELS = 64
STORE = "store"
RATE = 0.003
AS_RELEASED = {"schedule": "alternating", "second_backbone_rate": 10 * RATE}


@dataclass(frozen=True)
class Size:
    """How large the training part is: images, seeds of every method, epochs, replicates."""

    train: int = 1500
    test: int = 1200
    seeds: int = 3
    epochs: int = 4
    replicates: int = 1000


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


def against_truth(tones: pd.DataFrame, truth: Any) -> pd.DataFrame:
    """Return, by the true band, how far the measured ITA lies from the drawn one.

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
    return by_band.reset_index().rename(
        columns={
            "true_band": "band of the drawn skin",
            "same_band": "labelled the same",
            "median_distance": "median distance, degrees of ITA",
        }
    )


def labelled(table: pd.DataFrame) -> str:
    """Return a table of `against_truth` in a sentence, beside the best constant answer."""
    same, n = int(table["labelled the same"].sum()), int(table["images"].sum())
    return (
        f"{count(same)} of {counted(n, 'drawn photograph')} get the band of the skin that was "
        f"drawn; the best constant answer gets {count(table['images'].max())}."
    )


def make_archive(
    directory: Path,
    size: Size,
    *,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw a light-skinned, confounded training set and a test set of every band, and label them.

    In the training set tone alone decides the diagnosis in half of the images; in the test set
    tone and diagnosis are independent, and all bands are as frequent.

    Returns:
        The manifest, whose ``ita_band`` is the labelled one, and the labels against the truth.
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
        size=PIXELS,
        tones="archive",
        confounding=CONFOUNDING,
        progress=lambda done, _: progress(done, both),
    )
    test = synthesize(
        size.test,
        seed=seed,
        size=PIXELS,
        tones=_every_band(),
        split="test",
        progress=lambda done, _: progress(size.train + done, both),
    )
    archive = join(training, test)
    shutil.rmtree(directory / STORE, ignore_errors=True)  # decoded from an earlier demo's files
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
        tone_method=method.to_numpy(),
    )
    manifest = directory / "labelled.parquet"
    write_manifest(frame, manifest)
    return read_manifest(manifest), against_truth(tones, archive.table["skin_ita"])


def _every_band() -> list[float]:
    """ITA values that fall in each of the paper's bands equally often, from -40 to 68 degrees."""
    from equiderm.tone import SCHEMES

    cuts = sorted(SCHEMES["paper"].cuts)
    ends = [-40.0, *cuts, 68.0]
    return [
        float(value)
        for low, high in itertools.pairwise(ends)
        for value in np.linspace(low + 1, high - 1, 12)
    ]


def experiments(epochs: int) -> dict[str, Any]:
    """Return the demo's experiments by name: a small backbone from random weights.

    TABE and CLGR have the second optimiser of the released code, which moves the backbone eleven
    times as fast; ERM at that rate is their control.
    """
    from equiderm.training import experiment_from

    def one(method: dict[str, Any], backbone: float = RATE, head: float = RATE) -> Any:
        rates = {"backbone": backbone, "target_head": RATE, "group_head": head}
        return experiment_from(
            {
                "method": method,
                "backbone": {"name": "test_resnet", "weights": "random"},
                "data": {"group": "ita_band", "size": PIXELS},
                "optimizer": rates,
                "training": {"epochs": epochs, "batch_size": 32, "tracker": "none"},
                "prediction": {"views": 1},
            }
        )

    return {
        "erm": one({"name": "erm"}),
        "erm-rate-matched": one({"name": "erm"}, backbone=11 * RATE),
        "resampling": one({"name": "resampling"}),
        "lntl": one({"name": "lntl"}),
        "tabe": one({"name": "tabe", **AS_RELEASED}, head=10 * RATE),
        "clgr": one({"name": "clgr", **AS_RELEASED}, head=10 * RATE),
    }


def compare_methods(
    directory: Path,
    manifest: pd.DataFrame,
    size: Size,
    *,
    workers: int,
    watch: Callable[[str], None],
) -> Compared:
    """Train every method over the seeds, and write ``comparison.html`` and what belongs to it."""
    from equiderm.compare import compare
    from equiderm.compare.report import write
    from equiderm.training.images import build_images

    images, frame, _ = build_images(manifest, directory / "archive" / STORE, size=PIXELS)
    compared = compare(
        experiments(size.epochs),
        frame,
        directory / "runs",
        images=images,
        seeds=size.seeds,
        workers=workers,
        watch=watch,
    )
    lead = (
        f"{NO_EVIDENCE} Trained on drawings of light skin in which tone decides half of the "
        "diagnoses, tested on drawings of every tone in which it decides none."
    )
    write(compared, directory / "comparison.html", lead=lead)
    return compared


def write_audits(directory: Path, compared: Compared, size: Size) -> dict[str, str]:
    """Audit every method's first seed by the labelled band; return its page and first sentence."""
    import pandas as pd

    from equiderm.audit import Options, Provenance, audit

    pages: dict[str, str] = {}
    for name in compared.experiments:
        scores = pd.read_parquet(directory / "runs" / name / "seed-0" / "test.parquet")
        made = audit(
            scores,
            by=[compared.group],
            patient="patient_id",
            image="image_id",
            options=Options(replicates=size.replicates),
            provenance=Provenance(
                model=f"{name}, seed 0 (drawn images: no evidence about patients)",
                tone_source="Bands computed by equiderm label from drawn photographs.",
                finding="melanoma",
            ),
            name=name,
        )
        _write(directory / f"audit-{name}.html", made.to_html())
        pages[name] = made.answer()[0]
    return pages


def write_index(
    directory: Path,
    labels: pd.DataFrame,
    compared: Compared | None = None,
    audits: dict[str, str] | None = None,
) -> Path:
    """Write the page that leads to all others, and return where it lies."""
    labels_section = Section(
        "Labels against the truth",
        paragraphs=(labelled(labels),),
        blocks=(table_block(labels, caption="By the band of the drawn skin", digits=1),),
    )
    look = Section(
        "Look further",
        blocks=(
            link_block("tones.html", "The page on the labels: bands, angles, doubtful images"),
            link_block("overlays/", "What was measured on each photograph"),
            link_block("photographs/images/", "The photographs"),
        ),
    )
    middle = [] if compared is None else _comparison_sections(compared, audits or {})
    lead = f"{labelled(labels)} {NO_EVIDENCE}"
    page = directory / "index.html"
    _write(page, render_page("Equiderm demo", [*middle, labels_section, look], lead=lead))
    return page


def _comparison_sections(compared: Compared, audits: dict[str, str]) -> list[Section]:
    from equiderm.compare.charts import differences, pareto
    from equiderm.compare.report import verdict
    from equiderm.compare.tables import auroc_table
    from equiderm.page import panel_block

    test = compared.tests[0]
    panels = [pareto(compared, test), differences(compared, test, "worst")]
    table = auroc_table(compared, test)
    return [
        Section(
            "Does a method help, and whom?",
            blocks=(
                verdict(compared),
                panel_block(panels),
                table_block(
                    table,
                    caption=f"AUROC by labelled band, mean of {len(compared.seeds)} seeds (95 % "
                    "interval over seeds and patients)",
                ),
                link_block("comparison.html", "The comparison: differences, probes, costs"),
            ),
            notes=(f"{NO_EVIDENCE} The bands are the labeller's, errors included.",),
        ),
        Section(
            "Audits of each method's first seed",
            blocks=tuple(
                link_block(f"audit-{name}.html", f"{name}: {verdict}")
                for name, verdict in audits.items()
            ),
        ),
    ]


def _write(path: Path, text: str) -> None:
    from equiderm.files import write_whole

    with write_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
