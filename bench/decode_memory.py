"""Peak memory of one process for the largest file of each format that is accepted.

    python bench/decode_memory.py [--only PNG]

Makes a flat picture as large as the limit allows in each format, measures `estimate` in a process
of its own, and prints its peak resident memory and what one pixel took above the process at rest.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from equiderm.photo.raster import MOST_BYTES, MOST_PIXELS

Image.MAX_IMAGE_PIXELS = None
CODE = """
import sys
from pathlib import Path
import equiderm.tone.label  # what a worker has loaded
from equiderm.tone import estimate

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])

rest = peak()
try:
    estimate(sys.argv[1])
    state = "measured"
except Exception as error:
    state = str(error).split(": ", 1)[-1][:110]
print(rest, peak(), state)
"""


def picture(mode: str, side: int) -> Image.Image:
    """Return skin with a lesion; flat, so that the file is small."""
    colour = {"L": 150, "P": 7, "CMYK": (20, 70, 80, 10)}.get(
        mode, (205, 160, 130, 255)[: len(mode)]
    )
    image = Image.new(mode, (side, side), colour)
    if mode == "P":
        image.putpalette([205, 160, 130] * 256)
    return image


KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "PNG RGB": ("RGB", {"format": "PNG", "compress_level": 1}),
    "PNG RGBA": ("RGBA", {"format": "PNG", "compress_level": 1}),
    "PNG palette": ("P", {"format": "PNG", "compress_level": 1}),
    "PNG palette, transparent": ("P", {"format": "PNG", "compress_level": 1, "transparency": 3}),
    "PNG gray": ("L", {"format": "PNG", "compress_level": 1}),
    "JPEG": ("RGB", {"format": "JPEG"}),
    "JPEG progressive": ("RGB", {"format": "JPEG", "progressive": True}),
    "JPEG CMYK": ("CMYK", {"format": "JPEG"}),
    "TIFF raw": ("RGB", {"format": "TIFF"}),
    "TIFF LZW": ("RGB", {"format": "TIFF", "compression": "tiff_lzw"}),
    "TIFF CMYK": ("CMYK", {"format": "TIFF", "compression": "tiff_lzw"}),
    "WebP": ("RGB", {"format": "WEBP", "quality": 50, "method": 0}),
    "WebP RGBA": ("RGBA", {"format": "WEBP", "quality": 50, "method": 0}),
    "AVIF": ("RGB", {"format": "AVIF", "speed": 10, "quality": 50}),
    "JPEG 2000": ("RGB", {"format": "JPEG2000"}),
    "GIF": ("P", {"format": "GIF"}),
    "BMP": ("RGB", {"format": "BMP"}),
    "PPM": ("RGB", {"format": "PPM"}),
    "HEIC": ("RGB", {"format": "HEIF", "quality": 50}),
    "JPEG XL": ("RGB", {"format": "JXL", "effort": 1, "quality": 50}),
}


BYTES_A_PIXEL = {
    "PNG palette": 1, "PNG palette, transparent": 1, "PNG gray": 1, "GIF": 1, "JPEG": 0.1,
    "JPEG progressive": 4.1, "JPEG CMYK": 0.1, "WebP": 16, "WebP RGBA": 16, "AVIF": 10,
    "JPEG 2000": 20, "HEIC": 8, "JPEG XL": 8, "PNG 16 bits RGB": 18, "PNG 16 bits RGBA": 24,
    "TIFF 16 bits": 18, "TIFF float": 36,
}  # fmt: skip


def write(kind: str, side: int, path: Path) -> None:
    """Write a picture of one kind."""
    if kind.startswith(("PNG 16", "TIFF 16", "TIFF float")):
        deep = np.full((side, side, 4 if "RGBA" in kind else 3), 40_000, np.uint16)
        deep[..., 0] = 30_000
        if "float" in kind:
            deep = (deep / 65535).astype(np.float32)
        ending = ".png" if kind.startswith("PNG") else ".tiff"
        path.write_bytes(cv2.imencode(ending, deep)[1].tobytes())
        return
    mode, options = KINDS[kind]
    if kind == "HEIC":
        import pillow_heif

        pillow_heif.register_heif_opener()
    if kind == "JPEG XL":
        import pillow_jxl  # noqa: F401 registers the format
    buffer = io.BytesIO()
    picture(mode, side).save(buffer, **options)  # type: ignore[arg-type]
    path.write_bytes(buffer.getvalue())


def main() -> None:
    """Print one line a kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--megapixels", type=float, default=0, help="instead of the largest")
    arguments = parser.parse_args()
    print("kind: side in px, file in kB; peak MB (at rest); bytes a pixel; outcome")
    with tempfile.TemporaryDirectory() as folder:
        for kind in [*KINDS, "PNG 16 bits RGB", "PNG 16 bits RGBA", "TIFF 16 bits", "TIFF float"]:
            if arguments.only not in kind:
                continue
            path, side = Path(folder) / "a", round((arguments.megapixels * 1e6) ** 0.5)
            side = side or largest(kind)
            write(kind, side, path)
            command = [sys.executable, "-c", CODE, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{kind}: {side}; ended with {done.returncode} {done.stderr[-200:]}")
                continue
            rest, peak, state = done.stdout.split(" ", 2)
            more = (int(peak) - int(rest)) * 1024 / side**2
            print(
                f"{kind}: {side}, {path.stat().st_size / 1000:.0f}; {int(peak) / 1024:.0f} "
                f"({int(rest) / 1024:.0f}); {more:.1f}; {state.strip()}",
                flush=True,
            )


def largest(kind: str) -> int:
    """Return the side of the largest square picture of a kind that is accepted."""
    per = BYTES_A_PIXEL.get(kind, 4)
    side = int(min(MOST_BYTES / per, MOST_PIXELS) ** 0.5)
    return min(side, 16_383) if kind.startswith("WebP") else side


if __name__ == "__main__":
    main()
