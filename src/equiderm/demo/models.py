"""The demo's models: six methods on the features of the drawings, compared and audited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equiderm.demo.archive import CONFOUNDING, TONES, Size
from equiderm.files import write_text
from equiderm.format import percent

if TYPE_CHECKING:
    import pandas as pd

    from equiderm.audit import Audit
    from equiderm.compare import Compared

NO_EVIDENCE = "Synthetic: no evidence about patients."
GROUP = "tone"
DARK = list(TONES)[-1]
ERM = "erm"
METHODS = (ERM, "resampling", "lntl", "tabe", "clgr", "leace")
RATE, UNITS = 0.001, 64
FLAGGED = 0.3  # share of the test images that every model flags: that of their melanomas


def experiments(epochs: int) -> dict[str, Any]:
    """Return the demo's experiments by name: a layer and heads on features, published constants."""
    from equiderm.training import experiment_from

    return {
        name: experiment_from(
            {
                "method": {"name": name},
                "backbone": {"name": "features", "units": UNITS},
                "data": {"group": GROUP, "groups": list(TONES)},
                "optimizer": {"backbone": RATE, "target_head": RATE, "group_head": 10 * RATE},
                "training": {"epochs": epochs, "batch_size": 64, "tracker": "none"},
            }
        )
        for name in METHODS
    }


def read_features(
    manifest: pd.DataFrame,
    size: Size,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """Return the network's features of each drawing, as a store."""
    import tempfile

    from equiderm.training import Features, experiment_from
    from equiderm.training.images import build_images
    from equiderm.training.predict import embed

    table = {
        "backbone": {"name": size.network, "weights": size.weights},
        "data": {"size": size.pixels},
    }
    with tempfile.TemporaryDirectory() as temporary:
        images, frame, _ = build_images(manifest, Path(temporary), size=size.pixels)
        ids = frame["image_id"].astype(str).tolist()
        return Features(embed(experiment_from(table), images, ids, progress=progress), ids)


def compare_methods(
    directory: Path,
    manifest: pd.DataFrame,
    features: Any,
    size: Size,
    *,
    workers: int,
    watch: Callable[[str], None],
) -> Compared:
    """Train every method over the seeds; write ``comparison.html`` and its JSON and tables."""
    from equiderm.compare import compare
    from equiderm.compare.report import write

    compared = compare(
        experiments(size.epochs),
        manifest,
        directory / "runs",
        images=features,
        seeds=size.seeds,
        workers=workers,
        watch=watch,
    )
    lead = (
        f"{NO_EVIDENCE} Trained on drawings in which tone decides {percent(CONFOUNDING, 0)} of the "
        "diagnoses, tested on drawings in which it decides none."
    )
    write(compared, directory / "comparison.html", lead=lead)
    return compared


def audit_methods(directory: Path, size: Size) -> dict[str, Audit]:
    """Return the audit of every method's first seed, at thresholds that flag equally many."""
    import pandas as pd

    from equiderm.audit import Options, Provenance, audit

    audits: dict[str, Audit] = {}
    for name in METHODS:
        scores = pd.read_parquet(directory / "runs" / name / "seed-0" / "test.parquet")
        audits[name] = audit(
            scores.assign(score=flagging(scores["score"].to_numpy(float))),
            by=[GROUP],
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
    return audits


def flagging(score: np.ndarray) -> np.ndarray:
    """Return scores shifted, in log-odds, so that a share `FLAGGED` of them is 0.5 or above."""
    odds = np.log(score.clip(1e-6, 1 - 1e-6)) - np.log1p(-score.clip(1e-6, 1 - 1e-6))
    return 1 / (1 + np.exp(np.quantile(odds, 1 - FLAGGED) - odds))


@dataclass(frozen=True)
class Against:
    """A method beside ERM, and what may be said of it.

    Attributes:
        name: Name of the method.
        dark: Sensitivity on dark skin, minus ERM's on the same images; ``low_holm`` and
            ``high_holm`` are its adjusted interval.
        gap: The gap in sensitivity, minus ERM's, with ``low`` and ``high``.
        overall: AUROC minus ERM's over all seeds, as ``dark``.
    """

    name: str
    dark: dict[str, Any]
    gap: dict[str, Any]
    overall: dict[str, Any]

    @property
    def finds_more(self) -> bool:
        """Return whether it is established to find more on dark skin."""
        return self.dark["low_holm"] > 0

    @property
    def undoes(self) -> bool:
        """Return whether it finds more on dark skin and ranks better: both established."""
        return self.finds_more and self.overall["low_holm"] > 0

    @property
    def only_looks(self) -> bool:
        """Return whether its gap is smaller, which is established, and it does not rank better."""
        return self.gap["high"] < 0 and not self.undoes


def against_erm(compared: Compared, audits: dict[str, Audit]) -> list[Against]:
    """Return every other method beside ERM."""
    test = compared.tests[0]
    others: list[Against] = []
    for name in METHODS[1:]:
        table: Any = audits[name].compare(audits[ERM]).table
        own = table[table["figure"] == "sensitivity"].set_index("group")
        overall = test.difference(name, ERM, "overall")
        if overall is not None:
            dark, gap = (dict(own.loc[group]) for group in (DARK, "gap"))
            others.append(Against(name, dark, gap, dict(overall)))
    return others


def write_audits(directory: Path, audits: dict[str, Audit], names: list[str]) -> None:
    """Write the report of each named method."""
    for name in names:
        write_text(directory / f"audit-{name}.html", audits[name].to_html())
