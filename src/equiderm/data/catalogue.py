"""All sources as a table, and as the documentation page made from their docstrings."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

from equiderm.data import SOURCES, get_release
from equiderm.data.manifest import Columns
from equiderm.data.sources.release import Release
from equiderm.format import count, data_size

# Images of each source when its download is complete. In Fitzpatrick17k 41 rows have no URL; for
# ISIC 2018 and 2019 the training part is enough, for Asan the images that the paper tests on.
WHOLE = {
    "isic2017": 2750,
    "isic2018": 10_015,
    "isic2019": 25_331,
    "isic2020": 33_126,
    "isic2024": 401_059,
    "fitzpatrick17k": 16_536,
    "mclass-d": 100,
    "mclass-c": 100,
    "atlas": 2022,
    "asan": 852,
    "ham10000": 10_015,
    "ddi": 656,
    "pad-ufes-20": 2298,
    "scin": 10_379,
    "mskcc": 4879,
    "milk10k": 10_480,
    "bcn20000": 18_946,
    "ph2": 200,
    "med-node": 170,
}


def fragment(source: str, images: int) -> str:
    """Return how much of a source is there, such as ``isic2020: 5 of 33,126 images``.

    Empty where it is complete, and where the full number is not known.
    """
    whole = WHOLE.get(source, 0)
    return "" if images >= whole else f"{source}: {count(images)} of {count(whole)} images"


def catalogue() -> list[dict[str, Any]]:
    """Return one row per source: name, images, patients, bytes, licence, access and purpose.

    ``premalignant`` is what its actinic keratoses count as unless asked otherwise; None where it
    has none.
    """
    rows: list[dict[str, Any]] = []
    for name in SOURCES:
        release = get_release(name)
        rows.append(
            {
                "source": name,
                "images": release.images,
                "patients": release.patients,
                "bytes": release.bytes,
                "licence": release.licence,
                "access": access(release),
                "purpose": release.purpose,
                "premalignant": premalignant(release),
            }
        )
    return rows


def access(release: Release) -> str:
    """Return how the release comes: fetch, partly, or by hand."""
    if not release.files:
        return "by hand"
    return "partly" if release.by_hand else "fetch"


def premalignant(release: Release) -> str | None:
    """Return what the release's actinic keratoses count as by default; None if it has none."""
    if "premalignant" not in release.labels.values():
        return None
    return str(inspect.signature(release.read).parameters["premalignant"].default)


def decided() -> str:
    """Return, as a sentence, what actinic keratoses count as and in which sources there are any."""
    of = {row["source"]: row["premalignant"] for row in catalogue() if row["premalignant"]}
    defaults = " or ".join(sorted(set(of.values())))
    return (
        "Actinic keratosis, and a class that mixes it with carcinoma in situ, counts as "
        f"{defaults} unless --premalignant says otherwise; it is in {', '.join(of)}."
    )


def markdown() -> str:
    """Return docs/datasets.md: the table, a section per source, and the manifest's columns."""
    head = [
        "# Data sets",
        "",
        "<!-- Written by `equiderm datasets --markdown`; change the adapters, not this page. -->",
        "",
        "No image is part of this package. A source is read from the files its owner ships, by",
        "`equiderm manifest SOURCE DIR -o manifest.parquet`. Sizes are rounded. Section 4",
        "and Table 2 are the paper's. The licence is the owner's; read it before you download.",
        *textwrap.wrap(decided(), 98, break_on_hyphens=False),
        "",
        "| source | images | patients | size | licence | access | for |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in catalogue():
        images, patients = (count(row[key] or None) for key in ("images", "patients"))
        cells = [f"[{row['source']}](#{row['source']})", images, patients, data_size(row["bytes"])]
        cells += [str(row[key]) for key in ("licence", "access", "purpose")]
        head.append(f"| {' | '.join(cells)} |")
    sections = [_section(get_release(name)) for name in SOURCES]
    return "\n".join([*head, "", *sections, _columns()])


def _section(release: Release) -> str:
    text = inspect.cleandoc(release.read.__doc__ or "")
    first, _, rest = text.replace("``", "`").partition("\n\n")
    lines = [f"({release.name})=", "", f"## {release.name}", "", first, ""]
    for entry in _entries(rest):
        key, _, value = entry.partition(": ")
        lines += _wrap(f"- **{key}:** {value}")
    if release.labels:
        groups: dict[str, list[str]] = {}
        for diagnosis, label in release.labels.items():
            groups.setdefault(label, []).append(f"`{diagnosis}`")
        label_map = "; ".join(f"{label}: {', '.join(names)}" for label, names in groups.items())
        lines += _wrap(f"- **Label map:** {label_map}")
    lines += [f"- **Licence:** {release.licence}."]
    if release.citation:
        lines += _wrap(f"- **Cite:** {release.citation}.")
    if release.page:
        lines += [f"- **Page:** <{release.page}>"]
    if release.by_hand:
        lines += _wrap(f"- **By hand:** {release.by_hand}")
    return "\n".join([*lines, ""])


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, 98, subsequent_indent="  ", break_on_hyphens=False)


def _entries(text: str) -> list[str]:
    """Return the ``Key: text`` paragraphs of a docstring, each on one line."""
    entries: list[str] = []
    for line in text.splitlines():
        key, colon, _ = line.partition(": ")
        if colon and key[:1].isupper() and len(key) <= 20:
            entries.append(line)
        else:
            entries[-1] += f" {line}"
    return entries


def _columns() -> str:
    lines = [
        "## Columns of the manifest",
        "",
        "One row per image. A value that the source does not give is empty. Columns of a source",
        "may follow; columns that give the answer away may not.",
        "",
        "| column | what a cell holds |",
        "|---|---|",
    ]
    for name, field in Columns.model_fields.items():
        lines.append(f"| `{name}` | {field.description} |")
    return "\n".join([*lines, ""])
