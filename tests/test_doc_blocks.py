"""Every fenced block of the documents runs, in the order of its page.

Each page has a folder with what it presupposes: drawn photographs, tables, small experiments. A
command runs in this process, with the arguments as they stand but for ``LIGHTER``; what cannot run
here stands in ``ELSEWHERE`` with its reason and what is checked instead. A block of any other kind
fails. A block of a library that is not installed is compiled alone.
"""

import importlib.util
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import releases
import torch

from equiderm import cli
from equiderm.data import catalogue, get_release, read_source
from equiderm.data.manifest import write_manifest
from equiderm.data.synthetic import synthesize, write_archive
from equiderm.training import experiment_from
from tests.reproduce.miniature import write_experiments

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<kind>[^\n`]*)\n(?P<text>.*?)^```$", re.M | re.S
)
MARKUP = ("{toctree}", "{eval-rst}", "{math}")  # Sphinx's own; `make docs` fails where one is wrong
ALSO = {
    "audit": ["--replicates", "200"],
    "label": ["--workers", "1"],
    "compare": ["--workers", "1"],
}
LIGHTER = {  # the same work on fewer images or with fewer runs
    "--n 1000 --test 300": "--n 40 --test 20",
    "--n 300 --test 100": "--n 90 --test 30",
    "--n 40 --look clinical": "--n 24 --look clinical --size 64",
    "--seeds 5": "--seeds 1",
    "seeds=3": "seeds=1, replicates=100",
    " --device cuda": " --device cpu",
    " --engine ray": "",  # tests/engine/test_cluster.py starts a cluster
}


class Block(NamedTuple):
    page: Path
    line: int
    mark: str
    kind: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, m.start()) + 1, m["mark"] or "", m["kind"], m["text"])
        for m in FENCE.finditer(text)
        if m["kind"] not in MARKUP
    ]


def target_exists(words: list[str]) -> None:
    assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M), words[1]


