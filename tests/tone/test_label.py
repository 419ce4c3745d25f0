import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.tone.pictures import skin_picture

from equiderm.errors import InputError
from equiderm.tone import estimate, label
from equiderm.tone import label as label_function
from equiderm.tone.estimate import COLUMNS

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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", out.name]


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
    assert row["flags"] == "no-colour"
    assert pd.isna(row["error"]) and pd.isna(row["ita_band"])


def test_a_name_that_is_not_utf8_is_read(tmp_path):
    strange = os.fsencode(tmp_path) + b"/sk\xffin.jpg"
    write_photos(tmp_path / "in", 1)[0].rename(os.fsdecode(strange))
    table = label([os.fsdecode(strange)], output=tmp_path / "t.parquet")
    assert table["image"].iloc[0].endswith(r"sk\xffin.jpg")
    assert table["ita"].notna().all()


def test_a_decoder_that_crashes_is_one_row_and_stops_nothing(tmp_path, monkeypatch):
    paths = write_photos(tmp_path / "in", 8)
    monkeypatch.setattr(label_module, "_label_chunk", _crash_on_the_fourth)
    table = label(paths, workers=2)
    assert table["error"].notna().tolist() == [False, False, False, True, *[False] * 4]
    assert "crashed" in table["error"].iloc[3]


def _crash_on_the_fourth(tasks, settings):
    if any(image.endswith("p0003.jpg") for image, _ in tasks):
        os._exit(11)
    return [label_module.label_one(image, settings, overlay) for image, overlay in tasks]


RUN = [sys.executable, "-m", "equiderm", "label"]


def test_killed_at_any_moment_it_goes_on_and_ends_with_the_same_table(tmp_path):
    write_photos(tmp_path / "in", 400, size=128)
    whole = label([tmp_path / "in"])
    out = tmp_path / "t.parquet"
    command = [*RUN, str(tmp_path / "in"), "-o", str(out), "--workers", "2"]
    parts = tmp_path / ".t.parquet.parts"
    killed = 0
    for delay in (0.02, 0.3, 0.6):
        process = subprocess.Popen(command, start_new_session=True, stdout=-3, stderr=-3)
        until = time.monotonic() + 20
        before = len(list(parts.glob("[0-9]*.parquet")))
        while process.poll() is None and len(list(parts.glob("[0-9]*.parquet"))) == before:
            assert time.monotonic() < until
            time.sleep(0.005)
        time.sleep(delay)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed, "the run must be killed in its middle for this test to mean anything"
    subprocess.run(command, check=True, capture_output=True)
    resumed = pq.read_table(out).to_pandas()
    pd.testing.assert_frame_equal(resumed, whole)
    assert not parts.exists()


def stop_half_way(monkeypatch, tmp_path, **settings):
    """Leave the parts of a run that was stopped after its first part."""
    calls = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(label_module, "CHUNK", 2)
    with pytest.raises(KeyboardInterrupt):
        label([tmp_path / "in"], output=tmp_path / "t.parquet", progress=stop, **settings)
    assert (tmp_path / ".t.parquet.parts").exists()
    assert not (tmp_path / "t.parquet").exists()


def counting(monkeypatch) -> list[str]:
    """Return a list that grows by each image labelled from now on."""
    seen: list[str] = []
    real = label_module.label_one

    def count(image, *rest):
        seen.append(Path(image).name)
        return real(image, *rest)

    monkeypatch.setattr(label_module, "label_one", count)
    return seen


def test_what_is_done_is_not_done_again(tmp_path, monkeypatch):
    write_photos(tmp_path / "in", 12)
    stop_half_way(monkeypatch, tmp_path)
    seen = counting(monkeypatch)
    label([tmp_path / "in"], output=tmp_path / "t.parquet")
    assert seen == [f"p{number:04d}.jpg" for number in range(4, 12)]


def test_changed_settings_are_not_mixed(tmp_path, monkeypatch):
    write_photos(tmp_path / "in", 12)
    stop_half_way(monkeypatch, tmp_path)
    seen = counting(monkeypatch)
    table = label([tmp_path / "in"], output=tmp_path / "t.parquet", method="whole")
    assert len(seen) == 12
    assert set(table["method"]) == {"whole"}


def test_a_file_that_changed_since_is_labelled_again(tmp_path, monkeypatch):
    paths = write_photos(tmp_path / "in", 12)
    stop_half_way(monkeypatch, tmp_path)
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


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_an_output_of_other_settings_or_images_is_kept(tmp_path, ending):
    write_photos(tmp_path / "in", 3)
    write_photos(tmp_path / "other", 3, start=50)
    out = tmp_path / f"t.{ending}"
    label([tmp_path / "in"], output=out)
    before = out.read_bytes()
    with pytest.raises(InputError, match="made with other settings"):
        label([tmp_path / "in"], output=out, method="whole")
    with pytest.raises(InputError, match="images that are not in this run"):
        label([tmp_path / "other"], output=out)
    assert out.read_bytes() == before
    label([tmp_path / "in"], output=out, method="whole", overwrite=True)
    assert out.read_bytes() != before


def test_a_foreign_file_is_not_overwritten(tmp_path):
    write_photos(tmp_path / "in", 1)
    out = tmp_path / "t.csv"
    out.write_text("my,thesis\n1,2\n")
    with pytest.raises(InputError, match="--overwrite"):
        label([tmp_path / "in"], output=out)
    assert out.read_text() == "my,thesis\n1,2\n"


def test_nothing_is_written_into_the_image_folder(tmp_path):
    write_photos(tmp_path / "in", 3)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "in").rglob("*")}
    label([tmp_path / "in"], output=tmp_path / "t.parquet", overlays=tmp_path / "o")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "in").rglob("*")}
    with pytest.raises(InputError, match="may not go into the image folder"):
        label([tmp_path / "in"], overlays=tmp_path / "in" / "overlays")


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
