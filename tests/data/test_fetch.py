"""Downloads from a real local server that drops, shortens, refuses and changes its mind."""

import base64
import dataclasses
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
import server as local

from equiderm import __version__
from equiderm.data import SOURCES, get_release
from equiderm.data.checksums import listed_checksum, stored_checksum
from equiderm.data.download import Downloader, Stopped
from equiderm.data.fetch import fetch
from equiderm.data.sources.release import Release, RemoteFile
from equiderm.errors import InputError

BODY = bytes(range(256)) * 4096  # 1 MiB
SHA256 = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with local.serving() as server:
        yield server


def release(*files: RemoteFile, **changes: object) -> Release:
    plain = dataclasses.replace(get_release("ham10000"), bytes=None, files=files)
    return dataclasses.replace(plain, **changes)


def get(directory: Path, *files: RemoteFile, jobs: int = 4):
    return fetch(release(*files), directory, jobs=jobs, pause=0.01)


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def leftovers(directory: Path) -> set[str]:
    return {path.name for path in (directory / "downloads").rglob("*")} - {"fetched.json"}


def test_a_file_arrives_and_is_checked(web, tmp_path):
    url = web.add("a.bin", BODY)
    (done,) = get(tmp_path, RemoteFile("a.bin", (url,), len(BODY), SHA256))
    assert (tmp_path / "downloads" / "a.bin").read_bytes() == BODY
    assert (done.bytes, done.verified) == (len(BODY), "checksum")
    assert f"sha256:{done.sha256}" == SHA256
    assert leftovers(tmp_path) == {"a.bin"}


def test_the_server_is_told_which_software_asks(web, tmp_path):
    get(tmp_path, RemoteFile("a.bin", (web.add("a.bin", BODY),)))
    assert web.agents == {f"equiderm/{__version__} (dermatology fairness software)"}


@pytest.mark.parametrize(("size", "word"), [(len(BODY), "size"), (None, "arrived whole")])
def test_without_a_published_checksum_the_result_says_what_was_checked(web, tmp_path, size, word):
    (done,) = get(tmp_path, RemoteFile("a.bin", (web.add("a.bin", BODY),), size))
    assert done.verified == word
    assert f"sha256:{done.sha256}" == SHA256


def test_a_dropped_connection_goes_on_where_it_broke_off(web, tmp_path):
    url = web.add("a.bin", BODY, drop_after=300_000, faults=2)
    get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))
    ranges = [wanted for _, wanted in web.requests]
    assert ranges[0] is None and all(wanted.startswith("bytes=") for wanted in ranges[1:])
    assert web.sent["/a.bin"] < len(BODY) + 200_000


@pytest.mark.parametrize("etag", [True, False])
def test_a_short_body_is_made_whole(web, tmp_path, etag):
    url = web.add("a.bin", BODY, drop_after=500_000, short=True, faults=1, etag=etag)
    get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))
    assert web.answers["/a.bin"] == 2


def test_a_server_without_ranges_starts_again_and_still_arrives(web, tmp_path):
    url = web.add("a.bin", BODY, drop_after=500_000, faults=1, ranges=False)
    get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))
    assert (tmp_path / "downloads" / "a.bin").read_bytes() == BODY


def test_a_server_without_ranges_that_always_drops_is_given_up(web, tmp_path):
    url = web.add("a.bin", BODY, drop_after=500_000, ranges=False)
    with pytest.raises(
        InputError, match=r"gave nothing in 6 attempts .* The part received is kept"
    ):
        get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))
    assert web.answers["/a.bin"] == 7


def test_progress_resets_the_count_of_attempts(web, tmp_path):
    url = web.add("a.bin", BODY, drop_after=100_000, faults=9)
    get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))
    assert web.answers["/a.bin"] == 10


def test_a_range_that_starts_elsewhere_is_not_stitched_on(web, tmp_path):
    url = web.add("a.bin", BODY, drop_after=300_001, faults=1, shift=77)
    get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))
    assert (tmp_path / "downloads" / "a.bin").read_bytes() == BODY


