"""A real HTTP server on the loopback that misbehaves as told, for the downloader's tests."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """How one file is served.

    ``drop_after`` cuts the connection after so many bytes of each of the first ``faults`` answers;
    ``short`` closes it as if all were sent; ``status`` is answered ``faults`` times, or always;
    ``shift`` answers a range with one that starts so many bytes earlier than asked.
    """

    body: bytes
    ranges: bool = True
    etag: bool = True
    drop_after: int | None = None
    short: bool = False
    status: int | None = None
    faults: int = 10**9
    pace: float = 0.0  # seconds before each 64 KiB
    length: bool = True
    shift: int = 0
    more: int = 0  # bytes sent beyond the body, where no length is told; -1 for ever
    to: str = ""  # another address: a redirect
    modified: str = ""  # the date of the file
    headers: dict[str, str] = field(default_factory=dict)  # further ones
    drip: float = 0.0  # seconds before each single byte
    code: int = 200  # the status of a whole answer


@dataclass
class Server:
    url: str = ""
    files: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range
    agents: set[str] = field(default_factory=set)
    sent: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    together: int = 0
    most_together: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, body: bytes, **behaviour: object) -> str:
        self.files[f"/{name}"] = Behaviour(body, **behaviour)  # type: ignore[arg-type]
        return f"{self.url}/{name}"


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            with server.lock:
                server.requests.append((self.path, self.headers.get("Range")))
                server.agents.add(self.headers.get("User-Agent", ""))
                server.answers[self.path] += 1
                turn = server.answers[self.path]
                server.together += 1
                server.most_together = max(server.most_together, server.together)
            try:
                self.answer(server.files.get(self.path), turn)
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                with server.lock:
                    server.together -= 1

        def answer(self, file: Behaviour | None, turn: int) -> None:
            faulty = file is not None and turn <= file.faults
            if file is None or (file.status is not None and faulty):
                status = 404 if file is None else file.status or 500
                self.send_response(status)
                if file is not None and file.to:
                    self.send_header("Location", file.to)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body, start = file.body, 0
            etag = f'"{hashlib.md5(body).hexdigest()}"'
            wanted = self.headers.get("Range")
            fresh = self.headers.get("If-Range") in (None, etag, file.modified or etag)
            if wanted and file.ranges and fresh:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                start = max(start - file.shift, 0)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(file.code)
            rest = body[start:]
            if file.length:
                self.send_header("Content-Length", str(len(rest)))
            else:
                self.close_connection = True
                self.send_header("Connection", "close")
            if file.etag:
                self.send_header("ETag", etag)
            if file.modified:
                self.send_header("Last-Modified", file.modified)
            for name, value in file.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if file.drip:
                for byte in rest:
                    time.sleep(file.drip)
                    self.wfile.write(bytes([byte]))
                return
            cut = file.drop_after if faulty else None
            self.send_body(rest if cut is None else rest[:cut], file.pace)
            sent = 0
            while sent != file.more:  # -1: until the other side hangs up
                self.wfile.write(b"\0" * 65536 if file.more < 0 else b"\0")
                sent += 1 if file.more > 0 else 0
            if cut is not None and cut < len(rest):
                self.close_connection = True
                if not file.short:
                    self.connection.close()

        def send_body(self, body: bytes, pace: float) -> None:
            for at in range(0, len(body), 65536):
                if pace:
                    time.sleep(pace)
                piece = body[at : at + 65536]
                self.wfile.write(piece)
                with server.lock:
                    server.sent[self.path] += len(piece)

    return Handler


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    httpd.daemon_threads = True
    httpd.handle_error = lambda *_: None  # a client that hangs up is what many tests are about
    server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
