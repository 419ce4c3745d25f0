"""One picture in the encodings that photographs come in, profiles and chunks made here.

The forward mathematics (from sRGB to each space) is written out once more, in double precision.
"""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps

D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65)
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65)
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65)
ROMM = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), D50)
REC2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def decode(value):
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def encode(value):
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


def power(gamma):
    return lambda value: value ** (1 / gamma)


def rec709(value):
    return np.where(value < 0.018, 4.5 * value, 1.099 * value**0.45 - 0.099)


def to_d50(primaries):
    """Return the matrix from linear RGB to XYZ relative to D50."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    matrix = xyz[:, :3] @ np.diag(np.linalg.inv(xyz[:, :3]) @ xyz[:, 3])
    gain = (BRADFORD @ [0.9642, 1, 0.8249]) / (BRADFORD @ xyz[:, 3])
    return np.linalg.inv(BRADFORD) @ np.diag(gain) @ BRADFORD @ matrix


def in_space(picture, primaries, curve, bits=8):
    """Return sRGB pixels (uint8) as coded values of another space."""
    linear = decode(picture / 255) @ (np.linalg.inv(to_d50(primaries)) @ to_d50(SRGB)).T
    top = 2**bits - 1
    return np.round(top * curve(np.clip(linear, 0, 1))).astype(np.uint8 if bits == 8 else np.uint16)


SRGB_NUMBERS = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
SRGB_CURVE = struct.pack(
    ">4sIHH5i", b"para", 0, 3, 0, *(round(value * 65536) for value in SRGB_NUMBERS)
)


def gamma_curve(gamma):
    return struct.pack(">4sII", b"curv", 0, 1) + struct.pack(">HH", round(gamma * 256), 0)


def table_curve(function, size=1024):
    values = np.round(65535 * function(np.linspace(0, 1, size))).astype(">u2").tobytes()
    return struct.pack(">4sII", b"curv", 0, size) + values


def profile(primaries, curve, name=b"a space"):
    """Return a matrix profile, version 2."""
    columns = to_d50(primaries).T
    xyz = [b"XYZ \0\0\0\0" + struct.pack(">3i", *np.round(c * 65536).astype(int)) for c in columns]
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1, 0.8249)))
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + b"\0" * 79
    tags = {
        b"desc": text, b"cprt": b"text\0\0\0\0none, made for sRGB tests\0", b"wtpt": white,
        b"rXYZ": xyz[0], b"gXYZ": xyz[1], b"bXYZ": xyz[2],
        b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    return packed(tags, b"RGB ", b"XYZ ")


def packed(tags, space, connection, device=b"mntr"):
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"none", 0x02100000, device, space, connection
    )
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(
        ">3i", *(round(v * 65536) for v in (0.9642, 1, 0.8249))
    )
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def cmyk_profile():
    """Return a printer's profile of one table: Lab at the 16 corners of ink."""
    corners = []
    for index in range(16):
        cyan, magenta, yellow, black = (index >> shift & 1 for shift in (3, 2, 1, 0))
        light = (1 - 0.9 * black) * np.array([1 - 0.8 * cyan, 1 - 0.8 * magenta, 1 - 0.8 * yellow])
        lightness = 100 * light.mean()
        red, blue = 90 * (light[0] - light[1]), 90 * (light[1] - light[2])
        corners += [round(lightness * 2.55), round(128 + red), round(128 + blue)]
    identity = bytes(range(256))
    head = struct.pack(">4sIBBBB", b"mft1", 0, 4, 3, 2, 0)
    matrix = struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = head + matrix + identity * 4 + bytes(np.clip(corners, 0, 255).tolist()) + identity * 3
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"inks" + b"\0" * 80
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1, 0.8249)))
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0", b"wtpt": white, b"A2B0": table}
    return packed(tags, b"CMYK", b"Lab ", b"prtr")


