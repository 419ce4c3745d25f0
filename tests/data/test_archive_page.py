import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "archive.md"


def test_every_block_of_the_page_runs(equiderm, tmp_path):
    blocks = re.findall(r"```(bash|python)\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 5
    for kind, text in blocks:
        if kind == "python":
            run = [sys.executable, "-c", text]
            subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
            continue
        for line in text.strip().splitlines():
            done = equiderm(*shlex.split(line)[1:])
            assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_the_contact_sheet_is_small_enough_for_the_repository():
    assert (PAGE.parent / "synthetic.jpg").stat().st_size < 100_000
