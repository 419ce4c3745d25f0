import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from equiderm.data import decode as decode_module
from equiderm.data.images import ImageStore, build_store
from equiderm.errors import InputError
from equiderm.photo.decode import load_square


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    """Twelve images, two of them unreadable."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        picture = cv2.resize(rng.integers(60, 220, (6, 8, 3), np.uint8), (80, 60))
        cv2.imwrite(str(folder / f"i{number}.png"), picture)
    (folder / "i3.png").write_bytes(b"not an image")
    (folder / "i7.png").unlink()
    names = [f"i{number}" for number in range(12)]
    return pd.DataFrame({"image_id": names, "path": [str(folder / f"{n}.png") for n in names]})


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(decode_module, "BLOCK", 4)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_row_is_the_decoded_photograph(frame, tmp_path):
    store, _ = build_store(frame, tmp_path / "store", size=32, workers=1)
    assert store.images.shape == (10, 32, 32, 3)
    for name, path in zip(frame["image_id"], frame["path"], strict=True):
        if name in store.image_ids:
            assert np.array_equal(store.images[store.rows([name])[0]], load_square(path, 32))


def test_unreadable_images_are_listed_and_left_out(frame, tmp_path):
    store, errors = build_store(frame, tmp_path / "store", size=32, workers=1)
    assert errors["image_id"].tolist() == ["i3", "i7"]
    assert errors["error"].str.len().gt(0).all()
    assert not {"i3", "i7"} & set(store.image_ids)
    assert (store.images.reshape(10, -1).max(axis=1) > 0).all()


def test_images_are_read_only(frame, tmp_path):
    store, _ = build_store(frame, tmp_path / "store", size=32, workers=1)
    with pytest.raises(ValueError, match="read-only"):
        store.images[0] = 0


def test_workers_do_not_change_a_byte(frame, tmp_path, small_blocks):
    for workers in (1, 2):
        build_store(frame, tmp_path / f"store{workers}", size=32, workers=workers)
    assert contents(tmp_path / "store1") == contents(tmp_path / "store2")


def test_the_same_call_opens_what_is_there(frame, tmp_path):
    first, errors = build_store(frame, tmp_path / "store", size=32, workers=1)
    before = (tmp_path / "store" / "images.u8").stat().st_mtime_ns
    again, same = build_store(frame, tmp_path / "store", size=32, workers=1)
    assert again.image_ids == first.image_ids
    assert same.equals(errors)
    assert (tmp_path / "store" / "images.u8").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["size", "file"])
def test_a_store_of_other_images_is_not_taken_for_these(frame, tmp_path, change):
    build_store(frame, tmp_path / "store", size=32, workers=1)
    if change == "file":
        Path(frame["path"][0]).write_bytes(Path(frame["path"][1]).read_bytes())
    with pytest.raises(InputError, match="other images or settings"):
        build_store(frame, tmp_path / "store", size=48 if change == "size" else 32, workers=1)


@pytest.mark.parametrize("moved", ["times", "originals", "originals are gone", "store"])
def test_what_was_copied_or_moved_is_still_that_store(frame, tmp_path, monkeypatch, moved):
    first, errors = build_store(frame, tmp_path / "store", size=32, workers=1)
    place = tmp_path / "store"
    if moved == "times":
        os.utime(frame["path"][0], (1, 1))
    elif moved == "originals":
        (tmp_path / "photos").rename(tmp_path / "elsewhere")
        frame["path"] = frame["path"].str.replace("photos", "elsewhere")
    elif moved == "originals are gone":
        shutil.rmtree(tmp_path / "photos")
    else:
        place = tmp_path / "copied"
        shutil.copytree(tmp_path / "store", place)
        shutil.copytree(tmp_path / "photos", tmp_path / "elsewhere")
        frame["path"] = frame["path"].str.replace("photos", "elsewhere")
    monkeypatch.setattr(decode_module, "_decode_one", pytest.fail)
    again, same = build_store(frame, place, size=32, workers=1)
    assert again.image_ids == first.image_ids
    assert np.array_equal(again.images, first.images)
    assert same["image_id"].tolist() == errors["image_id"].tolist()


def test_originals_that_moved_are_read_once(frame, tmp_path, monkeypatch):
    frame = frame.drop(index=7)  # the one that was never there
    build_store(frame, tmp_path / "whole", size=32, workers=1)
    os.utime(frame["path"][0], (1, 1))
    build_store(frame, tmp_path / "whole", size=32, workers=1)
    monkeypatch.setattr("equiderm.data.images.file_digest", pytest.fail)
    build_store(frame, tmp_path / "whole", size=32, workers=1)


@pytest.mark.parametrize("other", ["one fewer", "other order", "other ids"])
def test_without_originals_a_store_of_other_rows_is_still_another(frame, tmp_path, other):
    build_store(frame, tmp_path / "store", size=32, workers=1)
    shutil.rmtree(tmp_path / "photos")
    changed = {
        "one fewer": frame.iloc[:-1],
        "other order": frame.iloc[::-1],
        "other ids": frame.assign(image_id=[f"x{row}" for row in range(12)]),
    }
    with pytest.raises(InputError, match="other images or settings"):
        build_store(changed[other].reset_index(drop=True), tmp_path / "store", size=32, workers=1)


def test_verify_finds_one_changed_byte(frame, tmp_path):
    store, _ = build_store(frame, tmp_path / "store", size=32, workers=1)
    store.verify()
    with (tmp_path / "store" / "images.u8").open("rb+") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(InputError, match="have changed on disk"):
        ImageStore.open(tmp_path / "store").verify()


def test_a_shortened_file_is_not_opened(frame, tmp_path):
    build_store(frame, tmp_path / "store", size=32, workers=1)
    os.truncate(tmp_path / "store" / "images.u8", 100)
    with pytest.raises(InputError, match="has 100 bytes instead of 30720"):
        ImageStore.open(tmp_path / "store")


def test_pickled_it_is_only_its_folder(frame, tmp_path):
    store, _ = build_store(frame, tmp_path / "store", size=32, workers=1)
    packed = pickle.dumps(store)
    assert len(packed) < 500
    assert np.array_equal(pickle.loads(packed).images, store.images)


def test_a_build_goes_on_after_the_last_whole_block(frame, tmp_path, small_blocks, monkeypatch):
    whole, _ = build_store(frame, tmp_path / "whole", size=32, workers=1)
    decode_one, calls = decode_module._decode_one, []

    def stop_in_third_block(path, how):
        calls.append(path)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return decode_one(path, how)

    monkeypatch.setattr(decode_module, "_decode_one", stop_in_third_block)
    with pytest.raises(KeyboardInterrupt):
        build_store(frame, tmp_path / "store", size=32, workers=1)
    with pytest.raises(InputError, match="no finished image store"):
        ImageStore.open(tmp_path / "store")
    with (tmp_path / "store" / "images.u8").open("ab") as file:
        file.write(b"half a block")
    store, _ = build_store(frame, tmp_path / "store", size=32, workers=1)
    assert len(calls) == 14  # two blocks and what was begun of the third; then the third again
    assert np.array_equal(store.images, whole.images)
    assert store.checksums == whole.checksums


def test_a_damaged_block_is_decoded_again(frame, tmp_path, small_blocks, monkeypatch):
    whole, _ = build_store(frame, tmp_path / "whole", size=32, workers=1)
    monkeypatch.setattr(decode_module, "write_text", _fail_at("store.json"))
    with pytest.raises(RuntimeError):
        build_store(frame, tmp_path / "store", size=32, workers=1)
    monkeypatch.undo()
    monkeypatch.setattr(decode_module, "BLOCK", 4)
    with (tmp_path / "store" / "images.u8").open("rb+") as file:
        file.write(b"damage")
    store, _ = build_store(frame, tmp_path / "store", size=32, workers=1)
    assert np.array_equal(store.images, whole.images)


def _fail_at(name):
    real = decode_module.write_text

    def write(path, text):
        if path.name == name:
            raise RuntimeError
        return real(path, text)

    return write


def test_kill_9_and_the_same_call_again_give_the_same_bytes(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(60):
        cv2.imwrite(str(folder / f"{number:03}.png"), rng.integers(0, 255, (90, 90, 3), np.uint8))
    program = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        import pandas as pd
        from equiderm.data import decode, images
        decode.BLOCK = 8
        paths = sorted(Path(sys.argv[1]).iterdir())
        frame = pd.DataFrame({"image_id": [p.stem for p in paths], "path": map(str, paths)})

        def watch(done, total):
            if done >= int(sys.argv[3]):
                os.kill(os.getpid(), signal.SIGKILL)

        images.build_store(frame, Path(sys.argv[2]), size=64, workers=2, progress=watch)
    """)
    run = [sys.executable, "-c", program, str(folder)]
    subprocess.run([*run, str(tmp_path / "whole"), "99"], check=True)
    for last in ("1", "25", "50"):
        done = subprocess.run([*run, str(tmp_path / "store"), last], check=False)
        assert done.returncode == -signal.SIGKILL
    subprocess.run([*run, str(tmp_path / "store"), "99"], check=True)
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