def extra_exists(words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [word for word in words[2:] if word.startswith(("equiderm", "."))]
    for word in named:
        extra = re.fullmatch(r"(?:equiderm|\.)(?:\[(\w+)\])?", word)
        assert extra, word
        assert extra[1] is None or extra[1] in project["optional-dependencies"], word
    assert named
    assert all((ROOT / words[k + 1]).is_file() for k, word in enumerate(words) if word == "-c")


def release_is_known(words: list[str]) -> None:
    """Stand in for the network: the release comes as its owner lays it out."""
    assert get_release(words[2]).files or words[2] == "isic-archive"  # its own tool fetches it
    write_release(words[2], Path(words[3]))


def script_compiles(words: list[str]) -> None:
    compile((ROOT / words[1]).read_text(encoding="utf-8"), words[1], "exec")


def one_process_runs(words: list[str]) -> None:
    start = words.index("equiderm")
    assert words[start - 1] == "-m"
    run_equiderm([*words[start:-1], words[-1] + "-by-torchrun"])


def file_is_there(words: list[str]) -> None:
    assert (ROOT / words[-1]).is_file(), words[-1]  # read by tests/test_examples.py


def missing_is_named(words: list[str]) -> None:
    """The downloads are gigabytes; without them the command says how to get them, and ends on 1."""
    if "--list" in words:
        run_equiderm(words)
        return
    Path(words[words.index("--data") + 1]).mkdir(exist_ok=True)
    run_equiderm(words, expect=1)


def page_opens(words: list[str]) -> None:
    """Read the photographs and open the file of judgements; only listening is left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equiderm.serve.listen", lambda site, **_: site.close())
        run_equiderm(words)


# The beginning of a command that cannot run here: why, and what is checked instead.
ELSEWHERE: dict[str, tuple[str, Callable[[list[str]], None]]] = {
    "make ": ("sets up an environment of its own", target_exists),
    "pip install ": ("reaches a registry", extra_exists),
    "equiderm fetch ": ("reaches the network", release_is_known),
    "equiderm reproduce ": ("needs the owners' downloads", missing_is_named),
    "equiderm serve ": ("serves until it is stopped", page_opens),
    "sbatch ": ("wants a cluster", file_is_there),
    "torchrun ": ("wants four processes", one_process_runs),
    "python bench/": ("measures for minutes, some on data that is not here", script_compiles),
}


def commands(text: str) -> list[list[str]]:
    lines = text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def run_equiderm(words: list[str], expect: int = 0) -> None:
    code = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*words, *ALSO.get(words[1], [])])
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
    assert code == expect, f"{shlex.join(words)} ended on {code}"


def run_shell(text: str) -> None:
    for words in commands(text):
        line = " ".join(words)
        other = [check for start, (_, check) in ELSEWHERE.items() if f"{line} ".startswith(start)]
        if other:
            other[0](words)
        else:
            assert words[0] == "equiderm", f"neither run nor in ELSEWHERE: {line}"
            run_equiderm(words)


def is_installed(mark: str) -> bool:
    """Return whether the library that a block names, as ``<!-- needs: monai -->``, is there."""
    named = re.fullmatch(r"needs: (\w+)", mark)
    return named is None or importlib.util.find_spec(named[1]) is not None


def is_read_by_a_test(mark: str) -> bool:
    tests = (ROOT / "tests").rglob("test_*.py")
    return bool(mark) and any(f"<!-- {mark} -->" in path.read_text("utf-8") for path in tests)


def run_block(block: Block, scope: dict[str, object]) -> None:
    text = block.text
    for heavy, light in LIGHTER.items():
        text = text.replace(heavy, light)
    if block.kind == "sh":
        run_shell(text)
    elif block.kind == "python" and not is_installed(block.mark):
        compile(text, f"{block.page.name}:{block.line}", "exec")
    elif block.kind == "python":
        exec(compile(text, f"{block.page.name}:{block.line}", "exec"), scope)
    elif block.kind == "toml":
        experiment_from(tomllib.loads(text))
    else:
        assert is_read_by_a_test(block.mark), f"{block.page.name}:{block.line} is not run"


def write_release(name: str, directory: Path) -> None:
    """Write a small release; its images are grown to the size that a photograph has at least."""
    releases.write_release(name, directory)
    if name == "ham10000":  # enough lesions for three splits
        more = [(f"HAM_1{n}", f"ISIC_1{n:06}", ("nv", "mel")[n % 2]) for n in range(30)]
        with (directory / "HAM10000_metadata.csv").open("a", encoding="utf-8") as table:
            table.writelines(f"{','.join(one)},histo,50,male,back,rosendahl\n" for one in more)
        for _, image, _ in more:
            releases.write_image(directory / f"{image}.jpg")
    for path in directory.rglob("*.jpg"):
        releases.write_image(path, size=(40, 30))


def write_presupposed(root: Path) -> None:
    """Write what pages begin with: photographs, manifests, tone tables, predictions, releases."""
    made = synthesize(96, size=64, prevalence=0.5, workers=1)
    tone = made.table["skin_ita"].rank().astype(int) - 1
    made.table["ita_band"] = 5 - 2 * (tone // 32)  # three bands, each in every split
    made.table["split"] = np.resize(["train", "train", "validation", "test"], 96)[tone]
    made.table["patient_id"] = made.table["lesion_id"]
    table = pd.read_parquet(write_archive(made, root))
    (root / "photographs").mkdir()
    for path in table["path"][:40]:
        shutil.copy(root / path, root / "photographs")
    shutil.copy(root / table["path"][0], root / "photographs" / "lesion.jpg")
    table.to_parquet(root / "manifest.parquet")
    write_release("isic2018", root / "isic2018")
    other = read_source("isic2018", root / "isic2018").frame
    write_manifest(other, root / "other.parquet")

    random = np.random.default_rng(0)
    angle = table["skin_ita"] + random.normal(0, 5, 96)
    judged = pd.qcut(-angle, 6, labels=False) + 1
    named = table[["image_id", "patient_id", "target", "ita_band"]]
    named.assign(fitzpatrick_type=judged).to_csv(root / "judged.csv")
    for name in ("predictions", "ours", "theirs"):
        score = (table["target"] + 2 * random.random(96)) / 3
        named.assign(score=score).to_csv(root / f"{name}.csv", index=False)
    tones = named.assign(ita=angle, first=judged, second=judged.clip(2, 5))
    for name in ("tones", "patch", "robust", "border"):
        tones.to_csv(root / f"{name}.csv", index=False)
    decided = {"image": ["photographs/lesion.jpg"], "excluded": ["true"], "corrected_by": ["A. C."]}
    pd.DataFrame(decided).to_csv(root / "tones-corrections.csv", index=False)
    (root / "TABLES_DIR").mkdir()
    mskcc = {"fitzpatrick_type": judged, "fold": np.arange(96) % 5}
    mskcc |= {"isic_id": table["image_id"], "ita_patch_max": angle, "ita_kmeans": angle + 3}
    pd.DataFrame(mskcc).to_csv(root / "TABLES_DIR" / "mskcc_tone.csv", index=False)

    write_release("isic2020", root / "data" / "isic2020")
    kinds = [("nevus", "good"), ("melanoma", "bad")]
    rows = [(f"{kinds[n % 2][0]}/{n}.jpg", f"p{n}", kinds[n % 2][1]) for n in range(12)]
    for name, _, _ in rows:
        releases.write_image(root / "data" / "mine" / name, size=(40, 30))
    releases.write_csv(root / "data" / "mine" / "list.csv", "photo,person,verdict", rows)
    columns = "image,label,diagnosis,lesion_id,split"
    for folder, bad in (("ham", ("malignant", "premalignant")), ("isic", ("malignant",) * 2)):
        rows = [
            (path, ("benign", bad[n % 2])[target], "nevus", lesion, ("training", "test")[n % 2])
            for n, (path, target, lesion) in enumerate(
                table[["path", "target", "lesion_id"]].itertuples(index=False)
            )
        ]
        releases.write_csv(root / folder / "manifest.csv", columns, rows)
        (root / folder / "images").symlink_to(root / "images")
    write_experiments(root / "experiments")
    shutil.copytree(ROOT / "docs" / "tour", root / "docs" / "tour", dirs_exist_ok=True)
    pairs = [("0.98", "ISIC_1000001.jpg", "ISIC_1000002.jpg")]
    releases.write_csv(
        root / "newly_discovered_duplicates.csv", "similarity,from_img,to_img", pairs
    )
    (root / "removed.txt").write_text("/data/ISIC_1000003.jpg\n")


@pytest.fixture(scope="module")
def presupposed(tmp_path_factory):
    root = tmp_path_factory.mktemp("presupposed")
    write_presupposed(root)
    return root


def given() -> dict[str, object]:
    """Return the names that Python blocks take as given: a store's pixels, a backbone, batches."""
    random = np.random.default_rng(0)
    manifest = pd.DataFrame(
        {
            "image_id": [str(n) for n in range(200)],
            "target": random.integers(0, 2, 200),
            "split": np.where(np.arange(200) < 64, "train", "test"),
            "fitzpatrick_type": np.arange(200) % 3 + 1,
        }
    )
    loader = [(torch.randn(5, 4), torch.tensor([0.0, 1, 0, 1, 1]), torch.arange(5))] * 3
    return {
        "__name__": __name__,
        "pixels": random.integers(0, 256, (200, 32, 32, 3), dtype=np.uint8),
        "manifest": manifest,
        "backbone": torch.nn.Linear(4, 8),
        "n_features": 8,
        "loader": loader,
    }


WALKED = ROOT / "docs" / "extend.md"  # changes the project: tests/test_extend.py, on a copy


@pytest.mark.parametrize("page", [p for p in PAGES if p != WALKED], ids=lambda page: page.name)
def test_every_block_of_the_page_runs(page, presupposed, tmp_path, monkeypatch):
    shutil.copytree(presupposed, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "WHOLE", {})  # the drawn releases are whole
    scope = given()
    for block in blocks(page):
        run_block(block, scope)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_fence_of_the_page_is_seen(page):
    text = page.read_text(encoding="utf-8")
    fences = len(re.findall(r"^ *(?:```|~~~)", text, re.M))
    markup = sum(text.count(f"```{name}") for name in MARKUP)
    assert fences == 2 * (len(blocks(page)) + markup)


@pytest.mark.parametrize("text", ["rm -r runs", "equiderm audit nothing.csv -o page.html"])
def test_a_command_that_is_unknown_or_fails_is_an_error(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError):
        run_shell(text)
