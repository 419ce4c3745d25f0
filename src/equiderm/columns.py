"""Columns as people write them, read as numbers, types and the manifest's terms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from equiderm.errors import InputError
from equiderm.tables import MISSING_WORDS, columns_by_name

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "X": 10}
_TYPE_WORDS = re.compile(
    r"^(?:(?:fitzpatrick|photo|skin|photo-?types?|types?|tones?|bands?|scale|between|foto-?tipo|"
    r"tipo|hauttyp|typ|fst|spt|fp|f|monk|mst)[\s_:.-]*)+",
    re.IGNORECASE,
)
_DASH = "[-\u2010-\u2015\u2212]"
_CODED = re.compile(r"([0-9]{1,2})\s*[.:=)]\s*([^0-9\s].*)")  # "3. Type III", as Stata writes
_DECIMAL = re.compile(r"[0-9]{1,2},[05]0*")  # a type as a number with a decimal comma
_MONTHS = "jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
_RANGE = rf"{_DASH}|/|\bTO\b|\bTHROUGH\b|\bBIS\b"
_BETWEEN_TYPES = re.compile(rf"\s*(?:{_RANGE}|_|,|;|\||\+|&|\bOR\b|\bAND\b)\s*")
_DECIMAL_COMMA = r"^\s*([-+]?[0-9]*),([0-9]+(?:[eE][-+]?[0-9]+)?)\s*$"
# What people write where something is not known, besides `MISSING_WORDS`; in lower case.
UNKNOWN_WORDS = frozenset(
    ("-1", "-9", "-99", "-999", "-9999", "99", "999", "9999", "unknown", "unk", "not known",
     "unclear", "nan", "na", "n.a.", "n/a", "#n/a", "none", "null", "missing", "not available",
     "not recorded", "not assessed", "not specified", "not reported", "not applicable", "not sure",
     "unsure", "don't know", "i don't know", "prefer not to say", "prefer not to answer",
     "declined", "none identified", "none_identified", "n.d.", "nr", "unbekannt", "keine angabe",
     "k.a.", "<missing>", "<undefined>", "undefined", "(blank)", "(null)",
     "ungradable", "?", "??", "-", "--", "\u2013", "\u2014", ".")
)  # fmt: skip


# What `equiderm reband --corrections` adds to a table of tones; `corrected_scheme` names the scheme
# of `ita_band_corrected`.
CORRECTION_COLUMNS = (
    "ita_band_corrected", "corrected_by", "corrected_at", "corrected_why", "corrected_scheme",
    "excluded",
)  # fmt: skip
_PATIENT = re.compile(r"(patient|subject|pat)[ _.-]?(id|nr|no|number)?", re.IGNORECASE)
_NINES, _HUGE = re.compile(r"-?9{2,}"), 1e9  # numbers that stand for a missing one
_SEXES = {
    "other": "other", "other_or_unspecified": "other",
    **dict.fromkeys(
        ("female", "f", "fem", "woman", "w", "girl", "frau", "weiblich", "femme", "mujer",
         "féminin", "feminin", "femenino", "feminino"), "female"),
    **dict.fromkeys(
        ("male", "m", "man", "boy", "mann", "männlich", "homme", "hombre", "masculin",
         "masculino"), "male"),
}  # fmt: skip
# "75 years", DICOM's "075Y", "85+" and ">= 85" (at least 85, as ISIC's 85 means, too), "18 months"
_AGE = re.compile(
    r"(?:>=?|\u2265)?\s*([0-9]+(?:\.[0-9]+)?)\s*(?:\+|(?:and|or) (?:over|older|above|more))?\s*"
    r"(?:years?|yrs?|y|y[./ ]?\s?o|jahre?|j|an[s]?|años?|(m|mos?|months?))?\.?(?: old)?",
    re.IGNORECASE,
)
_TRUTH_WORDS = {
    **dict.fromkeys(("true", "yes", "x", "wahr", "ja", "vrai", "1.0"), "1"),
    **dict.fromkeys(("false", "no", "falsch", "nein", "faux", "0.0"), "0"),
}  # as spreadsheets write TRUE and FALSE


def require_column(frame: pd.DataFrame, name: str, where: str) -> pd.Series:
    """Return a column, or raise InputError with the names of the columns."""
    import pandas as pd

    if name not in frame.columns:
        known = ", ".join(map(str, frame.columns))
        raise InputError(f"{where}: has no column '{name}'; its columns are {known}.")
    column: pd.Series | pd.DataFrame = frame[name]
    if isinstance(column, pd.DataFrame):
        raise InputError(f"{where}: has several columns '{name}'; rename all but one.")
    return column


def read_numbers(frame: pd.DataFrame, name: str, where: str) -> NDArray[np.float64]:
    """Return a column of numbers, shape (n,), NaN where empty or a word for a missing number.

    Raises:
        InputError: A cell is not a finite number.
    """
    import pandas as pd

    column = require_column(frame, name, where)
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(float, na_value=np.nan)
    cells = column.astype("string").str.strip()
    cells = cells.mask(cells.isin(MISSING_WORDS) | cells.isin([".", "-"]))
    cells = with_points(cells)
    numbers = np.asarray(
        pd.to_numeric(cells, errors="coerce").to_numpy(float, na_value=np.nan), dtype=np.float64
    )
    wrong = ~np.isfinite(numbers) & cells.notna().to_numpy(bool)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{where}: column '{name}' holds a cell that is not a number "
            f"({short(cells.iloc[row])} in line {row + 2}); name a column of numbers."
        )
    return numbers


def short(cell: object) -> str:
    """Return a cell in quotes for a message, at most its first 40 characters."""
    text = str(cell)
    return f"'{text}'" if len(text) <= 40 else f"'{text[:40]}...'"


def parse_types(text: str) -> tuple[int, ...]:
    """Return the types of a scale written as ``LIGHTEST-DARKEST``, such as ``1-6`` or ``1-10``.

    Example:
        >>> parse_types("1-6")
        (1, 2, 3, 4, 5, 6)
    """
    first, _, last = text.partition("-")
    if not (re.fullmatch("[0-9]{1,3}-[0-9]{1,3}", text) and 1 <= int(last) - int(first) <= 19):
        raise InputError(f"types {text}: write the first and the last type, as in 1-6 or 1-10.")
    return tuple(range(int(first), int(last) + 1))


def read_types(
    column: pd.Series,
    types: Sequence[int],
    where: str,
    *,
    bands: Mapping[str, int] | None = None,
) -> NDArray[np.float64]:
    """Return types as numbers, shape (n,); NaN where the cell is empty or says that it is unknown.

    Understands whole numbers, Roman numerals, words before them (``Type III``, ``FST 3``) and,
    where ``bands`` maps them, the names of a scheme.

    Raises:
        InputError: A cell holds something else, several types, or a type outside the scale.
    """
    sets = read_type_sets(column, types, where, bands=bands)
    counts = sets.sum(axis=1)
    if (counts > 1).any():
        row = int(np.flatnonzero(counts > 1)[0])
        raise InputError(
            f"{where}: column '{column.name}' holds {short(column.iloc[row])} in line {row + 2}, "
            "which is several types where one is needed; ranges are understood in the column of "
            "judged types only."
        )
    return np.where(counts == 1, np.asarray(types, dtype=float)[sets.argmax(axis=1)], np.nan)


def read_type_sets(
    column: pd.Series,
    types: Sequence[int],
    where: str,
    *,
    bands: Mapping[str, int] | None = None,
) -> NDArray[np.bool_]:
    """Return which types each cell allows, shape (n, k); none where it is empty or unknown.

    Unknown is what `UNKNOWN_WORDS` holds, such as -1. A judgement may be a range. Besides what
    `read_types` understands: ``III-IV``, ``3-4``, ``3/4``, ``3 to 4``, ``3 or 5`` (these two),
    ``3.5`` (3 and 4; also ``3,5`` where no comma can mean two judgements), a code before its label
    (``3. Type III``), and the groups ``12``, ``34``, ``56`` where the scale has no such number;
    where all cells are such, ``3/6`` (3 of 6) and the letters A to J of Monk's ten. A remark in
    brackets and a question mark are ignored.

    Args:
        column: Judged types as people write them.
        types: The scale, lightest first, length k.
        where: What to call the table in a message.
        bands: Names that count as a type.

    Raises:
        InputError: A cell holds something else or a type outside the scale.
    """
    import pandas as pd

    text = column.astype("string").str.strip().fillna("")
    codes, cells = pd.factorize(text)
    commas = [str(cell) for cell in cells if re.fullmatch("[0-9]+,[0-9]+", cell)]
    if all(map(_DECIMAL.fullmatch, commas)):  # else "3,4" is what two people judged
        cells = with_points(pd.Series(cells, dtype="string"))
    cells = _of_scale(pd.Series(cells, dtype="string"), types)
    known = {str(cell): types_of_cell(str(cell), types, bands or {}) for cell in cells}
    wrong = np.array([known[str(cell)] is None for cell in cells], dtype=bool)
    if wrong.any():
        rows = np.flatnonzero(wrong[codes])
        first = text.iloc[rows[0]]
        advice = "correct them or choose other types"
        if re.search(
            rf"[0-9]{{4}}-[0-9]|[0-9][-. ]+({_MONTHS})|^({_MONTHS})[a-z.]* [0-9]", first, re.I
        ):
            advice = "spreadsheets turn ranges such as 3-4 into dates: format the column as text"
        raise InputError(
            f"{where}: {len(rows)} cells of column '{column.name}' are not types of the scale "
            f"{types[0]}-{types[-1]}, the first {short(first)} in line {rows[0] + 2}; {advice}."
        )
    place = {kind: position for position, kind in enumerate(types)}
    allowed = np.zeros((len(cells), len(types)), dtype=np.bool_)
    for number, cell in enumerate(cells):
        for kind in known[str(cell)] or ():
            allowed[number, place[kind]] = True
    return allowed[codes]


def _of_scale(cells: pd.Series, types: Sequence[int]) -> pd.Series:
    """Return cells that all say "3/6", for 3 of 6, or all a letter of Monk's A to J, as numbers."""
    given = cells[~cells.str.casefold().isin([*UNKNOWN_WORDS, ""])]
    of = given.str.extract(rf"^\s*([0-9]{{1,2}})\s*/\s*{types[-1]}\s*$")[0]
    if of.notna().all() and (of.astype("float64") < types[-1] - 1).any():
        return cells.str.replace(r"\s*/.*", "", regex=True)
    letters = given.str.extract(r"(?i)^(?:monk|mst)?[\s_-]*([A-J])$")[0].str.upper()
    if len(types) == 10 and letters.notna().all() and (letters != "I").any():
        numbers = {letter: str(number) for letter, number in zip("ABCDEFGHIJ", types, strict=True)}
        return cells.mask(letters.reindex(cells.index).notna(), letters.map(numbers))
    return cells


