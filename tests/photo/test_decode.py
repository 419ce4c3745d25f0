import io
import itertools
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin
from tests.oracle import square_of
from tests.photo import encoded as made
from tests.tone.pictures import skin_picture

from equiderm.photo.decode import Photo, PhotoError, load_photo, load_square
from equiderm.photo.readers import read_image

SKIN = skin_picture((65.0, 14.0, 18.0), width=320, height=240, noise=0, lesion=False)
PLAIN = tuple(int(value) for value in SKIN[0, 0])


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def close(photo: Photo, colour: tuple[int, ...], tolerance: int = 3) -> bool:
    middle = np.median(photo.square.reshape(-1, 3), axis=0)
    return bool(np.abs(middle - np.array(colour)).max() <= tolerance)


@pytest.mark.parametrize("size", [(256, 256), (320, 240), (241, 700), (64, 65)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
def test_any_size_and_format_becomes_the_oracle_s_square(size, kind):
    textured = skin_picture((65.0, 14.0, 18.0), width=size[0], height=size[1], hairs=5)
    blob = saved(Image.fromarray(textured), kind)
    photo = load_photo(blob, exact=True)
    assert np.array_equal(photo.square, square_of(Image.open(io.BytesIO(blob))))
    assert (photo.width, photo.height) == size


def test_a_large_jpeg_is_decoded_reduced_and_stays_close():
    textured = skin_picture((65.0, 14.0, 18.0), width=2600, height=1900, hairs=20, hair_width=9)
    blob = saved(Image.fromarray(textured), "JPEG", quality=92)
    fast, exact = load_square(blob), load_square(blob, exact=True)
    difference = np.abs(fast.astype(int) - exact.astype(int))
    assert difference.max() > 0
    assert difference.mean() < 2.5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_orientation_tag_is_followed(orientation, kind):
    picture = np.array(SKIN)
    picture[:60, :80] = (200, 30, 30)  # marks one corner
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    blob = saved(Image.fromarray(picture), kind, exif=exif, **options)
    photo = load_photo(blob)
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(blob)))
    assert upright.size == ((240, 320) if orientation > 4 else (320, 240))
    assert np.abs(photo.square.astype(int) - square_of(upright)).max() <= 1
    assert (photo.width, photo.height) == upright.size


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("odd", [0, 1])
def test_a_tiff_of_16_bits_is_turned_once(orientation, odd):
    picture = np.array(SKIN[:, odd:])
    picture[:60, :80] = (200, 30, 30)
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = load_photo(saved(Image.fromarray(picture), "PNG", exif=exif))
    deep = load_photo(made.tiff(picture.astype(np.uint16) * 257, orientation=orientation))
    assert (deep.width, deep.height) == (plain.width, plain.height)
    assert np.abs(deep.square.astype(int) - plain.square).max() <= 1


def test_an_orientation_in_xmp_alone_is_followed_as_pillow_does():
    from PIL import ImageOps

    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    chunk = PngImagePlugin.PngInfo()
    chunk.add_itxt("XML:com.adobe.xmp", xmp.decode())
    for kind, options in {
        "JPEG": {"xmp": xmp, "subsampling": 0},
        "PNG": {"pnginfo": chunk},
    }.items():
        blob = saved(Image.fromarray(SKIN), kind, **options)
        photo, upright = load_photo(blob), ImageOps.exif_transpose(Image.open(io.BytesIO(blob)))
        assert (photo.width, photo.height) == upright.size == (240, 320)
        assert np.abs(photo.square.astype(int) - square_of(upright)).max() <= 1


def test_a_jpeg_whose_chroma_is_sampled_in_an_unusual_way_says_so():
    blob = bytearray(saved(Image.fromarray(SKIN), "JPEG", subsampling=0))
    frame = blob.index(b"\xff\xc0")
    blob[frame + 11] = 0x31  # three luma samples a chroma sample
    with pytest.raises(PhotoError, match="unusual kind"):
        load_photo(bytes(blob))


