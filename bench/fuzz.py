"""Damaged and hostile files through everything that reads one, for as long as is wanted.

    python bench/fuzz.py [--minutes 10] [--seed 0] [--only images,tables] [--keep FOLDER]
    python bench/fuzz.py --one tables:1234    # one case again, with its traceback

Good files of every kind are made here, then changed: bytes flipped, cut, doubled, swapped, and
values replaced by what is known to hurt (numbers of 400 digits, NaN, nesting of 5,000, lone
surrogates). What a reader may answer is a result, an error row or `InputError`. Anything else is a
finding: another exception, a process that dies, one that computes for longer than 30 s. Each case
is known by its kind and number, and is the same every time.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

SLOW = 30  # s; longer is a finding
BATCH = 200  # cases a process; what one of them leaks ends with it
MEMORY = 6 << 30  # bytes of address space; beyond it an allocation fails as on a small machine
NESTED = 5_000
HURTFUL: list[Any] = [
    None, True, -1, 0, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", "NaN", "\ud800", "\0",
    "x" * 70_000, [], {}, [[]], {"": None}, "9" * 400, "../../x", "<script>", "=1", "\u202e",
]  # fmt: skip
WORDS = [
    b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\n", b"\r", b'"', b",",
    b"'", b"NaN", b"1e999", b"-", b"=", b"[" * NESTED, b'{"a":' * NESTED, b"9" * 400,
    b"\xed\xa0\x80", b"\xef\xbb\xbf", b"PAR1", b"\x1f\x8b", b"\x1b[31m",
]  # fmt: skip
Seeds = list[tuple[str, bytes]]  # a name and what the file holds


def flip(rng: random.Random, raw: bytes) -> bytes:
    """Return bytes with one to eight small changes, most of them near the start."""
    body = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        size = max(len(body), 1)
        place = rng.randrange(min(size, rng.choice((64, 512, size))))
        kind = rng.randrange(7)
        if kind == 0:
            body[place : place + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            body[place : place + 1] = bytes([(body[place] if body else 0) ^ 1 << rng.randrange(8)])
        elif kind == 2:
            word = rng.choice(WORDS)[:9]
            body[place : place + len(word)] = word
        elif kind == 3:
            body[place:place] = rng.choice(WORDS)
        elif kind == 4:
            del body[place : place + rng.choice((1, 4, 50, size))]
        elif kind == 5:
            piece = body[place : place + rng.choice((1, 8, 100))]
            body[place:place] = piece * rng.choice((1, 2, 50))
        else:
            other = rng.randrange(size)
            body[place : place + 4] = body[other : other + 4]
    return bytes(body)


def hurt(rng: random.Random, value: Any) -> Any:
    """Return a JSON value with one of its parts replaced, dropped or nested deeply."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        kept = dict(value)
        if rng.random() < 0.15:
            del kept[key]
        elif rng.random() < 0.05:
            kept[rng.choice(["", "x", "\ud800", "__class__"])] = kept.pop(key)
        else:
            kept[key] = hurt(rng, value[key])
        return kept
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        kind = rng.random()
        rest = [] if kind < 0.1 else [value[place]] * 3 if kind < 0.2 else [hurt(rng, value[place])]
        return [*value[:place], *rest, *value[place + 1 :]]
    return rng.choice(HURTFUL)


def hurt_json(rng: random.Random, raw: bytes) -> bytes:
    """Return JSON whose values or bytes were changed."""
    if rng.random() < 0.3:
        return flip(rng, raw)
    text = json.dumps(hurt(rng, json.loads(raw)))
    if rng.random() < 0.03:
        text = text.replace("0", "[" * NESTED + "]" * NESTED, 1)
    return text.encode("utf-8", "surrogatepass")


def hurt_cells(rng: random.Random, raw: bytes) -> bytes:
    """Return a CSV whose cells, lines or bytes were changed."""
    if rng.random() < 0.4:
        return flip(rng, raw)
    lines = [line.split(b",") for line in raw.split(b"\n")]
    for _ in range(rng.choice((1, 1, 3))):
        line = rng.choice(lines)
        cell = str(rng.choice(HURTFUL)).encode("utf-8", "surrogatepass")
        kind = rng.randrange(6)
        if kind < 3:
            line[rng.randrange(len(line))] = cell
        elif kind == 3:
            line.append(cell)
        elif kind == 4:
            lines.append(list(line))
        else:
            for other in lines[1:]:
                other[min(len(other) - 1, 2)] = cell
    return b"\n".join(b",".join(line) for line in lines)


