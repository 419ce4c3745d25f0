import numpy as np
import pytest
from tests.tone.pictures import measured_by, skin_picture

from equiderm.photo.decode import load_photo
from equiderm.tone import overlay
from equiderm.tone.color import individual_typology_angle, srgb_to_lab
from equiderm.tone.estimators import METHODS, _within_one_deviation
from equiderm.tone.robust import _is_clipped, _is_lighter_near_the_edge, light_tolerant_angle
from equiderm.tone.skin import cut_out, dark_surround, is_dim, lesion_mask
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


@pytest.mark.parametrize(("rows", "is_cut"), [(1, False), (2, True)])
def test_a_frame_of_under_one_percent_of_the_picture_is_none(rows, is_cut):
    picture = np.full((200, 200, 3), (190, 140, 115), np.uint8)
    picture[:rows] = 255
    outside = cut_out(picture)
    assert (outside is not None) == is_cut
    assert not is_cut or (outside[:5].all() and not outside[5:].any())  # 3 px more


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize(("lit", "dim"), [(2, True), (3, False)])
def test_a_picture_is_dim_with_under_one_percent_of_lit_pixels_in_any_channel(channel, lit, dim):
    picture = np.full((64, 64, 3), 50, np.uint8)
    for k in range(lit):  # of 256 blocks
        picture[8 * k : 8 * k + 4, :4, channel] = 110
    assert is_dim(picture) == dim


GRAYISH, SKIN = (155, 152, 149), (190, 140, 115)  # of one lightness


def of_cells(kind, rest):
    """A picture of skin in the cells of 8 px that are given, shape (32, 32), and of the rest."""
    return np.where(kind.repeat(8, 0).repeat(8, 1)[..., None], SKIN, rest).astype(np.uint8)


@pytest.mark.parametrize(("cells", "enough"), [(307, False), (308, True)])
def test_under_30_percent_of_lit_cells_in_a_colour_of_skin_have_no_tone(cells, enough):
    kind = np.arange(1024).reshape(32, 32) < cells
    found = METHODS["robust"](View(of_cells(kind, GRAYISH)))
    assert (found is not None) == enough


@pytest.mark.parametrize(("cells", "enough"), [((5, 15), False), ((6, 12), True)])
def test_under_40_cells_away_from_the_dark_have_no_tone(cells, enough):
    """13 x 3 and 10 x 4 cells are not beside a dark one."""
    kind = np.zeros((32, 32), bool)
    kind[10 : 10 + cells[0], 5 : 5 + cells[1]] = True
    found = METHODS["robust"](View(of_cells(kind, 10)))
    assert (found is not None) == enough


@pytest.mark.parametrize(
    ("pixels", "level", "clipped"), [(9830, 252, False), (9831, 252, True), (20_000, 251, False)]
)
@pytest.mark.parametrize("channel", [0, 1])
def test_a_picture_is_over_exposed_with_over_15_percent_at_252_in_red_or_green(
    pixels, level, clipped, channel
):
    picture = np.full((256 * 256, 3), SKIN, np.uint8)
    picture[:pixels, channel] = level
    assert _is_clipped(View(picture.reshape(256, 256, 3))) == clipped


@pytest.mark.parametrize(("pixels", "enough"), [(654, False), (655, True)])
def test_a_mean_colour_needs_one_percent_of_the_picture(pixels, enough):
    used = np.zeros((256, 256), bool)
    used.ravel()[:pixels] = True
    picture = np.full((256, 256, 3), SKIN, np.uint8)
    assert (_within_one_deviation(View(picture), used) is not None) == enough


def test_a_mean_colour_is_of_what_lies_within_one_deviation_of_the_mean():
    picture = np.full((256, 256, 3), SKIN, np.uint8)
    picture[:20] = (90, 60, 50)  # 8 % of the picture, far from the mean
    found = _within_one_deviation(View(picture), np.ones((256, 256), bool))
    assert found.lab == pytest.approx(srgb_to_lab(np.array(SKIN, np.uint8)), abs=1e-3)
    assert found.sample_ita.shape == (256 * 256,)


def test_the_ring_is_of_the_outermost_squares_of_eight_pixels():
    picture = np.full((256, 256, 3), (120, 84, 62), np.uint8)
    picture[12:244, 12:244] = SKIN
    picture[20:236, 20:236] = (120, 84, 62)
    found = METHODS["border-median"](View(picture))
    own = individual_typology_angle(srgb_to_lab(np.array(SKIN, np.uint8)))
    assert found.sample_ita == pytest.approx(np.full(112, own), abs=1e-3)
    assert len(set(found.boxes)) == 112
    for top, left, side in found.boxes:
        assert (picture[top : top + side, left : left + side] == SKIN).all() and side == 8


def test_the_median_s_colour_is_that_of_the_middle_two_samples():
    picture = np.full((256, 256, 3), (150, 108, 86), np.uint8)
    for k, (top, left) in enumerate(EIGHT_SAMPLES.values()):
        picture[top : top + 20, left : left + 20] = np.array((150, 108, 86)) + 4 * (k * 3 % 8)
    found = METHODS["patch-median"](View(picture))
    colours = [np.array((150, 108, 86)) + 4 * step for step in range(8)]  # dark to light
    lab = srgb_to_lab(np.array(colours, np.uint8))
    angles = individual_typology_angle(lab)
    assert found.ita == pytest.approx((angles[3] + angles[4]) / 2, abs=1e-2)
    assert found.lab == pytest.approx((lab[3] + lab[4]) / 2, abs=1e-3)
    assert sorted(found.sample_ita) == pytest.approx(sorted(angles), abs=1e-2)
    assert {tuple(one) for one in found.pixels.reshape(-1, 3)} == {
        tuple(int(v) for v in colours[k]) for k in (3, 4)
    }


def test_a_colour_less_yellow_than_five_has_the_angle_of_five():
    lab = np.array([[60.0, 9, 5.5], [60, 9, 5], [60, 9, 2], [60, 9, -40], [40, 9, 0]])
    angles = light_tolerant_angle(lab)
    expected = np.degrees(np.arctan2([10, 10, 10, 10, -10], [5.5, 5, 5, 5, 5]))
    assert angles == pytest.approx(expected)
    assert lab[3, 2] == -40  # the colours stay as they are


@pytest.mark.parametrize(("red", "is_flat"), [(130, True), (131, False)])
def test_the_channels_of_a_frame_differ_by_4_levels_at_most(red, is_flat):
    framed = np.array(skin_picture((60, 14, 18), width=256, height=256))
    framed[:12] = (red, 128, 126)
    assert (View(framed).outside is not None) == is_flat
