import io
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
)
from tests.photo import encoded as made
from tests.tone.pictures import skin_picture

from equiderm.errors import InputError
from equiderm.photo.decode import PhotoError, load_photo, load_square
from equiderm.photo.headers import jxl_header
from equiderm.photo.walk import find_images
from equiderm.tone import estimate, label

PLAIN = skin_picture((66.0, 13.0, 17.0), width=320, height=256, noise=0, hairs=4)
SKIN = np.clip(PLAIN + np.random.default_rng(5).normal(0, 4, PLAIN.shape), 0, 255).astype(np.uint8)
TRUE = estimate(SKIN).ita
CHANNELS = ("Red", "Green", "Blue")
P3 = made.in_space(SKIN, made.P3, made.encode)
P3_PROFILE = made.profile(made.P3, made.SRGB_CURVE)


def saved_heif(pixels, **options):
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(
        buffer, quality=100, chroma=444, **options
    )
    return buffer.getvalue()


def jxl(pixels, **options):
    import pillow_jxl  # noqa: F401 registers the format

    return made.saved(pixels, "JXL", lossless=True, **options)


def dicom(pixels, **more):
    """Return a visible-light photograph as a DICOM file; pixels are an array, or frames of JPEG."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.77.1.4"), UID("1.2.3")
    data.PatientName, data.PatientID, data.Modality = "Doe^Jane", "P1", "XC"
    data.Rows, data.Columns, data.SamplesPerPixel, data.PlanarConfiguration = 256, 320, 3, 0
    data.PhotometricInterpretation = more.pop("photometric", "RGB")
    data.BitsAllocated = data.BitsStored = more.pop("bits", 8)
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, 0
    syntax = more.pop("syntax", ExplicitVRLittleEndian)
    frames = more.pop("frames", 1)
    if frames > 1:
        data.NumberOfFrames = frames
    encoded = isinstance(pixels, bytes)
    data.PixelData = encapsulate([pixels] * frames) if encoded else pixels.tobytes() * frames
    data["PixelData"].VR = "OB"
    for name, value in more.items():
        setattr(data, name, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_heic_is_read():
    assert estimate(saved_heif(SKIN)).ita == pytest.approx(TRUE, abs=1)


def test_the_profile_of_a_heic_is_applied():
    with_profile = estimate(saved_heif(P3, icc_profile=P3_PROFILE)).ita
    assert with_profile == pytest.approx(estimate(saved_heif(SKIN)).ita, abs=0.5)


def test_a_heic_with_further_pictures_is_flagged():
    several = pillow_heif.from_pillow(Image.fromarray(SKIN))
    several.add_from_pillow(Image.fromarray(SKIN))
    buffer = io.BytesIO()
    several.save(buffer, quality=90)
    assert load_photo(buffer.getvalue()).flags == ("several-pictures",)


def test_the_code_points_of_a_heic_are_those_of_its_main_picture():
    small = SKIN[:64, :64]
    both = pillow_heif.from_pillow(Image.fromarray(255 - small))
    both.add_from_pillow(Image.fromarray(P3[:64, :64]))
    for picture, (primaries, transfer) in zip(both, [(9, 16), (12, 13)], strict=True):  # HDR, P3
        picture.info["nclx_profile"] = {
            "color_primaries": primaries, "transfer_characteristics": transfer,
            "matrix_coefficients": 6, "full_range_flag": 1,
        }  # fmt: skip
    both.save(buffer := io.BytesIO(), quality=95, chroma=444, primary_index=1)
    blob = buffer.getvalue()
    assert blob.index(b"colrnclx\0\x09") < blob.index(b"colrnclx\0\x0c")
    off = load_square(blob).mean((0, 1)) - load_square(small).mean((0, 1))
    assert np.abs(off).max() < 1


def test_jpeg_xl_is_read_exactly():
    assert np.array_equal(load_square(jxl(SKIN)), load_square(SKIN))


def test_a_jpeg_in_jpeg_xl_is_the_same_jpeg(tmp_path):
    (tmp_path / "a.jpg").write_bytes(made.saved(SKIN, "JPEG", icc_profile=P3_PROFILE))
    buffer = io.BytesIO()
    with Image.open(tmp_path / "a.jpg") as image:
        image.save(buffer, "JXL", lossless_jpeg=True)
    assert np.array_equal(load_square(buffer.getvalue()), load_square(tmp_path / "a.jpg"))


@pytest.mark.parametrize("size", [(320, 213), (256, 256), (40, 3000), (1234, 57)])
@pytest.mark.parametrize("boxed", [False, True])
def test_the_size_of_a_jpeg_xl_is_read_before_its_pixels(size, boxed):
    blob = jxl(np.zeros((size[1], size[0], 3), np.uint8), use_container=boxed, effort=1)
    assert jxl_header(blob) == (*size, False, 8)


def test_raw_dicom_is_read_exactly():
    assert np.array_equal(load_square(dicom(SKIN)), load_square(SKIN))


def test_jpeg_in_dicom_is_read():
    jpeg = made.saved(SKIN, "JPEG", quality=98, subsampling=0)
    blob = dicom(jpeg, syntax=JPEGBaseline8Bit, photometric="YBR_FULL_422")
    assert estimate(blob).ita == pytest.approx(TRUE, abs=0.5)


def test_ybr_in_raw_dicom_becomes_rgb():
    ycc = Image.fromarray(SKIN).convert("YCbCr")
    ours = load_square(dicom(np.asarray(ycc), photometric="YBR_FULL"))
    assert np.abs(ours.astype(int) - load_square(np.asarray(ycc.convert("RGB")))).max() <= 2


def test_the_profile_in_a_dicom_file_is_applied():
    path = Dataset()
    path.ICCProfile = P3_PROFILE
    for more in ({"ICCProfile": P3_PROFILE}, {"OpticalPathSequence": [path]}):
        assert estimate(dicom(P3, **more)).ita == pytest.approx(TRUE, abs=0.5)


def test_the_profile_in_the_jpeg_of_a_dicom_file_is_applied_where_the_header_has_none():
    jpeg = made.saved(P3, "JPEG", quality=98, subsampling=0, icc_profile=P3_PROFILE)
    options = {"syntax": JPEGBaseline8Bit, "photometric": "YBR_FULL"}
    assert estimate(dicom(jpeg, **options)).ita == pytest.approx(TRUE, abs=0.5)
    assert estimate(dicom(jpeg, ColorSpace="SRGB", **options)).ita > TRUE + 1


def test_a_cut_off_jpeg_in_dicom_is_damaged_not_of_an_unknown_kind():
    jpeg = made.saved(SKIN, "JPEG", quality=98)
    blob = dicom(jpeg[: len(jpeg) // 2], syntax=JPEGBaseline8Bit, photometric="YBR_FULL")
    with pytest.raises(PhotoError, match="damaged or truncated"):
        load_photo(blob)


def test_the_name_of_a_colour_space_in_a_dicom_file_is_followed():
    adobe = made.in_space(SKIN, made.ADOBE, made.power(563 / 256))
    assert estimate(dicom(adobe, ColorSpace="ADOBERGB")).ita == pytest.approx(TRUE, abs=0.5)


def test_12_bits_of_dicom_are_scaled_as_it_says():
    twelve = (SKIN.astype(np.uint32) * 4095 // 255).astype(np.uint16)
    blob = dicom(twelve, bits=16, BitsStored=12, HighBit=11)
    assert estimate(blob).ita == pytest.approx(TRUE, abs=0.5)


def test_the_first_of_several_frames_is_read():
    photo = load_photo(dicom(SKIN, frames=3))
    assert photo.flags == ("several-pictures",)
    assert np.array_equal(photo.square, load_square(SKIN))


def test_dicom_without_a_picture_or_decoder_says_so():
    with pytest.raises(PhotoError, match=r"JPEG Lossless.*pip install python-gdcm"):
        load_photo(dicom(b"\xff\xd8" + bytes(50), syntax=JPEGLosslessSV1))
    bare = Dataset()
    bare.SOPClassUID, bare.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.88.11"), UID("1.2.3")
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    bare.save_as(buffer, enforce_file_format=True)
    with pytest.raises(PhotoError, match="without a picture"):
        load_photo(buffer.getvalue())


@pytest.mark.parametrize(
    ("module", "extra", "blob"),
    [("pillow_heif", "heic", saved_heif(SKIN)), ("pillow_jxl", "jxl", jxl(SKIN)),
     ("pydicom", "dicom", dicom(SKIN))],
)  # fmt: skip
def test_without_its_extra_a_format_names_the_line_that_installs_it(
    module, extra, blob, monkeypatch
):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PhotoError) as error:
        load_photo(blob)
    assert f"pip install 'equiderm[{extra}]'" in str(error.value)


def jxl_head(*fields):
    """Return the head of a JPEG XL file of 256 x 256 px; a field is its value and its bits."""
    bits, place = 0, 0
    for value, size in [(1, 1), (31, 5), (1, 3), *fields]:
        bits, place = bits | value << place, place + size
    return b"\xff\x0a" + bits.to_bytes(64, "little")


@pytest.mark.parametrize(
    ("depth", "bits"), [((0, 2), 8), ((1, 2), 10), ((2, 2), 12), ((3 | 13 << 2, 8), 14)]
)
@pytest.mark.parametrize("is_turned", [False, True])
def test_a_jpeg_xl_of_another_depth_than_8_or_16_is_refused(depth, bits, is_turned):
    more = [(1, 1), (5, 3), (0, 3)] if is_turned else [(0, 1)]
    blob = jxl_head((0, 1), *more, (0, 1), depth)
    assert jxl_header(blob) == (256, 256, False, bits)
    assert jxl_header(jxl_head((0, 1), *more, (1, 1), depth))[3] == 0  # floats
    with pytest.raises(PhotoError, match="damaged" if bits == 8 else f"{bits} bits a channel"):
        load_photo(blob)


def test_an_animated_jpeg_xl_is_refused():
    blob = jxl_head((0, 1), (1, 1), (0, 3), (0, 2), (1, 1))
    assert jxl_header(blob) == (256, 256, True, 0)
    with pytest.raises(PhotoError, match="animated"):
        load_photo(blob)


def test_a_dicom_file_without_a_preamble_or_deflated_is_read():
    whole = dicom(SKIN)
    deflated = dicom(SKIN, syntax=DeflatedExplicitVRLittleEndian)
    for blob in (whole[128 + 4 :], deflated):
        assert np.array_equal(load_square(blob), load_square(SKIN))


def test_the_palette_of_a_dicom_file_may_be_deeper_than_its_pixels():
    colours = {name: SKIN[0, :, i].astype("<u2") * 257 for i, name in enumerate(CHANNELS)}
    rows = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    tables: dict[str, object] = {}
    for name, values in colours.items():
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tables[f"{name}PaletteColorLookupTableData"] = values[:256].tobytes()
    blob = dicom(rows, photometric="PALETTE COLOR", SamplesPerPixel=1, Columns=256, **tables)
    expected = np.tile(SKIN[:1, :256], (256, 1, 1))
    assert np.array_equal(load_square(blob), load_square(expected))


def test_a_dicom_file_of_colours_that_are_not_understood_is_refused_or_flagged():
    with pytest.raises(PhotoError, match="HSV"):
        load_photo(dicom(SKIN, photometric="HSV"))
    assert load_photo(dicom(SKIN, ColorSpace="DISPLAYP3")).flags == ("colour-unsure",)
    assert load_photo(dicom(SKIN, ColorSpace="SRGB")).flags == ()
    with pytest.raises(PhotoError, match="state their bits"):
        load_photo(dicom(SKIN.astype(np.uint16), bits=16))


def test_a_folder_s_pictures_are_found_by_their_first_bytes_too(tmp_path):
    for name, blob in {"a": saved_heif(SKIN), "b": jxl(SKIN), "c": dicom(SKIN)}.items():
        (tmp_path / name).write_bytes(blob)
    (tmp_path / "notes").write_bytes(bytes(200))
    assert [Path(file).name for file in find_images([tmp_path])] == ["a", "b", "c"]


def test_without_its_extra_a_file_is_a_row_with_its_error(tmp_path, monkeypatch):
    (tmp_path / "a.heic").write_bytes(saved_heif(SKIN))
    (tmp_path / "b.png").write_bytes(made.saved(SKIN, "PNG"))
    assert label([tmp_path])["error"].isna().all()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    table = label([tmp_path], workers=1)
    assert "equiderm[heic]" in table["error"][0] and table["ita"].notna().tolist() == [False, True]


def test_nothing_of_a_patient_reaches_the_table(tmp_path):
    (tmp_path / "a.dcm").write_bytes(dicom(SKIN, PatientComments="seen in June"))
    text = label([tmp_path]).to_csv()
    assert "Doe" not in text and "P1" not in text and "June" not in text


@pytest.mark.parametrize("ending", [".parquet", ".csv", None])
def test_attributes_of_dicom_files_become_columns_where_they_are_named(ending, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(dicom(SKIN, PatientAge="045Y", BodyPartExamined="ARM"))
    (folder / "b.png").write_bytes(made.saved(SKIN, "PNG"))
    output = None if ending is None else tmp_path / f"tones{ending}"
    for _ in range(2):  # a finished table is not measured again
        tones = label([folder], output=output, dicom_columns=["PatientAge", "StudyDate"])
        assert tones["PatientAge"].fillna("").tolist() == ["045Y", ""]
        assert tones["StudyDate"].isna().all()
    assert "ARM" not in tones.to_csv() and "Doe" not in tones.to_csv()


@pytest.mark.parametrize("name", ["Age", "OpticalPathSequence", "PixelData", "45"])
def test_what_is_no_attribute_of_dicom_files_is_one_sentence(name):
    with pytest.raises(InputError, match="PatientAge or BodyPartExamined"):
        label([], dicom_columns=[name])
