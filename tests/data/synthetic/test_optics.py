import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equiderm.data.synthetic import optics
from equiderm.data.synthetic.canvas import encode
from equiderm.tone.color import individual_typology_angle, srgb_to_lab


def test_a_perfect_reflector_is_white():
    assert optics.linear_rgb(np.ones(31)) == pytest.approx(1, abs=1e-3)


def test_short_waves_are_blue_and_long_waves_red():
    red, _, blue = optics.linear_rgb(np.eye(31))[[5, 25]].T  # 450 and 650 nm
    assert blue[0] > red[0]
    assert red[1] > blue[1]


@given(st.floats(-55, 68), st.floats(0.001, 0.03))
def test_pigments_for_gives_skin_of_the_asked_ita(ita, blood):
    melanin, volume = optics.pigments_for(ita, blood)
    exact = optics.linear_rgb(optics.reflectance(melanin, volume))
    assert optics.mean_ita(exact[None]) == pytest.approx(ita, abs=0.5)


@given(st.floats(0.0, 0.6), st.floats(0.01, 0.3), st.floats(0.001, 0.03))
def test_more_melanin_is_darker_at_every_wavelength(melanin, more, blood):
    before = optics.reflectance(melanin, blood)
    assert (optics.reflectance(melanin + more, blood) < before).all()


def test_blood_reddens_pale_skin():
    pale, flushed = (srgb_to_lab(_rgb(0.02, blood)) for blood in (0.002, 0.03))
    assert flushed[1] > pale[1] + 5


def test_deep_pigment_is_bluer_than_the_skin_above_it():
    skin = srgb_to_lab(_rgb(0.02, 0.006))
    veiled = srgb_to_lab(_rgb(0.02, 0.006, deep=True))
    assert veiled[2] < skin[2] - 8
    assert veiled[0] < skin[0]


def test_the_colour_table_agrees_with_the_spectra():
    melanin = np.array([[0.013, 0.2, 0.47]], np.float32)
    blood = np.array([[0.004, 0.011, 0.02]], np.float32)
    table = encode(optics.colour(melanin, blood)).astype(int)
    spectra = encode(optics.linear_rgb(optics.reflectance(melanin, blood))).astype(int)
    assert np.abs(table - spectra).max() <= 2


def test_the_range_covers_very_light_to_very_dark_skin():
    for ita in (-55.0, 70.0):
        melanin, blood = optics.pigments_for(ita, 0.006)
        colour = srgb_to_lab(_rgb(melanin, blood))
        assert float(individual_typology_angle(colour)) == pytest.approx(ita, abs=1.5)


# Median colorimeter colours (L*, a*, b*) of people's skin by ITA, 10 degrees around each:
# MSKCC Skin Tone Labeling Dataset, doi:10.34970/962049, CC BY.
COLORIMETER = {
    -55: (31.8, 6.0, 12.2), -45: (36.5, 9.7, 13.8), -35: (38.3, 10.0, 16.7),
    -25: (41.3, 11.3, 18.0), -15: (44.7, 10.0, 21.3), -5: (48.0, 10.2, 22.0),
    5: (51.3, 10.3, 20.0), 15: (55.3, 9.0, 20.7), 25: (58.0, 10.3, 16.7),
    35: (60.7, 9.7, 16.0), 45: (65.7, 5.3, 15.7), 55: (67.3, 5.8, 11.7), 65: (69.0, 5.7, 9.5),
}  # fmt: skip


@pytest.mark.parametrize("ita", COLORIMETER)
def test_drawn_skin_of_every_tone_has_the_colour_that_a_colorimeter_reads_on_people(ita):
    lightness, _, yellow = lab = srgb_to_lab(_rgb(*optics.pigments_for(ita, 0.0096)))
    assert lightness == pytest.approx(COLORIMETER[ita][0], abs=3.1)
    assert yellow == pytest.approx(COLORIMETER[ita][2], abs=2.0)
    chroma = np.hypot(*COLORIMETER[ita][1:])
    assert np.hypot(*lab[1:]) == pytest.approx(chroma, rel=0.2)


def _rgb(melanin: float, blood: float, *, deep: bool = False) -> np.ndarray:
    return encode(optics.linear_rgb(optics.reflectance(melanin, blood, deep=deep)))
