import numpy as np
import pytest
from PIL import Image
from tests.photo import encoded as made
from tests.tone.pictures import skin_picture

from equiderm.errors import InputError
from equiderm.photo.colour import from_linear, to_linear
from equiderm.photo.decode import PhotoError
from equiderm.photo.reference import Reference
from equiderm.tone import estimate, label
from equiderm.tone.color import lab_to_srgb

PLACE = (300, 40, 60, 50)


def with_patch(lab, lightness=49.5):
    """Return skin, 400 x 256 px, and a neutral patch outside of its central square."""
    picture = np.array(skin_picture(lab, width=400, height=256, noise=2))
    left, top, width, height = PLACE
    colour = lab_to_srgb(np.array([lightness, 0.0, 0.0]))
    picture[top : top + height, left + 32 : left + width + 32] = np.round(255 * colour)
    return picture


def in_light(picture, gain):
    return np.round(255 * from_linear(to_linear(picture / 255) * np.array(gain))).astype(np.uint8)


LAMPS = [(0.5, 0.5, 0.5), (1.2, 1.0, 0.6), (0.7, 0.9, 1.1), (1.3, 1.3, 1.3)]


@pytest.mark.parametrize("gain", LAMPS)
@pytest.mark.parametrize("lab", [(68.0, 12.0, 16.0), (36.0, 12.0, 16.0)])
def test_a_gray_card_takes_the_light_out_of_the_angle(lab, gain):
    picture = with_patch(lab)
    lit = in_light(picture, gain)
    true = estimate(picture).ita
    assert abs(estimate(lit).ita - true) > 4
    assert estimate(lit, reference="336,44,50,40").ita == pytest.approx(true, abs=1.5)


def test_white_paper_is_a_reference_with_its_own_lightness():
    picture = with_patch((60.0, 13.0, 17.0), lightness=92.0)
    lit = in_light(picture, (0.6, 0.5, 0.4))
    found = estimate(lit, reference="336,44,50,40,92")
    assert found.ita == pytest.approx(estimate(picture).ita, abs=1.5)


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_the_place_is_that_of_the_upright_photograph(orientation, tmp_path):
    picture = in_light(with_patch((60.0, 13.0, 17.0)), (0.7, 0.6, 0.5))
    upright = estimate(picture, reference="336,44,50,40").ita
    stored = made.stored_as(picture, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    blob = made.saved(stored, "PNG", exif=exif)
    assert estimate(blob, reference="336,44,50,40").ita == pytest.approx(upright, abs=0.3)


def test_a_patch_that_tells_nothing_is_an_error():
    picture = with_patch((60.0, 13.0, 17.0), lightness=100.0)
    with pytest.raises(PhotoError, match="over-exposed"):
        estimate(picture, reference="336,44,50,40")
    with pytest.raises(PhotoError, match="lies outside"):
        estimate(picture, reference="390,44,50,40")
    picture[44:84, 336:386] = 0
    with pytest.raises(PhotoError, match="black"):
        estimate(picture, reference="336,44,50,40")


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "a,b,c,d", "0,0,2,2", "-1,0,9,9", "0,0,9,9,300", "1e999,0,9,9"]
)
def test_a_place_that_is_none_is_one_sentence(text):
    with pytest.raises(InputError, match="LEFT,TOP,WIDTH,HEIGHT"):
        Reference.parse(text)


def test_a_table_of_other_references_is_not_mixed_with(tmp_path):
    folder, output = tmp_path / "in", tmp_path / "t.parquet"
    folder.mkdir()
    Image.fromarray(in_light(with_patch((60.0, 13.0, 17.0)), (0.7, 0.6, 0.5))).save(
        folder / "a.png"
    )
    plain = label([folder], output=output)
    with pytest.raises(InputError, match="other settings"):
        label([folder], output=output, reference="336,44,50,40")
    corrected = label([folder], output=output, reference="336,44,50,40", overwrite=True)
    assert corrected["ita"][0] > plain["ita"][0] + 5
