import ctypes
import io
from pathlib import Path

import cv2
import numpy as np
import PIL
import pytest
from PIL import Image, ImageCms
from tests.photo import encoded as made
from tests.tone.pictures import skin_picture

from equiderm.photo import colour
from equiderm.photo.decode import PhotoError, load_photo, load_square
from equiderm.tone import estimate

Image.init()
writes_avif = pytest.mark.skipif("AVIF" not in Image.SAVE, reason="Pillow 11.3 writes AVIF")
PLAIN = skin_picture((66.0, 13.0, 17.0), width=320, height=256, noise=0, hairs=4)
NOISE = np.random.default_rng(5).normal(0, 4, PLAIN.shape)
SKIN = np.clip(PLAIN + NOISE, 0, 255).astype(np.uint8)
ENCODINGS = made.encodings(SKIN)
TRUE = estimate(SKIN).ita


@pytest.mark.parametrize("name", ENCODINGS)
def test_one_picture_has_one_angle_in_every_encoding(name):
    found = estimate(ENCODINGS[name])
    assert found.ita == pytest.approx(TRUE, abs=0.5)
    assert found.flags == ()


BY_PROFILE = [
    "P3 JPEG",
    "P3 JPEG, curve as a table",
    "P3 PNG with alpha",
    "Adobe JPEG",
    "linear PNG",
]


