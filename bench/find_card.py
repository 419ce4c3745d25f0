"""Is a colour card found in a photograph, and nowhere that none is?

    python bench/find_card.py FOLDER [--cards 100] [--seed 0]

FOLDER holds JPEGs of over 1,000 px. Cards of 24 fields are drawn into them, turned, in perspective,
with gaps between the fields or none, under channels that overlap, shade, noise and JPEG. A card is
found where the corrected picture is that of the card's true place, within 2 levels on average. Then
every JPEG as it is: each card that is found there is none.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from equiderm.photo.colour import from_linear, to_linear
from equiderm.photo.decode import PhotoError, load_photo
from equiderm.photo.reference import FIELDS, parse_reference

FIELD, WIDTH = 60, 1200  # px: of a field before it is placed, and of the photographs
SOUGHT = parse_reference("card")

Pixels = NDArray[np.uint8]


def drawn(gap: int) -> tuple[Pixels, NDArray[np.float32]]:
    """Return a card and the corners of its fields."""
    step = FIELD + gap
    card = np.full((4 * step + gap, 6 * step + gap, 3), 30, np.uint8)
    for field, colour in enumerate(FIELDS):
        top, left = gap + field // 6 * step, gap + field % 6 * step
        card[top : top + FIELD, left : left + FIELD] = colour
    low, right, bottom = gap / 2, card.shape[1] - gap / 2, card.shape[0] - gap / 2
    return card, np.array([(low, low), (right, low), (right, bottom), (low, bottom)], np.float32)


def placed(photo: Pixels, random: np.random.Generator) -> tuple[Pixels, NDArray[np.float32]]:
    """Return the photograph with a card somewhere in it, and where its fields' corners are."""
    height, width = photo.shape[:2]
    card, corners = drawn(int(random.choice([0, 5, 9, 15])))
    down, across = card.shape[:2]
    outline = np.array([(0, 0), (across, 0), (across, down), (0, down)], float)
    angle, size = random.uniform(0, 2 * np.pi), random.uniform(0.15, 0.45) * width / across
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    there = (outline - (across / 2, down / 2)) @ turn * size
    there *= 1 + random.uniform(-0.05, 0.05, (4, 2))
    room = np.abs(there).max(axis=0) / (width, height)
    there *= min(1, 0.45 / room.max())
    reach = np.abs(there).max(axis=0)
    there += random.uniform(reach, (width, height) - reach)
    matrix = cv2.getPerspectiveTransform(outline.astype(np.float32), there.astype(np.float32))
    layer = cv2.warpPerspective(card, matrix, (width, height), flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.full((down, across), 255, np.uint8), matrix, (width, height))
    corners = cv2.perspectiveTransform(corners[None], matrix)[0]
    return np.where(mask[..., None] > 127, layer, photo), corners


def lit(picture: Pixels, random: np.random.Generator) -> Pixels:
    """Return the picture as a camera records it in poor light."""
    mixing = np.array([[0.9, 0.15, 0], [0.1, 0.7, 0.1], [0, 0.1, 0.55]])
    shade = 1 - 0.25 * np.linspace(0, 1, picture.shape[1])[None, :, None]
    light = to_linear(picture / 255) * shade @ (2.0 ** random.uniform(-1, 0.2) * mixing)
    noisy = 255 * from_linear(light) + random.normal(0, random.choice([1, 3, 6]), light.shape)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.choice([75, 90]))]
    blob = cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8), quality)[1]
    return cv2.imdecode(blob, cv2.IMREAD_COLOR)


def main() -> None:
    """Print how many cards are found, at wrong places, or not; and how many that are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cards", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    random = np.random.default_rng(given.seed)
    files = sorted(given.folder.rglob("*.jp*g"))
    counts, seconds = {"found": 0, "at a wrong place": 0, "not found": 0}, list[float]()
    for _ in range(given.cards):
        photo = cv2.imread(str(random.choice(np.array(files))))[:, :, ::-1]
        scale = WIDTH / max(photo.shape[:2])
        photo = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture, corners = placed(photo, random)
        picture = lit(picture, random)
        start = time.process_time()
        try:
            found = load_photo(picture, reference=SOUGHT).square
        except PhotoError:
            counts["not found"] += 1
            continue
        finally:
            seconds.append(time.process_time() - start)
        place = "card:" + ",".join(f"{max(value, 0):.1f}" for value in corners.ravel())
        true = load_photo(picture, reference=parse_reference(place)).square
        is_right = np.abs(true.astype(int) - found).mean() < 2
        counts["found" if is_right else "at a wrong place"] += 1
    print(f"{given.cards} cards: {counts}; {np.median(seconds):.2f} s a photograph (median)")
    false = 0
    for file in files:
        try:
            load_photo(file, reference=SOUGHT)
            false += 1
        except PhotoError:
            pass
    print(f"{len(files)} photographs without a card: found in {false}")


if __name__ == "__main__":
    main()