def flip_packed(rng: random.Random, raw: bytes) -> bytes:
    """Return a file whose bytes were changed, sometimes below its packing."""
    if raw[:2] == b"\x1f\x8b" and rng.random() < 0.5:
        return gzip.compress(hurt_cells(rng, gzip.decompress(raw)), mtime=0)
    return flip(rng, raw) if raw[:4] == b"PAR1" or raw[:2] == b"\x1f\x8b" else hurt_cells(rng, raw)


# What is read, by what, and how its good files are made. -----------------------------------------


def image_seeds(_: Path) -> Seeds:
    """Return a small drawn lesion in every format, plain, transparent, deep and with EXIF."""
    import cv2
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    pixels = np.full((48, 64, 3), (205, 160, 135), np.uint8)
    pixels[16:32, 24:44] = (120, 70, 50)
    pixels = np.clip(pixels + rng.integers(-8, 9, pixels.shape), 0, 255).astype(np.uint8)
    rgb = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    deep = cv2.cvtColor(pixels.astype(np.uint16) * 257, cv2.COLOR_RGB2BGR)
    seeds: Seeds = []

    def add(name: str, image: Image.Image, **options: Any) -> None:
        buffer = io.BytesIO()
        image.save(buffer, **options)
        seeds.append((name, buffer.getvalue()))

    profile = _srgb()
    add("a.jpg", rgb, format="JPEG", exif=exif, icc_profile=profile)
    add("progressive.jpg", rgb, format="JPEG", progressive=True)
    add("cmyk.jpg", rgb.convert("CMYK"), format="JPEG")
    add("a.png", rgb, format="PNG", icc_profile=profile, exif=exif)
    add("alpha.png", rgb.convert("RGBA"), format="PNG")
    add("palette.png", rgb.quantize(16), format="PNG", transparency=3)
    add("gray.png", rgb.convert("L"), format="PNG")
    add("a.tif", rgb, format="TIFF", exif=exif)
    add("lzw.tif", rgb, format="TIFF", compression="tiff_lzw")
    add("cmyk.tif", rgb.convert("CMYK"), format="TIFF")
    add("a.webp", rgb, format="WEBP")
    add("alpha.webp", rgb.convert("RGBA"), format="WEBP", lossless=True)
    add("a.gif", rgb, format="GIF")
    add("a.bmp", rgb, format="BMP")
    add("a.ppm", rgb, format="PPM")
    add("a.jp2", rgb, format="JPEG2000")
    add("a.avif", rgb, format="AVIF")
    for name in (".png", ".tiff"):
        seeds.append((f"deep{name}", cv2.imencode(name, deep)[1].tobytes()))
    real = cv2.imencode(".tiff", deep.astype(np.float32) / 65535)[1].tobytes()
    seeds.append(("float.tiff", real))
    return seeds + _extra_images(rgb, pixels)


