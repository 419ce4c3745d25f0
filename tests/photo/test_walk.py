import os
from contextlib import nullcontext
from pathlib import Path

import pytest
from PIL import Image

from equiderm.errors import InputError
from equiderm.photo.walk import find_images, keep_out_of_image_folders, printable, walk


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


def test_what_a_pattern_or_a_folder_adds_is_taken_once(photos):
    found = find_images([photos / "b.jpg", str(photos / "*.jpg"), str(photos / "**/*.tif")])
    assert names(found, photos) == ["b.jpg", "sub/deep/d.tif"]
    assert len(find_images([photos, photos])) == 4


def test_what_is_named_is_taken_as_often_as_it_is_named(photos):
    (photos / "list.csv").write_text("image\nb.jpg\na.png\nb.jpg\n")
    assert names(find_images(photos / "list.csv"), photos) == ["b.jpg", "a.png", "b.jpg"]
    found = find_images(iter([photos / "b.jpg", photos / "b.jpg"]))
    assert names(found, photos) == ["b.jpg", "b.jpg"]


@pytest.mark.parametrize("name", ["x.heic", "x.dcm", "x.jxl", "x.cr2"])
def test_a_format_that_may_not_be_read_is_not_passed_over(photos, name):
    (photos / name).write_bytes(b"something")
    assert name in names(find_images(photos), photos)


def test_a_folder_that_cannot_be_opened_is_named(photos, monkeypatch):
    real = os.scandir

    def refuse(path="."):
        if Path(path) == photos / "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names(walk(photos).closed, photos) == ["sub"]
    assert names(find_images(photos), photos) == ["a.png", "b.jpg", "sub"]
    with pytest.raises(InputError, match="sub: cannot be opened"):
        find_images(photos / "sub")


@pytest.mark.parametrize(
    ("argument", "place", "refused"),
    [
        ("sub", "sub/deep/out.csv", True),
        ("sub", "sub", True),
        ("sub", "out.csv", False),
        ("b.jpg", "out.csv", True),
        ("b.jpg", "results/out.csv", False),
        ("sub/**/*.tif", "sub/out.csv", True),
        ("*.jpg", "sub/out.csv", False),
    ],
)
def test_nothing_is_written_among_the_images_that_are_read(photos, argument, place, refused):
    arguments = [str(photos / argument)]
    expected = pytest.raises(InputError, match="outside it") if refused else nullcontext()
    with expected:
        keep_out_of_image_folders([photos / place, None], arguments, find_images(arguments))


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


def test_a_table_names_its_files_as_windows_writes_them(tmp_path):
    (tmp_path / "skin").mkdir()
    (tmp_path / "skin" / "a.jpg").write_bytes(b"x")
    (tmp_path / "t.csv").write_text("Image\n skin\\a.jpg \n")
    assert find_images([str(tmp_path / "t.csv")]) == [str(tmp_path / "skin/a.jpg")]
