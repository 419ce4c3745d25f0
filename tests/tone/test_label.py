import importlib
import json
import os
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.tone.pictures import skin_picture

from equiderm import tables
from equiderm.errors import InputError
from equiderm.tables import read_table
from equiderm.tone import METHODS, estimate, label
from equiderm.tone import label as label_function
from equiderm.tone.estimate import COLUMNS
from equiderm.tone.overlay import overlay_names

label_module = sys.modules["equiderm.tone.label"]


def write_photos(folder: Path, count: int, *, start: int = 0, size: int = 64) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for number in range(start, start + count):
        lab = (30 + 50 * (number % 11) / 10, 12.0, 16.0)
        picture = skin_picture(lab, width=size, height=size, seed=number)
        paths.append(folder / f"p{number:04d}.jpg")
        Image.fromarray(picture).save(paths[-1], quality=90)
    return paths


def test_one_row_an_image_in_order_with_the_figures_of_estimate(tmp_path):
    paths = write_photos(tmp_path / "in", 5)
    table = label([tmp_path / "in"])
    assert list(table.columns) == list(COLUMNS)
    assert table["image"].tolist() == [str(path) for path in paths]
    for row, path in zip(table.to_dict("records"), paths, strict=True):
        alone = estimate(path)
        assert row["ita"] == alone.ita
        assert row["ita_band"] == alone.ita_band
        assert list(row["patch_ita"]) == list(alone.patch_ita)
    assert table["error"].isna().all()


def test_workers_give_the_same_table(tmp_path):
    write_photos(tmp_path / "in", 23)
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no")
    one = label([tmp_path / "in"], workers=1)
    three = label([tmp_path / "in"], workers=3)
    pd.testing.assert_frame_equal(one, three)


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv"])
def test_the_output_holds_what_is_returned(tmp_path, ending):
    write_photos(tmp_path / "in", 3)
    out = tmp_path / f"t.{ending}"
    returned = label([tmp_path / "in"], output=out)
    read = (
        pd.read_parquet(out)
        if ending == "parquet"
        else pd.read_csv(out, sep="\t" if ending == "tsv" else ",")
    )
    assert read["ita"].tolist() == pytest.approx(returned["ita"].tolist())
    assert read["ita_band"].astype(str).tolist() == returned["ita_band"].tolist()
    visible = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert visible == ["in", out.name]


