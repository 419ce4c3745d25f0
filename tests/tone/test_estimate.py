import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests import oracle
from tests.tone.pictures import pictures, skin_picture

from equiderm.errors import InputError
from equiderm.photo.decode import PhotoError
from equiderm.tone import METHODS, estimate
from equiderm.tone.estimate import COLUMNS, FLAGS, _flags
from equiderm.tone.skin import is_dim
from equiderm.tone.view import EIGHT_SAMPLES, Measurement

LIGHT, MIDDLE, DARK = (72.0, 12.0, 16.0), (58.0, 14.0, 20.0), (34.0, 12.0, 16.0)


@settings(max_examples=60)
@given(picture=pictures())
def test_patch_max_equals_the_plain_oracle(picture):
    ita, band = oracle.label(Image.fromarray(picture))
    ours = estimate(picture)
    assume("cut-out" not in ours.flags)  # unlike the paper, white samples are left out
    assert ours.ita == pytest.approx(ita, abs=0.02)
    assert ours.ita_band == band


@settings(max_examples=40)
@given(picture=pictures())
def test_patch_max_arctan_equals_the_plain_oracle(picture):
    ita, band = oracle.label(Image.fromarray(picture), two_arguments=False)
    ours = estimate(picture, method="patch-max-arctan")
    assume("cut-out" not in ours.flags)
    assert ours.ita == pytest.approx(ita, abs=0.02)
    assert ours.ita_band == band


def test_the_arctangents_differ_where_b_is_negative():
    bluish = skin_picture((70.0, 12.0, -8.0))
    assert estimate(bluish).ita_band == "1"
    assert estimate(bluish, method="patch-max-arctan").ita_band == "6"
    assert "b-not-positive" in estimate(bluish).flags


def test_all_eight_samples_are_returned_and_the_lightest_is_chosen():
    picture = np.array(skin_picture(MIDDLE, width=256, height=256, lesion=False, noise=0))
    top, left = EIGHT_SAMPLES["bottom-left"]
    picture[top : top + 20, left : left + 20] = skin_picture(LIGHT, width=20, height=20, noise=0)[
        0, 0
    ]
    found = estimate(picture)
    assert found.patch == "bottom-left"
    assert len(found.patch_ita) == 8
    assert found.ita == max(found.patch_ita)
    assert found.spread == pytest.approx(0, abs=0.5)


def test_patch_median_is_the_median_of_the_eight():
    picture = skin_picture(MIDDLE, shade=0.2)
    assert estimate(picture, method="patch-median").ita == pytest.approx(
        np.median(estimate(picture).patch_ita)
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lab", [LIGHT, MIDDLE])
def test_every_method_finds_the_colour_of_plain_skin(method, lab):
    picture = skin_picture(lab, noise=1, lesion=method not in ("whole",))
    found = estimate(picture, method=method)
    assert pytest.approx(lab[0], abs=1) == found.L
    assert found.b == pytest.approx(lab[2], abs=1)
    assert found.hue == pytest.approx(np.degrees(np.arctan2(lab[2], lab[1])), abs=3)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"ycbcr"}))
def test_darker_skin_has_a_lower_angle(method):
    angles = [estimate(skin_picture(lab), method=method).ita for lab in (LIGHT, MIDDLE, DARK)]
    assert angles == sorted(angles, reverse=True)


def test_healthy_skin_leaves_the_lesion_out():
    picture = skin_picture(MIDDLE, noise=1)
    with_lesion = estimate(picture, method="whole").L
    without = estimate(picture, method="healthy-skin").L
    assert without == pytest.approx(MIDDLE[0], abs=0.7)
    assert with_lesion < without - 1


def test_ycbcr_finds_no_skin_in_a_blue_cloth():
    cloth = np.full((100, 100, 3), (20, 40, 180), np.uint8)
    found = estimate(cloth, method="ycbcr")
    assert found.ita is None
    assert found.flags == ("no-skin",)


def test_a_gray_picture_has_no_tone_and_says_why():
    gray = skin_picture(LIGHT).mean(axis=2).astype(np.uint8)
    found = estimate(gray)
    assert (found.ita, found.ita_band, found.L) == (None, None, None)
    assert found.flags == ("no-colour",)
    assert found.width == 320


def flags_with_a_patch(colour):
    picture = np.array(skin_picture(MIDDLE, width=256, height=256, lesion=False))
    picture[200:, 200:] = colour
    return estimate(picture).flags


