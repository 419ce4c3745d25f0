"""No cell of a manifest moves unnoticed: every release, by every choice, against what it gave.

Where a difference is meant, `python -m tests.data.test_unmoved` writes the manifests anew.
"""

import csv
import json
import tempfile
from pathlib import Path

import pytest
import releases

from equiderm.data import SOURCES, read_source
from equiderm.errors import InputError

GOLDEN = Path(__file__).parents[1] / "golden" / "manifests.json"
CHOICES = [
    *((name, {}) for name in SOURCES),
    *((name, {"premalignant": "malignant"}) for name in ("isic2018", "pad-ufes-20", "mra-midas")),
    *((name, {"target": "melanoma"}) for name in ("isic2019", "ddi", "fitzpatrick17k", "ph2")),
    ("fitzpatrick17k", {"rater": "centaur"}),
    ("fitzpatrick17k", {"subset": "neoplastic"}),
    ("fitzpatrick17k", {"subset": "cleaned"}),
    ("asan", {"subset": "paper"}),
    ("scin", {"rater": "self"}),
]
GAPS = "with gaps"
CHOICES += [(name, {GAPS: GAPS}) for name in SOURCES if name != "folder"]
KEYS = [" ".join([name, *choice.values()]) for name, choice in CHOICES]


def leave_gaps(root):
    """Empty one cell of each row of every table, another column in each."""
    for path in root.rglob("*.csv"):
        header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
        for k, row in enumerate(rows):
            if len(row) > 2:
                row[1 + k % (len(row) - 1)] = ""
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])


def manifest(root, name, choice):
    """The rows as text; paths below the folder of the release, no hashes of its pictures."""
    directory = releases.write_release(name, root)
    if choice == {GAPS: GAPS}:
        leave_gaps(root)
        choice = {}
    try:
        frame = read_source(name, directory, **choice).frame
    except InputError:
        return ["refused"]
    paths = [Path(path).relative_to(root).as_posix() for path in frame["path"]]
    frame = frame.assign(path=paths).drop(columns="sha256", errors="ignore")
    return frame.round(6).to_csv(index=False, lineterminator="\n").splitlines()


@pytest.mark.parametrize("key", KEYS)
def test_no_cell_of_a_manifest_has_moved(key, tmp_path):
    before = json.loads(GOLDEN.read_text())
    assert before.keys() == set(KEYS)
    assert manifest(tmp_path, *CHOICES[KEYS.index(key)]) == before[key]


if __name__ == "__main__":
    found = {}
    for key, chosen in zip(KEYS, CHOICES, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            found[key] = manifest(Path(folder), *chosen)
    GOLDEN.write_text(json.dumps(found, indent=0) + "\n")