def types_of_cell(
    cell: str, types: Sequence[int], bands: Mapping[str, int]
) -> tuple[int, ...] | None:
    """Return the types that a cell means, empty where it is missing; None for anything else.

    Args:
        cell: What people wrote; see `read_type_sets`.
        types: The scale, lightest first.
        bands: Names that count as a type.
    """
    if cell in bands:
        return (bands[cell],)
    cell = unicodedata.normalize("NFKC", cell.replace("½", ".5")).strip()
    if cell in MISSING_WORDS or cell.removesuffix(".0").casefold() in UNKNOWN_WORDS:
        return ()
    if coded := _CODED.fullmatch(cell):
        code, label = (types_of_cell(part, types, bands) for part in coded.groups())
        return label if not label or label == code else None
    if remark := re.fullmatch(r"(.*[^\s(])\s*\(([^()]*)\)", cell):
        outside, inside = (types_of_cell(part, types, bands) for part in remark.groups())
        return outside if not inside or inside == outside else None
    cell = re.sub(r"[][(){}'\"?]", " ", cell).strip().rstrip(".")
    bare = _TYPE_WORDS.sub("", cell).strip().upper()
    if not cell or bare.casefold() in UNKNOWN_WORDS:  # "(?)", "type unknown"
        return ()
    single = _one_type(bare)
    if single is not None:
        wanted = _from_number(single, types)
    else:
        ends = [_one_type(_TYPE_WORDS.sub("", part).strip()) for part in _BETWEEN_TYPES.split(bare)]
        if len(ends) < 2 or any(end is None or end % 1 for end in ends):
            return None
        numbers = [int(end) for end in ends if end is not None]
        between = re.search(_RANGE, bare) is not None and len(numbers) == 2
        wanted = tuple(range(min(numbers), max(numbers) + 1)) if between else tuple(numbers)
    return wanted if wanted and set(wanted) <= set(types) else None