@pytest.mark.parametrize("name", BY_PROFILE)
def test_profiles_convert_as_littlecms_does(name):
    image = Image.open(io.BytesIO(ENCODINGS[name]))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    theirs = ImageCms.profileToProfile(
        image.convert("RGB"), profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    square = load_square(ENCODINGS[name])
    assert np.abs(square.astype(int) - load_square(np.asarray(theirs))).max() <= 1


PROFILES = {
    "P3": made.profile(made.P3, made.SRGB_CURVE),
    "Adobe": made.profile(made.ADOBE, made.gamma_curve(563 / 256)),
    "ROMM": made.profile(made.ROMM, made.gamma_curve(1.8)),
    "linear": made.profile(made.SRGB, made.gamma_curve(1)),
}
WITH_PROFILE = [*BY_PROFILE, "P3 PNG, 16 bits", "P3 TIFF", "P3 TIFF, 16 bits", "P3 WebP",
                "Adobe TIFF", "ROMM TIFF, 16 bits", "linear PNG, 16 bits"]  # fmt: skip


def littlecms_in_16_bits(values, profile):
    """Return 16-bit values of a profile's space as 16-bit sRGB, by the library that Pillow has."""
    found = [*Path(PIL.__file__).parents[1].glob("[pP]illow.libs/*lcms2*"),
             *Path(PIL.__file__).parent.glob(".dylibs/*lcms2*")]  # fmt: skip
    if not found:
        pytest.skip("Pillow's littleCMS lies elsewhere")
    lcms, rgb_16, unoptimized = ctypes.CDLL(str(found[0])), 4 << 16 | 3 << 3 | 2, 0x100
    for name in ("cmsOpenProfileFromMem", "cmsCreate_sRGBProfile", "cmsCreateTransform"):
        getattr(lcms, name).restype = ctypes.c_void_p
    source = ctypes.c_void_p(lcms.cmsOpenProfileFromMem(profile, len(profile)))
    target = ctypes.c_void_p(lcms.cmsCreate_sRGBProfile())
    transform = lcms.cmsCreateTransform(source, rgb_16, target, rgb_16, 1, unoptimized)
    values = np.ascontiguousarray(values, np.uint16)
    converted = np.zeros_like(values)
    size = values.shape[0] * values.shape[1]
    lcms.cmsDoTransform(ctypes.c_void_p(transform), values.ctypes, converted.ctypes, size)
    return converted


@pytest.mark.parametrize("name", WITH_PROFILE)
def test_a_profile_gives_the_angle_of_littlecms_in_16_bits(name):
    blob = ENCODINGS[name]
    values = cv2.imdecode(np.frombuffer(blob, np.uint8), cv2.IMREAD_UNCHANGED)[..., 2::-1]
    deep = values if values.dtype == np.uint16 else values.astype(np.uint16) * 257
    theirs = estimate(littlecms_in_16_bits(deep, PROFILES[name.split()[0]]))
    assert estimate(blob).ita == pytest.approx(theirs.ita, abs=0.1)
    assert theirs.ita == pytest.approx(TRUE, abs=0.5)


def test_a_profile_that_means_srgb_is_no_conversion():
    assert colour.of_profile(made.profile(made.SRGB, made.SRGB_CURVE, b"any name"), "RGB") is None
    assert colour.of_profile(made.profile(made.SRGB, made.table_curve(made.decode)), "RGB") is None
    assert colour.of_profile(made.profile(made.P3, made.SRGB_CURVE, b"sRGB"), "RGB") is not None


def test_the_profile_of_cmyk_is_applied():
    inks = Image.fromarray(SKIN).convert("CMYK")
    profile = made.cmyk_profile()
    theirs = ImageCms.profileToProfile(
        inks, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )  # fmt: skip
    plain = load_square(made.saved(inks, "TIFF"))
    ours = load_square(made.saved(inks, "TIFF", icc_profile=profile))
    assert np.abs(ours.astype(int) - load_square(np.asarray(theirs))).mean() < 1
    assert np.abs(ours.astype(int) - plain).mean() > 5


def test_cmyk_in_a_jpeg_equals_cmyk_in_a_tiff():
    inks = Image.fromarray(SKIN).convert("CMYK")
    jpeg = load_square(made.saved(inks, "JPEG", quality=98, subsampling=0))
    assert np.abs(jpeg.astype(int) - load_square(made.saved(inks, "TIFF"))).mean() < 1.5


@writes_avif
def test_the_profile_of_an_avif_comes_before_its_code_points():
    options = {"quality": 100, "subsampling": "4:4:4"}
    srgb = estimate(made.saved(SKIN, "AVIF", **options)).ita
    pixels = made.in_space(SKIN, made.P3, made.encode)
    profile = made.profile(made.P3, made.SRGB_CURVE)
    assert b"colrnclx" in (blob := made.saved(pixels, "AVIF", icc_profile=profile, **options))
    assert estimate(blob).ita == pytest.approx(srgb, abs=0.5)
    assert estimate(made.saved(pixels, "AVIF", **options)).ita > srgb + 1


@writes_avif
def test_the_code_points_of_an_avif_are_followed():
    pixels = made.in_space(SKIN, made.P3, made.encode)
    blob = made.saved(pixels, "AVIF", quality=100, subsampling="4:4:4")
    told = blob.replace(b"colrnclx\x00\x01", b"colrnclx\x00\x0c")
    assert told != blob
    assert estimate(told).ita == pytest.approx(TRUE, abs=1)


@writes_avif
@pytest.mark.parametrize(("matrix", "whole", "flags"), [
    (1, 0, ("colour-unsure",)), (9, 0, ("colour-unsure",)), (6, 0, ()), (1, 128, ()),
])  # fmt: skip
def test_an_avif_that_libyuv_decodes_too_blue_is_flagged(matrix, whole, flags):
    blob = bytearray(made.saved(SKIN, "AVIF"))
    place = blob.index(b"colrnclx")
    blob[place + 13], blob[place + 14] = matrix, whole
    assert load_photo(bytes(blob)).flags == flags


@pytest.mark.parametrize(("index", "flags"), [(b"R03\0", ()), (b"\0\0\0\0", ("colour-unsure",))])
def test_exif_without_a_profile_means_adobe_rgb(index, flags):
    adobe = made.in_space(SKIN, made.ADOBE, made.power(563 / 256))
    blob = made.saved(adobe, "JPEG", quality=98, exif=made.adobe_exif(index))
    assert load_photo(blob).flags == flags
    assert estimate(blob).ita == pytest.approx(TRUE, abs=0.5)


def test_exif_with_the_index_of_srgb_means_srgb():
    blob = made.saved(SKIN, "JPEG", quality=98, subsampling=0, exif=made.adobe_exif(b"R98\0"))
    assert estimate(blob).ita == pytest.approx(TRUE, abs=0.5)
    assert load_photo(blob).flags == ()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_that_nobody_but_libexif_filled_in_says_nothing_of_colours(kind):
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True}
    photo = load_photo(made.saved(SKIN, kind, exif=made.exif(version=b"0210"), **options))
    assert photo.flags == ()
    assert np.abs(photo.square.astype(int) - load_square(SKIN)).max() <= 4
    for other in (made.exif(version=b"0232"), made.exif(make="Canon", version=b"0210")):
        assert load_photo(made.saved(SKIN, kind, exif=other)).flags == ("colour-unsure",)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_an_apple_photograph_that_lost_its_profile_is_p3(kind):
    pixels = made.in_space(SKIN, made.P3, made.encode)
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    blob = made.saved(pixels, kind, exif=made.exif(make="Apple", version=b"0232"), **options)
    assert estimate(blob).ita == pytest.approx(TRUE, abs=0.5)
    assert load_photo(blob).flags == ("colour-unsure",)