def test_a_server_that_tells_no_length_is_read_to_its_end(web, tmp_path):
    get(tmp_path, RemoteFile("a.bin", (web.add("a.bin", BODY, length=False),), None, SHA256))


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_passing_fault_of_the_server_is_waited_for(web, tmp_path, status):
    url = web.add("a.bin", BODY, status=status, faults=2)
    get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))
    assert web.answers["/a.bin"] == 3


def test_a_lasting_fault_of_the_server_is_given_up(web, tmp_path):
    url = web.add("a.bin", BODY, status=500)
    with pytest.raises(InputError, match=r"in 6 attempts \(500 Server Error"):
        get(tmp_path, RemoteFile("a.bin", (url,)))


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_not_repeated(web, tmp_path, status):
    url = web.add("a.bin", BODY, status=status)
    with pytest.raises(InputError, match=f"a.bin: http.*/a.bin answers {status}"):
        get(tmp_path, RemoteFile("a.bin", (url,)))
    assert web.answers["/a.bin"] == 1


def test_a_second_address_is_tried_when_the_first_refuses(web, tmp_path):
    urls = (f"{web.url}/gone.bin", web.add("a.bin", BODY))
    get(tmp_path, RemoteFile("a.bin", urls, None, SHA256))


def test_no_server_at_all_is_an_error_that_names_the_address(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with local.serving() as server:
        url = f"{server.url}/a.bin"
    with pytest.raises(InputError, match=r"127\.0\.0\.1.* gave nothing in 6 attempts"):
        get(tmp_path, RemoteFile("a.bin", (url,)))


MD5 = hashlib.md5(BODY).hexdigest()


def listing(url: str, md5: str) -> dict[str, bytes]:
    """A list of files as Dataverse and as figshare answer with it."""
    number = int(url.rpartition("/")[2])
    file = {"id": number, "checksum": {"type": "MD5", "value": md5}, "md5": md5}
    other = {"id": 1, "checksum": {"type": "MD5", "value": "0" * 32}}
    rows = [{"label": "b", "dataFile": other}, {"label": "a", "dataFile": file}]
    return {
        "dataverse": json.dumps({"status": "OK", "data": rows}).encode(),
        "figshare": json.dumps([{"id": number, "name": "a", "computed_md5": md5}]).encode(),
    }


@pytest.mark.parametrize("owner", ["dataverse", "figshare"])
def test_the_checksum_in_the_owners_list_of_files_is_compared(web, tmp_path, owner):
    url = web.add("17", BODY, etag=False)
    listed = web.add("files.json", listing(url, MD5)[owner])
    (done,) = get(tmp_path, RemoteFile("a.bin", (url,), listing=listed))
    assert (done.verified, done.checksum) == ("checksum", f"md5:{MD5}")
    assert leftovers(tmp_path) == {"a.bin"}
    listed = web.add("files.json", listing(url, "f" * 32)[owner])
    with pytest.raises(InputError, match=r"checksum is not the published one\. Run the command"):
        get(tmp_path, RemoteFile("b.bin", (url,), listing=listed))
    assert leftovers(tmp_path) == {"a.bin"}


def test_a_list_of_files_is_asked_for_once(web, tmp_path):
    urls = [web.add(f"{n}", BODY) for n in (17, 18)]
    listed = web.add("files.json", listing(urls[0], MD5)["figshare"])
    both = get(tmp_path, *(RemoteFile(f"{n}", (n,), listing=listed) for n in urls))
    assert [file.verified for file in both] == ["checksum", "arrived whole"]
    assert web.answers["/files.json"] == 1


@pytest.mark.parametrize("body", [b"<html>", b"{", b"[" * 100_000, b"[3, null]", b'{"data": 3}'])
def test_a_list_of_files_that_is_none_leaves_the_file_unchecked(web, tmp_path, body):
    url = web.add("17", BODY)
    (done,) = get(tmp_path, RemoteFile("a", (url,), listing=web.add("files.json", body)))
    assert (done.verified, done.checksum) == ("arrived whole", "")


def test_a_list_of_files_without_a_server_leaves_the_file_unchecked(web, tmp_path):
    (done,) = get(tmp_path, RemoteFile("a", (web.add("17", BODY),), listing=f"{web.url}/gone"))
    assert done.verified == "arrived whole"


def amazon(md5: str) -> dict[str, str]:
    return {"Server": "AmazonS3", "ETag": f'"{md5}"'}


def google(md5: str) -> dict[str, str]:
    coded = base64.b64encode(bytes.fromhex(md5)).decode()
    return {"x-goog-hash": f"crc32c=AAAAAA==,md5={coded}"}


@pytest.mark.parametrize("store", [amazon, google])
def test_the_md5_that_a_store_gives_with_the_file_is_compared(web, tmp_path, store):
    url = web.add("a.bin", BODY, etag=False, headers=store(MD5))
    (done,) = get(tmp_path, RemoteFile("a.bin", (url,)))
    assert (done.verified, done.checksum) == ("checksum", f"md5:{MD5}")
    url = web.add("b.bin", BODY, etag=False, headers=store("f" * 32))
    with pytest.raises(InputError, match=r"checksum is not the published one\. Run the command"):
        get(tmp_path, RemoteFile("b.bin", (url,)))


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": f'"{MD5}"'},
        amazon(f"{MD5}-3"),
        amazon(MD5) | {"x-amz-server-side-encryption": "aws:kms"},
        amazon(MD5) | {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
        google(MD5) | {"Content-Encoding": "gzip"},
        google(MD5) | {"x-goog-stored-content-encoding": "gzip"},
        {"x-goog-hash": "md5=abc"},
        {"x-goog-hash": "crc32c=AAAAAA=="},
    ],
)
def test_an_answer_without_an_md5_of_the_file_gives_none(headers):
    assert stored_checksum(headers) is None