def table(primaries, curve, steps=17):
    """Return a profile's table, Lab sampled from the curve and the primaries."""
    values = np.linspace(0, 1, steps)
    grid = np.stack(np.meshgrid(values, values, values, indexing="ij"), axis=-1).reshape(-1, 3)
    share = curve(grid) @ to_d50(primaries).T / (0.9642, 1, 0.8249)
    f = np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)
    codes = np.clip(np.round(lab * (652.8, 256, 256) + (0, 32768, 32768)), 0, 65535)
    identity = np.array([0, 65535] * 3, ">u2").tobytes()
    head = struct.pack(">4sIBBBB", b"mft2", 0, 3, 3, steps, 0)
    head += struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    return head + struct.pack(">HH", 2, 2) + identity + codes.astype(">u2").tobytes() + identity


def table_profile(**tables):
    """Return an RGB profile of tables by their tags, A2B0 or A2B1."""
    text = b"desc\0\0\0\0" + struct.pack(">I", 6) + b"table" + b"\0" * 80
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1, 0.8249)))
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0", b"wtpt": white}
    tags |= {tag.encode(): data for tag, data in tables.items()}
    return packed(tags, b"RGB ", b"Lab ", b"scnr")


def jp2(pixels, profile):
    """Return a lossless JPEG 2000 file with a profile in its colour box."""
    blob = saved(pixels, "JPEG2000", irreversible=False)
    start, head = blob.find(b"colr") - 4, blob.find(b"jp2h") - 4
    size, whole = (struct.unpack_from(">I", blob, place)[0] for place in (start, head))
    box = struct.pack(">I4s3B", 11 + len(profile), b"colr", 2, 0, 0) + profile
    grown = struct.pack(">I", whole + len(box) - size)
    return blob[:head] + grown + blob[head + 4 : start] + box + blob[start + size :]


def gif(palette, profile):
    """Return a GIF with a profile in an application extension."""
    blob = saved(palette, "GIF")
    end = 13 + 3 * 2 ** ((blob[10] & 7) + 1)
    parts = (profile[i : i + 255] for i in range(0, len(profile), 255))
    packed_profile = b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
    return b"GIF89a" + blob[6:end] + b"\x21\xff\x0bICCRGBG1012" + packed_profile + blob[end:]


def bmp(pixels, profile):
    """Return a BMP of version 5 with a profile; the width is a multiple of four."""
    height, width = pixels.shape[:2]
    rows = pixels[::-1, :, ::-1].tobytes()
    head = (
        struct.pack("<IiiHHII16x", 124, width, height, 1, 24, 0, len(rows)) + b"\0" * 16 + b"DEBM"
    )
    head += b"\0" * 48 + struct.pack("<IIII", 4, 124 + len(rows), len(profile), 0)
    size = 14 + len(head) + len(rows) + len(profile)
    return b"BM" + struct.pack("<III", size, 0, 138) + head + rows + profile


