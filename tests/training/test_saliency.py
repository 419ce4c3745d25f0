"""Maps light up where a cue was planted, and their tables say where."""

import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats
from tests.training.conftest import make_lesions

from equiderm.errors import InputError
from equiderm.training import ArrayImages, experiment_from, fit, load_run, saliency
from equiderm.training.saliency import by_group, draw_map, measure_map, read_masks, write_saliency

CUE = np.zeros((32, 32), bool)
CUE[8:16, 8:16] = True  # where make_lesions darkens the skin of every positive


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A small network that has learnt the planted square, and its training images."""
    pytest.importorskip("captum")
    images, frame = make_lesions(64)
    store = ArrayImages(images, frame["image_id"].tolist())
    experiment = experiment_from(
        {
            "method": {"name": "erm"},
            "backbone": {"name": "test_resnet", "weights": "random"},
            "data": {"size": 32},
            "optimizer": {"backbone": 0.05, "target_head": 0.05},
            "training": {"epochs": 20, "batch_size": 16, "tracker": "none"},
            "prediction": {"views": 1},
        }
    )
    run = load_run(fit(experiment, frame, tmp_path_factory.mktemp("run") / "run", images=store))
    return run, store, frame


def test_a_planted_cue_lights_up_on_every_skin(learnt):
    run, store, frame = learnt
    shown = frame[frame["target"] == 1]
    heat, _ = saliency(run, store, shown["image_id"].tolist())
    share = np.array([measure_map(one, CUE)["lesion"] for one in heat])
    for group in (1, 2, 3):
        assert share[shown["fitzpatrick_type"] == group].mean() > 2 * CUE.mean(), group


@pytest.mark.parametrize(
    ("kind", "cued", "plain"),
    [("classes", "mel", "nevus"), ("ordered", 3, 1), ("number", 45.0, 5.0)],
)
def test_of_every_kind_of_target_the_planted_cue_lights_up(tmp_path, kind, cued, plain):
    pytest.importorskip("captum")
    images, frame = make_lesions(64)
    middle = {"classes": "other", "ordered": 2, "number": 25.0}[kind]
    answer = frame["target"].map({1: cued, 0: plain}).astype(object)
    answer[::8] = middle  # a third answer, which the picture does not show
    if kind == "number":
        answer = answer.astype(float) + np.random.default_rng(0).normal(0, 1, len(frame))
    frame, rate = frame.assign(wanted=answer), 0.005 if kind == "number" else 0.05
    store = ArrayImages(images, frame["image_id"].tolist())
    experiment = experiment_from(
        {
            "method": {"name": "erm"},
            "backbone": {"name": "test_resnet", "weights": "random"},
            "data": {"size": 32, "target": "wanted", "target_kind": kind},
            "optimizer": {"backbone": rate, "target_head": rate},
            "training": {"epochs": 20, "batch_size": 16, "tracker": "none"},
            "prediction": {"views": 1},
        }
    )
    run = load_run(fit(experiment, frame, tmp_path / "run", images=store))
    shown = frame[frame["target"] == 1]["image_id"][:12].tolist()
    heat, change = saliency(run, store, shown)
    np.testing.assert_allclose(heat.sum((1, 2)), change, atol=0.1 * np.abs(change).max())
    assert np.mean([measure_map(one, CUE)["lesion"] for one in heat]) > 2 * CUE.mean()
    assert np.mean(heat[:, CUE].sum(1) > 0) > 0.7  # the cue raises the answer


def test_a_map_adds_up_to_the_logit_s_change(learnt):
    run, store, frame = learnt
    heat, change = saliency(run, store, frame["image_id"][:8].tolist())
    assert heat.shape == (8, 32, 32)
    np.testing.assert_allclose(heat.sum((1, 2)), change, atol=0.05 * np.abs(change).max())


def test_without_captum_the_sentence_says_what_to_install(learnt, monkeypatch):
    run, store, frame = learnt
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(InputError, match=r"pip install 'equiderm\[saliency\]'"):
        saliency(run, store, frame["image_id"][:1].tolist())


def test_the_measures_of_a_map_are_shares_of_its_absolute_values():
    even = measure_map(np.full((32, 32), -2.0), CUE)
    assert even["half_area"] == 0.5
    assert even["border"] == pytest.approx(even["border_area"])
    assert even["lesion"] == pytest.approx(even["lesion_area"])
    assert even["lesion_area"] == 64 / 1024
    heat = np.zeros((32, 32))
    heat[10, 10], heat[0, 5] = 3, -1
    found = measure_map(heat, CUE)
    assert (found["half_area"], found["border"], found["lesion"]) == (1 / 1024, 0.25, 0.75)
    assert np.isnan(measure_map(np.zeros((32, 32)), CUE)["lesion"])


def test_means_by_group_have_intervals_over_patients():
    table = pd.DataFrame(
        {
            "tone": ["dark"] * 6 + ["light"] * 2,
            "patient_id": ["a", "a", "b", "b", "c", "c", "d", "e"],
            "half_area": [0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.1, 0.3],
            "border": 0.25,
            "border_area": 0.4375,
        }
    )
    means = by_group(table, "tone").set_index(["group", "measure"])
    dark = means.loc[("dark", "half_area")]
    low, high = stats.t.interval(0.95, 2, 0.3, stats.sem([0.2, 0.3, 0.4]))
    assert (dark["mean"], dark["n"], dark["patients"], dark["even"]) == (0.3, 6, 3, 0.5)
    assert (dark["low"], dark["high"]) == pytest.approx((max(low, 0), high), abs=1e-6)
    assert means.loc[("light", "border"), "even"] == 0.4375
    assert "lesion" not in means.index.get_level_values(1)  # no mask, no share


def test_masks_are_matched_by_name_and_cropped_as_the_images(tmp_path):
    tall = np.zeros((96, 64), np.uint8)
    tall[32:48] = 255  # the upper half of the middle: rows 16 to 80 are kept
    Image.fromarray(tall).save(tmp_path / "one_segmentation.png")
    (tmp_path / "two.png").write_bytes(b"no picture")
    masks, missing = read_masks(tmp_path, ["one", "two", "three"], 32)
    assert set(masks) == {"one"}
    assert masks["one"][8:16].all()
    assert masks["one"].mean() == 0.25
    assert missing["three"] == "no mask"
    assert missing["two"]
    with pytest.raises(InputError, match="a mask for none of the images"):
        read_masks(tmp_path, ["four"], 32)


def test_maps_and_their_table_are_written_for_every_image(learnt, tmp_path):
    run, store, frame = learnt
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.fromarray(CUE.astype(np.uint8) * 255).resize((64, 64), 0).save(masks / "image-0001.png")
    scored = frame[:3].assign(logit=0.5)
    written = write_saliency(run, store, scored, tmp_path / "maps", masks=masks)
    table = pd.read_csv(tmp_path / "maps" / "saliency.csv")
    assert list(table["image_id"]) == list(scored["image_id"])
    assert list(table["fitzpatrick_type"]) == list(scored["fitzpatrick_type"])
    assert list(table["lesion"].notna()) == [False, True, False]
    assert table["mask_error"][0] == "no mask"
    with Image.open(tmp_path / "maps" / written["map"][2]) as picture:
        assert picture.size == (64, 32)


def test_the_drawing_is_orange_where_the_logit_rises_and_blue_where_it_falls():
    heat = np.zeros((32, 32))
    heat[8, 8], heat[24, 24] = 1, -1
    both = np.asarray(draw_map(np.full((32, 32, 3), 128, np.uint8), heat)).astype(int)
    assert both.shape == (32, 64, 3)
    red, _, blue = both[8, 32 + 8]
    assert red > blue + 100
    red, _, blue = both[24, 32 + 24]
    assert blue > red + 100
    assert (both[:, :32] == 128).all()
