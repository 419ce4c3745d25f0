import numpy as np
import pytest
from tests.tone.pictures import measured_by, skin_picture

from equiderm.photo.decode import load_photo
from equiderm.tone import overlay
from equiderm.tone.estimators import METHODS
from equiderm.tone.robust import _is_lighter_near_the_edge
from equiderm.tone.skin import dark_surround, lesion_mask
from equiderm.tone.view import EIGHT_SAMPLES, View

SHAVED = {
    "clean": {},
    "a few hairs": {"hairs": 6},
    "dense hair": {"hairs": 70, "noise": 4.0},
    "broad hairs": {"hairs": 25, "hair_width": 6},
    "bordered": {"hairs": 20, "border": 3},
}


@pytest.mark.parametrize("kind", SHAVED)
@pytest.mark.parametrize("seed", range(8))
def test_samples_equal_those_of_the_whole_picture_filled(kind, seed):
    picture = skin_picture((60, 14, 18), width=256, height=256, seed=seed, **SHAVED[kind])
    view = View(load_photo(picture).square)
    whole = [view.filled[y : y + 20, x : x + 20] for y, x in EIGHT_SAMPLES.values()]
    assert np.array_equal(view.samples, whole)


def test_a_sample_without_hair_is_the_picture_itself():
    picture = skin_picture((60, 14, 18), width=256, height=256, noise=0)
    samples = View(picture).samples
    assert np.array_equal(samples[0], picture[230:250, 115:135])


@pytest.mark.parametrize("level", [255, 210, 128])
@pytest.mark.parametrize("sides", [np.s_[:12], np.s_[-20:], np.s_[:, :25], np.s_[:, -20:]])
def test_a_flat_colourless_frame_is_outside(level, sides):
    framed = np.array(skin_picture((60, 14, 18), width=256, height=256))
    framed[sides] = level
    outside = View(framed).outside
    assert outside[sides].all()
    assert not outside[40:-40, 40:-40].any()
    bare = measured_by("patch-max", framed).estimate
    assert "cut-out" in bare.flags
    assert bare.ita < 60


@pytest.mark.parametrize(
    ("one", "other", "is_flat"),
    [(128, 132, True), (128, 133, False), (250, 255, True), (249, 255, False)],
)
def test_a_frame_is_flat_within_4_levels_of_gray_or_from_250_on(one, other, is_flat):
    framed = np.array(skin_picture((60, 14, 18), width=256, height=256))
    framed[:12, ::2], framed[:12, 1::2] = one, other
    assert (View(framed).outside is not None) == is_flat


@pytest.mark.parametrize("level", [255, 200, 128])
def test_four_corners_of_one_gray_are_outside_and_flagged(level):
    picture = np.array(skin_picture((60, 14, 18), width=256, height=256))
    down, across = np.mgrid[:256, :256] - 127.5
    share = np.clip((120 - np.hypot(down, across)) / 40 + 0.5, 0, 1)[..., None]  # it fades out
    faded = np.round(share * picture + (1 - share) * level).astype(np.uint8)
    outside = View(faded).outside
    assert outside[0, 0] and outside[-1, -1] and not outside[64:-64, 64:-64].any()
    for method in ("patch-max", "robust"):
        assert "cut-out" in measured_by(method, faded).estimate.flags


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_dark_part_at_any_side_is_surround(turns):
    picture = np.full((200, 200, 3), 180, np.uint8)
    picture[:20, 90:110] = 5
    turned = dark_surround(np.ascontiguousarray(np.rot90(picture, turns)))
    assert dark_surround(picture)[:20, 90:110].all()
    assert np.array_equal(turned, np.rot90(dark_surround(picture), turns))


def test_a_dark_side_and_flat_skin_are_no_frame():
    picture = np.array(skin_picture((60, 14, 18), width=256, height=256, noise=0))
    assert View(picture).outside is None
    picture[:30] = 0
    assert View(picture).outside is None


@pytest.mark.parametrize(("top", "is_lesion"), [(58, True), (48, False)])
def test_a_lesion_reaches_the_middle_half_of_the_picture(top, is_lesion):
    picture = np.full((256, 256, 3), (210, 170, 150), np.uint8)
    picture[top : top + 12, 100:150] = (90, 60, 50)  # the middle half begins at row 64
    assert lesion_mask(picture, np.zeros((256, 256), np.uint8)).any() == is_lesion


@pytest.mark.parametrize("method", METHODS)
def test_drawing_an_overlay_measures_nothing_again(method, monkeypatch):
    measured = measured_by(method, skin_picture((60, 14, 18), hairs=5))
    for name in METHODS:
        monkeypatch.setitem(METHODS, name, None)
    assert overlay.draw_overlay(measured).width == 512


@pytest.mark.parametrize(("inside", "enough"), [(("top", "left"), True), (("top",), False)])
def test_a_median_is_of_two_samples_or_more(inside, enough):
    transparent = np.ones((256, 256), bool)
    for name in inside:
        top, left = EIGHT_SAMPLES[name]
        transparent[max(top - 5, 0) : top + 25, max(left - 5, 0) : left + 25] = False
    picture = skin_picture((60, 14, 18), width=256, height=256)
    found = METHODS["patch-median"](View(picture, transparent))
    assert (found is not None) == enough


@pytest.mark.parametrize(("blue", "is_paper"), [(191, True), (190, False)])
def test_paper_is_within_15_levels_of_gray(blue, is_paper):
    picture = np.full((256, 256, 3), (120, 84, 62), np.uint8)
    picture[228:252, 110:140] = (206, 198, blue)
    assert _is_lighter_near_the_edge(View(picture), 10.0) == (not is_paper)