def test_a_profile_s_measured_colours_come_before_its_embellished_ones():
    both = made.table_profile(
        A2B0=made.table(made.SRGB, made.power(0.5)), A2B1=made.table(made.P3, made.decode)
    )
    pixels = made.in_space(SKIN, made.P3, made.encode)
    assert estimate(made.saved(pixels, "PNG", icc_profile=both)).ita == pytest.approx(TRUE, abs=0.5)


def test_the_profile_of_a_gif_is_applied():
    palette = Image.fromarray(made.in_space(SKIN, made.P3, made.encode)).quantize(256, dither=0)
    theirs = made.saved(palette, "PNG", icc_profile=PROFILES["P3"])
    ours = load_square(made.gif(palette, PROFILES["P3"]))
    assert np.array_equal(ours, load_square(theirs))
    assert not np.array_equal(ours, load_square(made.saved(palette, "GIF")))


def test_inks_without_a_profile_and_a_profile_that_cannot_be_unpacked_are_flagged():
    inks = Image.fromarray(SKIN).convert("CMYK")
    packed = made.with_chunks(made.saved(SKIN, "PNG"), iCCP=b"p\0\0no zlib")
    deep = made.with_chunks(made.deep(SKIN.astype(np.uint16) * 257), iCCP=b"p\0\0no zlib")
    for blob in (made.saved(inks, "JPEG"), made.saved(inks, "TIFF"), packed, deep):
        assert load_photo(blob).flags == ("colour-unsure",)
    assert load_photo(made.saved(inks, "TIFF", icc_profile=made.cmyk_profile())).flags == ()


@pytest.mark.parametrize("transfer", [16, 18])
def test_a_profile_of_an_hdr_picture_is_refused(transfer):
    tags = {b"cicp": b"cicp\0\0\0\0" + bytes([9, transfer, 0, 1])}
    profile = made.packed(tags, b"RGB ", b"XYZ ")
    with pytest.raises(PhotoError, match="HDR"):
        load_photo(made.saved(SKIN, "PNG", icc_profile=profile))


@pytest.mark.parametrize("damage", [b"garbage", made.cmyk_profile()], ids=["damaged", "for inks"])
def test_a_profile_that_cannot_be_used_is_flagged(damage):
    found = estimate(made.saved(SKIN, "PNG", icc_profile=damage))
    assert found.flags == ("colour-unsure",)
    assert found.ita == pytest.approx(TRUE, abs=0.1)


@pytest.mark.parametrize(
    ("code", "reason"),
    [((9, 16, 0, 1), "HDR"), ((9, 18, 0, 1), "HDR"), ((77, 13, 0, 1), "code points"),
     ((1, 13, 0, 0), "narrow range")],
)  # fmt: skip
def test_code_points_that_cannot_be_followed_are_refused(code, reason):
    with pytest.raises(PhotoError, match=reason):
        load_photo(made.with_chunks(made.saved(SKIN, "PNG"), cICP=bytes(code)))
