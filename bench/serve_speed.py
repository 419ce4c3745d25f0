"""How fast `equiderm serve` answers: a review of many photographs, and a hundred uploads at once.

    python bench/serve_speed.py review [--images 10000] [--answers 200]
    python bench/serve_speed.py uploads [--uploads 100]

`review` judges as a browser does: an answer, the next page, the next photograph, and ahead of time
the one after it. Beside it stand what the machine can do at the same time: a file written and
synchronised, and the style sheet fetched. `uploads` sends photographs to Look, every other one
broken or a bomb, and asks for the first page meanwhile.
"""

import argparse
import http.client
import io
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from equiderm.data.synthetic import synthesize

PARTS = (50, 95, 99, 100)  # percentiles


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("review", "uploads"))
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--uploads", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.what == "review":
            time_review(Path(folder), given.images, given.answers)
        else:
            time_uploads(Path(folder), given.uploads)


class Server:
    """A ``with`` block in which the command serves, on a port of its own."""

    def __init__(self, folder, *arguments):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        command = [sys.executable, "-m", "equiderm", "serve", *arguments, "--port", str(self.port)]
        self.started = time.perf_counter()
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)

    def __enter__(self):
        while self.process.poll() is None:
            try:
                get(self.connect(), "/")
                return self
            except OSError:
                time.sleep(0.01)
        raise SystemExit("the server has ended")

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()

    def connect(self):
        """Return a connection of its own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)


def get(connection, path, body=None, headers=None):
    """Return an answer and its text; one redirection is followed."""
    connection.request("GET" if body is None else "POST", path, body, headers or {})
    answer = connection.getresponse()
    blob = answer.read()
    if answer.status == 303:
        return get(connection, answer.headers["location"])
    return answer.status, blob


def post(connection, path, **fields):
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return get(connection, path, urllib.parse.urlencode(fields), kind)


def say(what, seconds):
    parts = np.percentile(1000 * np.array(seconds), PARTS)
    words = ", ".join(f"{p} % {one:.1f}" for p, one in zip(PARTS, parts, strict=True))
    print(f"{what}: {words} ms (n = {len(seconds)})", flush=True)


def time_review(folder, images, answers):
    drawn = folder / "drawn"
    drawn.mkdir()
    (folder / "photographs").mkdir()
    for n, pixels in enumerate(synthesize(20, size=600, seed=0).images):
        Image.fromarray(pixels).save(drawn / f"{n}.jpg", quality=90)
    for n in range(images):
        os.link(drawn / f"{n % 20}.jpg", folder / "photographs" / f"{n:06}.jpg")
    times = {what: [] for what in ("page", "photograph", "ahead", "sync", "style")}
    with Server(folder, "photographs") as server:
        print(f"first page {time.perf_counter() - server.started:.2f} s after the command")
        connection = server.connect()
        print(
            f"list of {images:,} photographs {1000 * timed(get, connection, '/review')[0]:.0f} ms"
        )
        seconds, (_, page) = timed(post, connection, "/review", name="Ada", repeats="10")
        print(f"first photograph's page {1000 * seconds:.0f} ms after the name")
        for n in range(answers):
            text = page.decode()
            turn = re.search(r'name="position" value="(\d+)"', text)[1]
            now, ahead = re.findall(r'src="(/review/image/\d+)"', text)[:2]
            times["photograph"].append(timed(get, connection, now)[0])
            times["ahead"].append(timed(get, connection, ahead)[0])
            times["style"].append(timed(get, connection, "/static/serve.css")[0])
            times["sync"].append(timed(write, folder / "synchronised")[0])
            answer = str(n % 6 + 1)
            seconds, (_, page) = timed(post, connection, "/review/1", position=turn, answer=answer)
            times["page"].append(seconds)
    say("an answer and the next page", times["page"])
    say("its photograph, asked for ahead", times["photograph"])
    say("the photograph after it, ahead of time", times["ahead"])
    say("a file of 4 kB written and synchronised", times["sync"])
    say("the style sheet", times["style"])


def timed(function, *arguments, **fields):
    began = time.perf_counter()
    result = function(*arguments, **fields)
    return time.perf_counter() - began, result


def write(path):
    with path.open("wb") as stream:
        stream.write(bytes(4096))
        stream.flush()
        os.fsync(stream.fileno())


def time_uploads(folder, uploads):
    files = [good(), broken(), good(), png_bomb(), good(), zip_bomb(), good(), cut_off()]
    statuses, seconds, pages, done = Counter(), [], [], threading.Event()
    memory = [0]
    with Server(folder) as server:

        def upload(n):
            blob = files[n % len(files)]
            boundary = "equiderm-bench"
            head = (
                f'--{boundary}\r\ncontent-disposition: form-data; name="photographs"; '
                f'filename="{n}.jpg"\r\n\r\n'
            )
            body = head.encode() + blob + f"\r\n--{boundary}--\r\n".encode()
            kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
            try:
                took, (status, _) = timed(get, server.connect(), "/look", body, kind)
                seconds.append(took)
                statuses[status] += 1
            except OSError as error:
                statuses[type(error).__name__] += 1

        def watch():
            while not done.is_set():
                pages.append(timed(get, server.connect(), "/")[0])
                memory[0] = max(memory[0], memory_of(server.process.pid))
                time.sleep(0.1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        threads = [threading.Thread(target=upload, args=(n,)) for n in range(uploads)]
        began = time.perf_counter()
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        print(f"{uploads} uploads answered in {time.perf_counter() - began:.0f} s: {statuses}")
        done.set()
        watcher.join()
    say("an upload", seconds)
    say("the first page meanwhile", pages)
    print(f"most memory of the server and its processes: {memory[0] / 1e6:.0f} MB")


def memory_of(pid):
    """Return the resident bytes of a process and all below it."""
    try:
        own = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        return own + sum(memory_of(child) for task in tasks for child in task.read_text().split())
    except OSError:  # it has ended
        return 0


def good():
    buffer = io.BytesIO()
    pixels = synthesize(1, size=1024, seed=1).images[0]
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def broken():
    return b"\xff\xd8\xff\xe0" + bytes(100_000)


def cut_off():
    return good()[:5_000]


def png_bomb(side=60_000):
    """Return a PNG of little more than its head, which claims 3,600 megapixels."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000_000))
    chunks = ((b"IHDR", head), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(one)) + name + one + struct.pack(">I", zlib.crc32(name + one))
        for name, one in chunks
    )


def zip_bomb():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(20):
            archive.writestr(f"{n}.jpg", bytes(50_000_000))
    return buffer.getvalue()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
