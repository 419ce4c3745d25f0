import hashlib
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from equiderm.data import synthetic
from equiderm.data.synthetic import canvas
from equiderm.data.synthetic.patients import plan, read_recipe
from equiderm.errors import InputError
from equiderm.tone.color import individual_typology_angle, srgb_to_lab


def rows(n: int, **changes: object) -> pd.DataFrame:
    """What the table will say of n images, without drawing them."""
    settings = {
        "seed": 0, "look": "dermoscopic", "tones": "uniform", "prevalence": 0.3,
        "confounding": 0.0, "shift": 0.0, "artefacts": None, "split": "train",
    }  # fmt: skip
    recipe = read_recipe(**{**settings, **changes})
    planned = [plan(recipe, index) for index in range(n)]
    return pd.DataFrame([{"ita": scene.ita, **row} for scene, row in planned])


@pytest.fixture(scope="module")
def small() -> synthetic.Archive:
    return synthetic.synthesize(40, size=64, workers=1)


def test_a_larger_archive_begins_with_the_smaller_one(small):
    larger = synthetic.synthesize(50, size=64, workers=1)
    assert np.array_equal(larger.images[:40], small.images)
    pd.testing.assert_frame_equal(larger.table.head(40), small.table)


def test_workers_do_not_change_a_bit():
    one, two = (synthetic.synthesize(130, size=32, workers=jobs) for jobs in (1, 2))
    assert np.array_equal(one.images, two.images)
    pd.testing.assert_frame_equal(one.table, two.table)


def test_cells_do_not_depend_on_the_threads_of_who_asks_first():
    tiles, before = [], cv2.getNumThreads()
    for threads in (1, 2):
        canvas._tile.cache_clear()
        cv2.setNumThreads(threads)
        tiles.append(canvas._tile())
    cv2.setNumThreads(before)
    assert np.array_equal(*tiles)


def test_another_seed_is_another_archive(small):
    other = synthetic.synthesize(40, seed=1, size=64, workers=1)
    assert not (other.images == small.images).all(axis=(1, 2, 3)).any()