def _one_type(text: str) -> float | None:
    if text in ROMAN:
        return float(ROMAN[text])
    return float(text) if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", text) else None


def _from_number(number: float, types: Sequence[int]) -> tuple[int, ...]:
    if number % 1:  # between two types: it may be either
        return (int(number), int(number) + 1)
    tens, ones = divmod(int(number), 10)
    if int(number) not in types and ones == tens + 1:  # DDI's 12, 34 and 56
        return (tens, ones)
    return (int(number),)


def names_patients(column: str) -> bool:
    """Return whether a column seems to name patients, in another way than ``patient_id``."""
    return column != "patient_id" and _PATIENT.fullmatch(column.strip()) is not None


def doubtful_patients(column: pd.Series) -> list[tuple[str, int]]:
    """Return patient ids that may mean "not known", with their image counts, if over one."""
    counts = column.astype("string").str.strip().value_counts()
    return [
        (str(name), int(count))
        for name, count in counts[counts > 1].items()
        if str(name).casefold() in UNKNOWN_WORDS and not str(name).isdigit()
    ]


def placeholder(values: NDArray[np.floating]) -> float | None:
    """Return a number that seems to mean "not known": -1, 999, 1e30, far from all others; or None.

    Far is farther than all others lie apart.
    """
    known = values[~np.isnan(values)]
    for number in (known.min(), known.max()) if len(known) else ():
        others = known[known != number]
        like_one = number == -1 or abs(number) >= _HUGE or _NINES.fullmatch(f"{number:.0f}")
        if like_one and len(others) > 1 and np.abs(others - number).min() > np.ptp(others):
            return float(number)
    return None