def test_of_a_table_that_dataverse_converted_no_checksum_is_taken():
    file = {"id": 17, "checksum": {"type": "MD5", "value": MD5}, "originalFileFormat": "text/csv"}
    assert listed_checksum({"data": [{"dataFile": file}]}, "https://x/17?format=original") is None


def test_a_wrong_checksum_is_fetched_once_more_and_refused(web, tmp_path):
    url = web.add("a.bin", BODY)
    wrong = f"sha256:{'0' * 64}"
    with pytest.raises(InputError, match=r"checksum is not the published one\. Run the command"):
        get(tmp_path, RemoteFile("a.bin", (url,), len(BODY), wrong))
    assert web.answers["/a.bin"] == 2
    assert leftovers(tmp_path) == set()


def test_a_file_of_another_size_than_published_is_refused_before_it_comes(web, tmp_path):
    url = web.add("a.bin", BODY)
    with pytest.raises(InputError, match="has 1,048,576 bytes instead of 999"):
        get(tmp_path, RemoteFile("a.bin", (url,), 999))
    assert leftovers(tmp_path) == set()


def test_a_file_that_changes_between_two_attempts_is_not_mixed(web, tmp_path):
    url = web.add("a.bin", BODY, drop_after=300_000)
    stop = threading.Event()

    def change() -> None:
        while not web.answers["/a.bin"] and not stop.wait(0.001):
            pass
        web.add("a.bin", BODY[::-1])

    changing = threading.Thread(target=change)
    changing.start()
    get(tmp_path, RemoteFile("a.bin", (url,)))
    stop.set()
    changing.join()
    assert (tmp_path / "downloads" / "a.bin").read_bytes() == BODY[::-1]


def test_several_files_come_at_once(web, tmp_path):
    files = [
        RemoteFile(f"{n}.bin", (web.add(f"{n}.bin", BODY, pace=0.005),), None, SHA256)
        for n in range(6)
    ]
    assert [done.name for done in get(tmp_path, *files, jobs=3)] == [f.name for f in files]
    assert web.most_together == 3


def test_one_file_that_fails_does_not_stop_the_others(web, tmp_path):
    files = [RemoteFile("gone.bin", (f"{web.url}/gone.bin",))]
    files += [RemoteFile("a.bin", (web.add("a.bin", BODY),))]
    with pytest.raises(InputError, match="answers 404"):
        get(tmp_path, *files, jobs=1)
    assert leftovers(tmp_path) == {"a.bin"}


