import numpy as np
import pandas as pd
import pytest

from equiderm.errors import InputError
from equiderm.tone import SCHEMES, assign_bands
from equiderm.tone.color import individual_typology_angle, srgb_to_lab
from equiderm.tone.fitted_scheme import (
    DECISIONS,
    FittedScheme,
    cost_matrix,
    decide,
    read_features,
    shift_prior,
)
from equiderm.tone.scales import get_scheme


def band(scheme: str, ita: float) -> object:
    return SCHEMES[scheme].assign(np.array([ita]), np.zeros((1, 3)))[0]


@pytest.mark.parametrize(
    ("ita", "expected"),
    [(55.01, "1"), (55, "2"), (41, "3"), (28, "4"), (19, "5"), (10, "6"), (10.01, "5"), (-70, "6")],
)
def test_eq2_of_the_paper_with_its_inclusive_ends(ita, expected):
    assert band("paper", ita) == expected


@pytest.mark.parametrize(
    ("ita", "expected"),
    [(45, "1"), (44.9, "2"), (28, "3"), (17, "4"), (5, "5"), (-20, "6"), (-19.9, "5")],
)
def test_groh_includes_only_its_first_threshold(ita, expected):
    assert band("groh", ita) == expected


@pytest.mark.parametrize(
    ("scheme", "ita", "expected"),
    [
        ("kinyanjui", 60, "very_lt"),
        ("kinyanjui", 50, "lt2"),
        ("kinyanjui", 30, "int1"),
        ("kinyanjui", 0, "dark"),
        ("del-bino", 20, "tan"),
        ("del-bino", -10, "brown"),
        ("del-bino", -31, "dark"),
        ("25-degrees", 51, "1"),
        ("25-degrees", 10, "3"),
        ("25-degrees", -60, "6"),
    ],
)
def test_published_bands(scheme, ita, expected):
    assert band(scheme, ita) == expected


@pytest.mark.parametrize("number", range(10))
def test_each_monk_swatch_is_its_own_nearest(number):
    scheme = SCHEMES["monk"]
    lab = srgb_to_lab(np.array([list(bytes.fromhex(scheme.swatches[number]))], np.uint8))
    assert scheme.assign(individual_typology_angle(lab), lab)[0] == str(number + 1)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_missing_angle_has_no_band(name):
    assert SCHEMES[name].assign(np.array([np.nan]), np.full((1, 3), np.nan))[0] is None


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_names_its_source_and_one_band_more_than_cuts(name):
    scheme = SCHEMES[name]
    assert scheme.source
    assert len(scheme.bands) == (len(scheme.swatches) or len(scheme.cuts) + 1)
    assert list(scheme.cuts) == sorted(scheme.cuts, reverse=True)


CUTS = {
    "paper": (55, 41, 28, 19, 10),
    "groh": (45, 28, 17, 5, -20),
    "kinyanjui": (55, 48, 41, 34.5, 28, 19, 10),
    "del-bino": (55, 41, 28, 10, -30),
    "25-degrees": (50, 25, 0, -25, -50),
    "monk": (),
}


@pytest.mark.parametrize("name", CUTS)
def test_every_published_scheme_is_cut_at_its_angles(name):
    assert SCHEMES[name].cuts == CUTS[name]
    swatches = "f6ede4 f3e7db f7ead0 eadaba d7bd96 a07e56 825c43 604134 3a312a 292420"
    assert SCHEMES[name].swatches == (tuple(swatches.split()) if name == "monk" else ())


def test_bands_are_made_anew_without_the_images():
    tones = pd.DataFrame(
        {"ita": [50.0, None], "L": [70.0, None], "a": [10.0, None], "b": [16.8, None]}
    ).assign(ita_band="?", scheme="paper")
    again = assign_bands(tones, "groh")
    assert again["ita_band"].iloc[0] == "1"
    assert again["ita_band"].isna().tolist() == [False, True]
    assert set(again["scheme"]) == {"groh"}


def test_unknown_scheme_and_missing_columns_are_one_sentence():
    with pytest.raises(InputError, match="there is no scheme 'x'"):
        get_scheme("x")
    with pytest.raises(InputError, match="no column 'ita'"):
        assign_bands(pd.DataFrame({"L": [1.0]}), "groh")


def test_thresholds_of_one_s_own_cut_a_table_that_has_only_an_angle():
    table = assign_bands(pd.DataFrame({"ita": [60.0, 55, 30, 10, None]}), "cuts:10,55,41,28,19")
    assert table["ita_band"].fillna("").tolist() == ["1", "2", "3", "6", ""]
    assert set(table["scheme"]) == {"cuts:55,41,28,19,10"}
    paper = assign_bands(table, "paper")
    assert paper["ita_band"].equals(table["ita_band"])


@pytest.mark.parametrize("cuts", ["", "x", "5,5", "nan", "180", "-180", "10,"])
def test_thresholds_that_cut_nothing_are_refused(cuts):
    with pytest.raises(InputError, match="write different angles"):
        get_scheme(f"cuts:{cuts}")