def test_gray_has_no_colour_however_it_is_stored():
    gray = Image.fromarray(SKIN).convert("L")
    for image in (gray, gray.convert("RGB"), gray.convert("P"), gray.convert("LA")):
        assert not load_photo(saved(image, "PNG")).has_colour
    assert not load_photo(saved(gray.convert("RGB"), "JPEG")).has_colour
    assert load_photo(saved(Image.fromarray(SKIN), "JPEG")).has_colour


def test_opaque_alpha_changes_nothing():
    picture = Image.fromarray(SKIN)
    with_alpha = picture.copy()
    with_alpha.putalpha(255)
    same = load_square(saved(with_alpha, "PNG"))
    assert np.array_equal(same, load_square(saved(picture, "PNG")))


def test_transparency_is_shown_on_white():
    picture = Image.fromarray(SKIN)
    picture.putalpha(0)
    assert close(load_photo(saved(picture, "PNG")), (255, 255, 255), 0)


def test_what_is_half_transparent_keeps_its_colour():
    picture = Image.fromarray(SKIN)
    picture.putalpha(200)
    for kind in ("PNG", "TIFF"):
        assert close(load_photo(saved(picture, kind)), PLAIN, 1)
    assert close(load_photo(np.asarray(picture).astype(np.uint16) * 257), PLAIN, 1)


def test_one_bit_is_expanded():
    for kind in ("PNG", "TIFF"):
        photo = load_photo(saved(Image.fromarray(SKIN).convert("1"), kind))
        assert not photo.has_colour and set(np.unique(photo.square)) > {0, 255}


def test_a_palette_is_expanded():
    paletted = Image.fromarray(SKIN).quantize(16)
    assert close(load_photo(saved(paletted, "PNG")), PLAIN)
    assert close(load_photo(saved(paletted, "GIF")), PLAIN)


def test_cmyk_is_converted():
    assert close(load_photo(saved(Image.fromarray(SKIN).convert("CMYK"), "JPEG")), PLAIN, 6)


def test_16_bit_is_scaled():
    deep = (SKIN.astype(np.uint16) * 257)[:, :, ::-1]
    for ending in (".png", ".tiff"):
        assert close(load_photo(cv2.imencode(ending, deep)[1].tobytes()), PLAIN, 1)
    gray = Image.fromarray(np.full((50, 50), 40000, np.uint16))
    assert close(load_photo(saved(gray, "PNG")), (156, 156, 156), 1)


def test_an_embedded_profile_is_converted_to_srgb():
    swapped = wide_gamut_profile()
    picture = Image.fromarray(np.full((64, 64, 3), (200, 120, 90), np.uint8))
    plain = load_photo(saved(picture, "PNG")).square[0, 0]
    for kind in ("PNG", "JPEG", "TIFF"):
        converted = load_photo(saved(picture, kind, icc_profile=swapped)).square[0, 0]
        assert int(converted[0]) > int(plain[0]) + 10  # a wider red primary: redder in sRGB


def test_an_srgb_profile_changes_nothing():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Image.fromarray(SKIN)
    with_profile = load_square(saved(picture, "JPEG", icc_profile=profile))
    assert np.array_equal(with_profile, load_square(saved(picture, "JPEG")))