def test_what_is_here_is_not_fetched_again(web, tmp_path):
    files = [
        RemoteFile("a.bin", (web.add("a.bin", BODY),)),
        RemoteFile("b.zip", (web.add("b.zip", zipped(x=b"1")),)),
    ]
    first = get(tmp_path, *files)
    assert get(tmp_path, *files) == first
    (tmp_path / "downloads" / "b.zip").unlink()
    assert get(tmp_path, *files) == first
    assert len(web.requests) == 2


def test_a_file_that_was_cut_after_it_was_finished_is_fetched_again(web, tmp_path):
    file = RemoteFile("a.bin", (web.add("a.bin", BODY),), len(BODY), SHA256)
    get(tmp_path, file)
    os.truncate(tmp_path / "downloads" / "a.bin", 10)
    get(tmp_path, file)
    assert (tmp_path / "downloads" / "a.bin").read_bytes() == BODY


def test_an_archive_is_unpacked_into_a_folder_of_its_name(web, tmp_path):
    body = zipped(top__a=b"1", top__b=b"2")
    (done,) = get(tmp_path, RemoteFile("images.zip", (web.add("images.zip", body),)))
    assert done.unpacked == 2
    assert (tmp_path / "images" / "top" / "a").read_bytes() == b"1"


def test_an_archive_that_is_none_is_an_error_and_leaves_no_folder(web, tmp_path):
    url = web.add("images.zip", b"please log in")
    with pytest.raises(InputError, match="is not a complete ZIP archive"):
        get(tmp_path, RemoteFile("images.zip", (url,)))
    assert not (tmp_path / "images").exists()


def test_files_that_a_table_names_are_fetched_after_it(web, tmp_path):
    web.add("images/1.png", b"one")
    listed = web.add("list.txt", b"images/1.png\n")

    def more(tables: Path) -> list[RemoteFile]:
        names = (tables / "list.txt").read_text().split()
        return [RemoteFile(name, (f"{web.url}/{name}",)) for name in names]

    done = fetch(release(RemoteFile("list.txt", (listed,)), more=more), tmp_path)
    assert [file.name for file in done] == ["list.txt", "images/1.png"]
    assert (tmp_path / "downloads" / "images" / "1.png").read_bytes() == b"one"


def test_a_disk_that_is_too_small_is_refused_before_a_byte_comes(web, tmp_path):
    file = RemoteFile("a.bin", (web.add("a.bin", BODY),))
    with pytest.raises(InputError, match=r"needs 1,000,000 TB more"):
        fetch(release(file, bytes=10**18), tmp_path)
    assert not web.requests


def test_a_release_that_wants_a_registration_says_where(tmp_path):
    with pytest.raises(InputError, match=r"Register at https://derm\.cs\.sfu\.ca/"):
        fetch(get_release("atlas"), tmp_path)


def test_progress_counts_to_the_length_of_the_file(web, tmp_path):
    seen: list[tuple[str, int, int | None]] = []
    file = RemoteFile("a.bin", (web.add("a.bin", BODY, drop_after=300_000, faults=1),))
    fetch(release(file), tmp_path, progress=lambda *step: seen.append(step), pause=0.01)
    assert seen[0] == ("a.bin", 0, len(BODY))
    assert seen[-1] == ("a.bin", len(BODY), len(BODY))


KILLED = """
import sys
from pathlib import Path
import dataclasses
from equiderm.data import get_release
from equiderm.data.fetch import fetch
from equiderm.data.sources.release import RemoteFile
url, sha256, directory = sys.argv[1:]
release = dataclasses.replace(
    get_release("ham10000"), bytes=None, files=(RemoteFile("a.zip", (url,), None, sha256),)
)
fetch(release, Path(directory), pause=0.01)
"""


