"""Two checkouts side by side: which outputs of which command differ.

Draws photographs and tables of its own, runs every command that writes figures with each checkout,
and lists the columns and JSON keys whose values are not the same. For changes that must move code
and not results.

python bench/same_outputs.py OTHER_CHECKOUT [--only label --only audit]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

HERE = Path(__file__).parents[1]
METHODS = (
    "patch-max", "patch-max-arctan", "patch-median", "whole",
    "border-median", "ycbcr", "healthy-skin", "robust",
)  # fmt: skip
SCHEMES = ("paper", "groh", "kinyanjui", "del-bino", "25-degrees", "monk")
EXPERIMENT = """[method]
name = "{method}"
[backbone]
name = "test_resnet"
weights = "random"
[data]
group = "fitzpatrick_type"
size = 32
[training]
epochs = 2
batch_size = 16
"""


def draw(folder: Path, n: int = 120) -> None:
    """Draw skin with a lesion and some hair, in PNG and JPEG, and the tables beside it."""
    random = np.random.default_rng(7)
    (folder / "images").mkdir(parents=True)
    across = np.mgrid[0:200, 0:260]
    rows: list[dict[str, Any]] = []
    for i in range(n):
        base = np.array([225, 180, 155]) * (1 - 0.65 * (i % 12) / 12)
        light = 1 - 0.2 * (across[1] / 260)
        pixels = base * light[..., None] + random.normal(0, 5, (200, 260, 3))
        far = np.hypot(across[0] - 100, across[1] - 130)
        pixels[far < 40] *= 0.55 if i % 3 else 0.7
        for _ in range(i % 4):
            pixels[:, random.integers(0, 258)] *= 0.3
        ending = "png" if i % 5 == 0 else "jpg"
        name = f"{i:04d}.{ending}"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / name)
        target = int(random.random() < 0.4)
        rows.append(
            {
                "file": name, "image_id": f"{i:04d}", "patient_id": f"p{i // 2}",
                "dx": "melanoma" if target else "nevus", "target": target,
                "score": round(float(np.clip(random.normal(0.35 + 0.3 * target, 0.2), 0, 1)), 6),
                "site": "abc"[i % 3], "fitzpatrick_type": 1 + (i % 12) // 2, "rater": "one person",
            }
        )  # fmt: skip
    table = pd.DataFrame(rows)
    table.to_csv(folder / "table.csv", index=False)
    big = pd.concat([table.assign(image_id=table.image_id + f"-{k}") for k in range(10)])
    big["patient_id"] = [f"q{i // 3}" for i in range(len(big))]
    big["score"] = np.clip(big["score"] + random.normal(0, 0.15, len(big)), 0, 1).round(6)
    big["fitzpatrick_type"] = (big["fitzpatrick_type"] + random.integers(-1, 2, len(big))).clip(
        1, 6
    )
    big["ita"] = (70 - 17 * big["fitzpatrick_type"] + random.normal(0, 8, len(big))).round(4)
    big.to_csv(folder / "big.csv", index=False)
    other = big.assign(score=np.clip(big["score"] + random.normal(0, 0.1, len(big)), 0, 1).round(6))
    other.to_csv(folder / "other.csv", index=False)
    for method in ("erm", "lntl"):
        (folder / f"{method}.toml").write_text(EXPERIMENT.format(method=method))


def commands() -> list[tuple[str, list[str]]]:
    """Return (name, words) of each command, in an order in which each finds what it needs."""
    todo = [(f"label-{m}", f"label images -o {m}.csv --method {m} --workers 1") for m in METHODS]
    todo += [(f"reband-{s}", f"reband patch-max.csv -o re-{s}.csv --scheme {s}") for s in SCHEMES]
    todo += [
        ("agree", "agree big.csv --truth table-big.csv --truth-column fitzpatrick_type "
         "--label-column ita --scheme paper --patient patient_id -o agree.json"),
        ("labelings", "agree patch-max.csv patch-median.csv -o labelings.json"),
        ("calibrate", "calibrate big.csv --truth-column fitzpatrick_type --patient patient_id "
         "-o scheme.json --agreement calibrate.json"),
        ("audit", "audit big.csv --by site,fitzpatrick_type -o audit.json --replicates 200"),
        ("audit-two", "audit big.csv other.csv --by site -o two.json --replicates 200"),
        ("manifest", "manifest folder images -o manifest.csv --table table.csv "
         "--column path=file --column target=dx --positive melanoma"),
        ("split", "split manifest.csv -o split.csv --seed 3"),
        ("duplicates", "duplicates images -o pairs.csv --workers 1"),
        ("train", "train erm.toml --data split.csv --out run-erm"),
        ("predict", "predict run-erm --data split.csv --split test -o predictions.csv"),
        ("probe", "probe run-erm --data split.csv --split train"),
        ("compare", "compare erm.toml lntl.toml --data split.csv --seeds 2 --workers 1 "
         "-o compare.html"),
    ]  # fmt: skip
    return [(name, words.split()) for name, words in todo]


def run(checkout: Path, folder: Path, only: list[str]) -> dict[str, str]:
    """Run every command; return what each wrote to the terminal where it failed."""
    failed: dict[str, str] = {}
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    for name, words in commands():
        if only and not any(name.startswith(wanted) for wanted in only):
            continue
        done = subprocess.run(
            [sys.executable, "-m", "equiderm", *words],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            failed[name] = f"exit {done.returncode}: {done.stderr.strip()[-300:]}"
    return failed


def contents(folder: Path) -> dict[str, Any]:
    """Return every output as comparable values: columns of tables, keys of JSON, hashes."""
    out: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".csv":
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
            out |= {f"{name}:{column}": tuple(frame[column]) for column in frame}
        elif path.suffix == ".json":
            out |= {f"{name}:{key}": value for key, value in flat(json.loads(path.read_text()))}
        elif path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            digest = hashlib.sha256()
            for key, value in sorted(load_file(path).items()):
                digest.update(key.encode() + value.tobytes())
            out[name] = digest.hexdigest()
    return out


def flat(value: Any, key: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of a JSON value with their paths."""
    if isinstance(value, dict):
        return [pair for k, v in value.items() for pair in flat(v, f"{key}.{k}")]
    if isinstance(value, list):
        names = [_name(v) or str(k) for k, v in enumerate(value)]
        return [pair for n, v in zip(names, value, strict=True) for pair in flat(v, f"{key}[{n}]")]
    return [(key, value)]


