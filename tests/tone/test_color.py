import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from skimage import color as reference

from equiderm.tone.color import (
    ciede2000,
    hue_angle,
    individual_typology_angle,
    lab_to_srgb,
    one_argument_angle,
    srgb_to_lab,
)

BYTES = npst.arrays(np.uint8, (20, 3))
LABS = npst.arrays(np.float64, (12, 3), elements=st.floats(-80, 80, allow_subnormal=False))


@given(pixels=BYTES)
def test_lab_agrees_with_scikit_image(pixels):
    assert srgb_to_lab(pixels) == pytest.approx(reference.rgb2lab(pixels), abs=1e-4)


@given(pixels=BYTES)
def test_lab_and_back_gives_the_same_bytes(pixels):
    assert np.array_equal(np.round(255 * lab_to_srgb(srgb_to_lab(pixels))), pixels)


@given(pixels=BYTES)
def test_floats_and_bytes_have_the_same_colour(pixels):
    assert srgb_to_lab(pixels / 255) == pytest.approx(srgb_to_lab(pixels), abs=1e-4)


@given(lab=LABS)
def test_ciede2000_agrees_with_scikit_image(lab):
    lab[:, 0] = np.abs(lab[:, 0])
    ours = ciede2000(lab[:, None], lab[None])
    assert ours == pytest.approx(reference.deltaE_ciede2000(lab[:, None], lab[None]), abs=1e-6)


@given(b=st.floats(1, 40), low=st.floats(0, 99), step=st.floats(0.01, 1))
def test_ita_rises_with_lightness(b, low, step):
    angle = individual_typology_angle(np.array([[low, 10, b], [low + step, 10, b]]))
    assert angle[1] > angle[0]


@given(lightness=st.floats(0, 100), b=st.floats(0.1, 60))
def test_both_arctangents_agree_where_b_is_positive(lightness, b):
    lab = np.array([lightness, 5.0, b])
    assert individual_typology_angle(lab) == pytest.approx(float(one_argument_angle(lab)))


def test_where_b_is_negative_the_published_form_wraps_by_180_degrees():
    lab = np.array([80.0, 5.0, -10.0])
    assert individual_typology_angle(lab) - one_argument_angle(lab) == pytest.approx(180)


def test_no_angle_exists_at_the_pole():
    assert np.isnan(individual_typology_angle(np.array([50.0, 3.0, 0.0])))
    assert np.isnan(one_argument_angle(np.array([50.0, 3.0, 0.0])))


def test_at_b_zero_light_is_90_and_dark_minus_90():
    lab = np.array([[60.0, 3.0, 0.0], [40.0, 3.0, 0.0]])
    assert individual_typology_angle(lab).tolist() == [90.0, -90.0]


def test_hue_of_yellow_is_90_degrees():
    assert float(hue_angle(np.array([50.0, 0.0, 20.0]))) == 90.0
