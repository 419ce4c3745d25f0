"""What torch does in batches on a device equals the ordinary way; the device here is a CPU."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.tone.pictures import skin_picture

pytest.importorskip("torchvision", reason="the extra train is not installed")

from equiderm import gpu
from equiderm.errors import InputError
from equiderm.photo.decode import load_photo
from equiderm.tone import label
from equiderm.tone.skin import fill_hair, hair_mask
from equiderm.tone.view import EIGHT_SAMPLES, SAMPLE, View


def hairy(width: int, height: int, seed: int = 0) -> np.ndarray:
    return skin_picture((62, 12, 17), width=width, height=height, hairs=25, shade=0.1, seed=seed)


def jpeg(folder: Path, name: str, picture: np.ndarray, **options: object) -> Path:
    folder.mkdir(exist_ok=True)
    Image.fromarray(picture).save(folder / name, quality=90, **options)
    return folder / name


def square_of(path: Path, *, exact: bool = False) -> gpu.Square | None:
    corners = list(EIGHT_SAMPLES.values())
    (square,) = gpu.read_squares(
        [path.read_bytes()], "cpu", size=256, corners=corners, side=SAMPLE, exact=exact
    )
    return square


@pytest.mark.parametrize("size", [(150, 150), (256, 256), (300, 257), (451, 400)])
def test_a_square_is_resized_as_without_a_device(tmp_path, size):
    path = jpeg(tmp_path, "a.jpg", hairy(*size))
    square = square_of(path)
    assert square is not None
    apart = np.abs(square.photo.square.astype(int) - load_photo(path).square)
    assert apart.max() <= 1
    assert apart.mean() < 0.01


@pytest.mark.parametrize("size", [(700, 600), (1100, 1031)])
def test_a_large_square_is_reduced_nearly_as_libjpeg_does(tmp_path, size):
    path = jpeg(tmp_path, "a.jpg", hairy(*size))
    quick, exact = square_of(path), square_of(path, exact=True)
    assert quick is not None and exact is not None
    assert np.abs(quick.photo.square.astype(int) - load_photo(path).square).mean() < 1
    whole = load_photo(path, exact=True).square
    assert np.abs(exact.photo.square.astype(int) - whole).mean() < 0.01


def test_hair_is_masked_alike_and_filled_with_nearly_the_same_colours(tmp_path):
    square = square_of(jpeg(tmp_path, "a.jpg", hairy(300, 300)))
    assert square is not None
    pixels = square.photo.square
    hair = hair_mask(pixels)
    assert np.array_equal(square.hair, hair)
    samples = View(pixels).samples
    masks = np.stack([hair[y : y + SAMPLE, x : x + SAMPLE] for y, x in EIGHT_SAMPLES.values()])
    assert masks.any()
    assert np.array_equal(square.samples[masks == 0], samples[masks == 0])
    assert np.abs(square.samples.astype(int) - samples).mean() < 0.3
    unfilled = np.stack([pixels[y : y + SAMPLE, x : x + SAMPLE] for y, x in EIGHT_SAMPLES.values()])
    assert np.abs(unfilled.astype(int) - samples).mean() > 1
    assert fill_hair(pixels, hair).shape == pixels.shape


@pytest.fixture
def mixed(tmp_path):
    """A folder of every kind of file that a device reads, and of those that it leaves alone."""
    folder = tmp_path / "in"
    for seed, size in enumerate([(200, 150), (256, 256), (600, 450), (800, 600)]):
        jpeg(folder, f"{seed}.jpg", hairy(*size, seed))
    turned = Image.Exif()
    turned[0x0112] = 6
    jpeg(folder, "turned.jpg", hairy(200, 150), exif=turned)
    jpeg(folder, "scans.jpg", hairy(200, 150), progressive=True)
    jpeg(folder, "gray.jpg", hairy(200, 150)[:, :, 0])
    jpeg(folder, "small.jpg", hairy(12, 12))
    Image.fromarray(hairy(200, 150)).save(folder / "a.png")
    (folder / "bad.jpg").write_bytes(b"no")
    whole = (folder / "2.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[:9000])
    (folder / "cut_and_closed.jpg").write_bytes(whole[:9000] + b"\xff\xd9")
    return folder


@pytest.mark.parametrize("method", ["patch-max", "robust"])
def test_rows_are_those_of_a_run_without_a_device(mixed, method):
    plain = label(mixed, method=method)
    device = label(mixed, method=method, device="cpu")
    same = ["image", "width", "height", "ita_band", "tone_flags", "error"]
    pd.testing.assert_frame_equal(plain[same], device[same])
    assert list(plain.columns) == list(device.columns)
    assert (plain["ita"] - device["ita"]).abs().max() < 1
    assert (plain["hair_fraction"] - device["hair_fraction"]).abs().max() < 0.01
    assert plain["error"].notna().sum() == 4


def test_what_a_device_leaves_alone_is_measured_as_without_it(mixed):
    others = [mixed / name for name in ("a.png", "turned.jpg", "scans.jpg")]
    pd.testing.assert_frame_equal(label(others), label(others, device="cpu"))


def test_a_reference_is_applied_with_a_device_too(mixed):
    options = {"reference": "20,20,40,40"}
    pd.testing.assert_frame_equal(
        label(mixed / "2.jpg", **options), label(mixed / "2.jpg", device="cpu", **options)
    )


def test_a_table_of_a_device_resumes_with_it_and_refuses_to_be_mixed(mixed, tmp_path):
    out = tmp_path / "t.parquet"
    seen: list[tuple[int, int]] = []
    first = label([mixed / "0.jpg", mixed / "1.jpg"], device="cpu", output=out)
    label(mixed, device="cpu", output=out, progress=lambda *now: seen.append(now))
    assert seen[0] == (2, 12)
    assert seen[-1] == (12, 12)
    both = pd.read_parquet(out).set_index("image")
    assert both.loc[first["image"], "ita"].tolist() == first["ita"].tolist()
    with pytest.raises(InputError, match="other settings"):
        label(mixed, output=out)


def test_a_batch_that_fails_is_measured_without_the_device_and_says_so(mixed, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(gpu, "read_squares", fails)
    counts: list[int] = []
    with pytest.warns(UserWarning, match=r"12 images measured without the device: out of memory\."):
        table = label(mixed, device="cpu", progress=lambda done, _: counts.append(done))
    pd.testing.assert_frame_equal(table, label(mixed))
    assert counts == list(range(1, 13))


@pytest.mark.parametrize(
    ("device", "said"), [("tpu9", "there is no device"), ("meta", "not decoded"), ("cuda:99", "99")]
)
def test_a_device_that_is_not_there_is_refused(mixed, device, said):
    with pytest.raises(InputError, match=said):
        label(mixed, device=device)


def test_without_torch_a_device_names_the_extra(mixed, monkeypatch):
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else known(name)
    )
    with pytest.raises(InputError, match=r"torch is not installed.*equiderm\[train\]"):
        label(mixed, device="cuda")