def _srgb() -> bytes:
    """Return the bytes of an sRGB profile."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _extra_images(rgb: Any, pixels: Any) -> Seeds:
    seeds: Seeds = []
    try:
        import pillow_heif
        import pillow_jxl  # noqa: F401 registers the format

        pillow_heif.register_heif_opener()
        for name, kind in (("a.heic", "HEIF"), ("a.jxl", "JXL")):
            buffer = io.BytesIO()
            rgb.save(buffer, format=kind)
            seeds.append((name, buffer.getvalue()))
        seeds.append(("a.dcm", _dicom(pixels)))
    except ImportError:
        print("without the extras heic, jxl, dicom: their formats are not tried", file=sys.stderr)
    return seeds


def _dicom(pixels: Any) -> bytes:
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, VLPhotographicImageStorage

    about = FileMetaDataset()
    about.TransferSyntaxUID = ExplicitVRLittleEndian
    about.MediaStorageSOPClassUID = VLPhotographicImageStorage
    about.MediaStorageSOPInstanceUID = "1.2.3"
    data = FileDataset("", {}, file_meta=about, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = VLPhotographicImageStorage, "1.2.3"
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel, data.PhotometricInterpretation = 3, "RGB"
    data.PlanarConfiguration = data.PixelRepresentation = 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
    data.PixelData = pixels.tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue()


def read_image(path: Path) -> None:
    """Measure a photograph as a worker of `label` does; its row must hold numbers or a reason."""
    from equiderm.tone.estimators import get_method
    from equiderm.tone.label import Measuring, Settings, label_one
    from equiderm.tone.scales import get_scheme

    settings = Settings("robust", "paper", False, None)
    row = label_one(
        (str(path), None), Measuring(settings, get_method("robust"), get_scheme("paper"))
    )
    assert row["error"] or row["ita"] is None or abs(row["ita"]) <= 180, row


def table_seeds(_: Path) -> Seeds:
    """Return tables of predictions and of tones in every form."""
    import pandas as pd

    rows = range(60)
    frame = pd.DataFrame(
        {
            "image_id": [f"i{row:03d}" for row in rows],
            "patient_id": [f"p{row // 2}" for row in rows],
            "ita": [55.5 - row for row in rows],
            "fitzpatrick_type": [1 + row % 6 for row in rows],
            "target": [row % 3 == 0 for row in rows],
            "score": [(row * 7 % 60) / 60 for row in rows],
            "split": ["train" if row % 2 else "test" for row in rows],
        }
    )
    frame["target"] = frame["target"].astype(int)
    csv = frame.to_csv(index=False)
    jsonl = frame.to_json(orient="records", lines=True) or ""
    parquet = io.BytesIO()
    frame.to_parquet(parquet)
    lists = io.BytesIO()
    frame.assign(patch_ita=[[1.0, 2.0]] * 60).to_parquet(lists)
    return [
        ("t.csv", csv.encode()),
        ("t.tsv", csv.replace(",", "\t").encode()),
        ("semicolon.csv", csv.replace(",", ";").replace(".", ",").encode()),
        ("utf16.csv", csv.encode("utf-16")),
        ("t.csv.gz", gzip.compress(csv.encode(), mtime=0)),
        ("t.jsonl", jsonl.encode()),
        ("array.jsonl", json.dumps(frame.to_dict("records")).encode()),
        ("t.parquet", parquet.getvalue()),
        ("lists.parquet", lists.getvalue()),
    ]


def read_any_table(path: Path) -> None:
    """Read a table as it is read for each of the commands that take one."""
    from equiderm.agreement.tables import agree_tables, compare_tables
    from equiderm.audit import Options, audit
    from equiderm.data.manifest import conform
    from equiderm.errors import InputError
    from equiderm.photo.walk import find_images
    from equiderm.tables import read_table, write_table
    from equiderm.tone.scales import assign_bands

    frame = read_table(path)
    write_table(frame, path.with_name("again.csv"))
    write_table(frame, path.with_name("again.parquet")) if len(frame.columns) else None
    uses: tuple[Callable[[], object], ...] = (
        lambda: find_images([str(path)]),
        lambda: conform(frame.assign(path=".", source="x")),
        lambda: assign_bands(frame, "monk"),
        lambda: audit(frame, by=["fitzpatrick_type"], options=Options(replicates=20)),
        lambda: compare_tables([path], label_columns=["ita", "fitzpatrick_type"]),
        lambda: agree_tables(path, path, truth_columns=["fitzpatrick_type"], patient="patient_id"),
    )
    for use in uses:
        try:
            use()
        except InputError as error:
            _check_sentence(str(error))


def scheme_seeds(_: Path) -> Seeds:
    """Return fitted schemes of both kinds, and palettes."""
    import numpy as np
    import pandas as pd

    from equiderm.agreement.tables import calibrate_tables

    rng = np.random.default_rng(0)
    ita = rng.uniform(-40, 70, 240)
    judged = np.clip(np.round((70 - ita) / 20 + rng.normal(0, 0.5, 240)), 1, 6).astype(int)
    frame = pd.DataFrame({"image": range(240), "ita": ita, "b": ita / 2 + rng.normal(0, 3, 240)})
    frame["fitzpatrick_type"] = judged
    frame["patient_id"] = [f"p{row % 60}" for row in range(240)]
    seeds: Seeds = [
        ("palette.json", b'{"one": "#f6ede4", "two": "#a07e56", "three": "#292420"}'),
        ("swatches.json", b'["#f6ede4", "#a07e56", "#292420"]'),
    ]
    for columns in (["ita"], ["ita", "b"]):
        fit = calibrate_tables(
            frame, truth_columns=["fitzpatrick_type"], columns=columns, patient="patient_id"
        )
        seeds.append((f"{len(columns)}.json", json.dumps(fit.scheme.to_json()).encode()))
    return seeds


def read_scheme(path: Path) -> None:
    """Load a scheme and band angles with it."""
    import numpy as np
    import pandas as pd

    from equiderm.tone.scales import assign_bands, get_scheme

    get_scheme(str(path))
    ita = np.array([50.0, -20.0, np.nan])
    assign_bands(pd.DataFrame({"image": list("abc"), "ita": ita, "b": ita}), str(path))


def experiment_seeds(_: Path) -> Seeds:
    """Return the project's own experiment files."""
    folder = Path(__file__).parents[1] / "experiments"
    return [(path.name, path.read_bytes()) for path in sorted(folder.glob("*.toml"))]