def darker(picture, stops):
    linear = np.where(
        picture <= 10, picture / 255 / 12.92, ((picture / 255 + 0.055) / 1.055) ** 2.4
    )
    linear = linear * 2.0**-stops
    return np.round(255 * (1.055 * linear ** (1 / 2.4) - 0.055)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("lab", [LIGHT, MIDDLE, (42.0, 12.0, 14.0)])
def test_a_dim_picture_is_flagged_and_dark_skin_in_good_light_is_not(lab):
    picture = skin_picture(lab)
    picture = np.array(picture)
    picture[40:46, 40:60] = 180  # a highlight, as skin in good light has
    assert "dim" not in estimate(picture).flags
    assert "dim" in estimate(darker(picture, 3)).flags


def test_a_picture_is_dim_below_110_of_255_alone():
    assert is_dim(np.full((16, 16, 3), 109, np.uint8))
    assert not is_dim(np.full((16, 16, 3), 110, np.uint8))


def test_white_paper_is_flagged():
    assert "like-paper" in flags_with_a_patch((235, 233, 228))


def test_glare_is_flagged():
    assert "glare" in flags_with_a_patch((255, 255, 250))


def test_a_green_cloth_is_flagged():
    cloth = np.array(skin_picture(MIDDLE, width=256, height=256))
    cloth[:] = (90, 200, 120)
    assert "not-skin-hue" in estimate(cloth).flags


def test_dark_corners_are_flagged():
    assert "dark-edge" in estimate(skin_picture(LIGHT, border=40)).flags


def test_much_hair_is_flagged():
    found = estimate(skin_picture(LIGHT, hairs=90, hair_width=3))
    assert found.hair_fraction > 0.25
    assert "hairy" in found.flags


def test_disagreeing_samples_are_flagged():
    two = np.array(skin_picture(LIGHT, width=256, height=256, lesion=False))
    two[:, :128] = skin_picture(DARK, width=128, height=256, lesion=False)
    assert "samples-disagree" in estimate(two).flags


BOUNDS = {  # a flag, the colour, the spread and the hair that just raise it, and that just do not
    "like-paper": [((80.1, 0, 7.9), 0, 0), ((79.9, 0, 7.9), 0, 0), ((80.1, 0, 8.1), 0, 0)],
    "not-skin-hue": [((15.1, -1, 9), 0, 0), ((15.1, -0.7, 9), 0, 0), ((15.1, 1, -0.99), 0, 0)],
    "b-not-positive": [((60, 9, 0), 0, 0), ((60, 9, 0.1), 0, 0)],
    "hairy": [((60, 9, 9), 0, 0.251), ((60, 9, 9), 0, 0.25)],
    "samples-disagree": [((60, 9, 9), 20.1, 0), ((60, 9, 9), 20.0, 0)],
}


@pytest.mark.parametrize("flag", BOUNDS)
def test_a_flag_is_raised_beyond_its_documented_bound_alone(flag):
    pixels = np.full((9, 3), 120, np.uint8)
    for place, (lab, spread, hair) in enumerate(BOUNDS[flag]):
        angles = np.array([30.0])
        found = Measurement(np.array(lab, float), 30.0, angles, pixels)
        assert (flag in _flags(found, spread, hair)) == (place == 0)


@pytest.mark.parametrize(
    ("lights", "dark"),
    [((19.9, 46), True), ((20.1, 50), False), ((14.9, 40), True), ((15.1, 40), False)],
)
def test_a_sample_is_dark_below_20_and_25_below_the_lightest(lights, dark):
    labs = np.array([(light, 9, 9) for light in lights], float)
    pixels = np.full((9, 3), 120, np.uint8)
    found = Measurement(labs[1], 30.0, np.array([30.0]), pixels, sample_lab=labs)
    assert ("dark-edge" in _flags(found, 0.0, 0.0)) == dark


def test_plain_skin_has_no_flag():
    assert estimate(skin_picture(LIGHT)).flags == ()


def test_hair_does_not_move_the_label_much():
    bald, hairy = (estimate(skin_picture(MIDDLE, hairs=n, noise=1)).ita for n in (0, 12))
    assert hairy == pytest.approx(bald, abs=3)


@given(picture=pictures(), scheme=st.sampled_from(["paper", "monk", "kinyanjui"]))
@settings(max_examples=15)
def test_flags_are_known_and_in_order(picture, scheme):
    flags = estimate(picture, scheme=scheme).flags
    assert [name for name in FLAGS if name in flags] == list(flags)


def test_columns_are_the_documented_ones():
    assert " ".join(COLUMNS) == (
        "image width height method L a b hue ita scheme ita_band patch patch_ita spread "
        "confidence hair_fraction tone_flags error"
    )


def test_unknown_names_are_one_sentence_that_lists_the_known():
    with pytest.raises(InputError, match="choose one of patch-max, "):
        estimate(skin_picture(LIGHT), method="best")
    with pytest.raises(InputError, match="choose one of paper, "):
        estimate(skin_picture(LIGHT), scheme="best")


def test_a_path_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(PhotoError, match=r"gone\.jpg: no such file\."):
        estimate(tmp_path / "gone.jpg")


def test_the_same_picture_in_another_size_has_the_same_tone():
    picture = Image.fromarray(skin_picture(MIDDLE, width=1200, height=900, noise=2))
    angles = [
        estimate(np.asarray(picture.resize((4 * n, 3 * n), Image.Resampling.LANCZOS))).ita
        for n in (75, 150, 300)
    ]
    assert np.ptp(angles) < 1.5


@pytest.mark.parametrize(("burnt", "is_glare"), [(10, False), (11, True)])
def test_glare_is_over_a_tenth_of_the_measured_pixels(burnt, is_glare):
    pixels = np.full((10, 10, 3), 120, np.uint8)
    pixels.reshape(100, 3)[:burnt] = 245
    found = Measurement(np.array([60.0, 9, 9]), 30.0, np.array([30.0]), pixels)
    assert ("glare" in _flags(found, 0.0, 0.0)) == is_glare
    pixels[..., 2] = 244
    assert "glare" not in _flags(found, 0.0, 0.0)


def test_no_angle_is_said_unless_a_doubt_says_why():
    given = np.array([50.0, 9, 0.1]), np.nan, np.array([30.0]), np.full((9, 3), 120, np.uint8)
    assert _flags(Measurement(*given), None, 0.0) == ("no-angle",)
    assert _flags(Measurement(*given, doubts=("two-tones",)), None, 0.0) == ("two-tones",)


def test_an_estimate_shows_what_it_has_and_not_what_it_lacks():
    gray = estimate(skin_picture(LIGHT).mean(axis=2).astype(np.uint8))
    assert repr(gray) == "ToneEstimate(method='patch-max', scheme='paper', flags=('no-colour',))"
    shown = repr(estimate(skin_picture(LIGHT)))
    assert "ita=5" in shown and "ita_band='" in shown and "flags" not in shown
