import os
from pathlib import Path

import pytest
from PIL import Image

from equiderm.errors import InputError
from equiderm.photo.walk import find_images, printable


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.png", "sub/c.JPEG", "sub/deep/d.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 30), "pink").save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.jpg").write_bytes(b"x")
    return tmp_path


def names(paths: list[str], root: Path) -> list[str]:
    return [str(Path(path).relative_to(root)) for path in paths]


def test_a_folder_is_walked_in_a_fixed_order(photos):
    assert names(find_images([photos]), photos) == [
        "a.png",
        "b.jpg",
        "sub/c.JPEG",
        "sub/deep/d.tif",
    ]


def test_an_image_under_another_ending_is_found_by_its_first_bytes(photos):
    (photos / "b.jpg").rename(photos / "b.download")
    assert "b.download" in names(find_images([photos]), photos)


def test_a_folder_called_like_an_image_is_walked(photos):
    (photos / "x.jpg").mkdir()
    Image.new("RGB", (30, 30)).save(photos / "x.jpg" / "inner.png")
    assert "x.jpg/inner.png" in names(find_images([photos]), photos)


def test_a_link_that_loops_ends(photos):
    (photos / "sub" / "up").symlink_to(photos, target_is_directory=True)
    assert len(find_images([photos])) == 4


def test_a_pipe_in_a_folder_does_not_block(photos):
    os.mkfifo(photos / "pipe")
    assert len(find_images([photos])) == 4


def test_files_patterns_and_repeats_are_each_taken_once(photos):
    found = find_images([photos / "b.jpg", str(photos / "*.jpg"), str(photos / "**/*.tif")])
    assert names(found, photos) == ["b.jpg", "sub/deep/d.tif"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(photos):
    (photos / "b.jpg").rename(photos / "b[1].jpg")
    assert names(find_images([photos / "b[1].jpg"]), photos) == ["b[1].jpg"]


@pytest.mark.parametrize("column", ["image", "path"])
def test_a_table_names_images_relative_to_itself(photos, column):
    (photos / "list.csv").write_text(f"{column},x\nb.jpg,1\nsub/c.JPEG,2\ngone.jpg,3\n")
    found = names(find_images([photos / "list.csv"]), photos)
    assert found == ["b.jpg", "sub/c.JPEG", "gone.jpg"]


def test_what_cannot_be_meant_is_one_sentence(photos):
    (photos / "other.csv").write_text("photo\nb.jpg\n")
    (photos / "gap.csv").write_text("image,x\nb.jpg,1\n,2\n")
    (photos / "nothing").mkdir()
    for argument, message in {
        "gone": "no such file or folder",
        "*.webp": "no file matches",
        "nothing": "holds no photograph",
        "other.csv": "has no column 'image'",
        "gap.csv": "line 3 has no image name",
    }.items():
        with pytest.raises(InputError, match=message):
            find_images([photos / argument])
    with pytest.raises(InputError, match="no photograph was named"):
        find_images([])


def test_bytes_that_are_not_utf8_are_escaped():
    assert printable(os.fsdecode(b"sk\xffin.jpg")) == r"sk\xffin.jpg"
    assert printable("Haut-ä.jpg") == "Haut-ä.jpg"