def test_a_larger_size_shows_the_same_scenes(small):
    large = synthetic.synthesize(12, size=192, workers=1).images
    for image, big in zip(small.images, large, strict=False):
        reduced = cv2.resize(big, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(image.ravel(), reduced.ravel())[0, 1] > 0.9


def test_skin_ita_is_what_the_bare_skin_of_the_photograph_measures():
    archive = synthetic.synthesize(24, size=96, artefacts={}, workers=1)
    for image, row in zip(archive.images, archive.table.itertuples(), strict=True):
        if row.diameter_mm > 7:
            continue
        lab = srgb_to_lab(np.concatenate([image[:10].reshape(-1, 3), image[-10:].reshape(-1, 3)]))
        measured = float(individual_typology_angle(lab.mean(axis=0)))
        assert measured == pytest.approx(row.skin_ita, abs=6)  # border strip against whole frame


def test_tones_reach_from_very_dark_to_very_light():
    ita = rows(1500)["ita"]
    assert ita.min() < -45
    assert ita.max() > 65
    assert np.histogram(ita, bins=[-50, -20, 10, 40, 70])[0].min() > 250


def test_archive_tones_are_light():
    assert (rows(600, tones="archive")["ita"] > 28).mean() > 0.9


def test_custom_tones_are_drawn_from_the_given_values():
    assert rows(200, tones=[-20.0, -10.0])["ita"].between(-30, 0).all()


def test_patients_own_several_lesions_of_one_tone():
    frame = rows(600)
    counts = frame.groupby("patient").size()
    assert set(counts) == {1, 2, 3, 4, 5}
    spread = frame.groupby("patient")["ita"].std().dropna()
    assert spread.mean() < 4 < frame["ita"].std()


def test_splits_share_no_patient_and_no_picture(small):
    test = synthetic.synthesize(40, size=64, split="test", workers=1)
    assert not set(test.table["patient_id"]) & set(small.table["patient_id"])
    assert not (test.images == small.images).all(axis=(1, 2, 3)).any()


@pytest.mark.parametrize("confounding", [0.0, 0.5, 1.0, -1.0])
def test_confounding_leaves_the_overall_prevalence(confounding):
    assert rows(3000, confounding=confounding)["target"].mean() == pytest.approx(0.3, abs=0.04)


def test_full_confounding_lets_tone_decide_the_diagnosis():
    lightest = rows(600, confounding=1.0)
    assert roc_auc_score(lightest["target"], lightest["ita"]) > 0.98
    darkest = rows(600, confounding=-1.0)
    assert roc_auc_score(darkest["target"], darkest["ita"]) < 0.02


def test_without_confounding_tone_says_nothing_of_the_diagnosis():
    frame = rows(3000)
    assert roc_auc_score(frame["target"], frame["ita"]) == pytest.approx(0.5, abs=0.05)


def test_prevalence_follows_tone_where_it_is_asked_to():
    frame = rows(3000, prevalence=[(-50, 0.1), (70, 0.5)])
    dark, light = frame[frame["ita"] < -20], frame[frame["ita"] > 40]
    assert dark["target"].mean() == pytest.approx(0.15, abs=0.05)
    assert light["target"].mean() == pytest.approx(0.45, abs=0.06)


@pytest.mark.parametrize("trait", ["asymmetry", "border", "colours", "diameter_mm"])
def test_melanomas_are_higher_in_each_letter_of_abcd_and_overlap(trait):
    frame = rows(1500)
    assert 0.6 < roc_auc_score(frame["target"], frame[trait]) < 0.95


def test_a_border_trait_makes_the_drawn_outline_longer():
    from equiderm.data.synthetic.lesion import Traits, draw_lesion

    def raggedness(border: float) -> float:
        values = []
        for seed in range(12):
            traits = Traits(0.2, border, 0.2, 7.0)
            rng = np.random.default_rng(seed)
            inside = draw_lesion(rng, 128, traits, frame_mm=16, skin_melanin=0.05).inside > 0.5
            outlines, _ = cv2.findContours(
                inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
            )
            longest = max(outlines, key=len)
            values.append(cv2.arcLength(longest, True) ** 2 / cv2.contourArea(longest))
        return float(np.mean(values))

    assert raggedness(0.95) > 1.25 * raggedness(0.05)


def test_artefacts_occur_only_as_asked():
    none = rows(50, artefacts={})
    always = rows(50, artefacts={"hair": 1.0})
    names = list(synthetic.ARTEFACTS)
    assert not none[names].to_numpy().any()
    assert always["hair"].all()
    assert not always[names].drop(columns="hair").to_numpy().any()


@pytest.mark.parametrize("name", synthetic.ARTEFACTS)
def test_each_artefact_changes_the_picture(name):
    plain = synthetic.synthesize(4, size=64, artefacts={}, workers=1)
    marked = synthetic.synthesize(4, size=64, artefacts={name: 1.0}, workers=1)
    assert (plain.images != marked.images).any(axis=(1, 2, 3)).all()
    assert plain.table["skin_ita"].equals(marked.table["skin_ita"])


def test_a_shift_dims_the_photographs_and_leaves_the_truth():
    plain, shifted = (
        synthetic.synthesize(12, size=64, shift=shift, workers=1) for shift in (0.0, 1.0)
    )
    assert shifted.images.mean() < 0.95 * plain.images.mean()
    assert plain.table["skin_ita"].equals(shifted.table["skin_ita"])


def test_no_type_is_given_that_nobody_judged(small):
    assert small.table["fitzpatrick_type"].isna().all()
    assert small.table["monk_tone"].isna().all()


def test_written_archives_read_back(small, tmp_path):
    path = synthetic.write_archive(small, tmp_path / "made", ending=".png")
    table = pd.read_parquet(path)
    assert len(table) == 40
    for image, row in zip(small.images, table.itertuples(), strict=True):
        file = path.parent / row.path
        assert hashlib.sha256(file.read_bytes()).hexdigest() == row.sha256
        assert np.array_equal(cv2.imread(str(file))[..., ::-1], image)


SETS = (
    {"n": 70, "size": 24, "tones": "archive", "prevalence": [(-50, 0.1), (70, 0.4)]},
    {"n": 9, "size": 24, "split": "test", "shift": 0.5, "tones": [1.0, 30.0]},
)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*.*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("workers", [1, 2])
def test_drawn_into_a_folder_it_is_what_is_drawn_in_memory_and_written(tmp_path, workers):
    archives = [synthetic.synthesize(**one, workers=1) for one in SETS]
    synthetic.write_archive(synthetic.join(*archives), tmp_path / "memory")
    path, table = synthetic.synthesize_to(tmp_path / "folder", *SETS, workers=workers)
    assert contents(tmp_path / "folder") == contents(tmp_path / "memory")
    pd.testing.assert_frame_equal(pd.read_parquet(path), table, check_dtype=False)


KILL_ITSELF = """
import os, signal, sys
from pathlib import Path
from equiderm import parts
from equiderm.data import synthetic
parts.PART_ROWS = 4

def watch(done, total):
    if done >= int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

synthetic.synthesize_to(Path(sys.argv[1]), dict(n=30, size=24), workers=2, progress=watch)
"""


def test_killed_again_and_again_drawing_goes_on_and_ends_with_the_same_files(tmp_path):
    synthetic.synthesize_to(tmp_path / "whole", {"n": 30, "size": 24})
    for last in ("1", "12", "30"):
        command = [sys.executable, "-c", KILL_ITSELF, str(tmp_path / "killed"), last]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert not (tmp_path / "killed" / "manifest.parquet").exists()
    (tmp_path / "killed" / "images" / "syn_train_0000000.jpg").write_bytes(b"damaged")
    (tmp_path / "killed" / "images" / ".syn_train_0000001.jpg.x1.jpg").write_bytes(b"half")
    with pytest.raises(InputError, match="not an empty folder"):
        synthetic.synthesize_to(tmp_path / "killed", {"n": 31, "size": 24})
    done: list[int] = []
    synthetic.synthesize_to(
        tmp_path / "killed", {"n": 30, "size": 24}, progress=lambda one, _: done.append(one)
    )
    assert done[0] > 1, "what was drawn is not drawn again"
    left = contents(tmp_path / "killed")
    assert {name: one for name, one in left.items() if ".lock" not in name} == contents(
        tmp_path / "whole"
    )


@pytest.mark.parametrize("at", ["equiderm.parts.Parts.remove", "equiderm.parts.shutil.rmtree"])
def test_stopped_after_its_manifest_was_written_the_same_call_clears_up(at, tmp_path, monkeypatch):
    synthesize = partial(synthetic.synthesize_to, tmp_path / "drawn", {"n": 3, "size": 24})
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(at, lambda *_, **__: 1 / 0)
        synthesize()
    whole = contents(tmp_path / "drawn")
    parts = [name for name in whole if ".parquet.parts/0" in name]
    assert bool(parts) == at.endswith("remove"), "the parts go before what says whose they are"
    assert {".manifest.parquet.parts/settings.json", "manifest.parquet"} < whole.keys()
    synthesize()
    left = contents(tmp_path / "drawn")
    assert left.items() < whole.items() and not any("parts" in name for name in left)
    with pytest.raises(InputError, match=r"not an empty folder \(it holds a manifest\)"):
        synthesize()


def test_join_keeps_every_row(small):
    both = synthetic.join(small, small)
    assert len(both.table) == len(both.images) == 80


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"look": "x"}, "dermoscopic, clinical"),
        ({"tones": "x"}, "uniform, archive"),
        ({"tones": []}, "at least one ITA"),
        ({"prevalence": 1.2}, "outside 0..1"),
        ({"confounding": 2}, "outside -1..1"),
        ({"artefacts": {"moon": 1.0}}, "'moon' is unknown"),
        ({"size": 8}, "size 16 or more"),
    ],
)
def test_unusable_arguments_are_named(changes, words):
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        synthetic.synthesize(1, **changes)


def test_the_command_writes_both_splits(equiderm, tmp_path):
    done = equiderm(
        "synthesize", "made", "--n", 20, "--test", 10, "--size", 32,
        "--prevalence", "-50:0.1,70:0.4", "--workers", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "30 images" in done.stdout
    table = pd.read_parquet(tmp_path / "made" / "manifest.parquet")
    assert table["split"].value_counts().to_dict() == {"train": 20, "test": 10}
    again = equiderm("synthesize", "made", "--n", 20)
    assert again.returncode == 2
    assert "not an empty folder" in again.stderr


def test_archive_tones_are_the_same_from_several_processes():
    one = synthetic.synthesize(96, size=16, tones="archive", workers=1)
    two = synthetic.synthesize(96, size=16, tones="archive", workers=2)
    assert (one.images == two.images).all()
    assert (one.table["skin_ita"] == two.table["skin_ita"]).all()
