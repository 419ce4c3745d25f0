"""Names of files, columns, groups and patients that are HTML and escape codes: nothing runs."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

EVIL = (
    """'"></title></script></style><script>document.title='RAN'</script><img src=x onerror="x">"""
)
EVIL += "\x1b[31m\u202e&lt;\r\n{{7*7}}"
FILE = "<img src=x onerror=document.title='RAN'>'\"\x1b[31m\u202e\n"


class Page(HTMLParser):
    """Collects what a browser would run: handlers, and scripts that are not the page's own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.run: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._in_script = tag == "script"
        self.run += [f"{k}={v}" for k, v in attrs if k[:2] == "on" and v != "return false"]
        self.run += [f"{k}={v}" for k, v in attrs if k == "src" and not str(v).startswith("data:")]

    def handle_data(self, data):
        if self._in_script and data.strip().startswith("document.title"):
            self.run.append(data)

    def handle_endtag(self, tag):
        self._in_script = False


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home: Path = tmp_path_factory.mktemp("hostile")
    (home / FILE).mkdir()
    for row in range(3):
        skin = Image.new("RGB", (64, 64), (205 - 20 * row, 160, 135))
        skin.save(home / FILE / f"{row}{FILE}.png")
        skin.save(home / FILE / f"copy {row}{FILE}.png")
    (home / FILE / f"bad{FILE}.png").write_bytes(b"no picture")
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 200)
    judged = rng.integers(1, 7, 200)
    pd.DataFrame(
        {
            "image": [f"{EVIL}{row}" for row in range(200)],
            f"patient{EVIL}": [f"{EVIL}{row // 2}" for row in range(200)],
            EVIL: np.where(rng.random(200) < 0.5, EVIL, f"light{EVIL}"),
            "target": target,
            "score": 1 / (1 + np.exp(-target - rng.normal(0, 1, 200))),
            f"truth{EVIL}": judged,
            f"label{EVIL}": np.clip(judged + rng.integers(-1, 2, 200), 1, 6),
        }
    ).to_parquet(home / f"t{FILE}.parquet")
    return home


TABLE = f"t{FILE}.parquet"


@pytest.mark.parametrize(
    ("words", "page"),
    [
        (["label", FILE, "-o", "tones.csv", "--report", "page.html"], "page.html"),
        (["duplicates", FILE, "-o", "pairs.csv", "--report", "page.html"], "page.html"),
        (["audit", TABLE, "--by", EVIL, "-o", "page.html", "--summary", "s.html"], "page.html"),
        (["audit", TABLE, "--by", EVIL, "-o", "page.html", "--summary", "s.html"], "s.html"),
        (
            ["agree", TABLE, "--truth", TABLE, "--truth-column", f"truth{EVIL}", "--label-column",
             f"label{EVIL}", "--patient", f"patient{EVIL}", "--report", "page.html"],
            "page.html",
        ),
        (
            ["agree", TABLE, "--label-column", f"label{EVIL}", "--label-column", f"truth{EVIL}",
             "--report", "page.html"],
            "page.html",
        ),
    ],
    ids=["label", "duplicates", "audit", "summary", "agree", "labelings"],
)  # fmt: skip
def test_no_name_runs_in_a_page_or_moves_a_terminal(place, equiderm, words, page):
    done = equiderm(*words, cwd=place)
    assert done.returncode in (0, 1), done.stderr
    assert not {"\x1b", "\u202e", "\r"} & set(done.stdout + done.stderr)
    text = (place / page).read_text(encoding="utf-8")
    assert "img src=x" in text or words[0] == "agree"  # whose pages name no column
    assert Page(text).run == []
