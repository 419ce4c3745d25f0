import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from equiderm.data import synthetic
from equiderm.data.duplicates import find_duplicates, read_images, rows_to_drop, summarize
from equiderm.data.fingerprints import (
    HASH_DISTANCE,
    SAME,
    likeness,
    near_pairs,
    perceptual_hash,
    take_fingerprints,
)
from equiderm.data.manifest import conform, write_manifest
from equiderm.data.placement import UPRIGHT, trimmed, upright_score


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty pictures of 4:3, and copies of the first eight as other archives would ship them."""
    place = tmp_path_factory.mktemp("photos")
    images = synthetic.synthesize(40, size=240, seed=5, workers=1).images[:, 30:210]
    for number, image in enumerate(images):
        cv2.imwrite(str(place / f"a{number:02}.png"), image[..., ::-1])
        if number < 8:
            square = image[:, 30:210]
            changed = {
                "recompressed": (image, 60),
                "smaller": (cv2.resize(image, (160, 120), interpolation=cv2.INTER_AREA), 90),
                "stretched": (cv2.resize(image, (200, 200), interpolation=cv2.INTER_AREA), 90),
                "cropped": (square, 90),
                "zoomed": (image[4:-6, 6:-8], 90),
            }
            for name, (picture, quality) in changed.items():
                target = str(place / f"{name}{number:02}.jpg")
                cv2.imwrite(target, picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return place


def crop(image, share):
    height, width = (round(side * (1 - share)) for side in image.shape[:2])
    return image[3 : 3 + height, -width - 2 : -2]


def turned(image, angle):
    height, width = image.shape[:2]
    return cv2.warpAffine(
        image, cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1), (width, height)
    )


def watermark(image):
    marked = image.copy()
    cv2.putText(marked, "an archive", (20, 110), 0, 1.2, (255, 255, 255), 2, cv2.LINE_AA)
    return np.uint8(0.4 * image + 0.6 * marked)


def strips(image, deep=20):
    image = image.copy()
    image[:deep] = image[-deep:] = 0
    return image


KINDS = {
    "upside down": lambda image: image[::-1],
    "mirrored": lambda image: image[:, ::-1],
    **{f"turned {90 * q}": lambda image, q=q: np.rot90(image, q) for q in (1, 2, 3)},
    "transposed": lambda image: image.swapaxes(0, 1),
    "transposed and turned": lambda image: np.rot90(image.swapaxes(0, 1), 2),
    "crop of 10 %": lambda image: crop(image, 0.1),
    "crop of 20 %": lambda image: crop(image, 0.2),
    "turned 4 degrees": lambda image: turned(image, 4),
    "watermark": watermark,
    "strips": strips,
    "framed": lambda image: cv2.copyMakeBorder(image, 30, 30, 0, 0, cv2.BORDER_CONSTANT),
}


@pytest.mark.parametrize("kind", KINDS)
def test_altered_copies_are_found_and_nothing_else(folder, tmp_path, kind):
    originals = table(folder, "a*")
    for number in range(8, 18):
        copy = KINDS[kind](cv2.imread(str(folder / f"a{number:02}.png")))
        cv2.imwrite(str(tmp_path / f"b{number:02}.jpg"), copy, [cv2.IMWRITE_JPEG_QUALITY, 85])
    frame = pd.concat([originals, table(tmp_path, "b*")], ignore_index=True)
    pairs, _ = find_duplicates(frame, workers=1)
    found = set(zip(pairs["image_id_a"], pairs["image_id_b"], strict=True))
    there = {(f"a{number:02}", f"b{number:02}") for number in range(8, 18)}
    assert not found - there
    assert len(found) >= 8
    assert pairs["same_picture"].all()


def test_many_copies_of_one_picture_are_linked_by_few_pairs(folder, tmp_path):
    image = cv2.imread(str(folder / "a00.png"))
    for number in range(28):
        quality = [cv2.IMWRITE_JPEG_QUALITY, 60 + number]
        cv2.imwrite(str(tmp_path / f"b{number:02}.jpg"), image, quality)
    frame = pd.concat([table(tmp_path, "b*"), table(folder, "a1*")], ignore_index=True)
    pairs, _ = find_duplicates(frame, workers=1)
    assert len(pairs) == 27
    assert len(rows_to_drop(frame, pairs)) == 27


def test_hashes_of_seven_differing_bits_are_a_pair_and_of_eight_none(folder):
    prints = take_fingerprints(table(folder, "a0[012]*")["path"].tolist(), workers=1)
    prints.thumbs[:] = prints.thumbs[0, 0]  # all alike: the hashes decide
    first = prints.hashes[0, 0]
    for row, bits in enumerate([0, 7, 16]):  # a byte is left that agrees; 16: nine from the second
        spread = sum(1 << (9 * bit % 64) for bit in range(bits))
        prints.hashes[row] = first ^ np.uint64(spread)
    assert near_pairs(prints).tolist() == [[0, 1]]
    prints.hashes[1] = first ^ np.uint64(0xFF)
    assert near_pairs(prints).tolist() == []


def table(folder, pattern: str) -> pd.DataFrame:
    files = sorted(folder.glob(pattern))
    return pd.DataFrame(
        {"image_id": [file.stem for file in files], "path": [str(file) for file in files]}
    )


@pytest.mark.parametrize("kind", ["recompressed", "smaller", "stretched", "cropped"])
def test_copies_are_found_and_nothing_else(folder, kind):
    frame = pd.concat([table(folder, "a*"), table(folder, f"{kind}*")], ignore_index=True)
    pairs, errors = find_duplicates(frame, workers=1)
    found = set(zip(pairs["image_id_a"], pairs["image_id_b"], strict=True))
    assert found == {(f"a{number:02}", f"{kind}{number:02}") for number in range(8)}
    assert pairs["same_picture"].all()
    assert not pairs["same_bytes"].any()
    assert errors.empty


def test_a_zoomed_copy_is_alike_and_another_picture_is_not(folder):
    for number in range(8):
        own, other = (str(folder / f"zoomed{n:02}.jpg") for n in (number, (number + 1) % 8))
        original = str(folder / f"a{number:02}.png")
        assert likeness(original, own) > SAME
        assert likeness(original, other) < SAME - 0.1


def test_black_strips_do_not_make_two_pictures_alike(folder, tmp_path):
    names = [str(tmp_path / f"{number}.jpg") for number in range(4)]
    for number, name in enumerate(names):
        cv2.imwrite(name, strips(cv2.imread(str(folder / f"a{number:02}.png"))))
    assert max(likeness(names[0], other) for other in names[1:]) < 0.4


def test_other_pictures_are_mostly_refused_before_they_are_aligned(folder):
    frames = take_fingerprints(table(folder, "a*")["path"].tolist(), workers=1).frames
    copies = take_fingerprints(table(folder, "[sz]*")["path"].tolist(), workers=1).frames
    own = [upright_score(frame, frames[number % 8]) for number, frame in enumerate(copies)]
    other = [upright_score(frames[0], frame) for frame in frames[1:]]
    assert min(own) >= UPRIGHT
    assert np.mean(np.array(other) < UPRIGHT) > 0.8


def test_the_same_bytes_under_another_name_are_found(folder, tmp_path):
    (tmp_path / "twin.png").write_bytes((folder / "a00.png").read_bytes())
    frame = pd.concat([table(folder, "a0*"), table(tmp_path, "*")], ignore_index=True)
    pairs, _ = find_duplicates(frame, workers=1)
    assert pairs[["image_id_a", "image_id_b"]].to_numpy().tolist() == [["a00", "twin"]]
    assert pairs["same_bytes"].all()
    assert pairs["likeness"].tolist() == [1.0]


def test_one_id_with_two_pictures_is_told_apart(folder):
    frame = table(folder, "a0[01].png").assign(image_id="same")
    pairs, _ = find_duplicates(frame, workers=1)
    assert pairs["same_id"].tolist() == [True]
    assert pairs["same_picture"].tolist() == [False]
    assert summarize(2, pairs, pairs[:0])["same_id_other_picture"] == 1
    assert rows_to_drop(frame, pairs) == []
    twice = table(folder, "a0[0].png").assign(image_id="same")
    pairs, _ = find_duplicates(pd.concat([twice, twice], ignore_index=True), workers=1)
    assert rows_to_drop(pd.concat([twice, twice], ignore_index=True), pairs) == [1]


def test_the_archives_downsampled_mark_is_not_part_of_the_id(folder):
    frame = table(folder, "a0[01].png").assign(image_id=["ISIC_1", "ISIC_1_downsampled"])
    assert find_duplicates(frame, workers=1)[0]["same_id"].tolist() == [True]


def test_unreadable_images_are_listed_and_match_nothing(folder, tmp_path):
    for name in ("x.png", "y.png"):
        (tmp_path / name).write_bytes(b"no image " + name.encode())
    (tmp_path / "z.jpg").write_bytes(b"DDS " + (124).to_bytes(4, "little") + bytes(120))
    frame = pd.concat([table(folder, "a0*"), table(tmp_path, "*")], ignore_index=True)
    frame.loc[len(frame)] = ["gone", str(tmp_path / "gone.png")]
    pairs, errors = find_duplicates(frame, workers=1)
    assert pairs.empty
    assert errors["image_id"].tolist() == ["x", "y", "z", "gone"]


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (lambda x, y: (((x - 9) ** 2 + (y - 20) ** 2) // 3) % 256, 0xA8D5D5D5D554D450),
        (lambda x, y: (x * x * 7 + y * y * 13 + x * y) % 256, 0x99266B6FF520CB09),
        (lambda x, y: 255 - np.minimum(255, (x - 15) ** 2 + (y - 13) ** 2), 0xC0D02B0A3D2F773D),
        (lambda x, y: 0 * x + 128, 0x8000000000000000),
    ],
)
def test_hashes_are_those_of_imagehash_4_3(drawn, expected):
    y, x = np.mgrid[:32, :32]
    assert perceptual_hash(drawn(x, y).astype(np.uint8)) == expected


def test_workers_do_not_change_the_pairs(folder):
    frame = pd.concat([table(folder, "*")] * 2, ignore_index=True)
    one, two = (find_duplicates(frame, workers=workers)[0] for workers in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_every_pair_within_the_distance_is_a_candidate(folder):
    """The buckets lose nothing that comparing all with all would find."""
    prints = take_fingerprints(table(folder, "*")["path"].tolist(), workers=1)
    rng = np.random.default_rng(0)
    prints.thumbs[:] = rng.integers(0, 255, (1, 1, 32, 32))  # all alike: the hashes decide
    base = rng.integers(0, 2**63, 4, dtype=np.uint64)
    for row in range(len(prints.hashes)):
        bits = rng.choice(64, rng.integers(0, 6), replace=False).astype(np.uint64)
        prints.hashes[row] = base[row % 4] ^ np.bitwise_or.reduce(np.uint64(1) << bits, initial=0)
    hashes = prints.hashes[:, 0]
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None])
    expected = {tuple(pair) for pair in np.argwhere(np.triu(distance <= HASH_DISTANCE, 1))}
    assert {tuple(pair) for pair in near_pairs(prints)} == expected
    assert 100 < len(expected) < len(hashes) ** 2 / 2


@pytest.mark.parametrize("nothing", [None, pd.NA, float("nan")])
def test_targets_differ_only_where_both_are_known(folder, nothing):
    frame = pd.concat([table(folder, "a00*"), table(folder, "recompressed00*")], ignore_index=True)
    for target in ([nothing, nothing], [1, nothing]):
        pairs, _ = find_duplicates(frame.assign(target=target), workers=1)
        assert pairs["targets_differ"].tolist() == [False]


def test_pairs_of_differing_targets_are_marked(folder):
    frame = table(folder, "a00.png")
    frame = pd.concat([frame, frame], ignore_index=True).assign(target=[0, 1])
    assert find_duplicates(frame, workers=1)[0]["targets_differ"].tolist() == [True]
    names = frame.assign(target_name=["melanoma", "malignant"])
    assert find_duplicates(names, workers=1)[0]["targets_differ"].tolist() == [False]


def pairs_of(*rows: tuple[int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["row_a", "row_b"])


def test_what_is_tested_does_not_train():
    frame = pd.DataFrame({"split": ["train", "test", "train", "validation"]})
    assert rows_to_drop(frame, pairs_of((0, 1), (2, 3))) == [0, 2]


def test_of_training_twins_the_first_stays():
    frame = pd.DataFrame({"split": ["train"] * 4})
    assert rows_to_drop(frame, pairs_of((0, 2), (2, 3))) == [2, 3]


def test_a_photograph_reached_through_a_third_counts():
    frame = pd.DataFrame({"split": ["train", "train", "test"]})
    assert rows_to_drop(frame, pairs_of((0, 1), (1, 2))) == [0, 1]


def test_tests_are_never_dropped():
    frame = pd.DataFrame({"split": ["test", "test", "validation"]})
    assert rows_to_drop(frame, pairs_of((0, 1), (1, 2))) == []


def test_the_command_cleans_training_of_what_a_later_manifest_holds(folder, equiderm, tmp_path):
    train = conform(table(folder, "a*").assign(source="a", split="train"))
    write_manifest(train, tmp_path / "train.parquet")
    test = conform(table(folder, "cropped*").assign(source="b", split="test"))
    write_manifest(test, tmp_path / "test.csv")
    done = equiderm(
        "duplicates", "train.parquet", "test.csv", "-o", "pairs.csv",
        "--clean", "clean.parquet", "--report", "pairs.html", "--workers", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(tmp_path / "pairs.csv")) == 8
    cleaned = pd.read_parquet(tmp_path / "clean.parquet")
    assert cleaned["image_id"].tolist() == [f"a{number:02}" for number in range(8, 40)]
    assert (tmp_path / "pairs.html").read_text().count("<figure>") == 8


def test_the_command_takes_a_folder_and_tells_of_unreadable_files(folder, equiderm, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"nothing")
    (tmp_path / "in" / "b.png").write_bytes((folder / "a00.png").read_bytes())
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/c\xff.png")).write_bytes(b"nothing")
    done = equiderm("duplicates", "in", "--json")
    assert done.returncode == 1
    assert '"unreadable": 2' in done.stdout
    assert "a.png" in done.stderr
    assert "its name is not UTF-8" in done.stderr


@pytest.mark.parametrize("level", [0, 255])
def test_a_frame_in_black_or_white_is_taken_away_and_a_blank_picture_is_left(folder, level):
    picture = cv2.imread(str(folder / "a00.png"))
    framed = cv2.copyMakeBorder(picture, 20, 30, 40, 50, cv2.BORDER_CONSTANT, value=[level] * 3)
    assert trimmed(framed).shape == picture.shape
    blank = np.full_like(picture, level)
    assert trimmed(blank).shape == blank.shape


def test_images_of_one_name_in_two_sub_folders_have_two_ids(folder, tmp_path):
    for name in ("one/1.png", "two/1.png", "two/2.png", "two/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    ids = read_images(tmp_path)["image_id"]
    assert sorted(ids) == ["one/1", "two/1", "two/2.jpg", "two/2.png"]
