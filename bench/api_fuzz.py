"""The server's JSON under schemathesis: requests made from its OpenAPI document, and broken ones.

make api-fuzz MINUTES=10: ends with status 1 where an answer is 5xx (but 503, "too many uploads are
waiting"), or of a status that the document does not name, or where the server does not answer on.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CHECKS = "not_a_server_error,status_code_conformance,unsupported_method"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--schemathesis", default=shutil.which("schemathesis") or "schemathesis")
    parser.add_argument("--run", help="a training run, to fuzz /api/predict with; it needs torch")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "equiderm", "serve", "--port", str(port)]
    command += ["--run", given.run] if given.run else []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.txt"
        with log.open("wb") as said:
            server = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
        try:
            wait_for(f"{address}/api/openapi.json", server)
            before = memory(server.pid)
            status = subprocess.run(
                [given.schemathesis, "--no-color", "run", f"{address}/api/openapi.json",
                 "--max-time", str(round(60 * given.minutes)), "--checks", CHECKS,
                 "--continue-on-failure", "--request-timeout", "120", "--seed", str(given.seed),
                 "--suppress-health-check", "all", "--warnings", "off"],
                cwd=folder, check=False,
            ).returncode  # fmt: skip
            wait_for(f"{address}/", server, seconds=10)
            print(f"memory of the server: {before:.0f} MB before, {memory(server.pid):.0f} after")
        finally:
            server.kill()
            server.wait()
        errors = log.read_text(errors="replace").count("Traceback")
    print(f"tracebacks of the server: {errors}")
    return 1 if status or errors else 0


def wait_for(address, server, seconds=120):
    """Return when the server answers; fail where it has ended or does not."""
    end = time.monotonic() + seconds
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=10):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{address} does not answer")


def memory(pid):
    """Return the most memory that a process ever had, in MB; 0 where that is not known."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
