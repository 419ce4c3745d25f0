import cv2
import numpy as np
import pytest
from PIL import Image
from tests.photo import encoded as made
from tests.tone.pictures import skin_picture

from equiderm.errors import InputError
from equiderm.photo.colour import from_linear, to_linear
from equiderm.photo.decode import PhotoError
from equiderm.photo.reference import FIELDS, Reference
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


def with_card(lab, *, turns=0, width=560):
    """Return skin and a card of 24 colours right of its central square, and the card's place."""
    picture = np.array(skin_picture(lab, width=width, height=256, noise=2))
    card = np.kron(FIELDS.reshape(4, 6, 3), np.ones((16, 16, 1), np.uint8))
    card = np.rot90(card, turns)
    height, across = card.shape[:2]
    picture[60 : 60 + height, 430 : 430 + across] = card
    return picture, f"card:430,60,{across},{height}"


def in_mixed_light(picture, stops):
    """Return the picture as channels that overlap record it: no three gains undo that."""
    mixing = 2.0**stops * np.array([[0.9, 0.2, 0.0], [0.1, 0.7, 0.1], [0.0, 0.1, 0.5]])
    return np.round(255 * from_linear(to_linear(picture / 255) @ mixing)).astype(np.uint8)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_colour_card_undoes_what_three_gains_cannot(turns):
    picture, place = with_card((60.0, 13.0, 17.0), turns=turns)
    lit = in_mixed_light(picture, -0.5)
    assert estimate(lit, reference=place).ita == pytest.approx(estimate(picture).ita, abs=1)


def test_four_corners_place_a_card_that_is_askew():
    picture, _ = with_card((60.0, 13.0, 17.0))
    away = np.float32([(430, 60), (526, 60), (526, 124), (430, 124)])
    towards = np.float32([(424, 70), (530, 52), (540, 130), (432, 140)])
    matrix = cv2.getPerspectiveTransform(away, towards)
    askew = in_mixed_light(cv2.warpPerspective(picture, matrix, (560, 256)), 0)
    askew[:, :420] = in_mixed_light(picture, 0)[:, :420]
    found = estimate(askew, reference="card:" + " ".join(f"{x:g} {y:g}" for x, y in towards))
    assert found.ita == pytest.approx(estimate(picture).ita, abs=1)


def test_a_card_that_is_elsewhere_or_clipped_is_an_error():
    picture, place = with_card((60.0, 13.0, 17.0))
    with pytest.raises(PhotoError, match="not where it should be"):
        estimate(picture, reference="card:100,20,300,200")
    with pytest.raises(PhotoError, match="lies outside"):
        estimate(picture, reference="card:500,60,96,64")
    with pytest.raises(PhotoError, match="fields are over-exposed or black"):
        estimate(in_light(picture, (9, 9, 9)), reference=place)


@pytest.mark.parametrize("turn", [0, 100, 200])
@pytest.mark.parametrize("gap", [0, 4])
def test_a_card_is_found_wherever_it_lies(turn, gap):
    picture = skin_picture((60.0, 13.0, 17.0), width=900, height=500, noise=2, hairs=6)
    field = cv2.copyMakeBorder(np.ones((26, 26), np.uint8), 0, gap, 0, gap, cv2.BORDER_CONSTANT)
    card = np.kron(FIELDS.reshape(4, 6, 3), field[..., None]) + np.uint8(30) * (
        1 - np.kron(np.ones((4, 6), np.uint8), field)[..., None]
    )
    height, across = card.shape[:2]
    place = cv2.getRotationMatrix2D((across / 2, height / 2), turn, 1.0)
    place[:, 2] += (780 - across / 2, 260 - height / 2)
    layers = np.dstack([card, np.full(card.shape[:2], 255, np.uint8)])
    laid = cv2.warpAffine(layers, place, (900, 500))
    lit = np.where(laid[..., 3:] > 127, laid[..., :3], picture)
    lit = in_mixed_light(lit, -0.5)
    assert estimate(lit, reference="card").ita == pytest.approx(estimate(picture).ita, abs=1.5)


def test_a_reference_inside_the_square_is_not_measured():
    picture = skin_picture((60.0, 13.0, 17.0), width=600, height=600, noise=2)
    bare = estimate(picture)
    with_card, with_paper = np.array(picture), np.array(picture)
    with_card[480:580, 200:350] = np.kron(FIELDS.reshape(4, 6, 3), np.ones((25, 25, 1), np.uint8))
    with_paper[530:590, 265:325] = 241
    for lit, reference in (
        (with_card, "card"),
        (with_card, "card:200,480,150,100"),
        (with_paper, "265,530,60,60,95.2"),
    ):
        found = estimate(lit, reference=reference)
        assert found.ita == pytest.approx(bare.ita, abs=1)
        assert "cut-out" in found.flags
        assert found.patch != "bottom"


def test_where_no_card_is_found_that_is_an_error():
    squares = np.kron(np.indices((6, 8)).sum(axis=0) % 2, np.ones((40, 40)))  # a chessboard
    board = np.repeat(squares[..., None] * 150 + 60, 3, axis=2).astype(np.uint8)
    for picture in (board, skin_picture((60.0, 13.0, 17.0), hairs=10)):
        with pytest.raises(PhotoError, match="no colour card was found"):
            estimate(picture, reference="card")


@pytest.mark.parametrize("text", ["card:", "card:1,2,3", "card:0,0,9,9", "card:a,b,c,d"])
def test_a_card_without_a_place_is_one_sentence(text):
    with pytest.raises(InputError, match="24 colours"):
        estimate(np.zeros((99, 99, 3), np.uint8), reference=text)


def test_each_photograph_of_a_table_has_its_own_reference(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    picture = with_patch((60.0, 13.0, 17.0))
    Image.fromarray(in_light(picture, (0.7, 0.6, 0.5))).save(folder / "a.png")
    Image.fromarray(in_light(picture, (0.5, 0.6, 0.7))[:, ::-1]).save(folder / "b.png")
    Image.fromarray(picture).save(folder / "c.png")
    places = tmp_path / "places.csv"
    places.write_text('image,reference\na.png,"336,44,50,40"\nb,14 44 50 40\n', encoding="utf-8")
    output = tmp_path / "tones.parquet"
    tones = label([folder], reference=str(places), output=output)
    true = estimate(picture).ita
    assert tones["ita"][:2].tolist() == pytest.approx([true, true], abs=1.5)
    assert tones["error"][2] == "has no place in the table of references"
    places.write_text('image,reference\na.png,"336,44,50,40"\nb,14 44 50 30\n', encoding="utf-8")
    with pytest.raises(InputError, match="other settings"):
        label([folder], reference=str(places), output=output)
    places.write_text("image,reference\na.png,here\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"places\.csv: here"):
        label([folder], reference=str(places))