def _name(record: Any) -> str:
    """Return what a record of a list is of; "" where only its place says so."""
    if not isinstance(record, dict):
        return ""
    known = ("by", "split", "metric", "figure", "experiment", "group", "reference", "seed", "epoch")
    return ",".join(str(record[key]) for key in known if key in record)


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, numbers to nine digits."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    try:
        return bool(np.isclose(float(one), float(other), rtol=1e-9, atol=1e-12, equal_nan=True))
    except (TypeError, ValueError):
        return one == other


def apart(one: Any, other: Any) -> str:
    """Return how far two numbers, or columns of numbers, are apart at most; "" for others."""
    try:
        pairs = np.array([one, other], dtype=float).reshape(2, -1)
    except (TypeError, ValueError):
        return ""
    far = np.abs(pairs[0] - pairs[1])
    worst = int(np.argmax(np.nan_to_num(far)))
    count = int((far > 1e-9).sum())
    return f"{count} of {far.size}, up to {far[worst]:.3g} ({pairs[0, worst]:g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path)
    parser.add_argument("--only", action="append", default=[])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        found = []
        for side, checkout in (("other", asked.other), ("this", HERE)):
            folder = Path(made) / "work"  # the same name for both: paths stand in some tables
            draw(folder)
            (folder / "table-big.csv").write_text((folder / "big.csv").read_text())
            for name, why in run(checkout, folder, asked.only).items():
                print(f"{side}: {name} failed: {why}", flush=True)
            found.append(contents(folder))
            folder.rename(Path(made) / side)
    other, this = found
    print(
        f"{len(set(other) & set(this))} values of both, {len(other)} of the other, {len(this)} here"
    )
    for title, keys in (
        ("only there", set(other) - set(this)),
        ("only here", set(this) - set(other)),
    ):
        for key in sorted({re.sub(r"\[[^]]*\]", "[]", key) for key in keys}):
            print(f"{title}: {key}")
    for key in sorted(set(other) & set(this)):
        if not same(other[key], this[key]):
            shown = apart(other[key], this[key]) or f"{other[key]!s:.60} -> {this[key]!s:.60}"
            print(f"differs: {key}: {shown}")


if __name__ == "__main__":
    main()