@pytest.mark.parametrize("name", ["store.json", "images.u8"])
@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\x00["])
def test_a_damaged_store_is_named_and_built_again(frame, tmp_path, name, damage):
    build_store(frame, tmp_path / "whole", size=32, workers=1)
    build_store(frame, tmp_path / "store", size=32, workers=1)
    (tmp_path / "store" / name).write_bytes(damage)
    with pytest.raises(InputError, match=name):
        ImageStore.open(tmp_path / "store")
    with pytest.warns(UserWarning, match=rf"{name}: .*It is built again"):
        build_store(frame, tmp_path / "store", size=32, workers=1)
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]\n", b"\x00\xff\n"])
def test_a_damaged_ledger_is_named_and_all_is_decoded_again(frame, tmp_path, damage):
    build_store(frame, tmp_path / "whole", size=32, workers=1)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "building.jsonl").write_bytes(damage)
    (tmp_path / "store" / "images.u8").write_bytes(b"pixels of unknown images")
    with pytest.warns(UserWarning, match=r"building.jsonl: is empty or damaged"):
        build_store(frame, tmp_path / "store", size=32, workers=1)
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_two_builders_at_once_make_one_store(tmp_path, frame):
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        import pandas as pd
        from equiderm.data.images import build_store
        frame = pd.read_csv(sys.argv[1])
        store, errors = build_store(frame, Path(sys.argv[2]), size=32, workers=1)
        print(len(store.image_ids), len(errors))
    """)
    frame.to_csv(tmp_path / "frame.csv", index=False)
    run = [sys.executable, "-c", program, str(tmp_path / "frame.csv"), str(tmp_path / "store")]
    both = [subprocess.Popen(run, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == ["10 2", "10 2"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f, d: build_store(f.head(0), d), "no rows"),
        (lambda f, d: build_store(pd.concat([f, f.head(1)]), d), "row 13: image_id i0 occurs"),
        (lambda f, d: build_store(f, Path(f["path"][0]).parent), "folder of images"),
        (lambda f, d: build_store(f.iloc[[3, 7]], d, workers=1), "none of the 2 images"),
        (lambda f, d: ImageStore.open(d), "no finished image store.*`equiderm train"),
        (
            lambda f, d: build_store(f, d, size=32, workers=1)[0].rows(["x"]),
            r"not in the store .* \(x\); build it",
        ),
    ],
)
def test_unusable_input_is_named(frame, tmp_path, call, words):
    with pytest.raises(InputError, match=words):
        call(frame, tmp_path / "store")


def test_a_store_that_the_disk_cannot_hold_is_refused_before_the_first_image(frame, tmp_path):
    with pytest.raises(InputError, match=r"200000 x 200000 pixels need .*, and the disk has"):
        build_store(frame, tmp_path / "store", size=200_000, workers=1)


def test_image_folders_are_never_written_to(frame, tmp_path):
    before = contents(tmp_path / "photos")
    build_store(frame, tmp_path / "store", size=32, workers=1)
    assert contents(tmp_path / "photos") == before


def test_the_manifest_command_stores_what_it_can_read_and_leaves_out_the_rest(equiderm, tmp_path):
    for name in ("benign", "malignant"):
        (tmp_path / "own" / name).mkdir(parents=True)
        picture = np.full((40, 40, 3), 90, np.uint8)
        cv2.imwrite(str(tmp_path / "own" / name / f"{name}.png"), picture)
    (tmp_path / "own" / "benign" / "broken.png").write_bytes(b"nothing")
    done = equiderm(
        "manifest", "folder", "own", "-o", "m.parquet", "--positive", "malignant",
        "--store", "store", "--size", 32,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "broken.png" in done.stderr
    names = pd.read_parquet(tmp_path / "m.parquet")["image_id"].tolist()
    store = ImageStore.open(tmp_path / "store")
    assert len(names) == 2
    assert store.images[store.rows(names)].shape == (2, 32, 32, 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [("checksums", [["4", "x"]]), ("checksums", [3]), ("image_ids", [{}]), ("errors", [[]]),
     ("size", "16"), ("size", 10**400), ("source_hash", None)],
)  # fmt: skip
def test_an_index_of_other_types_is_named_and_the_store_built_again(frame, tmp_path, key, value):
    store, _ = build_store(frame, tmp_path / "store", size=16, workers=1)
    index = tmp_path / "store" / "store.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {key: value}))
    with pytest.warns(UserWarning, match=r"store\.json: is (not the index|empty)"):
        again, _ = build_store(frame, tmp_path / "store", size=16, workers=1)
    assert again == store
