"""A trained model in the place of a scheme or a method; here one that answers as it is told."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.tone.pictures import skin_picture

from equiderm.errors import InputError
from equiderm.tone import assign_bands, label
from equiderm.tone.learned import Middle, Scale, middle_type
from equiderm.tone.report import summarize, write_report

TYPES = Scale("fitzpatrick_type", ("I", "II", "III", "IV"))
SURE = [0.05, 0.15, 0.6, 0.2]


class Told:
    """Answers the same of every photograph, and counts."""

    def __init__(self, *answers, digest="a" * 64):
        self.scales = tuple(scale for scale, _ in answers)
        self.digest = digest
        self._answers = [np.array(values, float) for _, values in answers]
        self.seen = []

    def estimate(self, picture):
        self.seen.append(picture(48).shape)
        return self._answers


@pytest.fixture
def photos(tmp_path):
    """A photograph of skin, one without colour, and a file that is none."""
    folder = tmp_path / "in"
    folder.mkdir()
    skin = skin_picture((60, 12, 16), width=64, height=64, seed=1)
    Image.fromarray(skin).save(folder / "a.png")
    Image.fromarray(skin).convert("L").save(folder / "gray.png")
    (folder / "none.jpg").write_bytes(b"no")
    return folder


def test_types_become_the_band_with_their_distribution_beside_the_measured_colour(photos):
    model = Told((TYPES, SURE))
    row = label(photos, model=model).iloc[0]
    assert [row[name] for name in TYPES.columns] == SURE
    assert (row["ita_band"], row["scheme"]) == ("III", "estimated:I,II,III,IV")
    assert row["confidence"] == pytest.approx(0.95)
    assert (row["method"], row["model"]) == ("patch-max", "model-aaaaaaaaaaaa")
    assert row["ita"] == label(photos)["ita"].iloc[0]
    assert model.seen == [(48, 48, 3)]  # neither of the gray picture nor of the file


def test_an_answer_that_is_not_sure_is_no_band(photos):
    monk = Scale("mst", tuple("12345678"))
    shares = [0.35, 0.1, 0.0, 0.15, 0.0, 0.0, 0.1, 0.3]
    row = label(photos, model=Told((monk, shares))).iloc[0]
    assert pd.isna(row["ita_band"])
    assert row["confidence"] == pytest.approx(0.15)
    assert row["tone_flags"].split() == ["model-unsure"]
    assert row["score_8"] == 0.3
    summary = summarize(label(photos, model=Told((monk, shares))))
    assert (summary["unmeasured"], summary["why"]) == (2, "no measurable tone or no sure type")


def test_numbers_take_the_place_of_the_measured_colour_all_of_it(photos):
    row = label(photos, model=Told((Scale("ita"), [30.0]))).iloc[0]
    assert (row["ita"], row["ita_band"], row["method"]) == (30.0, "3", "model-aaaaaaaaaaaa")
    assert row[["L", "a", "b", "hue", "spread", "patch"]].isna().all()
    lab = [(Scale(name), [value]) for name, value in zip("Lab", (60.0, 10.0, 10.0), strict=True)]
    row = label(photos, model=Told(*lab), scheme="monk").iloc[0]
    assert (row["L"], row["ita"], row["hue"]) == (60.0, pytest.approx(45.0), pytest.approx(45.0))
    assert row["ita_band"] == assign_bands(pd.DataFrame([row]), "monk")["ita_band"].iloc[0]


def test_another_number_has_a_column_of_its_own(photos):
    table = label(photos, model=Told((Scale("pigment"), [0.2])))
    assert table["pigment"].tolist() == pytest.approx([0.2, np.nan, np.nan], nan_ok=True)
    pd.testing.assert_frame_equal(table[label(photos).columns], label(photos))


def test_a_table_is_of_one_model_and_is_gone_on_with(photos, tmp_path):
    output, first = tmp_path / "out.csv", Told((TYPES, SURE))
    label(photos, model=first, output=output)
    again = Told((TYPES, SURE))
    pd.testing.assert_frame_equal(
        label(photos, model=again, output=output), label(photos, model=first)
    )
    assert again.seen == []
    with pytest.raises(InputError, match="other settings"):
        label(photos, model=Told((TYPES, SURE), digest="b" * 64), output=output)


@pytest.mark.parametrize(
    ("answers", "scheme", "message"),
    [
        ([(TYPES, SURE)], "groh", "the bands are the types that the model estimates"),
        ([(Scale("ita"), [1.0])], "monk", "needs L, a and b, which the model does not estimate"),
        ([(Scale("L"), [1.0])], "paper", "needs ita"),
        ([(Scale("width"), [1.0])], "paper", "'width', which is another column of a table"),
        ([(TYPES, SURE), (Scale("mst", ("1", "2")), [0.5, 0.5])], "paper", "name one of them"),
        ([(Scale("t", ("a,b", "c")), [0.5, 0.5])], "paper", "has a comma"),
    ],
)
def test_what_cannot_be_is_refused_before_a_photograph_is_read(answers, scheme, message, photos):
    with pytest.raises(InputError, match=message):
        label(photos, model=Told(*answers), scheme=scheme)


def test_types_that_a_model_estimated_follow_from_no_colours(photos):
    table = label(photos)
    with pytest.raises(InputError, match="do not follow from colours"):
        assign_bands(table, "estimated:I,II")
    with pytest.raises(InputError, match="is a trained model's"):
        label(photos, scheme="estimated:I,II")


@pytest.mark.parametrize("types", [2, 3, 4, 5, 6, 10])
def test_a_model_that_knows_nothing_gives_no_answer_and_a_certain_one_does(types):
    for place in range(types):
        certain = np.eye(types)[place]
        assert middle_type(certain).is_sure and middle_type(certain).place == place
        assert not middle_type(0.1 * certain + 0.9 / types).is_sure
    assert not middle_type(np.full(types, 1 / types)).is_sure


def test_an_answer_is_sure_a_quarter_of_the_way_from_an_even_distribution_to_certainty():
    least = Middle(2, range(1, 4), 0.625, is_sure=True)  # three of six types have 0.5 by chance
    assert middle_type(np.array([0.1875, 0.125, 0.25, 0.25, 0.1875, 0])) == least
    less = middle_type(np.array([0.1885, 0.124, 0.25, 0.25, 0.1875, 0]))
    assert (less.share, less.is_sure) == (pytest.approx(0.624), False)
    alone = middle_type(np.array([0.26, 0.49, 0.25]))  # of three types it counts alone
    assert (alone.near, alone.share, alone.is_sure) == (range(1, 2), 0.49, False)
    assert middle_type(np.array([0.24, 0.51, 0.25])).is_sure


def test_types_that_a_model_estimates_are_not_called_ita_bands(photos):
    output = photos.parent / "page.html"
    write_report(label(photos, model=Told((TYPES, SURE))), output)
    page = output.read_text()
    assert "1 of 3 photographs have an estimated type (1 could not be read, 1 have no meas" in page
    assert "Images by estimated type, in the order of the model" in page
    assert "computed ITA band" not in page and "ITA band, lightest" not in page