def hurt_toml(rng: random.Random, raw: bytes) -> bytes:
    """Return TOML whose values or bytes were changed."""
    if rng.random() < 0.4:
        return flip(rng, raw)
    lines = raw.decode().split("\n")
    places = [place for place, line in enumerate(lines) if "=" in line]
    values = [
        "9" * 400, "1e999", "nan", "-inf", "-1", "0", '"x"', "[]", "{}", "true", '"\\ud800"',
        "[" * NESTED + "]" * NESTED, '"' + "x" * 9999 + '"', "1979-05-27",
        "0x10", "1_0", "''", '"\\u0000"',
    ]  # fmt: skip
    for place in rng.sample(places, min(len(places), rng.choice((1, 1, 2)))):
        lines[place] = f"{lines[place].split('=')[0]}= {rng.choice(values)}"
    return "\n".join(lines).encode()


def read_toml(path: Path) -> None:
    """Read an experiment, and write it out again."""
    from equiderm.training.experiment import read_experiment

    read_experiment(path).to_toml()


def agreement_seeds(_: Path) -> Seeds:
    """Return the JSON of an agreement, and shares of types."""
    import numpy as np

    from equiderm.agreement.agreement import measure_agreement

    rng = np.random.default_rng(0)
    truth = rng.integers(1, 7, 120).astype(float)
    answer = np.clip(truth + rng.integers(-1, 2, 120), 1, 6)
    body = json.dumps(measure_agreement(truth, answer, range(1, 7)).to_json()).encode()
    return [("agreement.json", body), ("shares.json", b"[0.3, 0.4, 0.2, 0.06, 0.03, 0.01]")]


def read_agreement(path: Path) -> None:
    """Read the confusion of an agreement as `audit --confusion` does, and shares as calibrate."""
    from equiderm.agreement.calibrate import read_target
    from equiderm.errors import InputError
    from equiderm.statistics.confusion import read_confusion

    try:
        read_target(str(path), range(1, 7))
    except InputError as error:
        _check_sentence(str(error))
    read_confusion(path)


def audit_seeds(_: Path) -> Seeds:
    """Return the JSON of an audit."""
    import pandas as pd

    from equiderm.audit import Options, audit

    rows = range(200)
    frame = pd.DataFrame(
        {
            "image_id": [f"i{row}" for row in rows],
            "patient_id": [f"p{row // 2}" for row in rows],
            "tone": [f"t{row % 3}" for row in rows],
            "target": [int(row % 4 == 0) for row in rows],
            "score": [(row * 37 % 200) / 200 for row in rows],
        }
    )
    made = audit(frame, by=["tone"], options=Options(replicates=20))
    return [("audit.json", made.to_json().encode())]


def read_audit(path: Path) -> None:
    """Read an audit and everything that it offers."""
    from equiderm.audit import Audit

    saved = Audit.from_json(path)
    saved.tables(), saved.answer(), saved.verdict(), repr(saved), saved._repr_html_()


def _trained(folder: Path) -> Path:
    """Return the folder of a small finished run."""
    import numpy as np
    import pandas as pd

    from equiderm.training import ArrayImages, experiment_from, fit

    run = folder / "trained"
    if not (run / "model.safetensors").exists():
        names = [f"i{row}" for row in range(24)]
        frame = pd.DataFrame({"image_id": names, "patient_id": names, "split": "train"})
        frame = frame.assign(
            target=[row % 2 for row in range(24)], ita_band=[str(row % 3) for row in range(24)]
        )
        pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), np.uint8)
        experiment = experiment_from(
            {
                "backbone": {"name": "test_resnet", "weights": "random"},
                "data": {"group": "ita_band", "size": 32},
                "training": {"epochs": 1, "batch_size": 8, "tracker": "none"},
                "validation": {"figure": "none"},
            }
        )
        fit(experiment, frame, run, images=ArrayImages(pixels, names))
    return run