def saved(pixels, kind, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def stored_as(picture, orientation):
    """Return the pixels that an orientation tag turns into the picture."""
    back = {6: 8, 8: 6}.get(orientation, orientation)
    exif = Image.Exif()
    exif[0x0112] = back
    image = Image.fromarray(picture)
    image.info["exif"] = exif.tobytes()
    return np.asarray(ImageOps.exif_transpose(image))


def deep(pixels, ending=".png"):
    return cv2.imencode(ending, np.ascontiguousarray(pixels[:, :, ::-1]))[1].tobytes()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(png, **chunks):
    """Return a PNG with chunks put in before its pixels."""
    end = 8 + 25
    return png[:end] + b"".join(chunk(k.encode(), v) for k, v in chunks.items()) + png[end:]


def with_profile(png, data):
    return with_chunks(png, iCCP=b"p\0\0" + zlib.compress(data))


def tiff(pixels, **tags):
    """Return an uncompressed little-endian TIFF of (h, w, samples), with further tags of shorts."""
    height, width, samples = pixels.shape
    bits = pixels.dtype.itemsize * 8
    planar = tags.pop("planar", 1)
    data = (pixels.transpose(2, 0, 1) if planar == 2 else pixels).astype(pixels.dtype).tobytes()
    icc = tags.pop("icc", b"")
    per = len(data) // samples
    extra = struct.pack(f"<{samples}H", *[bits] * samples)
    at = 8 + len(data)
    offsets = struct.pack(f"<{samples}I", *(8 + i * per for i in range(samples)))
    counts = struct.pack(f"<{samples}I", *[per] * samples)
    entries = {
        256: (4, 1, width), 257: (4, 1, height), 258: (3, samples, at), 259: (3, 1, 1),
        262: (3, 1, 2),
        273: (4, 1, 8), 274: (3, 1, tags.get("orientation", 1)), 277: (3, 1, samples),
        278: (4, 1, height), 279: (4, 1, len(data)), 284: (3, 1, planar),
        339: (3, 1, 3 if pixels.dtype.kind == "f" else 1),
    }  # fmt: skip
    if planar == 2:
        entries[273] = (4, samples, at + len(extra))
        entries[279] = (4, samples, at + len(extra) + len(offsets))
        extra += offsets + counts
    if "top" in tags:
        entries[281] = (3, 1, tags["top"])
    if icc:
        entries[34675] = (7, len(icc), at + len(extra))
        extra += icc
    ifd = struct.pack("<H", len(entries))
    for tag, (kind, count, value) in sorted(entries.items()):
        ifd += struct.pack("<HHII", tag, kind, count, value)
    return b"II*\0" + struct.pack("<I", at + len(extra)) + data + extra + ifd + b"\0\0\0\0"


def adobe_exif(index=b"R03\0"):
    """Return EXIF that says: uncalibrated, interoperability index R03."""
    inner = struct.pack("<HHHIIHHIII", 2, 0xA001, 3, 1, 0xFFFF, 0xA005, 4, 1, 26 + 30, 0)
    interop = struct.pack("<HHHI4sI", 1, 1, 2, 4, index, 0)
    outer = struct.pack("<HHHIII", 1, 0x8769, 4, 1, 26, 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + outer + inner + interop


def exif(make=None, version=None):
    """Return EXIF of uncalibrated colours without an interoperability index."""
    tags = Image.Exif()
    inner = tags.get_ifd(0x8769)
    tags[0x0112], inner[0xA001] = 1, 0xFFFF
    if make:
        tags[0x010F] = make
    if version:
        inner[0x9000] = version
    return tags


def encodings(picture):
    """Return the picture by the name of its encoding, as a file's bytes."""
    p3, p3_deep = in_space(picture, P3, encode), in_space(picture, P3, encode, 16)
    adobe, linear = in_space(picture, ADOBE, power(563 / 256)), in_space(picture, SRGB, power(1))
    linear_deep = in_space(picture, SRGB, power(1), 16)
    romm_deep = in_space(picture, ROMM, power(1.8), 16)
    p3_icc = profile(P3, SRGB_CURVE)
    adobe_icc, linear_icc = profile(ADOBE, gamma_curve(563 / 256)), profile(SRGB, gamma_curve(1))
    romm_icc = profile(ROMM, gamma_curve(1.8))
    srgb_icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    opaque = np.dstack([p3, np.full(p3.shape[:2], 255, np.uint8)])
    fine = {"quality": 100, "subsampling": 0}
    lab = ImageCms.profileToProfile(
        Image.fromarray(picture), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )  # fmt: skip
    chrm = struct.pack(">8I", *(round(v * 100_000) for xy in (P3[3], *P3[:3]) for v in xy))
    adobe_chrm = chrm[:8] + struct.pack(">6I", *(round(v * 1e5) for xy in ADOBE[:3] for v in xy))
    p3_table = table_profile(A2B0=table(P3, decode))
    return {
        "sRGB PNG": saved(picture, "PNG"),
        "sRGB JPEG": saved(picture, "JPEG", **fine),
        "sRGB PNG with profile": saved(picture, "PNG", icc_profile=srgb_icc),
        "sRGB PNG, gAMA 1/2.2": with_chunks(saved(picture, "PNG"), gAMA=struct.pack(">I", 45455)),
        "sRGB PNG, 16 bits": deep(picture.astype(np.uint16) * 257),
        "sRGB TIFF, 16 bits": tiff(picture.astype(np.uint16) * 257),
        "sRGB TIFF, 12 in 16 bits, said": tiff(
            (picture.astype(np.uint32) * 4095 // 255).astype(np.uint16), top=4095
        ),
        "sRGB TIFF, floats": tiff((picture / 255).astype(np.float32)),
        "P3 JPEG": saved(p3, "JPEG", icc_profile=p3_icc, **fine),
        "P3 JPEG named sRGB": saved(
            p3, "JPEG", icc_profile=profile(P3, SRGB_CURVE, b"Display P3, sRGB curve"), **fine
        ),
        "P3 JPEG, curve as a table": saved(
            p3, "JPEG", icc_profile=profile(P3, table_curve(decode)), **fine
        ),
        "P3 PNG with alpha": saved(opaque, "PNG", icc_profile=p3_icc),
        "P3 PNG, palette": saved(Image.fromarray(p3).quantize(256), "PNG", icc_profile=p3_icc),
        "P3 PNG, 16 bits": with_profile(deep(p3_deep), p3_icc),
        "P3 TIFF": saved(p3, "TIFF", icc_profile=p3_icc),
        "P3 TIFF, 16 bits": tiff(p3_deep, icc=p3_icc),
        "P3 WebP": saved(p3, "WEBP", icc_profile=p3_icc, lossless=True),
        "P3 PNG by cICP, over an sRGB profile": with_chunks(
            with_profile(saved(p3, "PNG"), srgb_icc), cICP=bytes([12, 13, 0, 1])
        ),
        "P3 PNG by cICP, after a long text": with_chunks(
            saved(p3, "PNG"), tEXt=b"a\0" + b"b" * 70_000, cICP=bytes([12, 13, 0, 1])
        ),
        "P3 JPEG, profile of tables": saved(p3, "JPEG", icc_profile=p3_table, **fine),
        "P3 PNG, 16 bits, profile of tables": with_profile(deep(p3_deep), p3_table),
        "P3 JPEG 2000": jp2(p3, p3_icc),
        "P3 BMP": bmp(p3, p3_icc),
        "Adobe PNG by cHRM and gAMA 1/2.2": with_chunks(
            saved(adobe, "PNG"), gAMA=struct.pack(">I", 45455), cHRM=adobe_chrm
        ),
        "P3 PNG by cHRM and gAMA": with_chunks(
            saved(in_space(picture, P3, power(1.8)), "PNG"),
            gAMA=struct.pack(">I", 55556),
            cHRM=chrm,
        ),
        "Rec. 2020 PNG by cICP": with_chunks(
            saved(in_space(picture, REC2020, rec709), "PNG"), cICP=bytes([9, 1, 0, 1])
        ),
        "Adobe JPEG": saved(adobe, "JPEG", icc_profile=adobe_icc, **fine),
        "Adobe JPEG by EXIF": saved(adobe, "JPEG", exif=adobe_exif(), **fine),
        "Adobe TIFF": saved(adobe, "TIFF", icc_profile=adobe_icc),
        "ROMM TIFF, 16 bits": tiff(romm_deep, icc=romm_icc),
        "linear PNG": saved(linear, "PNG", icc_profile=linear_icc),
        "linear PNG, 16 bits": with_profile(deep(linear_deep), linear_icc),
        "linear PNG by gAMA": with_chunks(saved(linear, "PNG"), gAMA=struct.pack(">I", 100_000)),
        "linear PNG, 16 bits, by gAMA": with_chunks(
            deep(linear_deep), gAMA=struct.pack(">I", 100_000)
        ),
        "Lab TIFF": saved(lab, "TIFF"),
    }