def plain_spelling(name: str) -> str:
    """Return a name without what is easily overlooked: capitals, blanks, dashes, hidden signs."""
    shown = (c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return re.sub(_DASH, "-", " ".join("".join(shown).casefold().split()))


def patients_alike(column: pd.Series) -> list[str]:
    """Return patient ids that differ from another in what is easily overlooked, side by side.

    That is what `plain_spelling` leaves out, the sign between two parts (``P-7``, ``P_7``, ``P 7``)
    and leading zeros.
    """
    names = column.astype("string").str.strip().dropna().drop_duplicates()
    plain = names.map(plain_spelling).str.replace(r"[-_ ]+", "-", regex=True)
    plain = plain.str.replace(r"^0+(?=[0-9]+$)", "", regex=True)
    alike = plain[plain.duplicated(keep=False)].sort_values(kind="stable")
    return names[alike.index].tolist()


def corrected_by_hand(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows have a band corrected by a person, shape (n,)."""
    return _is_filled(frame, "ita_band_corrected")


def excluded_by_hand(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows of a table of tones a person excluded, shape (n,)."""
    if not {"excluded", "corrected_by"} <= set(frame.columns):  # else it is the user's own column
        return np.zeros(len(frame), dtype=np.bool_)
    return (truths(frame["excluded"]) == "1").fillna(False).to_numpy(bool)


def settle_corrections(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a table of tones with corrections applied, and a sentence on each kind of change.

    Excluded rows are left out, a corrected band becomes the row's ``ita_band``, and the columns of
    corrections are dropped.
    """
    import pandas as pd

    frame, notes = without_excluded(frame)
    frame, more = without_foreign_bands(frame)
    by_hand = corrected_by_hand(frame)
    if by_hand.any() and "ita_band" in frame.columns:
        given = frame["ita_band_corrected"]
        if not (pd.api.types.is_numeric_dtype(frame["ita_band"]) or given.dtype == object):
            given = given.astype("string").str.removesuffix(".0")  # 4.0: numbers with empty cells
        band = frame["ita_band"].astype(object).mask(by_hand, given.astype(object))
        frame = frame.assign(ita_band=band)
        who = people_of(frame[by_hand])
        more.append(f"The band of {_images(by_hand)} was corrected by hand{who}.")
    present = [name for name in CORRECTION_COLUMNS if name in frame.columns]
    return frame.drop(columns=present if notes or more else []), notes + more


def without_excluded(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that are not excluded by hand, and a sentence on the others."""
    excluded = excluded_by_hand(frame)
    if not excluded.any():
        return frame, []
    verb = "was" if excluded.sum() == 1 else "were"
    note = f"{_images(excluded)} {verb} excluded by hand{people_of(frame[excluded])}."
    return frame[~excluded].reset_index(drop=True), [note]


def without_foreign_bands(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a table without bands in rows corrected in a scheme that is not the table's.

    The correction is not a band of the table's scheme, and the computed band was judged wrong.
    """
    other = corrected_by_hand(frame) & corrected_in_another_scheme(frame)
    if not other.any() or "ita_band" not in frame.columns:
        return frame, []
    bands = {
        name: frame[name].astype(object).mask(other) for name in ("ita_band", "ita_band_corrected")
    }
    verb = "is" if other.sum() == 1 else "are"
    return frame.assign(**bands), [
        f"{_images(other)} {verb} left without a band: corrected by hand in bands of "
        f"{frame['corrected_scheme'][other].iloc[0]}, which are not this table's."
    ]


def people_of(frame: pd.DataFrame) -> str:
    """Return who corrected the rows, as the end of a sentence; "" where nobody is named."""
    if "corrected_by" not in frame.columns:
        return ""
    people = frame["corrected_by"].dropna().astype(str).drop_duplicates()
    return f" by {', '.join(people)}" if len(people) else ""


def corrected_in_another_scheme(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows were corrected in a scheme that is not their own, shape (n,)."""
    if not {"corrected_scheme", "scheme"} <= set(frame.columns):
        return np.zeros(len(frame), dtype=np.bool_)
    theirs, here = (
        frame[name].astype("string").fillna("") for name in ("corrected_scheme", "scheme")
    )
    return ((theirs != "") & (theirs != here)).to_numpy(bool)


def _is_filled(frame: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    if name not in frame.columns:
        return np.zeros(len(frame), dtype=np.bool_)
    cells = frame[name].astype("string").str.strip()
    return (cells.notna() & (cells != "")).to_numpy(bool)


def _images(rows: NDArray[np.bool_]) -> str:
    count = int(rows.sum())
    return "1 image" if count == 1 else f"{count:,} images"


def as_named(table: pd.DataFrame, wanted: Sequence[str]) -> pd.DataFrame:
    """Return the table with the wanted columns so named, whatever their capitals were."""
    known_as = columns_by_name(table)
    return table.rename(
        columns={
            known_as[name.lower()]: name
            for name in wanted
            if name not in table and name.lower() in known_as
        }
    )


def with_columns(table: pd.DataFrame, wanted: Sequence[str]) -> pd.DataFrame:
    """Return the table with each wanted column; those it lacks are text, and null throughout."""
    import pandas as pd

    table = as_named(table, wanted)
    null = pd.Series(pd.NA, index=table.index, dtype="string")
    return table.assign(**{column: null for column in wanted if column not in table})


def one_hot(frame: pd.DataFrame, classes: Sequence[str], title: str) -> pd.Series:
    """Return the one class of each row whose cell is 1; null where all its cells are empty.

    Args:
        frame: The row's name in the first column, and the classes' columns.
        classes: Names of the classes' columns.
        title: What to call the table in messages.

    Raises:
        InputError: A row with no class or several.
    """
    cells = frame[list(classes)]
    empty = cells.isna().all(axis=1)
    chosen = cells.apply(lambda column: number(truths(column), 0, 1)) >= 0.5
    wrong = (chosen.sum(axis=1) != 1) & ~empty
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(
            f"{title}: row {row + 1} ({frame.iloc[row, 0]}) marks "
            f"{int(chosen.iloc[row].sum())} classes instead of one; download the table again."
        )
    return chosen.idxmax(axis=1).astype("string").mask(empty)


def with_points(cells: pd.Series) -> pd.Series:
    """Return text with decimal commas turned into points and minus signs into hyphens."""
    cells = cells.str.replace(r"^\s*\u2212(?=[0-9.,])", "-", regex=True)
    return cells.str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)


def sex(values: pd.Series) -> pd.Series:
    """Return female, male, other or null from the terms of the sources."""
    named = values.astype("string").str.strip().str.lower().str.rstrip(".")
    return named.map(_SEXES).astype("string")


def number(values: pd.Series, low: float, high: float) -> pd.Series:
    """Return numbers within [low, high]; words such as ``unknown``, and anything else, are null.

    A decimal comma is read as a point.
    """
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values):
        values = with_points(values.astype("string"))
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return numbers.where((numbers >= low) & (numbers <= high))


def whole(values: pd.Series, low: float, high: float) -> pd.Series:
    """Return whole numbers within [low, high], ``Int64``; anything else is null."""
    numbers = number(values, low, high)
    return numbers.where(numbers % 1 == 0).astype("Int64")


def truths(values: pd.Series) -> pd.Series:
    """Return text with ``1`` and ``0`` for words such as TRUE and FALSE."""
    text = values.astype("string").str.strip()
    words = {word: _TRUTH_WORDS.get(word.casefold(), word) for word in text.dropna().unique()}
    return text.map(words).astype("string")


def age(values: pd.Series) -> pd.Series:
    """Return ages in years, 0 to 120; anything else is null.

    ``75 years``, ``85+`` (85) and ``18 months`` (1.5) are understood.
    """
    import pandas as pd

    text = with_points(values.astype("string")).str.strip()
    parts = {cell: _AGE.fullmatch(cell) for cell in text.dropna().unique()}
    years = {cell: float(part[1]) / (12 if part[2] else 1) for cell, part in parts.items() if part}
    return number(pd.to_numeric(text.map(years)), 0, 120)


def skin_type(values: pd.Series) -> pd.Series:
    """Return Fitzpatrick types 1 to 6, ``Int64``; null where a cell is no type or several."""
    cells = with_points(values.astype("string"))
    kinds = {cell: types_of_cell(cell, range(1, 7), {}) or () for cell in cells.dropna().unique()}
    one = {cell: types[0] for cell, types in kinds.items() if len(types) == 1}
    return cells.map(one).astype("Int64")


def known(values: pd.Series) -> pd.Series:
    """Return the text, null where a word says that it is not known."""
    text = values.astype("string")
    return text.mask(text.str.casefold().isin([*UNKNOWN_WORDS, ""]).fillna(False))


def known_ids(values: pd.Series) -> pd.Series:
    """Return ids as text without ``.0``, null where a word, not a number, says "not known"."""
    ids = values.astype("string").str.strip().str.replace(r"^([0-9]+)\.0+$", r"\1", regex=True)
    return ids.where(known(ids).notna() | ids.str.isdigit().fillna(False))
