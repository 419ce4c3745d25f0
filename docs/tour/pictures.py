"""The pictures of the tours, drawn by what the tours run, as the documentation is built."""

import re
import shutil
import tempfile
from pathlib import Path

import pandas as pd

import equiderm
from equiderm.audit import audit
from equiderm.compare import compare, read_files
from equiderm.data import synthetic

HERE = Path(__file__).parent


def draw(folder: Path) -> None:
    """Write the pictures of the three tours into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        draw_overlay(Path(place) / "overlay", folder / "tour-overlay.png")
        draw_forest(folder / "tour-forest.svg")
        draw_levels(Path(place) / "levels", folder / "tour-levels.svg")


def draw_overlay(place: Path, picture: Path) -> None:
    """Label one drawn photograph, and keep its overlay."""
    synthetic.synthesize_to(place / "drawn", {"n": 1, "size": 256, "look": "clinical"})
    equiderm.label([place / "drawn" / "images"], method="robust", overlays=place / "overlays")
    overlay = next(path for path in (place / "overlays").rglob("*") if path.is_file())
    shutil.copy(overlay, picture)


def draw_forest(picture: Path) -> None:
    """Audit the simulated vendor's table."""
    table = pd.read_csv(HERE / "vendor.csv")
    result = audit(table, target="diagnosis", positive="melanoma", patient="patient", by="ita_band")
    result.plot.forest("sensitivity").savefig(picture, bbox_inches="tight")


def draw_levels(place: Path, picture: Path) -> None:
    """Train the two experiments of the tour on drawn lesions, three seeds each."""
    manifest, _ = synthetic.synthesize_to(
        place / "made", {"n": 150, "confounding": 0.9}, {"n": 80, "split": "test"}
    )
    text = (HERE.parent / "tour-training.md").read_text(encoding="utf-8")
    shared = re.search(r'shared = """\n(.*?)"""', text, re.S)
    assert shared
    for method in ("erm", "resampling"):
        (place / f"{method}.toml").write_text(f'[method]\nname = "{method}"\n\n{shared[1]}')
    given = read_files([place / "erm.toml", place / "resampling.toml"], manifest)
    compared = compare(given.experiments, given.manifest, place, images=given.images, seeds=3)
    compared.plot.levels().savefig(picture, bbox_inches="tight")