def test_a_killed_download_goes_on_where_it_was(web, tmp_path):
    body = zipped(image=BODY * 4)
    sha256 = f"sha256:{hashlib.sha256(body).hexdigest()}"
    url = web.add("a.zip", body, pace=0.03)  # 2 s in all
    command = [sys.executable, "-c", KILLED, url, sha256, str(tmp_path)]
    running = subprocess.Popen(command)
    deadline = time.monotonic() + 30
    while web.sent["/a.zip"] < len(body) // 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    assert running.wait(10) == -signal.SIGKILL
    part = tmp_path / "downloads" / ".partial" / "a.zip.part"
    here = part.stat().st_size
    assert 0 < here < len(body)
    web.files["/a.zip"].pace = 0.0
    subprocess.run(command, check=True, timeout=60)
    assert web.requests[-1] == ("/a.zip", f"bytes={here}-")
    assert (tmp_path / "a" / "image").read_bytes() == BODY * 4
    assert leftovers(tmp_path) == {"a.zip"}


def partial(directory: Path, body: bytes, validator: str, total: int) -> None:
    place = directory / "downloads" / ".partial"
    place.mkdir(parents=True)
    (place / "a.bin.part").write_bytes(body)
    note = {"validator": validator, "total": total}
    (place / "a.bin.part.json").write_text(json.dumps(note))


@pytest.mark.parametrize("note", ["", "{", "[]", '{"total": 14}', '{"validator": "", "total": 14}'])
def test_a_part_that_nothing_vouches_for_is_not_gone_on_from(web, tmp_path, note):
    partial(tmp_path, b"something else", "", 14)
    (tmp_path / "downloads" / ".partial" / "a.bin.part.json").write_text(note)
    get(tmp_path, RemoteFile("a.bin", (web.add("a.bin", BODY),)))
    assert (tmp_path / "downloads" / "a.bin").read_bytes() == BODY
    assert web.requests == [("/a.bin", None)]


def test_a_complete_part_is_taken_without_fetching_it_again(web, tmp_path):
    url = web.add("a.bin", BODY)
    partial(tmp_path, BODY, f'"{hashlib.md5(BODY).hexdigest()}"', len(BODY))
    get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))
    assert web.sent["/a.bin"] == 0


def test_without_etag_or_date_a_download_starts_again_from_nothing(web, tmp_path):
    url = web.add("a.bin", BODY, drop_after=500_000, faults=1, etag=False)
    get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))
    assert [wanted for _, wanted in web.requests] == [None, None]


def test_with_a_date_alone_a_download_goes_on(web, tmp_path):
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    url = web.add("a.bin", BODY, drop_after=500_000, faults=1, etag=False, modified=date)
    get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))
    assert web.requests[1][1] is not None


@pytest.mark.parametrize("status", [201, 202, 203, 204])
def test_an_answer_without_a_file_says_that_the_site_wants_a_browser(web, tmp_path, status):
    url = web.add("a.bin", BODY, status=status)
    with pytest.raises(InputError, match=f"answer {status}.* the owner's site wants a browser"):
        get(tmp_path, RemoteFile("a.bin", (url,)))
    assert leftovers(tmp_path) == set()
    web.add("a.bin", BODY)
    get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))


def test_an_empty_body_is_no_file(web, tmp_path):
    with pytest.raises(InputError, match="an empty answer instead of the file"):
        get(tmp_path, RemoteFile("a.csv", (web.add("a.csv", b""),)))
    with pytest.raises(InputError, match="an empty answer instead of the file"):
        get(tmp_path, RemoteFile("b.csv", (web.add("b.csv", b"", length=False),)))
    assert leftovers(tmp_path) == set()


PAGES = [b"<!DOCTYPE html><title>Log in</title>", b"\n  <html><body>403</body></html>"]


@pytest.mark.parametrize("name", ["table.csv", "images.zip", "names.xlsx"])
@pytest.mark.parametrize("page", PAGES)
def test_a_web_page_is_no_table_and_no_archive(web, tmp_path, name, page):
    url = web.add(name, page)
    with pytest.raises(InputError, match=r"a web page .* wants a browser: open https://doi"):
        get(tmp_path, RemoteFile(name, (url,)))
    assert leftovers(tmp_path) == set()