def run_seeds(folder: Path) -> Seeds:
    """Return the files of a finished run; the others stand beside the one that is changed."""
    run = _trained(folder)
    return [
        (name, (run / name).read_bytes())
        for name in ("run.json", "experiment.toml", "model.safetensors")
    ]


def read_run(path: Path) -> None:
    """Load a run of which one file was changed."""
    from equiderm.training import load_run

    run = path.parents[1] / "trained"
    for name in ("run.json", "experiment.toml", "model.safetensors"):
        if name != path.name:
            (path.parent / name).write_bytes((run / name).read_bytes())
    repr(load_run(path.parent))


def store_seeds(folder: Path) -> Seeds:
    """Return the files of a finished store."""
    import pandas as pd
    from PIL import Image

    from equiderm.data.images import build_store

    home = folder / "stored"
    (home / "in").mkdir(parents=True, exist_ok=True)
    names = [f"i{row}" for row in range(6)]
    paths = [home / "in" / f"{name}.png" for name in names]
    for row, path in enumerate(paths):
        if not path.exists():
            Image.new("RGB", (40, 40), (205, 160 - row, 135)).save(path)
    frame = pd.DataFrame({"image_id": names, "path": list(map(str, paths))})
    frame.to_parquet(home / "frame.parquet")
    build_store(frame, home / "store", size=16, workers=1)
    files = sorted(path for path in (home / "store").iterdir() if path.is_file())
    return [(path.name, path.read_bytes()) for path in files if not path.name.endswith(".lock")]


def read_store(path: Path) -> None:
    """Open, check and build on a store of which one file was changed; its pixels must be right."""
    import pandas as pd

    from equiderm.data.images import ImageStore, build_store
    from equiderm.errors import InputError

    home = path.parents[1] / "stored"
    for file in (home / "store").iterdir():
        if file.is_file() and file.name != path.name:
            (path.parent / file.name).write_bytes(file.read_bytes())
    try:
        store = ImageStore.open(path.parent)
        repr(store), store.rows(["i1"])
        store.verify()
    except InputError as error:
        _check_sentence(str(error))
    frame = pd.read_parquet(home / "frame.parquet")
    build_store(frame, path.parent, size=16, workers=1)[0].verify()


def features_seeds(_: Path) -> Seeds:
    """Return features in each form."""
    import numpy as np
    import pandas as pd

    names = [f"i{row}" for row in range(12)]
    values = np.arange(36, dtype=np.float32).reshape(12, 3)
    wide = pd.DataFrame(values, columns=list("abc")).assign(image_id=names)
    buffers = [io.BytesIO() for _ in range(3)]
    np.savez(buffers[0], image_id=np.array(names), features=values)
    wide.to_parquet(buffers[1])
    pd.DataFrame({"image_id": names, "features": list(values)}).to_parquet(buffers[2])
    rest = [("f.npz", buffers[0]), ("wide.parquet", buffers[1]), ("lists.parquet", buffers[2])]
    return [("f.csv", wide.to_csv(index=False).encode())] + [(n, b.getvalue()) for n, b in rest]


def read_features(path: Path) -> None:
    """Read features."""
    from equiderm.training.features import read_features as read

    repr(read(path))


Target = tuple[
    Callable[[Path], Seeds], Callable[[random.Random, bytes], bytes], Callable[[Path], None]
]
TARGETS: dict[str, Target] = {
    "images": (image_seeds, flip, read_image),
    "tables": (table_seeds, flip_packed, read_any_table),
    "schemes": (scheme_seeds, hurt_json, read_scheme),
    "experiments": (experiment_seeds, hurt_toml, read_toml),
    "agreements": (agreement_seeds, hurt_json, read_agreement),
    "audits": (audit_seeds, hurt_json, read_audit),
    "runs": (run_seeds, lambda r, b: (hurt_json if b[:1] == b"{" else flip)(r, b), read_run),
    "stores": (store_seeds, lambda r, b: (hurt_json if b[:1] == b"{" else flip)(r, b), read_store),
    "features": (features_seeds, flip_packed, read_features),
}


def _check_sentence(text: str) -> None:
    """Raise AssertionError where an error is no sentence, or one that nobody would read."""
    assert text.endswith((".", "?", "`", ")")) and len(text) < 2_000, f"no sentence: {text[:300]!r}"


