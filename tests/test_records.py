"""Results that hold arrays and tables: equal by value, shown in one line."""

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

import equiderm
from equiderm.agreement.agreement import measure_agreement
from equiderm.data.images import ImageStore, build_store
from equiderm.data.sources.release import Reading
from equiderm.data.synthetic import Archive, synthesize, write_archive
from equiderm.page import Picture
from equiderm.records import LONGEST, Record, remembered
from equiderm.training import ArrayImages, Features


@dataclass(frozen=True, eq=False, repr=False)
class Held(Record):
    name: str
    value: Any


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), np.array([1.0, 2.0])),
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]})),
        ({"a": np.zeros(2)}, {"a": np.zeros(2)}, {"b": np.zeros(2)}),
        ((1, np.zeros(2)), (1, np.zeros(2)), (1, np.zeros(3))),
        (float("nan"), float("nan"), 0.0),
        (np.zeros(2), np.zeros(2), np.zeros(2, np.float32)),
        (np.array(["a"], object), np.array(["a"], object), np.array(["b"], object)),
    ],
)
def test_records_are_equal_by_what_they_hold(one, same, other):
    assert Held("x", one) == Held("x", same)
    assert Held("x", one) != Held("x", other)
    assert Held("x", one) != Held("y", same)
    assert pickle.loads(pickle.dumps(Held("x", one))) == Held("x", one)


def test_a_record_is_no_other_type():
    assert Held("x", 1) != "x"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.zeros((2, 3), np.uint8), "<2 x 3 uint8>"),
        (pd.DataFrame({"a": [1, 2]}), "<2 x 1 table>"),
        (0.123456789, "0.1235"),
        ("x" * 99, repr("x" * 39 + "…")),
        (tuple(range(99)), "<99 items>"),
        ({"a": 1}, "{a}"),
        (("a",), "('a',)"),
        ((1.0, 2), "(1, 2)"),
        (None, "None"),
    ],
)
def test_a_record_shows_the_size_of_what_is_long(value, shown):
    assert repr(Held("x", value)) == f"Held(name='x', value={shown})"


@pytest.fixture(scope="module")
def archive() -> Archive:
    return synthesize(6, size=32, workers=1)


def test_an_estimate_is_one_line_of_what_matters():
    estimate = equiderm.estimate(np.full((90, 90, 3), (224, 172, 138), np.uint8))
    assert repr(estimate) == (
        "ToneEstimate(ita=44.39, ita_band='2', method='patch-max', scheme='paper')"
    )


def test_an_estimate_in_a_notebook_names_every_figure():
    page = equiderm.estimate(np.full((90, 90, 3), (224, 172, 138), np.uint8))._repr_html_()
    assert '<th scope="row">hair_fraction</th>' in page
    assert "44.39" in page


def test_an_archive_is_one_line(archive):
    assert repr(archive) == (
        f"Archive(images=<6 x 32 x 32 x 3 uint8>, table=<6 x {archive.table.shape[1]} table>)"
    )
    assert archive == synthesize(6, size=32, workers=1)
    assert archive != synthesize(6, size=32, workers=1, seed=1)


def test_an_archive_in_a_notebook_shows_its_images(archive):
    assert archive._repr_html_().count("<img ") == 6


def test_a_store_is_one_line_and_equal_wherever_it_lies(archive, tmp_path):
    manifest = pd.read_parquet(write_archive(archive, tmp_path / "drawn"))
    manifest["path"] = [str(tmp_path / "drawn" / path) for path in manifest["path"]]
    one, _ = build_store(manifest, tmp_path / "one", size=32, workers=1)
    two, _ = build_store(manifest, tmp_path / "two", size=32, workers=1)
    other, _ = build_store(manifest, tmp_path / "other", size=16, workers=1)
    assert isinstance(one, ImageStore)
    assert len(repr(one)) <= LONGEST
    assert "<6 x 32 x 32 x 3 uint8>" in repr(one)
    assert one == two
    assert one != other
    assert one._repr_html_().count("<img ") == 6


def test_a_picture_is_an_image_with_its_words_and_leaves_pyplot_alone():
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    picture = Picture(Figure(figsize=(1, 1)), alt="nothing", caption="Empty.")
    for text in (picture._repr_html_(), picture.__html__()):
        assert text.startswith('<figure><img src="data:image/png;base64,')
        assert 'alt="nothing"' in text
        assert "<figcaption>Empty.</figcaption>" in text
    assert pyplot.get_fignums() == []


def test_what_training_and_agreement_return_is_one_line(tmp_path):
    rows = np.zeros((2, 8, 8, 3), np.uint8)
    assert repr(ArrayImages(rows, ["a", "b"])) == "ArrayImages(<2 x 8 x 8 x 3 uint8>)"
    assert repr(Features(np.zeros((2, 4)), ["a", "b"])) == "Features(<2 x 4 float32>)"
    judged = np.resize([1.0, 2, 3, 4, 5, 6], 60)
    agreement, same = (measure_agreement(judged, judged, range(1, 7)) for _ in range(2))
    assert len(repr(agreement)) <= LONGEST
    assert agreement == same
    reading = Reading(pd.DataFrame({"image_id": range(99)}), pd.DataFrame())
    assert (
        repr(reading) == "Reading(frame=<99 x 1 table>, missing=<0 x 0 table>, unnamed=0, notes=())"
    )


class Counted:
    def __init__(self):
        self.calls = []

    @remembered
    def total(self, first, second=2):
        self.calls.append((first, second))
        return first + second


def test_a_result_is_computed_once_by_object_and_arguments_a_default_among_them():
    one, other = Counted(), Counted()
    assert [one.total(1), one.total(1, 2), one.total(first=1), one.total(1, 3)] == [3, 3, 3, 4]
    assert one.calls == [(1, 2), (1, 3)]
    assert other.total(1) == 3 and other.calls == [(1, 2)]
    assert Counted.total.__name__ == "total"


def test_a_function_of_an_object_remembers_beside_its_methods():
    @remembered
    def total(of, first):
        return len(of.calls) - first

    one = Counted()
    assert one.total(1) == 3 and total(one, 1) == 0
    one.calls.clear()
    assert total(one, 1) == 0
