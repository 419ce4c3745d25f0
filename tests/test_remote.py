import os
import re
import sys
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from fsspec.registry import _registry as registered
from fsspec.registry import known_implementations

from equiderm import tables
from equiderm.data import images
from equiderm.data.decode import file_digest
from equiderm.data.images import ImageStore, build_store
from equiderm.data.manifest import file_sha256, read_manifest, write_manifest
from equiderm.errors import InputError
from equiderm.photo.walk import find_images
from equiderm.remote import join_url, name_of, read_file, twin_of, url_of
from equiderm.tables import read_table, write_table
from equiderm.tone import label
from equiderm.tone.report import write_report
from equiderm.tone.table import read_tones
from tests.tone.test_label import write_photos


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A file system in memory, with eight photographs below ``memory://in``."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = fsspec.filesystem("memory")
    for path in write_photos(tmp_path / "in", 8):
        files.pipe(f"/in/{path.name}", path.read_bytes())
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("s3://bucket/a b.jpg", "s3://bucket/a b.jpg"),
        ("s3:/bucket/t.csv", "s3://bucket/t.csv"),
        ("https:/host/t.csv", "https://host/t.csv"),
        ("file:/tmp/t.csv", "file:///tmp/t.csv"),
        ("C:/photos/a.jpg", None),
        ("photos/s3://x", None),
        ("-", None),
    ],
)
def test_a_url_is_known_with_one_slash_or_two(path, url):
    assert url_of(path) == url
    assert name_of(path) == (url or path)


def test_a_name_beside_a_table_at_a_url_is_a_url():
    assert join_url("s3://b/t.csv", "in\\a.jpg ") == "s3://b/in/a.jpg"
    assert join_url("s3://b/t.csv", "gs://c/a.jpg") == "gs://c/a.jpg"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "holds no table"),
        (b"<html>", "is a web page, not a table"),
        (b"\x1f\x8b\x08", "a damaged gzip file"),
        (b"PAR1", "a damaged Parquet file"),
        (b"{", "line 1 is not JSON"),
        (b"a\n1,2\n", "rows have more cells than the header"),
        ("\u00fc\n".encode() + b"\xff", "line 2 holds a byte that is not UTF-8"),
        (b"n\n1\n", "has no column 'image'"),
    ],
)
def test_what_is_said_of_a_url_names_it_as_it_was_given(memory, content, sentence):
    memory.pipe("/b/t.csv", content)
    for path in ("memory://b/t.csv", Path("memory://b/t.csv")):
        with pytest.raises(InputError, match=f"^memory://b/t.csv: {sentence}"):
            find_images([path])


def test_folders_tables_and_patterns_by_url_mean_their_photographs(memory):
    memory.pipe("/in/notes.txt", b"no photograph")
    memory.pipe("/in/.hidden/p.jpg", b"")
    every = [f"memory://in/p{n:04d}.jpg" for n in range(8)]
    assert find_images("memory://in") == every
    assert find_images("memory://in/p*1.jpg") == every[1:2]
    write_table(pd.DataFrame({"image": ["in/p0003.jpg", every[0]]}), "memory://t.csv")
    assert find_images("memory://t.csv") == [every[3], every[0]]
    with pytest.raises(InputError, match="memory://none: holds no photograph"):
        find_images("memory://none")


@pytest.mark.parametrize("ending", ["csv", "parquet", "tsv.gz", "jsonl"])
def test_a_table_at_a_url_comes_back(memory, ending):
    table = pd.DataFrame({"image": ["a", "b"], "ita": [1.5, -2.0]})
    write_table(table, f"memory://out/t.{ending}")
    pd.testing.assert_frame_equal(read_table(f"memory://out/t.{ending}"), table, check_dtype=False)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t"])