def case(kind: str, number: int, folder: Path, seeds: Seeds) -> Path:
    """Write one case and return its path."""
    import shutil

    rng = random.Random(f"{kind}:{number}")
    name, raw = seeds[number % len(seeds)]
    place = folder / "case"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / name).write_bytes(TARGETS[kind][1](rng, raw))
    return place / name


def attempt(kind: str, path: Path) -> str:
    """Return how a case ended: ``read``, ``refused``, or the exception of a finding."""
    from equiderm.errors import InputError

    try:
        TARGETS[kind][2](path)
    except InputError as error:
        _check_sentence(str(error))
        return "refused"
    return "read"


def child(kind: str, first: int, folder: Path) -> None:
    """Try a batch of cases; print the number of each before it, and how it ended after."""
    import resource

    warnings.simplefilter("ignore")
    sys.set_int_max_str_digits(4300)
    seeds = TARGETS[kind][0](folder)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(first, first + BATCH):
        print(number, flush=True)
        path = case(kind, number, folder, seeds)
        start = time.process_time()  # however busy the machine is
        try:
            ended = attempt(kind, path)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)
            ours = [f for f in where if "equiderm" in f.filename] or where
            reason = str(error).partition("\n")[0][:120]
            place = f"{ours[-1].name} ({Path(ours[-1].filename).name})"
            ended = f"{type(error).__name__} in {place}: {reason}"
        if time.process_time() - start > SLOW:
            ended = f"slow: {time.process_time() - start:.0f} s"
        print(f" {ended!r}", flush=True)


def batch(kind: str, first: int, folder: Path) -> list[tuple[int, str]]:
    """Return how each case of a batch ended, the last that of a process that died."""
    command = [sys.executable, __file__, "--child", f"{kind}:{first}", "--folder", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    log = folder / "child.log"
    with log.open("w") as file:
        try:
            status = subprocess.run(
                command, stdout=file, stderr=subprocess.STDOUT, env=environment, timeout=BATCH * 4
            ).returncode
        except subprocess.TimeoutExpired:
            status = "time-out"
    lines = log.read_text(errors="replace").splitlines()
    ended: list[tuple[int, str]] = []
    for line in lines:
        if line.isdigit():
            ended.append((int(line), f"its process ended ({status}): {lines[-1][:100]}"))
        elif line.startswith((" '", ' "')) and ended:
            ended[-1] = (ended[-1][0], line.strip()[1:-1])
    if not ended:
        raise SystemExit("\n".join(lines[-20:]))
    return ended


def main() -> int:
    """Run batches of every kind in turn until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0, help="the first case's number")
    parser.add_argument("--only", default=",".join(TARGETS))
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    parser.add_argument("--one", help="KIND:NUMBER, in this process")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        kind, _, first = given.child.partition(":")
        child(kind, int(first), given.folder)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.one:
            kind, _, number = given.one.partition(":")
            path = case(kind, int(number), folder, TARGETS[kind][0](folder))
            print(path.name, path.read_bytes()[:300])
            print(attempt(kind, path))
            return 0
        return _fuzz(folder, given)


def _fuzz(folder: Path, given: argparse.Namespace) -> int:
    until = time.monotonic() + 60 * given.minutes
    tried: dict[str, Counter[str]] = {kind: Counter() for kind in given.only.split(",")}
    found: dict[tuple[str, str], list[int]] = {}
    first = dict.fromkeys(tried, given.seed)
    while time.monotonic() < until:
        for kind in tried:
            ended = batch(kind, first[kind], folder)
            first[kind] = ended[-1][0] + 1
            for number, how in ended:
                tried[kind][how if how in ("read", "refused") else "finding"] += 1
                if how not in ("read", "refused"):
                    numbers = found.setdefault((kind, how), [])
                    numbers.append(number)
                    if len(numbers) == 1:
                        print(f"{kind}:{number}: {how}", flush=True)
                        _keep(kind, number, folder, given.keep)
    for kind, counts in tried.items():
        print(f"{kind}: {sum(counts.values()):,} cases, {dict(counts)}")
    for (kind, how), numbers in found.items():
        print(f"{len(numbers):5} x {kind}:{numbers[0]}: {how}")
    return 1 if found else 0


def _keep(kind: str, number: int, folder: Path, keep: Path | None) -> None:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        path = case(kind, number, folder, TARGETS[kind][0](folder))
        (keep / f"{kind}-{number}-{path.name}").write_bytes(path.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