@pytest.mark.parametrize("content", ['["#F6EDE4", "a07e56"]', '{"1": "f6ede4", "2": "#a07e56"}'])
def test_a_palette_gives_each_colour_its_nearest_swatch(content, tmp_path):
    (tmp_path / "p.json").write_text(content)
    colours = pd.DataFrame({"ita": [80.0, 20], "L": [93.0, 55], "a": [1.0, 8], "b": [7.0, 26]})
    table = assign_bands(colours, str(tmp_path / "p.json"))
    assert table["ita_band"].tolist() == ["1", "2"]
    with pytest.warns(UserWarning, match="whose angle is nearest"):
        alone = assign_bands(colours[["ita"]], str(tmp_path / "p.json"))
    assert alone["ita_band"].tolist() == ["1", "2"]


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        '["#f6ede4"]',
        '["red", "#a07e56"]',
        '{"a": 1, "b": 2}',
        "7",
        r'{"\ud800": "#f6ede4", "b": "#a07e56"}',  # a name that no table can hold
    ],
)
def test_a_palette_without_two_colours_is_refused(content, tmp_path):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(InputError, match=r"p\.json"):
        get_scheme(str(tmp_path / "p.json"))


def test_schemes_of_swatches_say_that_they_are_not_validated(tmp_path):
    (tmp_path / "p.json").write_text('["#f6ede4", "#a07e56"]')
    for name in ("monk", str(tmp_path / "p.json")):
        assert "not validated" in get_scheme(name).caution


def test_a_fitted_scheme_is_a_scheme_like_a_published_one(tmp_path):
    cuts = np.array([50.0, 30.0])
    even = np.full(3, 1 / 3)
    fit = FittedScheme(("1", "2", "3"), ("ita",), "absolute", even, cuts=cuts, given_band=np.eye(3))
    fit.save(tmp_path / "s.json")
    scheme = get_scheme(str(tmp_path / "s.json"))
    assert type(scheme) is type(SCHEMES["paper"])
    assert (scheme.bands, scheme.cuts) == (("1", "2", "3"), (50.0, 30.0))
    ita = np.array([60.0, 50, 30, np.nan])
    frame = pd.DataFrame({"ita": ita, "L": 60.0, "a": 10.0, "b": 15.0})
    expected = ["1", "2", "3", None]
    assert scheme.assign_table(frame).tolist() == expected
    assert scheme.assign(ita, frame[["L", "a", "b"]].to_numpy()).tolist() == expected
    assert [scheme.band(row) for row in frame.to_dict("records")] == expected


def test_a_row_that_no_judged_type_explains_has_the_distribution_of_where_it_is_used():
    judged, target = np.array([0.5, 0.5, 0.0]), np.array([0.1, 0.2, 0.7])
    shares = np.array([[0.0, 0, 1], [0.2, 0.3, 0.5], [np.nan] * 3])
    moved = shift_prior(shares, judged, target)
    assert moved[0].tolist() == target.tolist()
    assert moved[1] == pytest.approx([0.25, 0.75, 0])  # 0.2 x 0.1 / 0.5 to 0.3 x 0.2 / 0.5
    assert np.isnan(moved[2]).all()


def test_a_scheme_moved_to_another_distribution_says_nothing_of_what_was_not_measured():
    given = {"cuts": np.array([30.0]), "given_band": np.array([[0.8, 0.2], [0.4, 0.6]])}
    even, away = np.full(2, 0.5), np.array([0.2, 0.8])
    fit = FittedScheme(("1", "2"), ("ita",), "absolute", even, target=away, **given)
    shares = fit.predict_proba(pd.DataFrame({"ita": [40.0, 30, None]}))
    assert shares[:2] == pytest.approx(np.array([[0.5, 0.5], [1 / 7, 6 / 7]]))
    assert np.isnan(shares[2]).all()


def test_an_answer_costs_its_distance_or_one_or_its_square():
    costs = {name: cost_matrix(name, 3)[0].tolist() for name in DECISIONS}
    assert costs == {"exact": [0, 1, 1], "absolute": [0, 1, 2], "squared": [0, 1, 4]}
    shares = np.array([[0.4, 0.25, 0.35], [0.1, 0.2, 0.7]])
    assert [decide(shares, name).tolist() for name in DECISIONS] == [[0, 2], [1, 2], [1, 2]]


def test_a_column_of_lists_gives_its_quartiles_and_a_row_without_numbers_none():
    cells = [[40.0, 10, 20, 30, 0], "5 9", [np.nan, 7.0], [np.nan], np.array([1.0, np.inf])]
    found = read_features(pd.DataFrame({"patch_ita": cells}), ["patch_ita"], "t")
    assert found[:3].tolist() == [[0, 10, 20, 30, 40], [5, 6, 7, 8, 9], [7] * 5]
    assert np.isnan(found[3]).all() and found[4].tolist() == [1] * 5
    pair = read_features(pd.DataFrame({"L": [50.0, None], "b": ["9", "8"]}), ["L", "b"], "t")
    assert pair[0].tolist() == [50, 9] and np.isnan(pair[1]).all()
    with pytest.raises(InputError, match="holds 'a b', not a list of numbers"):
        read_features(pd.DataFrame({"patch_ita": ["a b"]}), ["patch_ita"], "t")


def test_a_palette_with_the_darkest_first_is_refused(tmp_path):
    (tmp_path / "p.json").write_text('["#a07e56", "#f6ede4"]')
    with pytest.raises(InputError, match="write the lightest first"):
        get_scheme(str(tmp_path / "p.json"))