def test_labels_by_url_are_those_of_the_files_and_a_run_goes_on(
    memory, tmp_path, monkeypatch, name
):
    monkeypatch.setattr(tables.parquet, "PART_ROWS", 4)
    memory.pipe("/in/bad.jpg", b"no")
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no")
    out = f"memory://out/{name}"

    def stop(done: int, _: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label("memory://in", output=out, progress=stop)
    assert not memory.exists(out)
    first: list[int] = []
    there = label("memory://in", output=out, progress=lambda done, _: first.append(done))
    assert first[0] == 5, "what was done is not done again"
    here = label(tmp_path / "in")
    assert there["image"].tolist() == [
        f"memory://in/{one.rpartition('/')[2]}" for one in here["image"]
    ]
    pd.testing.assert_frame_equal(there.drop(columns="image"), here.drop(columns="image"))
    assert not twin_of(out).exists(), "nothing is left on this machine"
    pd.testing.assert_series_equal(read_table(out)["ita"], here["ita"], check_exact=False)

    memory.pipe("/in/p0000.jpg", memory.cat("/in/p0001.jpg"))  # changed since: measured again
    again: list[int] = []
    later = label("memory://in", output=out, progress=lambda done, _: again.append(done))
    assert again == [8, 9]
    assert later["ita"].iloc[1] == later["ita"].iloc[2]


def test_a_folder_at_a_url_is_replaced_as_a_whole_or_not_at_all(memory, monkeypatch):
    monkeypatch.setattr(tables.parquet, "PART_ROWS", 1)
    table = pd.DataFrame({"image": ["a", "b", "c"], "ita": [1.5, -2.0, 3.0]})
    write_table(table, "memory://out/t")
    pd.testing.assert_frame_equal(read_table("memory://out/t"), table)
    assert find_images("memory://out/t") == ["memory://out/a", "memory://out/b", "memory://out/c"]
    before = memory.find("/out")
    real = memory.open

    def refuse_the_second(path: str, *rest: object, **more: object) -> object:
        return refuse() if "00001-of" in path else real(path, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(memory, "open", refuse_the_second)
        with pytest.raises(InputError, match="memory://out/t: the disk is full, nothing was"):
            write_table(table.head(2), "memory://out/t")
    assert memory.find("/out") == before
    write_table(table.head(2), "memory://out/t")
    assert memory.find("/out") == [f"/out/t/part-0000{k}-of-00002.parquet" for k in range(2)]
    with pytest.raises(InputError, match=r"memory://out: is a folder that holds something else"):
        write_table(table, "memory://out")


def test_an_output_that_cannot_be_sent_is_kept_and_sent_by_the_same_call(memory, monkeypatch):
    out = "memory://out/t.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "open", refuse)
        with pytest.raises(InputError, match="it is full; the work is kept: run the same command"):
            label("memory://in", output=out)
    assert not memory.exists(out)
    done: list[int] = []
    label("memory://in", output=out, progress=lambda one, _: done.append(one))
    assert done == [8] and memory.exists(out)


def refuse(*_: object, **__: object) -> None:
    raise OSError(28, "it is full")


def test_nothing_is_written_among_photographs_at_a_url(memory):
    with pytest.raises(InputError, match="lies among the images"):
        label("memory://in", output="memory://in/deep/t.csv")
    for folder in ("memory://in", "memory://in/deep"):
        with pytest.raises(InputError, match="lies among the images"):
            label("memory://in", overlays=folder)


def test_overlays_at_a_url_are_those_of_a_folder_and_are_drawn_once(memory, tmp_path, monkeypatch):
    first, again = "memory://in/p0000.jpg", [f"memory://in/p000{n}.jpg" for n in range(2)]
    label(first, output="memory://t.csv", overlays="memory://o")
    assert memory.find("/o") == ["/o/p0000.jpg.png"]
    label(tmp_path / "in" / "p0000.jpg", overlays=tmp_path / "o")
    assert memory.cat("/o/p0000.jpg.png") == (tmp_path / "o" / "p0000.jpg.png").read_bytes()

    done: list[int] = []
    label(
        again, output="memory://t.csv", overlays="memory://o", progress=lambda n, _: done.append(n)
    )
    assert done == [1, 2] and len(memory.find("/o")) == 2
    memory.rm("/o/p0000.jpg.png")
    label(again, output="memory://t.csv", overlays="memory://o")
    assert len(memory.find("/o")) == 2

    pages = write_report(
        read_tones(Path("memory://t.csv")), tmp_path / "t.html", overlays="memory://o"
    )
    assert "memory://o/p0000.jpg.png" in pages[0].read_text("utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "open", refuse)
        table = label("memory://in/p0001.jpg", overlays="memory://more")
    assert "memory://more/p0001.jpg.png: the disk is full" in table["error"][0]


@pytest.mark.parametrize(
    ("scheme", "package", "install"),
    [
        ("gs", "gcsfs", "gcsfs"),
        ("az", "adlfs", "adlfs"),
        ("abfs", "adlfs", "adlfs"),
        ("hf", "huggingface_hub", "huggingface_hub"),
        ("s3", "s3fs", "'equiderm[remote]'"),
        ("https", "aiohttp", "'equiderm[remote]'"),
    ],
)
def test_a_package_that_a_scheme_lacks_is_named_in_one_sentence(
    scheme, package, install, monkeypatch
):
    monkeypatch.delitem(registered, scheme, raising=False)
    module = known_implementations[scheme]["class"].rpartition(".")[0]
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    url = f"{scheme}://bucket/t.csv"
    reason = re.escape(f"needs {package}: `pip install {install}`")
    read = rf"cannot be read \({reason}\); check the name\.$"
    with pytest.raises(InputError, match=f"^{url}: {read}"):
        read_table(url)
    with pytest.raises(InputError, match=f"^{scheme}://bucket/store: {read}"):
        ImageStore.open(f"{scheme}://bucket/store")
    with pytest.raises(InputError, match=rf"^{scheme}://bucket/in: .* \({reason}\); check"):
        find_images(f"{scheme}://bucket/in")
    for output in (url, f"{scheme}://bucket/t"):
        with pytest.raises(InputError, match=rf"^{output}: cannot be written \({reason}\); choose"):
            write_table(pd.DataFrame({"image": ["a"]}), output)


def test_a_store_is_built_from_a_manifest_of_urls(memory, tmp_path):
    ids = [f"p{n:04d}" for n in range(8)]
    frame = pd.DataFrame({"image_id": ids, "path": [f"in/{one}.jpg" for one in ids]})
    write_table(frame.assign(source="mine"), "memory://m.csv")
    manifest = read_manifest("memory://m.csv")
    assert manifest["path"][0] == "memory://in/p0000.jpg"
    write_manifest(manifest, tmp_path / "m.csv")
    assert read_manifest(tmp_path / "m.csv")["path"].tolist() == manifest["path"].tolist()
    store, errors = build_store(manifest, tmp_path / "there", size=32, workers=1)
    local = manifest.assign(path=[str(tmp_path / "in" / f"{one}.jpg") for one in ids])
    same, _ = build_store(local, tmp_path / "here", size=32, workers=1)
    assert not len(errors) and (store.images == same.images).all()


def test_a_store_at_a_url_is_sent_once_and_copied_once_and_again_when_it_changes(
    memory, tmp_path, monkeypatch
):
    paths = [f"memory://in/p{n:04d}.jpg" for n in range(4)]
    frame = pd.DataFrame({"image_id": list("abcd"), "path": paths})
    url = "memory://stores/mine"
    built, _ = build_store(frame, url, size=32, workers=1)
    names = ["files.npy", "images.u8", "store.json"]
    assert memory.find("/stores") == [f"/stores/mine/{name}" for name in names]
    writes = counted(monkeypatch, "write_url")
    build_store(frame, url, size=32, workers=1)
    assert (ImageStore.open(url).images == built.images).all()
    assert not writes, "what is there is not sent again"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    with pytest.warns(UserWarning, match=r"memory://stores/mine: its 12 kB are copied once, to"):
        copied = ImageStore.open(url)
    copied.verify()
    assert copied.image_ids == tuple("abcd") and (copied.images == built.images).all()
    reads = counted(monkeypatch, "fetch_url")
    assert (ImageStore.open(url).images == built.images).all()
    build_store(frame, url, size=32, workers=1)
    assert not reads and not writes
    with pytest.raises(InputError, match="memory://stores/mine: holds the store of other images"):
        build_store(frame.head(2), url, size=32, workers=1)

    other, _ = build_store(frame.iloc[::-1], tmp_path / "other", size=32, workers=1)
    for name in names:
        memory.pipe(f"/stores/mine/{name}", (tmp_path / "other" / name).read_bytes())
    with pytest.warns(UserWarning, match="copied once"):
        changed = ImageStore.open(url)
    assert changed.image_ids == tuple("dcba") and (changed.images == other.images).all()
    with pytest.raises(InputError, match="memory://stores/none: holds no finished image store"):
        ImageStore.open("memory://stores/none")


def counted(monkeypatch, name: str) -> list[object]:
    """Return a list that grows by each call of a function that stores use from now on."""
    calls: list[object] = []
    real = getattr(images, name)

    def call(*given: object) -> object:
        calls.append(given)
        return real(*given)

    monkeypatch.setattr(images, name, call)
    return calls


def test_a_store_that_cannot_be_sent_is_kept_and_sent_by_the_same_call(memory, monkeypatch):
    frame = pd.DataFrame({"image_id": ["a"], "path": ["memory://in/p0000.jpg"]})
    with monkeypatch.context() as patch:
        patch.setattr(images, "write_url", refuse)
        with pytest.raises(InputError, match=r"memory://s: cannot be written.*the store is kept"):
            build_store(frame, "memory://s", size=32, workers=1)
    assert not memory.exists("/s/store.json")
    with monkeypatch.context() as patch:
        patch.setattr(images, "decode", None)
        build_store(frame, "memory://s", size=32, workers=1)
    assert memory.exists("/s/store.json")


def test_labels_come_from_and_go_to_a_server_of_s3(tmp_path, monkeypatch):
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        s3fs.S3FileSystem.clear_instance_cache()
        files = s3fs.S3FileSystem()
        files.mkdir("photographs")
        for path in write_photos(tmp_path / "in", 3):
            files.put_file(str(path), f"photographs/in/{path.name}")
        table = label("s3://photographs/in", output="s3://photographs/out/t.parquet")
        here = label(tmp_path / "in")
        pd.testing.assert_frame_equal(table.drop(columns="image"), here.drop(columns="image"))
        assert files.ls("photographs/out") == ["photographs/out/t.parquet"]
        assert read_table("s3://photographs/out/t.parquet")["image"][0] == table["image"][0]
        monkeypatch.setattr("equiderm.tables.parquet.PART_ROWS", 1)
        for rows in (3, 2):
            write_table(table.head(rows), "s3://photographs/out/parts")
            parts = [f"part-0000{k}-of-0000{rows}.parquet" for k in range(rows)]
            s3fs.S3FileSystem.clear_instance_cache()
            assert s3fs.S3FileSystem().find("photographs/out/parts") == [
                f"photographs/out/parts/{part}" for part in parts
            ]
            assert len(read_table("s3://photographs/out/parts")) == rows
        frame = table.assign(image_id=list("abc"), path=table["image"])
        built, _ = build_store(frame, "s3://photographs/store", size=32, workers=1)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
        with pytest.warns(UserWarning, match="copied once"):
            assert (ImageStore.open("s3://photographs/store").images == built.images).all()
        with pytest.raises(InputError, match="s3://nowhere/in: cannot be listed"):
            label("s3://nowhere/in")
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_or_a_folder_is_an_error_at_once_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_file(str(name))
        with pytest.raises(InputError, match="not a regular file"):
            file_sha256(name)
        assert file_digest(str(name)) == ""


def test_of_a_folder_that_cannot_be_opened_the_reason_is_said(tmp_path, monkeypatch):
    def shut(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.scandir", shut)  # as of another user's folder
    with pytest.raises(OSError, match="Permission denied"):
        read_file(str(tmp_path))
