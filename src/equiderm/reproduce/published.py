"""What the paper prints: its tables, the figures of its labelling, and what each of them needs.

Source: Bevan and Atapour-Abarghouei 2022, Detecting Melanoma Fairly, tables 1 to 3, sections 3.4,
4.2 and 4.4 and Figure 4; rows that it does not print are from the logs that its authors released.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """A column of a table of AUROCs: its heading, and the test split and figure of a comparison."""

    name: str
    split: str
    figure: str = "overall"


@dataclass(frozen=True)
class Row:
    """A row of a table of AUROCs.

    Attributes:
        name: As the paper prints it.
        published: The paper's figures by column; empty where the paper has none.
        experiment: The experiment file, without its ending; None for people.
        as_released: The file that follows the released code, where that differs.
        origin: Source of the published figures.
    """

    name: str
    published: Mapping[str, float]
    experiment: str | None = None
    as_released: str | None = None
    origin: str = "paper"

    def file(self, *, as_published: bool) -> str | None:
        """Return the experiment file of the row, without its ending."""
        return (self.as_released or self.experiment) if as_published else self.experiment


@dataclass(frozen=True)
class Trained:
    """A table of the paper whose rows are trained.

    Attributes:
        name: As on the command line.
        title: What it shows.
        folder: Folder of its experiments and runs; "" for those of ISIC.
        needs: Sources without which it cannot run, or only in part: see ``any_of``.
        tests: The source of each test split, where single tests may be missing.
        uses: Sources that change it where they are there.
        columns: Its columns.
        rows: Its rows, the baseline first.
        by: Column of the manifest by which test sets are grouped; None for the one of training.
        any_of: Whether one of ``needs`` is enough for a part of it.
    """

    name: str
    title: str
    folder: str
    needs: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    tests: Mapping[str, str] = field(default_factory=dict[str, str])
    uses: tuple[str, ...] = ()
    by: str | None = None
    any_of: bool = False


@dataclass(frozen=True)
class Labelled:
    """A part of the paper without training: its labelling, or Figure 4."""

    name: str
    title: str
    needs: tuple[str, ...]
    uses: tuple[str, ...] = ()
    any_of: bool = False


@dataclass(frozen=True)
class Labelling:
    """One way to label Fitzpatrick17k, and how often the paper finds it within one type.

    Attributes:
        name: Its name on pages.
        method: A key of `equiderm.tone.METHODS`.
        scheme: A key of `equiderm.tone.SCHEMES`.
        published: By subset, in [0, 1].
        source: Source of the published figures.
    """

    name: str
    method: str
    scheme: str
    published: Mapping[str, float] = field(default_factory=dict[str, float])
    source: str = ""


CONTROL = Row("Baseline, rate matched (ours)", {}, "erm-rate-matched")
GAP = ("3-4", "5-6")  # the paper's gap is the first minus the second
_TYPES = (
    Column("Types 3&4", "test", "3-4"),
    Column("Types 5&6", "test", "5-6"),
    Column("Gap", "test", "gap"),
)


def _by_type(light: float, dark: float) -> dict[str, float]:
    return {"Types 3&4": light, "Types 5&6": dark, "Gap": round(light - dark, 3)}


def _debiased(
    name: str, published: Mapping[str, float], file: str = "", origin: str = "paper"
) -> Row:
    """Return the row of a method, whose file for the released code ends in ``-as-released``."""
    file = file or name.lower()
    return Row(name, published, file, f"{file}-as-released", origin)


def _on_types(
    name: str, title: str, rows: tuple[Row, ...], columns: tuple[Column, ...] = _TYPES
) -> Trained:
    """Return a table of what is trained on types 1 and 2 of Fitzpatrick17k."""
    folder = "fitzpatrick17k"
    return Trained(name, title, folder, needs=(folder,), columns=columns, rows=rows, by="types")


_BASELINE = Row("Baseline", _by_type(0.872, 0.835), "erm")
LOGS = "authors' logs"  # released with the code; the paper does not print these rows

TABLE1 = _on_types(
    "table1",
    "Table 1: trained on skin types 1 and 2 of Fitzpatrick17k, tested on darker ones",
    (
        _BASELINE,
        CONTROL,
        _debiased("LNTL", _by_type(0.8723, 0.8441), origin=LOGS),
        _debiased("TABE", _by_type(0.8776, 0.8490), origin=LOGS),
        _debiased("CLGR", _by_type(0.883, 0.853)),
    ),
)

TABLE3 = _on_types(
    "table3",
    "Table 3: LNTL with and without gradient reversal, on the rows of Table 1",
    (
        _BASELINE,
        _debiased("LNTL", _by_type(0.873, 0.834)),
        _debiased("LNTL*, no reversal", _by_type(0.867, 0.829), "lntl-no-reversal"),
    ),
)

BACKBONES = _on_types(
    "backbones",
    "Section 3.4: five backbones without debiasing, on the rows of Table 1",
    (
        Row("Baseline, ResNeXt-101", _BASELINE.published, "erm"),
        Row("EfficientNet-B3", {}, "erm-efficientnet-b3"),
        Row("ResNet-101", {}, "erm-resnet101"),
        Row("DenseNet-161", {}, "erm-densenet161"),
        Row("Inception-v3", {}, "erm-inception-v3"),
    ),
    columns=(Column("Types 3 to 6", "test"), *_TYPES),
)

HEADS = _on_types(
    "heads",
    "Section 4.4: bias heads of one layer and of two, on the rows of Table 1",
    (
        _BASELINE,
        *(
            row
            for name in ("LNTL", "TABE", "CLGR")
            for row in (
                next(row for row in TABLE1.rows if row.name == name),
                _debiased(f"{name}, deeper head", {}, f"{name.lower()}-deep"),
            )
        ),
    ),
)

_TESTS = (
    Column("Atlas, dermoscopic", "test-atlas-dermoscopic"),
    Column("Atlas, clinical", "test-atlas-clinical"),
    Column("Asan, clinical", "test-asan"),
    Column("MClass, dermoscopic", "test-mclass-d"),
    Column("MClass, clinical", "test-mclass-c"),
)


def _by_test(*figures: float) -> dict[str, float]:
    return {column.name: value for column, value in zip(_TESTS, figures, strict=True)}


TABLE2 = Trained(
    name="table2",
    title="Table 2: trained on ISIC 2017 and 2020 with computed bands, tested elsewhere",
    folder="",
    needs=("isic2017", "isic2020"),
    tests={
        "test-atlas-dermoscopic": "atlas",
        "test-atlas-clinical": "atlas",
        "test-asan": "asan",
        "test-mclass-d": "mclass-d",
        "test-mclass-c": "mclass-c",
    },
    uses=("isic2018", "isic2019"),
    any_of=True,
    columns=_TESTS,
    rows=(
        Row("Dermatologists", {"MClass, dermoscopic": 0.671, "MClass, clinical": 0.769}),
        Row("Baseline", _by_test(0.819, 0.616, 0.768, 0.853, 0.744), "erm"),
        CONTROL,
        _debiased("LNTL", _by_test(0.803, 0.608, 0.765, 0.858, 0.787)),
        _debiased("TABE", _by_test(0.825, 0.707, 0.809, 0.865, 0.859)),
        _debiased("CLGR", _by_test(0.820, 0.641, 0.740, 0.918, 0.771)),
    ),
)

LABELLING = Labelled(
    name="labelling",
    title="Sections 4.2 and 4.4: computed bands against the types that people judged",
    needs=("fitzpatrick17k",),
)

FIGURE4 = Labelled(
    name="figure4",
    title="Figure 4: bands of the ISIC training data",
    needs=("isic2017", "isic2020"),
    uses=("atlas", "asan", "mclass-d", "mclass-c", "isic2018", "isic2019"),
    any_of=True,
)

TABLES: dict[str, Trained | Labelled] = {
    table.name: table for table in (TABLE1, TABLE2, TABLE3, LABELLING, FIGURE4, BACKBONES, HEADS)
}
STAND_IN = "ham10000"  # trains with ISIC 2017 in place of the training archives, on request
STAND_IN_FOLDER = "stand-in"  # its experiments: a small network that a laptop can train

# The neoplastic subset's predictions came with the released code; the other figures are printed.
LABELLINGS = (
    Labelling(
        "Patch-max as published, one-argument arctangent",
        "patch-max-arctan",
        "paper",
        {"all": 0.6061, "neoplastic": 0.648},
        "section 4.2; neoplastic: the predictions stored with the released code",
    ),
    Labelling("Patch-max, corrected arctangent", "patch-max", "paper"),
    Labelling("The whole image", "whole", "paper", {"all": 0.5609}, "section 4.4"),
    Labelling(
        "Groh's YCbCr mask",
        "ycbcr",
        "paper",
        {"all": 0.5330},
        "section 4.2, after Groh et al. 2021",
    ),
    Labelling(
        "Groh's YCbCr mask, his empirical bands",
        "ycbcr",
        "groh",
        {"all": 0.7038},
        "section 4.2, after Groh et al. 2021; its cuts were chosen on these images",
    ),
)
METHODS_OF_FIGURE4 = ("patch-max-arctan", "patch-max")
ISIC_IMAGES = 35_574  # as the paper counts its training images

# Figure 4 by band: per cent, and the images of each bar (35,574 in total).
# Source: the authors' own plot of it, `isic_fitz.pdf` among their archived plots.
FIGURE4_SHARES: Mapping[str, tuple[float, int]] = {
    "1": (70.59, 25_113),
    "2": (9.02, 3_208),
    "3": (6.02, 2_140),
    "4": (2.79, 991),
    "5": (1.80, 641),
    "6": (9.79, 3_481),
}


# Seconds per epoch on two Titan RTX together: the baseline, and a method with a bias head.
# Source: the authors' own logs; the baseline on ISIC at the images per second of the first.
EPOCH_SECONDS = {"fitzpatrick17k": (27, 53), "": (417, 895)}
EPOCHS = {"fitzpatrick17k": 30, "": 4}


def gpu_hours(tables: Iterable[Trained | Labelled]) -> float:
    """Return the hours that one seed of the tables takes, rows that they share counted once.

    Every backbone counts as ResNeXt-101, the largest.
    """
    rows = {
        (table.folder, row.experiment)
        for table in tables
        if isinstance(table, Trained)
        for row in table.rows
        if row.experiment is not None
    }
    seconds = [
        EPOCHS[folder] * EPOCH_SECONDS[folder][not name.startswith("erm")] for folder, name in rows
    ]
    return sum(seconds) / 3600


def sources_of(
    table: Trained | Labelled, *, as_published: bool = False, stand_in: bool = False
) -> tuple[str, ...]:
    """Return every source that a table needs or uses, those it needs first.

    ISIC 2019 is used only where the released code is followed: it holds what that calls 2017.
    HAM10000 is used only where it may stand in for a training archive.
    """
    tests = table.tests.values() if isinstance(table, Trained) else ()
    uses = [source for source in table.uses if as_published or source != "isic2019"]
    stands = (STAND_IN,) if stand_in and table.any_of else ()
    return tuple(dict.fromkeys((*table.needs, *stands, *tests, *uses)))
