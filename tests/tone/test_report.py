import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.tone.pictures import measured_by, skin_picture

from equiderm.errors import InputError
from equiderm.tone import assign_bands, label
from equiderm.tone.corrections import apply_corrections
from equiderm.tone.gallery import Task, by_doubt, picture_of
from equiderm.tone.overlay import draw_overlay
from equiderm.tone.report import band_picture, ita_picture, summarize, write_report
from equiderm.tone.table import read_tones


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


def test_pictures_of_a_tone_table_are_figures(tones):
    bars = band_picture(tones).figure.axes[0].patches
    assert [bar.get_height() for bar in bars] == [b["images"] for b in summarize(tones)["bands"]]
    drawn = ita_picture(tones).figure.axes[0].patches
    assert sum(bar.get_height() for bar in drawn) == tones["ita"].notna().sum()


def test_the_page_is_whole_offline_and_escaped(tones, tmp_path):
    write_report(tones, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "4 of 6 photographs have a measured tone" in page
    assert "&lt;b&gt;bad.jpg" in page and "<b>bad" not in page
    assert not re.search(r"(src|href)=[\"'](\w+:)?//", page)
    assert "url(" not in page and "@import" not in page
    assert page.count("<img") == page.count('alt="')
    assert "not a Fitzpatrick type" in page


def names_of(page):
    return re.findall(r"<h3>(.*?)</h3>", page)


def test_the_gallery_holds_every_photograph_that_could_be_read(tones, tmp_path):
    write_report(tones, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert sorted(names_of(page)) == ["0.png", "1.png", "2.png", "3.png", "gray.png"]
    assert page.count("data:image/webp") == 5


def some_tones(**columns):
    count = len(columns["ita"])
    plain = {"method": "patch-max", "scheme": "paper", "ita_band": "1", "tone_flags": ""}
    given = plain | {"error": None, "spread": 1.0} | columns
    return pd.DataFrame({"image": [f"{number}.jpg" for number in range(count)], **given})


def test_what_lies_far_from_the_others_comes_before_flags_and_flags_before_spread():
    ita = [50.0, 52, 48, 50, 51, -60, 49, -75, 50]
    flags = ["", "glare", "", "glare hairy", "", "", "", "", ""]
    spread = [1.0, 9, 8, 1, 1, 1, 1, 1, 7]
    tones = some_tones(ita=ita, tone_flags=flags, spread=spread)
    assert by_doubt(tones)[:6].tolist() == [7, 5, 3, 1, 2, 8]


def test_an_angle_below_what_skin_reads_comes_first_among_angles_of_every_kind():
    tones = some_tones(ita=[*np.linspace(-55, 75, 40), -70.0])
    assert by_doubt(tones)[0] == 40


def test_a_photograph_is_filed_under_its_flags_and_band_and_leads_to_its_file(tones, tmp_path):
    write_report(tones, tmp_path / "pages" / "r.html")
    page = (tmp_path / "pages" / "r.html").read_text()
    card = next(one for one in re.findall("<article.*?</article>", page) if ">3.png<" in one)
    assert "b-not-positive" in re.search('data-f="(.*?)"', card)[1].split()
    assert 'href="../in/3.png"' in card
    assert ">overlay<" not in card
    assert re.search('class="swatch" style="background:#[0-9a-f]{6}"', card)


def test_overlays_are_linked_where_they_are(tones, tmp_path):
    label([tmp_path / "in"], overlays=tmp_path / "o")
    (tmp_path / "o" / "1.png.png").unlink()
    write_report(tones, tmp_path / "r.html", overlays=tmp_path / "o")
    page = (tmp_path / "r.html").read_text()
    assert 'href="o/0.png.png"' in page and 'href="o/1.png.png"' not in page


def test_a_photograph_that_is_gone_keeps_its_place_with_the_reason(tones, tmp_path):
    (tmp_path / "in" / "3.png").unlink()
    write_report(tones, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "no picture: no such file" in page and ">3.png<" in page


def test_many_photographs_go_on_over_pages_that_lead_to_each_other(tones, tmp_path, monkeypatch):
    monkeypatch.setattr("equiderm.tone.gallery.PER_PAGE", 2)
    written = write_report(tones, tmp_path / "r.html")
    assert [path.name for path in written] == ["r.html", "r-2.html", "r-3.html"]
    pages = [path.read_text() for path in written]
    assert [len(names_of(page)) for page in pages] == [2, 2, 1]
    assert len({name for page in pages for name in names_of(page)}) == 5
    assert 'href="r-2.html"' in pages[0] and 'href="r.html"' in pages[2]


def test_a_thumbnail_keeps_to_its_bytes(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    task = Task(str(tmp_path / "a.png"), "", None, None)
    assert len(picture_of(task, (80, 40, 10**6))) > 1000 >= len(picture_of(task, (80, 40, 1000)))


@pytest.mark.parametrize("method", ["patch-median", "healthy-skin"])
def test_squares_or_mask_are_drawn_on_a_doubtful_thumbnail(method, tmp_path):
    picture = skin_picture((66, 12, 17), width=256, height=256, noise=0)
    Image.fromarray(picture).save(tmp_path / "a.png")
    again = None if method == "patch-median" else method
    task = Task(str(tmp_path / "a.png"), "", "" if again is None else None, again)
    pair = (task, replace(task, patch=None, measure=None))
    coded = (picture_of(one, (224, 90, 10**6)) for one in pair)
    marked, plain = (np.asarray(Image.open(io.BytesIO(one)), float) for one in coded)
    moved = np.abs(marked - plain).max(axis=2) > 40
    assert moved[112, 112] == (method == "healthy-skin")  # the lesion is darkened
    assert moved[:40].any() == (method == "patch-median")  # the upper samples


def test_what_a_person_decided_stands_on_the_page_and_in_the_counts(tones, tmp_path):
    first, second = tones["image"].iloc[:2]
    decided = pd.DataFrame(
        {"image": [first, second], "ita_band_corrected": ["3", None], "excluded": ["", "true"]}
    ).assign(corrected_by="A. Curator", corrected_at="2026-11-26T10:00:00Z", corrected_why="<i>dim")
    checked = apply_corrections(tones, decided, "c.csv").tones
    write_report(checked, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "corrected to band 3 by A. Curator, 2026-11-26: &lt;i&gt;dim" in page
    assert "excluded by A. Curator" in page
    assert "By hand: 1 band corrected, 1 image excluded" in page
    assert (summarize(checked)["corrected"], summarize(checked)["excluded"]) == (1, 1)


def test_flags_under_their_old_name_are_read(tones, tmp_path):
    old = tones.rename(columns={"tone_flags": "flags"})
    assert summarize(old) == summarize(tones)
    write_report(old, tmp_path / "r.html")
    assert "b-not-positive" in (tmp_path / "r.html").read_text()


def test_bands_of_swatches_are_marked_as_not_validated(tones, tmp_path):
    write_report(assign_bands(tones, "monk"), tmp_path / "r.html")
    assert "not validated against Monk tones" in (tmp_path / "r.html").read_text()


def test_a_table_of_something_else_is_refused(tones, tmp_path):
    with pytest.raises(InputError, match="at least one image"):
        write_report(tones.iloc[:0], tmp_path / "r.html")
    with pytest.raises(InputError, match="at least one image"):
        write_report(tones.drop(columns="tone_flags"), tmp_path / "r.html")
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


def test_flags_that_are_all_empty_are_read_as_text(tmp_path):
    table = tmp_path / "tones.csv"
    table.write_text("image,ita,ita_band,tone_flags,error\na.jpg,40,2,,\nb.jpg,50,1,,\n")
    tones = read_tones(table)
    assert by_doubt(tones).tolist() == [0, 1]
    assert not pd.api.types.is_numeric_dtype(tones["tone_flags"])
    old = tmp_path / "old.csv"
    old.write_text(table.read_text().replace("tone_flags", "flags"))
    assert read_tones(old)["tone_flags"].isna().all()