def test_an_endless_body_is_stopped_at_its_cap(web, tmp_path):
    url = web.add("a.bin", BODY, length=False, more=-1)
    with pytest.raises(InputError, match=r"sends more than the 1,048,576 bytes"):
        get(tmp_path, RemoteFile("a.bin", (url,), len(BODY)))
    assert leftovers(tmp_path) == set()


def test_a_body_longer_than_published_is_refused(web, tmp_path):
    url = web.add("a.bin", BODY, length=False, more=3)
    with pytest.raises(InputError, match="sends more than"):
        get(tmp_path, RemoteFile("a.bin", (url,), len(BODY)))


def test_a_body_shorter_than_published_is_refused(web, tmp_path):
    url = web.add("a.bin", BODY, length=False)
    with pytest.raises(InputError, match="1,048,576 bytes instead of 1,048,577"):
        get(tmp_path, RemoteFile("a.bin", (url,), len(BODY) + 1))


def test_a_body_that_comes_compressed_unasked_is_unpacked(web, tmp_path):
    url = web.add("a.bin", gzip.compress(BODY), headers={"Content-Encoding": "gzip"})
    get(tmp_path, RemoteFile("a.bin", (url,), len(BODY), SHA256))


def test_a_compressed_bomb_is_stopped_at_its_cap(web, tmp_path):
    body = gzip.compress(bytes(20 * len(BODY)))
    url = web.add("a.bin", body, headers={"Content-Encoding": "gzip"})
    with pytest.raises(InputError, match=r"sends more than the 1,048,576 bytes"):
        get(tmp_path, RemoteFile("a.bin", (url,), len(BODY)))
    assert leftovers(tmp_path) == set()


def test_a_server_that_drips_is_given_up(web, tmp_path, monkeypatch):
    monkeypatch.setattr("equiderm.data.download._WINDOW", 0.02)
    url = web.add("a.bin", BODY, drip=0.002)
    with pytest.raises(InputError, match=r"gave nothing in 6 attempts \(\d+ bytes in 0 seconds"):
        get(tmp_path, RemoteFile("a.bin", (url,)))


def test_a_download_that_drips_can_be_stopped(web, tmp_path):
    stop = threading.Event()
    part = tmp_path / "a.part"
    url = web.add("a.bin", BODY, drip=0.01)
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(Stopped):
        Downloader("a.bin", part, stop=stop).get(url)
    assert 0 < part.stat().st_size < 1000


@pytest.mark.parametrize("said", ["bytes 5-9/10", "bytes */10", "items 0-9/10", ""])
def test_a_part_that_nobody_asked_for_is_not_taken_for_the_file(web, tmp_path, said):
    url = web.add("a.bin", BODY, code=206, headers={"Content-Range": said})
    with pytest.raises(InputError, match="gave nothing in 6 attempts"):
        get(tmp_path, RemoteFile("a.bin", (url,)))


def test_a_redirect_is_followed_and_one_to_another_scheme_is_not(web, tmp_path):
    there = web.add("there.bin", BODY)
    url = web.add("a.bin", b"", status=302, to=there)
    get(tmp_path, RemoteFile("a.bin", (url,), None, SHA256))
    for to in ("ftp://127.0.0.1/a", "file:///etc/passwd"):
        url = web.add("b.bin", b"", status=302, to=to)
        with pytest.raises(InputError, match=f"leads to {to}, which is not https"):
            get(tmp_path, RemoteFile("b.bin", (url,)))


def test_a_redirect_from_https_to_http_is_refused(tmp_path, monkeypatch):
    class Answer:
        status_code, headers = 302, {"Location": "http://plain.example/a.bin"}

        def close(self) -> None:
            pass

    monkeypatch.setattr("requests.Session.get", lambda *_, **__: Answer())
    with pytest.raises(
        InputError, match=r"leads to http://plain\.example/a\.bin, which is not http"
    ):
        get(tmp_path, RemoteFile("a.bin", ("https://secure.example/a.bin",)))