def test_a_bad_file_is_a_row_with_its_error_and_no_figures(tmp_path):
    good = write_photos(tmp_path / "in", 2)
    (tmp_path / "in" / "empty.jpg").touch()
    (tmp_path / "in" / "text.png").write_text("hello")
    (tmp_path / "in" / "cut.jpg").write_bytes(good[0].read_bytes()[:400])
    Image.new("RGB", (3, 3)).save(tmp_path / "in" / "tiny.png")
    (tmp_path / "in" / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    table = label([tmp_path / "in"]).set_index("image")
    table.index = [Path(name).name for name in table.index]
    assert len(table) == 7
    reasons = {
        "empty.jpg": "empty",
        "text.png": "not an image",
        "cut.jpg": "truncated",
        "tiny.png": "too small",
        "nowhere.jpg": "leads nowhere",
    }
    for name, reason in reasons.items():
        assert reason in table.loc[name, "error"]
        assert pd.isna(table.loc[name, "ita"])
        assert pd.isna(table.loc[name, "ita_band"])
        assert pd.isna(table.loc[name, "L"])
    assert table.loc["p0000.jpg", "ita_band"] is not None


def test_a_gray_picture_is_no_error_but_has_no_band(tmp_path):
    Image.new("L", (64, 64), 90).save(tmp_path / "gray.jpg")
    row = label([tmp_path / "gray.jpg"]).iloc[0]
    assert row["tone_flags"] == "no-colour"
    assert pd.isna(row["error"]) and pd.isna(row["ita_band"])


def test_an_output_whose_name_is_not_utf8_is_refused_before_the_work(tmp_path, monkeypatch):
    (photo,) = write_photos(tmp_path / "in", 1)
    monkeypatch.setattr(label_module, "_measure", lambda *_: pytest.fail("it works"))
    with pytest.raises(UnicodeEncodeError):
        label(photo, output=os.fsdecode(os.fsencode(tmp_path) + b"/t\xff.csv"))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_name_that_is_not_utf8_is_read(tmp_path):
    strange = os.fsencode(tmp_path) + b"/sk\xffin.jpg"
    write_photos(tmp_path / "in", 1)[0].rename(os.fsdecode(strange))
    table = label([os.fsdecode(strange)], output=tmp_path / "out" / "t.parquet")
    assert table["image"].iloc[0].endswith(r"sk\xffin.jpg")
    assert table["ita"].notna().all()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Write a module that workers can import, as one that is installed; returns it."""

    def write(source: str):
        folder = tmp_path / "installed"
        folder.mkdir()
        (folder / "of_a_user.py").write_text(source)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "of_a_user", raising=False)
        return importlib.import_module("of_a_user")

    return write


def test_a_decoder_that_crashes_is_one_row_and_stops_nothing(tmp_path, monkeypatch, elsewhere):
    paths = write_photos(tmp_path / "in", 8)
    Image.new("RGB", (64, 64), (250, 10, 10)).save(paths[3])
    user = elsewhere(
        "import os\nfrom equiderm.tone import METHODS\n"
        "def crash_on_red(view):\n"
        "    if view.pixels[..., 1].mean() < 30: os._exit(11)\n"
        "    return METHODS['patch-max'](view)\n"
    )
    monkeypatch.setitem(METHODS, "mine", user.crash_on_red)
    table = label(paths, method="mine", workers=2)
    assert table["error"].notna().tolist() == [False, False, False, True, *[False] * 4]
    assert "its process crashed" in table["error"].iloc[3]


def test_an_unforeseen_error_of_one_image_is_its_row(tmp_path, monkeypatch):
    paths = write_photos(tmp_path / "in", 3)

    def fail(view):
        raise ZeroDivisionError("by the light of the moon")

    monkeypatch.setitem(METHODS, "mine", fail)
    assert label(paths, method="mine")["error"].tolist() == ["by the light of the moon"] * 3


KILL_ITSELF = """
import os, signal, sys
from equiderm.tone import label
from equiderm import parts
parts.PART_ROWS = 16
folder, output, last = sys.argv[1], sys.argv[2], int(sys.argv[3])

def watch(done, total):
    if done >= last:
        os.kill(os.getpid(), signal.SIGKILL)

label(folder, output=output, workers=2, progress=watch)
"""


def test_killed_again_and_again_it_goes_on_and_ends_with_the_same_table(tmp_path):
    write_photos(tmp_path / "in", 120)
    whole = label(tmp_path / "in")
    out = tmp_path / "t.parquet"
    for last in (1, 30, 70, 120):
        command = [sys.executable, "-c", KILL_ITSELF, str(tmp_path / "in"), str(out), str(last)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert not out.exists()
    left: list[int] = []
    resumed = label(tmp_path / "in", output=out, progress=lambda done, _: left.append(done))
    assert left[0] >= 120 - 16 - 50, "what was kept is not measured again"
    pd.testing.assert_frame_equal(resumed, whole)
    pd.testing.assert_frame_equal(pq.read_table(out).to_pandas(), whole)
    assert not (tmp_path / ".t.parquet.parts").exists()


def test_two_runs_of_one_output_are_refused_and_the_first_is_undamaged(tmp_path):
    write_photos(tmp_path / "in", 12)
    out = tmp_path / "t.parquet"
    refusals: list[str] = []

    def begin_another(done: int, total: int) -> None:
        with pytest.raises(InputError) as refused:
            label(tmp_path / "in", output=out)
        refusals.append(str(refused.value))

    first = label(tmp_path / "in", output=out, progress=begin_another)
    assert all("another run is writing it" in text for text in refusals) and refusals
    pd.testing.assert_frame_equal(pq.read_table(out).to_pandas(), first)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "t.parquet"]


def stop_after_four(tmp_path, **settings):
    """Leave the parts of a run that was stopped after its fourth image."""
    calls = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label([tmp_path / "in"], output=tmp_path / "t.parquet", progress=stop, **settings)
    assert (tmp_path / ".t.parquet.parts").exists()
    assert not (tmp_path / "t.parquet").exists()


def counting(monkeypatch) -> list[str]:
    """Return a list that grows by each image labelled from now on."""
    seen: list[str] = []
    real = label_module.label_one

    def count(task, how):
        seen.append(Path(task[0]).name)
        return real(task, how)

    monkeypatch.setattr(label_module, "label_one", count)
    return seen


def test_what_is_done_is_not_done_again(tmp_path, monkeypatch):
    write_photos(tmp_path / "in", 12)
    stop_after_four(tmp_path)
    seen = counting(monkeypatch)
    label([tmp_path / "in"], output=tmp_path / "t.parquet")
    assert seen == [f"p{number:04d}.jpg" for number in range(4, 12)]


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"\0" * 900])
def test_a_damaged_part_is_named_left_out_and_made_again(tmp_path, damage):
    write_photos(tmp_path / "in", 12)
    whole = label(tmp_path / "in")
    stop_after_four(tmp_path)
    part = tmp_path / ".t.parquet.parts" / "00000000.parquet"
    part.write_bytes(damage)
    with pytest.warns(UserWarning, match=r"00000000.parquet: is damaged"):
        table = label(tmp_path / "in", output=tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(table, whole)


def test_parts_without_readable_settings_are_made_again(tmp_path, monkeypatch):
    write_photos(tmp_path / "in", 12)
    stop_after_four(tmp_path)
    (tmp_path / ".t.parquet.parts" / "settings.json").write_bytes(b"{\xff")
    seen = counting(monkeypatch)
    label(tmp_path / "in", output=tmp_path / "t.parquet")
    assert len(seen) == 12


@pytest.mark.parametrize("damage", [b"", b"PAR1 cut"])
def test_an_output_that_is_empty_or_damaged_is_made_again(tmp_path, damage):
    write_photos(tmp_path / "in", 2)
    out = tmp_path / "t.parquet"
    out.write_bytes(damage)
    with pytest.warns(UserWarning, match=r"is empty or damaged"):
        label(tmp_path / "in", output=out)
    assert len(pd.read_parquet(out)) == 2


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t"])
def test_of_a_finished_output_only_what_is_new_or_changed_is_measured(tmp_path, monkeypatch, name):
    monkeypatch.setattr(tables.parquet, "PART_ROWS", 4)
    paths = write_photos(tmp_path / "in", 6)
    out = tmp_path / name
    label(tmp_path / "in", output=out)
    seen = counting(monkeypatch)
    label(tmp_path / "in", output=out)
    assert seen == []
    write_photos(tmp_path / "in", 1, start=6)
    replace_in_secret(paths[2], paths[5])
    table = label(tmp_path / "in", output=out)
    assert seen == ["p0002.jpg", "p0006.jpg"]
    assert table["ita"].iloc[2] == table["ita"].iloc[5]
    pd.testing.assert_frame_equal(table, label(tmp_path / "in"))
    assert read_table(out)["ita"].tolist() == pytest.approx(table["ita"].tolist())


def test_a_folder_of_parts_is_the_table_that_one_file_would_be(tmp_path, monkeypatch):
    monkeypatch.setattr(tables.parquet, "PART_ROWS", 2)
    write_photos(tmp_path / "in", 5)
    (tmp_path / "in" / "q.jpg").write_bytes(b"no")  # a part of whose columns some are empty
    label(tmp_path / "in", output=tmp_path / "t.parquet")
    label(tmp_path / "in", output=f"{tmp_path}/t/")
    parts = sorted(part.name for part in (tmp_path / "t").iterdir())
    assert parts == [f"part-0000{k}-of-00003.parquet" for k in range(3)]
    whole = pd.read_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t"), whole)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t"), read_table(tmp_path / "t.parquet"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "t", "t.parquet"]
    (tmp_path / "t" / parts[1]).unlink()
    with pytest.raises(InputError, match="t: holds 2 files of a table of 3;"):
        label(tmp_path / "t")


def replace_in_secret(path: Path, other: Path) -> None:
    """Replace a file by another, of the same size and date as the first."""
    before = path.stat()
    content = other.read_bytes()
    path.write_bytes(content + b"\xff\xd9" * ((before.st_size - len(content)) // 2))
    if path.stat().st_size == before.st_size:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_a_killed_process_left_of_an_overlay_goes_and_other_files_stay(tmp_path):
    name = write_photos(tmp_path / "in", 1)[0].name
    (tmp_path / "o").mkdir()
    others = {".other.png.png.abcd_123.png", f".{name}.png.mine.png"}
    for there in (*others, f".{name}.png.abcd_123.png"):
        (tmp_path / "o" / there).touch()
    label(tmp_path / "in", output=tmp_path / "t.parquet", overlays=tmp_path / "o")
    assert {path.name for path in (tmp_path / "o").iterdir()} == {f"{name}.png", *others}


def test_overlays_that_cannot_be_written_are_refused_before_the_work(tmp_path):
    write_photos(tmp_path / "in", 1)
    (tmp_path / "o").touch()
    with pytest.raises(InputError, match="o: is a file; choose a folder"):
        label(tmp_path / "in", output=tmp_path / "t.parquet", overlays=tmp_path / "o")
    assert {path.name for path in tmp_path.iterdir()} == {"in", "o"}


def test_a_finished_output_gets_the_overlays_that_are_asked_for_later(tmp_path):
    write_photos(tmp_path / "in", 3)
    label(tmp_path / "in", output=tmp_path / "t.parquet")
    label(tmp_path / "in", output=tmp_path / "t.parquet", overlays=tmp_path / "o")
    assert len(list((tmp_path / "o").iterdir())) == 3


def test_changed_settings_are_not_mixed(tmp_path, monkeypatch):
    write_photos(tmp_path / "in", 12)
    stop_after_four(tmp_path)
    seen = counting(monkeypatch)
    table = label([tmp_path / "in"], output=tmp_path / "t.parquet", method="whole")
    assert len(seen) == 12
    assert set(table["method"]) == {"whole"}


def test_a_file_that_changed_since_is_labelled_again(tmp_path, monkeypatch):
    paths = write_photos(tmp_path / "in", 12)
    stop_after_four(tmp_path)
    Image.fromarray(skin_picture((85.0, 8.0, 10.0), width=70, height=70)).save(paths[1])
    seen = counting(monkeypatch)
    table = label([tmp_path / "in"], output=tmp_path / "t.parquet")
    assert sorted(seen) == ["p0001.jpg", *(f"p{number:04d}.jpg" for number in range(4, 12))]
    assert table["ita"].iloc[1] == estimate(paths[1]).ita


def test_the_same_command_again_replaces_its_own_output(tmp_path):
    write_photos(tmp_path / "in", 3)
    for ending in ("parquet", "csv"):
        first = label([tmp_path / "in"], output=tmp_path / f"t.{ending}")
        again = label([tmp_path / "in"], output=tmp_path / f"t.{ending}")
        pd.testing.assert_frame_equal(first, again)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t"])
def test_an_output_of_other_settings_or_images_is_kept(tmp_path, name):
    write_photos(tmp_path / "in", 3)
    write_photos(tmp_path / "other", 3, start=50)
    out = tmp_path / name
    label([tmp_path / "in"], output=out)
    file = next(out.iterdir()) if out.is_dir() else out
    before = file.read_bytes()
    with pytest.raises(InputError, match="made with other settings"):
        label([tmp_path / "in"], output=out, method="whole")
    with pytest.raises(InputError, match="images that are not in this run"):
        label([tmp_path / "other"], output=out)
    assert file.read_bytes() == before
    label([tmp_path / "in"], output=out, method="whole", overwrite=True)
    assert file.read_bytes() != before


def test_a_foreign_file_is_not_overwritten(tmp_path):
    write_photos(tmp_path / "in", 1)
    out = tmp_path / "t.csv"
    out.write_text("my,thesis\n1,2\n")
    with pytest.raises(InputError, match="overwrite=True"):
        label([tmp_path / "in"], output=out)
    assert out.read_text() == "my,thesis\n1,2\n"


def test_nothing_is_written_into_the_image_folder(tmp_path):
    write_photos(tmp_path / "in", 3)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "in").rglob("*")}
    label([tmp_path / "in"], output=tmp_path / "t.parquet", overlays=tmp_path / "o")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "in").rglob("*")}


@pytest.mark.parametrize("named", ["in", "in/p0000.jpg", "in/*.jpg", "in/**/*.jpg", "list.csv"])
@pytest.mark.parametrize("place", ["t.parquet", "t.csv", "overlays"])
def test_what_would_be_written_among_the_images_is_refused(tmp_path, named, place):
    write_photos(tmp_path / "in", 2)
    (tmp_path / "list.csv").write_text("image\nin/p0000.jpg\n")
    where = {"overlays" if place == "overlays" else "output": tmp_path / "in" / place}
    for paths in (str(tmp_path / named), (tmp_path / one for one in [named])):
        with pytest.raises(InputError, match="a folder of the images that are read"):
            label(paths, **where)
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["p0000.jpg", "p0001.jpg"]


def test_a_single_path_is_one_path(tmp_path, monkeypatch):
    write_photos(tmp_path / "in", 2)
    monkeypatch.chdir(tmp_path / "in")
    assert label("./")["image"].tolist() == ["./p0000.jpg", "./p0001.jpg"]
    assert len(label(tmp_path / "in" / "p0000.jpg")) == 1


def test_each_path_that_is_named_has_a_row_in_its_place(tmp_path):
    a, b = write_photos(tmp_path / "in", 2)
    assert label([b, a, b])["image"].tolist() == [str(b), str(a), str(b)]
    out = tmp_path / "t.csv"
    label(iter([b, a, b]), output=out)
    assert label([b, a, b], output=out)["image"].tolist() == [str(b), str(a), str(b)]


@pytest.mark.skipif(sys.platform == "win32", reason="names are text there")
def test_names_that_print_alike_keep_their_own_rows(tmp_path):
    light, dark = write_photos(tmp_path / "in", 2)
    folder = os.fsencode(tmp_path / "in")
    light.rename(os.fsdecode(folder + b"/a\xff.jpg"))
    dark.rename(os.fsdecode(folder + rb"/a\xff.jpg"))
    out = tmp_path / "t.parquet"
    for table in (label(tmp_path / "in", output=out), label(tmp_path / "in", output=out)):
        assert table["image"].nunique() == 1
        assert table["ita"].nunique() == 2


def test_a_format_that_cannot_be_read_and_a_closed_folder_are_rows(tmp_path, monkeypatch):
    write_photos(tmp_path / "in", 1)
    (tmp_path / "in" / "b.cr2").write_bytes(b"raw")
    close_folder(tmp_path / "in" / "closed", monkeypatch)
    table = label(tmp_path / "in").set_index("image")["error"]
    assert table.index.map(lambda name: Path(name).name).tolist() == [
        "b.cr2",
        "p0000.jpg",
        "closed",
    ]
    assert table.notna().tolist() == [True, False, True]
    assert "Permission denied" in table.iloc[2]


def close_folder(folder: Path, monkeypatch) -> None:
    """Make a folder that cannot be opened, by root too."""
    folder.mkdir()
    real = os.scandir

    def refuse(path="."):
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)


def test_the_output_remembers_its_settings(tmp_path):
    write_photos(tmp_path / "in", 1)
    label([tmp_path / "in"], output=tmp_path / "t.parquet", scheme="groh")
    kept = json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"equiderm"])
    assert (kept["method"], kept["scheme"]) == ("patch-max", "groh")


def test_an_unknown_method_is_found_before_any_work(tmp_path, monkeypatch):
    write_photos(tmp_path / "in", 1)
    seen = counting(monkeypatch)
    with pytest.raises(InputError, match="no method 'best'"):
        label([tmp_path / "in"], method="best")
    assert seen == []


def test_python_and_package_name_the_same_function():
    import equiderm

    assert equiderm.label is label_function


def test_an_overlay_is_written_for_each_image(tmp_path):
    write_photos(tmp_path / "in" / "a", 2)
    write_photos(tmp_path / "in" / "b", 2)
    label([tmp_path / "in"], overlays=tmp_path / "o")
    names = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert names == ["a__p0000.jpg.png", "a__p0001.jpg.png", "b__p0000.jpg.png", "b__p0001.jpg.png"]
    assert np.asarray(Image.open(tmp_path / "o" / names[0])).shape == (556, 512, 3)


def fitted_scheme(path: Path) -> Path:
    """Write a scheme of cut-points on one column, as `equiderm calibrate` does."""
    from equiderm.tone.fitted_scheme import FittedScheme

    cuts = np.array([60.0, 40.0, 20.0, 0.0, -20.0])
    names = tuple(str(number) for number in range(1, 7))
    even = np.full(6, 1 / 6)
    scheme = FittedScheme(names, ("ita",), "absolute", even, cuts=cuts, given_band=np.eye(6))
    path.write_text(json.dumps(scheme.to_json()))
    return path


def test_a_fitted_scheme_bands_as_its_cut_points_say(tmp_path):
    write_photos(tmp_path / "in", 11)
    scheme = fitted_scheme(tmp_path / "mine.json")
    table = label([tmp_path / "in"], scheme=str(scheme), output=tmp_path / "t.parquet")
    expected = [str(1 + sum(ita <= cut for cut in (60, 40, 20, 0, -20))) for ita in table["ita"]]
    assert table["ita_band"].tolist() == expected
    assert set(table["scheme"]) == {str(scheme)}


def test_a_fitted_scheme_that_changed_counts_as_another_setting(tmp_path):
    write_photos(tmp_path / "in", 2)
    scheme = fitted_scheme(tmp_path / "mine.json")
    out = tmp_path / "t.parquet"
    label([tmp_path / "in"], scheme=str(scheme), output=out)
    scheme.write_text(scheme.read_text().replace("60.0", "61.0"))
    with pytest.raises(InputError, match="made with other settings"):
        label([tmp_path / "in"], scheme=str(scheme), output=out)


def test_no_two_images_share_an_overlay_on_any_file_system(tmp_path):
    names = ["a/x.jpg", "b/x.jpg", "a__x.jpg", "A/X.jpg", "é.jpg", "e\u0301.jpg"]
    names += ["l" * 240 + "1.jpg", "k" + "l" * 239 + "1.jpg", "日" * 80 + ".jpg"]
    names += [os.fsdecode(b"y\xff.jpg"), os.fsdecode(b"y\xfe.jpg")]
    pictures = overlay_names([str(tmp_path / name) for name in names], "o")
    seen = {unicodedata.normalize("NFC", one).casefold() for one in pictures}
    assert len(seen) == len(names)
    assert max(len(os.fsencode(one)) for one in pictures) < 255
    assert str(Path("o", "b__x.jpg.png")) in pictures  # alone with its name, it keeps it


def test_overlays_of_a_run_that_goes_on_have_the_names_of_the_whole_run(tmp_path):
    write_photos(tmp_path / "in" / "a", 2)
    write_photos(tmp_path / "in" / "b", 1)
    how = {"output": tmp_path / "t.parquet", "overlays": tmp_path / "o"}
    label([tmp_path / "in"], **how)
    pictures = sorted(path.name for path in (tmp_path / "o").iterdir())
    (tmp_path / "o" / "b__p0000.jpg.png").unlink()
    label([tmp_path / "in"], **how)
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == pictures
