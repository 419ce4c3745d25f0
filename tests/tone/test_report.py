import re

import numpy as np
import pytest
from PIL import Image
from tests.tone.pictures import measured_by, skin_picture

from equiderm.errors import InputError
from equiderm.tone import label
from equiderm.tone.overlay import draw_overlay
from equiderm.tone.report import summarize, write_report


@pytest.fixture
def tones(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number, lab in enumerate([(80, 8, 10), (66, 12, 17), (40, 12, 14), (72, 10, -9)]):
        Image.fromarray(skin_picture(lab)).save(folder / f"{number}.png")
    Image.new("L", (64, 64), 99).save(folder / "gray.png")
    (folder / "<b>bad.jpg").write_bytes(b"no")
    return label([folder])


def test_the_summary_counts_every_image_once(tones):
    summary = summarize(tones)
    assert (summary["images"], summary["errors"], summary["unmeasured"]) == (6, 1, 1)
    assert sum(band["images"] for band in summary["bands"]) == 6
    assert summary["flags"]["b-not-positive"] == 1
    assert summary["flags"]["no-colour"] == 1


def test_the_page_is_whole_offline_and_escaped(tones, tmp_path):
    write_report(tones, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "4 of 6 photographs have a measured tone" in page
    assert "&lt;b&gt;bad.jpg" in page and "<b>bad" not in page
    assert not re.search(r"(src|href)=[\"'](?!data:)", page)
    assert page.count("<img") == page.count('alt="')
    assert "not a Fitzpatrick type" in page


def test_the_contact_sheet_shows_the_doubtful_images_only(tones, tmp_path):
    write_report(tones, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "3.png: ITA" in page  # bluish
    assert "1.png: ITA" not in page


def test_a_table_of_something_else_is_refused(tones, tmp_path):
    with pytest.raises(InputError, match="at least one image"):
        write_report(tones.iloc[:0], tmp_path / "r.html")
    with pytest.raises(InputError, match="at least one image"):
        write_report(tones.drop(columns="flags"), tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_the_overlay_outlines_the_chosen_sample_in_green():
    picture = skin_picture((66, 12, 17), width=256, height=256)
    measured = measured_by("patch-max", picture)
    sheet = np.asarray(draw_overlay(measured))
    green = (sheet == (0, 230, 64)).all(axis=2)
    from equiderm.tone.view import EIGHT_SAMPLES

    top, left = EIGHT_SAMPLES[measured.estimate.patch]
    rows, columns = np.nonzero(green)
    assert abs(rows.min() - 2 * top) <= 2 and abs(columns.min() - 2 * left) <= 2
    assert abs(rows.max() - 2 * (top + 20)) <= 2


def test_the_overlay_shows_the_picture_without_hair():
    hairy = skin_picture((70, 12, 17), hairs=8, lesion=False, noise=0, width=256, height=256)
    sheet = np.asarray(draw_overlay(measured_by("whole", hairy)))
    assert hairy.min() < 30
    assert sheet[4:508, 4:508].min() > 60


def test_the_overlay_darkens_what_was_left_out():
    picture = skin_picture((66, 12, 17), width=256, height=256, noise=0)
    sheet = np.asarray(draw_overlay(measured_by("healthy-skin", picture)))
    assert sheet[256, 256].mean() < 80  # the lesion
    assert np.abs(sheet[40, 256].astype(int) - picture[20, 128]).max() <= 2  # healthy skin