def test_a_circle_of_redirects_ends(web, tmp_path):
    url = web.add("a.bin", b"", status=302, to=f"{web.url}/a.bin")
    with pytest.raises(InputError, match="gave up after 10 redirects"):
        get(tmp_path, RemoteFile("a.bin", (url,)))


def test_a_broken_archive_is_deleted_and_the_next_run_fetches_it(web, tmp_path):
    url = web.add("images.zip", b"PK\x03\x04 and then nothing")
    with pytest.raises(
        InputError, match=r"not a complete ZIP archive.* it was deleted, run the command"
    ):
        get(tmp_path, RemoteFile("images.zip", (url,)))
    assert leftovers(tmp_path) == set()
    web.add("images.zip", zipped(a=b"1"))
    (done,) = get(tmp_path, RemoteFile("images.zip", (url,)))
    assert done.unpacked == 1


def test_files_of_the_user_in_the_folder_of_downloads_stay(web, tmp_path):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "tmp-notes.txt").write_text("mine")
    get(tmp_path, RemoteFile("a.bin", (web.add("a.bin", BODY),)))
    assert (tmp_path / "downloads" / "tmp-notes.txt").read_text() == "mine"


def test_two_runs_in_one_folder_do_not_meet(web, tmp_path):
    url = web.add("a.bin", BODY, pace=0.05)
    first = threading.Thread(target=get, args=(tmp_path, RemoteFile("a.bin", (url,), None, SHA256)))
    first.start()
    while not web.answers["/a.bin"]:
        time.sleep(0.01)
    with pytest.raises(InputError, match="another run is writing it"):
        get(tmp_path, RemoteFile("a.bin", (url,)))
    first.join()
    assert (tmp_path / "downloads" / "a.bin").read_bytes() == BODY


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"name": 3}]'])
def test_a_damaged_list_of_what_is_here_is_made_again(web, tmp_path, text):
    file = RemoteFile("a.bin", (web.add("a.bin", BODY),), None, SHA256)
    get(tmp_path, file)
    (tmp_path / "downloads" / "fetched.json").write_text(text)
    get(tmp_path, file)
    assert json.loads((tmp_path / "downloads" / "fetched.json").read_text())[0]["name"] == "a.bin"


@pytest.mark.parametrize("name", SOURCES)
def test_every_published_address_is_https_and_every_checksum_names_its_kind(name):
    for file in get_release(name).files:
        assert all(url.startswith("https://") for url in file.urls)
        assert file.checksum is None or file.checksum.startswith(("sha256:", "md5:"))


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_without_downloads_says_what_to_do_by_hand(name):
    release = get_release(name)
    assert release.files or "DIR" in release.by_hand


def test_the_archive_says_how_to_install_its_tool(equiderm, monkeypatch):
    monkeypatch.setenv("PATH", "")
    done = equiderm("fetch", "isic-archive", "here", "--collection", 70, "--yes")
    assert done.returncode == 2
    assert "pip install isic-cli" in done.stderr


@pytest.mark.parametrize(("kept", "status"), [(2, 0), (1, 2)])
def test_the_archive_comes_through_its_own_tool(equiderm, monkeypatch, tmp_path, kept, status):
    """A stand-in for isic-cli, which ends with 0 even where single images failed."""
    tool = tmp_path / "bin" / "isic"
    tool.parent.mkdir()
    tool.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        "here = pathlib.Path(sys.argv[-1]); here.mkdir()\n"
        "(here / 'arguments').write_text(' '.join(sys.argv[1:-1]))\n"
        "(here / 'metadata.csv').write_text('isic_id,diagnosis_1\\nISIC_1,Benign\\nISIC_2,\\n')\n"
        f"for n in range(1, {kept} + 1): (here / f'ISIC_{{n}}.jpg').write_text('x')\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent))
    done = equiderm(
        "fetch", "isic-archive", "here", "--collection", 70, "--collection", 74,
        "--search", "age_approx:50", "--yes",
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    asked = (tmp_path / "here" / "arguments").read_text()
    assert asked == "image download --collections 70,74 --search age_approx:50"
    assert "1 of 2 images are missing" in done.stderr if status else "2 images" in done.stdout