def wide_gamut_profile() -> bytes:
    """Return a minimal matrix profile with Adobe RGB (1998) primaries and a gamma of 2.2."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + b"\0" * 79
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    tags = {
        b"desc": text,
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    size = offset + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def test_a_tiff_whose_channels_lie_apart_is_right_or_refused():
    assert np.array_equal(load_square(made.tiff(SKIN, planar=2)), load_square(SKIN))
    with pytest.raises(PhotoError, match="each channel apart"):
        load_photo(made.tiff(SKIN.astype(np.uint16) * 257, planar=2))


@pytest.mark.parametrize(
    ("top", "hint"),
    [
        (255, "0 to 255"),
        (4095, "12 bits, multiply them by 16"),
        (16383, "14 bits, multiply them by 4"),
    ],
)
def test_16_bits_that_hold_fewer_are_asked_about(top, hint):
    dim = (SKIN.astype(np.uint32) * top // int(SKIN.max())).astype(np.uint16)
    for source in (dim, made.tiff(dim), cv2.imencode(".png", dim)[1].tobytes()):
        with pytest.raises(PhotoError, match=hint):
            load_photo(source)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP"])
def test_the_first_of_several_pictures_is_read_and_the_others_are_flagged(kind):
    first, second = Image.fromarray(SKIN), Image.new("RGB", (320, 240), "white")
    options = {"lossless": True} if kind == "WEBP" else {}
    several = load_photo(saved(first, kind, save_all=True, append_images=[second], **options))
    assert several.flags == ("several-pictures",)
    assert close(several, PLAIN)
    assert load_photo(saved(first, kind)).flags == ()


def pages(*pictures, **tags):
    """Return a TIFF whose first page is a white thumbnail, marked as such."""
    thumbnail = tifffile.TiffWriter(buffer := io.BytesIO())
    with thumbnail as writer:
        white = np.full((60, 80, 3), np.iinfo(pictures[0].dtype).max, pictures[0].dtype)
        writer.write(white, photometric="rgb", subfiletype=1, **tags)
        for picture in pictures:
            writer.write(picture, photometric="rgb")
    return buffer.getvalue()


@pytest.mark.parametrize("scale", [np.uint8(1), np.uint16(257)])
def test_a_tiff_s_thumbnail_is_passed_over(scale):
    picture = SKIN * scale
    photo = load_photo(pages(picture))
    assert (photo.width, photo.height, photo.flags) == (320, 240, ())
    assert close(photo, PLAIN, 1)
    assert load_photo(pages(picture, picture)).flags == ("several-pictures",)


def test_pages_that_lead_in_a_circle_end():
    blob = bytearray(made.tiff(SKIN))
    first = blob[4:8]
    blob[-4:] = first  # the page after the first is the first
    assert close(load_photo(bytes(blob)), PLAIN, 1)


def test_a_camera_s_raw_file_is_refused():
    raw = pages(SKIN, extratags=[(50706, 1, 4, bytes([1, 4, 0, 0]), True)])
    beside = pages(SKIN, subifds=1)
    for blob in (raw, beside):
        with pytest.raises(PhotoError, match="raw file"):
            load_photo(blob)


def test_a_fourth_channel_of_a_tiff_is_what_its_tag_says():
    layers = np.dstack([SKIN // 2, np.full(SKIN.shape[:2], 128)]).astype(np.uint16) * 257
    for kind, colour in {
        "unspecified": SKIN // 2,
        "unassalpha": SKIN // 2,
        "assocalpha": SKIN,
    }.items():
        tifffile.imwrite(buffer := io.BytesIO(), layers, photometric="rgb", extrasamples=[kind])
        assert close(load_photo(buffer.getvalue()), tuple(colour[0, 0].tolist()), 2)


def test_lab_of_a_tiff_whose_channels_lie_apart_is_refused():
    lab = np.asarray(Image.fromarray(SKIN).convert("YCbCr")).transpose(2, 0, 1)
    tifffile.imwrite(buffer := io.BytesIO(), lab, photometric=8, planarconfig="separate")
    with pytest.raises(PhotoError, match="each channel apart"):
        load_photo(buffer.getvalue())


@pytest.mark.parametrize("narrow", [True, False])
def test_raw_ycbcr_in_a_tiff_is_decoded_as_its_tags_say(narrow):
    weights = np.array([0.299, 0.587, 0.114])
    luma = SKIN @ weights
    blue, red = (SKIN[..., 2] - luma) / 1.772, (SKIN[..., 0] - luma) / 1.402
    low, gain, chroma = (16, 219 / 255, 224 / 255) if narrow else (0, 1, 1)
    coded = np.stack([low + luma * gain, 128 + blue * chroma, 128 + red * chroma], axis=-1)
    limits = (16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1)
    extra = [(532, 5, 6, limits, True)] if narrow else []
    tifffile.imwrite(
        buffer := io.BytesIO(), np.round(coded).astype(np.uint8), photometric=6, extratags=extra
    )
    assert close(load_photo(buffer.getvalue()), PLAIN, 2)


def test_a_tiff_compressed_in_an_unusual_way_says_so():
    plain, webp = (struct.pack("<HHII", 259, 3, 1, kind) for kind in (1, 50001))
    for pixels in (SKIN, SKIN.astype(np.uint16) * 257):
        with pytest.raises(PhotoError, match=r"unusual way \(50001"):
            load_photo(made.tiff(pixels).replace(plain, webp))


@pytest.mark.parametrize("kind", ["int16", "uint32", "float16"])
def test_a_tiff_of_other_numbers_is_refused(kind):
    tifffile.imwrite(buffer := io.BytesIO(), (SKIN // 2).astype(kind), photometric="rgb")
    with pytest.raises(PhotoError, match="kind that is not understood"):
        load_photo(buffer.getvalue())


def test_where_a_picture_is_transparent_is_kept():
    layered = np.dstack([SKIN, np.full(SKIN.shape[:2], 255, np.uint8)])
    layered[:60, :, 3] = 0
    for picture in (layered, saved(Image.fromarray(layered), "PNG")):
        photo = load_photo(picture)
        assert photo.transparent[:60].all() and not photo.transparent[70:].any()
    assert load_photo(SKIN).transparent is None


@pytest.mark.parametrize("scale", [1 / 255, 257])
def test_arrays_of_floats_and_of_16_bits_are_scaled(scale):
    kind = np.float64 if scale < 1 else np.uint16
    assert np.array_equal(load_square((SKIN.astype(float) * scale).astype(kind)), load_square(SKIN))


def test_every_way_to_hand_over_a_picture_gives_the_same(tmp_path):
    torch = pytest.importorskip("torch")
    image = Image.fromarray(SKIN)
    path = tmp_path / "a.png"
    path.write_bytes(saved(image, "PNG"))
    tensor = torch.from_numpy(SKIN.copy())
    expected = load_square(SKIN)
    with path.open("rb") as file:
        sources = [str(path), path.read_bytes(), memoryview(path.read_bytes()), file, image, tensor,
                   tensor.permute(2, 0, 1), tensor.permute(2, 0, 1).float() / 255]  # fmt: skip
        for source in sources:
            assert np.array_equal(load_square(source), expected)
    turned = load_photo(SKIN[:, :, ::-1], channels="bgr").square
    assert np.array_equal(turned, expected)


def test_an_image_of_pillow_keeps_its_profile_and_its_orientation():
    blob = saved(Image.fromarray(SKIN), "PNG", icc_profile=wide_gamut_profile(), exif=_turned(6))
    assert np.array_equal(load_square(Image.open(io.BytesIO(blob))), load_square(blob))


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_the_order_of_a_file_cannot_be_told(tmp_path):
    with pytest.raises(PhotoError, match="for arrays of pixels"):
        load_photo(saved(Image.fromarray(SKIN), "PNG"), channels="bgr")
    with pytest.raises(PhotoError, match="'rgb' or 'bgr'"):
        load_photo(SKIN, channels="gbr")


def test_the_array_given_is_not_changed():
    before = SKIN.copy()
    load_square(SKIN)
    assert np.array_equal(before, SKIN)


GOOD = saved(Image.fromarray(skin_picture((65.0, 14.0, 18.0))), "JPEG")
PNG = saved(Image.fromarray(SKIN), "PNG")


def bomb() -> bytes:
    """Return a PNG that says it is 60,000 x 60,000 px."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = (
        chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (b"not an image at all", "not an image in a known format"),
        (GOOD[: len(GOOD) // 2], "truncated"),
        (GOOD[:-2], "truncated"),
        (GOOD[: len(GOOD) // 2] + b"\xff\xd9", "premature end"),
        (PNG[: len(PNG) // 2], "truncated"),
        (GOOD[:30], "truncated|known format"),
        (bomb(), "bomb"),
        (saved(Image.new("RGB", (3, 3), "pink"), "PNG"), "3 x 3 px is too small"),
    ],
)
def test_a_bad_file_says_what_is_wrong(blob, reason):
    with pytest.raises(PhotoError, match=reason):
        load_photo(blob)


def test_a_progressive_jpeg_cut_off_between_two_scans_is_an_error():
    whole = saved(Image.fromarray(SKIN), "JPEG", progressive=True)
    assert np.array_equal(load_square(whole), load_square(saved(Image.fromarray(SKIN), "JPEG")))
    scans = [place for place in range(len(whole)) if whole[place : place + 2] == b"\xff\xda"]
    for before, scan in itertools.pairwise(scans):
        tables = whole.rfind(b"\xff\xc4", before, scan)
        with pytest.raises(PhotoError, match="last scans"):
            load_photo(whole[: scan if tables < 0 else tables] + b"\xff\xd9")


def test_a_decoder_s_long_complaint_becomes_one_line(monkeypatch):
    def complain(*_):
        raise RuntimeError("out of order\n" * 100)

    monkeypatch.setattr(cv2, "imdecode", complain)
    with pytest.raises(PhotoError) as caught:
        load_photo(made.tiff(SKIN.astype(np.uint16) * 257))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


def test_a_jpeg_with_padding_before_its_end_is_read():
    assert np.array_equal(load_square(GOOD[:-2] + bytes(8) + GOOD[-2:]), load_square(GOOD))


def test_a_jpeg_with_bytes_after_its_end_is_read():
    assert np.array_equal(load_square(GOOD + b"trailer"), load_square(GOOD))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((30, 30, 3), np.nan), "NaN"),
        (np.full((30, 30, 3), 3.5), "floats must lie in"),
        (np.full((30, 30, 3), -1), "integers must lie in"),
        (np.zeros((30, 30, 2), np.uint8), "not a picture"),
        (np.zeros((0, 30, 3), np.uint8), "no pixels"),
        (np.zeros((30, 30, 3), complex), "not understood"),
    ],
)
def test_a_bad_array_says_what_is_wrong(array, reason):
    with pytest.raises(PhotoError, match=reason):
        load_photo(array)


@pytest.mark.parametrize(
    "brands", [b"isom\0\0\2\0isomiso2avc1mp41", b"qt  \0\0\0\0qt  ", b"crx isom"]
)
def test_a_video_and_a_raw_file_of_its_boxes_say_so(brands):
    box = struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands
    with pytest.raises(PhotoError, match="video or a camera's raw file"):
        load_photo(box + bytes(200))


def test_files_that_are_none_say_so(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "gone")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xff.jpg")).write_bytes(PNG)
    for name, reason in {
        "empty": "empty",
        "folder": "is a folder",
        "nowhere": "link that leads nowhere",
        "loop": "cannot be read",
        "pipe": "not a regular file",
        "gone": "no such file",
        r"n\xff": "its name is not UTF-8",
        r"n\xfe": "no such file",
    }.items():
        with pytest.raises(PhotoError, match=reason):
            load_photo(tmp_path / f"{name}.jpg")


def test_no_permission_says_so(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(PNG)
    path.chmod(0)
    as_root = os.geteuid() == 0
    if as_root:
        tmp_path.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(PhotoError, match="cannot be read"):
            load_photo(path)
    finally:
        if as_root:
            os.seteuid(0)


def test_a_wrong_ending_does_not_matter(tmp_path):
    path = tmp_path / "photo.txt"
    path.write_bytes(GOOD)
    assert np.array_equal(load_square(path), load_square(GOOD))


PEAK = """
import sys
from pathlib import Path
from equiderm.photo.decode import load_photo
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
rest = peak()
load_photo(sys.argv[1])
print(peak() - rest)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's count of memory")
@pytest.mark.parametrize(("mode", "bytes_a_pixel"), [("RGBA", 4), ("RGB", 4), ("P", 1)])
def test_a_large_picture_is_held_once(mode, bytes_a_pixel, tmp_path):
    image = Image.new(mode, (4000, 4000))
    image.save(tmp_path / "a.png", transparency=0 if mode == "P" else None, compress_level=1)
    command = [sys.executable, "-c", PEAK, str(tmp_path / "a.png")]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 4000 * 4000 * bytes_a_pixel * 1.25 + 40e6


@pytest.mark.parametrize(
    ("kind", "side"), [("WEBP", 8000), ("JPEG2000", 6500), ("AVIF", 9500)]
)  # fmt: skip
def test_what_would_take_a_gigabyte_is_refused_before_it_is_decoded(kind, side, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(PhotoError, match="too large for 1 GB"):
        read_image(_opened(kind, side))


def _opened(kind: str, side: int) -> Image.Image:
    image = Image.new("1", (side, side))
    image.format = kind
    return image
