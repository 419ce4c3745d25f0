"""How fast synthetic images are made, against encoding them as JPEG, in processor time."""

from __future__ import annotations

import argparse
import time

import cv2

from equiderm.data.synthetic import synthesize


def main() -> None:
    """Print images a second of both, and their ratio, for each look and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=300)
    n = parser.parse_args().n
    cv2.setNumThreads(1)
    synthesize(1)  # the colour tables are made once
    for look in ("dermoscopic", "clinical"):
        for size in (64, 128, 256):
            start = time.process_time()
            images = synthesize(n, look=look, size=size, workers=1).images
            made = time.process_time()
            for image in images:
                cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
            coded = time.process_time()
            making, coding = n / (made - start), n / (coded - made)
            print(
                f"{look:12}{size:4} px: {making:6.0f} images/s made, {coding:6.0f}/s encoded, "
                f"one costs {coding / making:.1f} JPEGs"
            )


if __name__ == "__main__":
    main()
