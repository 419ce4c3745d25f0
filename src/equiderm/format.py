"""How values are written, in one place: numbers, sizes and lists for people, JSON for programs.

A value that is missing (None or NaN) is a dash wherever a person reads it, never 0 and never "nan".
Tables, pages and messages take their numbers from here; none of them formats its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, TypeGuard

MISSING = "–"


ROUNDING = 1e-9  # a difference closer to 0 is rounding error


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with a fixed count of decimals.

    Example:
        >>> number(0.9051), number(1234.5, 1), number(-0.00001), number(float("nan"))
        ('0.905', '1,234.5', '0.000', '–')
    """
    if not is_known(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.,") else text  # never "-0.000"


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference with its sign, a hyphen for minus so that it can be copied.

    Example:
        >>> signed(0.0314), signed(-0.2, 1), signed(-0.00001), signed(0.0)
        ('+0.031', '-0.2', '-0.000', '+0.000')
    """
    text = number(value, digits)
    if text == MISSING or text.startswith("-"):
        return text
    return f"-{text}" if is_known(value) and value < -ROUNDING else f"+{text}"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share between 0 and 1 in per cent.

    Example:
        >>> percent(0.6123), percent(1, 0)
        ('61.2 %', '100 %')
    """
    return f"{number(100 * share, digits)} %" if is_known(share) else MISSING


def interval(
    low: float | None, high: float | None, digits: int = 3, *, as_percent: bool = False
) -> str:
    """Return the ends of an interval; a dash where there is none.

    Example:
        >>> interval(0.89, 0.918), interval(0.45, 0.7613, 1, as_percent=True)
        ('0.890 to 0.918', '45.0 % to 76.1 %')
    """
    if not (is_known(low) and is_known(high)):
        return MISSING
    write = percent if as_percent else number
    return f"{write(low, digits)} to {write(high, digits)}"


def with_interval(
    value: float | None,
    low: float | None,
    high: float | None,
    digits: int | None = None,
    *,
    as_percent: bool = False,
    with_sign: bool = False,
    why: str = "",
) -> str:
    """Return an estimate with its interval, or a dash with the reason why it is missing.

    Args:
        value: The estimate.
        low: Lower end of its interval.
        high: Upper end.
        digits: Decimals; by default 1 in per cent and 3 elsewhere.
        as_percent: Whether value and interval are shares to be written in per cent.
        with_sign: Whether it is a difference, written with its sign.
        why: Why there is no estimate; empty where there is one.

    Example:
        >>> with_interval(0.905, 0.89, 0.918)
        '0.905 (0.890 to 0.918)'
        >>> with_interval(0.612, 0.45, 0.761, as_percent=True)
        '61.2 % (45.0 % to 76.1 %)'
        >>> with_interval(-0.02, -0.05, 0.01, 2, with_sign=True)
        '-0.02 (-0.05 to +0.01)'
        >>> with_interval(float("nan"), 0, 0, why="3 positives")
        '– (3 positives)'
    """
    if why or not is_known(value):
        return f"{MISSING} ({why})" if why else MISSING
    write = percent if as_percent else signed if with_sign else number
    digits = (1 if as_percent else 3) if digits is None else digits
    if not (is_known(low) and is_known(high)):
        return f"{write(value, digits)} (no interval)"
    return f"{write(value, digits)} ({write(low, digits)} to {write(high, digits)})"


def per_hundred(
    share: float | None, low: float | None, high: float | None, *, why: str = ""
) -> str:
    """Return a share and its interval as whole numbers out of 100 (`whole_of_100`).

    Example:
        >>> per_hundred(0.612, 0.45, 0.761), per_hundred(0.998, 0.99, 1)
        ('61 (45 to 76)', 'over 99 (99 to 100)')
    """
    scaled = [None if value is None else 100 * value for value in (share, low, high)]
    text = with_interval(*scaled, digits=0, why=why)
    if why or not is_known(share):
        return text
    return f"{whole_of_100(share)}{text.removeprefix(number(100 * share, 0))}"


def whole_of_100(share: float) -> str:
    """Return a share as a whole number out of 100; none and all are only said where they are true.

    Example:
        >>> whole_of_100(0.612), whole_of_100(0.998), whole_of_100(0.002), whole_of_100(1)
        ('61', 'over 99', 'under 1', '100')
    """
    whole = of_100(share)
    if 0 < share < 1 and whole in (0, 100):
        return "over 99" if whole else "under 1"
    return str(whole)


def of_100(share: float) -> int:
    """Return a share as a whole number out of 100.

    Example:
        >>> of_100(0.612)
        61
    """
    return round(100 * share)


def p_value(p: float | None) -> str:
    """Return a p-value to three decimals, a small one as a bound; none is rounded up to 0.05.

    Example:
        >>> p_value(0.0342), p_value(2e-6), p_value(0.0497), p_value(0.05)
        ('0.034', '< 0.001', '< 0.05', '0.050')
    """
    if is_known(p) and (p < 0.001 or 0.0495 <= p < 0.05):
        return "< 0.001" if p < 0.001 else "< 0.05"
    return number(p)


def p_equals(p: float) -> str:
    """Return what stands after "p" in a sentence.

    Example:
        >>> p_equals(0.0342), p_equals(2e-6)
        ('= 0.034', '< 0.001')
    """
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def count(n: float | None) -> str:
    """Return a whole number with thousands separators.

    Example:
        >>> count(1234567), count(None)
        ('1,234,567', '–')
    """
    return number(n, 0)


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun.

    Example:
        >>> counted(1, "image"), counted(1200, "image"), counted(2, "body", "bodies")
        ('1 image', '1,200 images', '2 bodies')
    """
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def data_size(n: float | None) -> str:
    """Return bytes in the unit that keeps the number short (decimal: 1 kB is 1,000 bytes).

    Example:
        >>> data_size(812), data_size(5140), data_size(740e6), data_size(12.3e9)
        ('812 bytes', '5.1 kB', '740 MB', '12 GB')
    """
    if not is_known(n):
        return MISSING
    if n < 999.5:
        return counted(round(n), "byte")
    for unit in ("kB", "MB", "GB", "TB"):
        n /= 1000
        if n < 999.5 or unit == "TB":
            return f"{number(n, 1 if n < 9.95 else 0)} {unit}"
    raise AssertionError


def duration(seconds: float | None) -> str:
    """Return a time in its two largest units.

    Example:
        >>> duration(0.42), duration(48), duration(200), duration(7500), duration(300_000)
        ('0.4 s', '48 s', '3 min 20 s', '2 h 5 min', '3 d 11 h')
    """
    if not is_known(seconds):
        return MISSING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    left = round(seconds)
    if left < 60:
        return f"{left} s"
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    first = next(place for place, (_, length) in enumerate(units) if left >= length)
    (name, length), (smaller, part) = units[first], units[first + 1]
    rest = left % length // part
    return f"{left // length} {name}" + (f" {rest} {smaller}" if rest else "")


def listed(items: Iterable[object], *, most: int | None = None, last: str = "and") -> str:
    """Return items as running text.

    Args:
        items: What to list.
        most: How many to name; the others are counted.
        last: The word before the last.

    Example:
        >>> listed("abc"), listed(["csv", "tsv"], last="or"), listed(range(9), most=3)
        ('a, b and c', 'csv or tsv', '0, 1, 2 and 6 more')
    """
    words = [str(item) for item in items]
    if most is not None and len(words) > most:
        words = [*words[:most], f"{len(words) - most:,} more"]
        last = "and"
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def visible(text: object) -> str:
    r"""Return text with control characters escaped, so that no name can control a terminal.

    File names and table cells may hold line ends, escape sequences, marks that reverse the
    direction of writing, and bytes that are not text.

    Example:
        >>> print(visible("a\x1b[31m\nb"))
        a\x1b[31m\x0ab
    """
    return "".join(
        char if char.isprintable() or char == "\u00a0" else _code(ord(char)) for char in str(text)
    )


def _code(point: int) -> str:
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}"


def plain(value: Any) -> Any:
    """Return a value as JSON types: arrays are lists, keys text; NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(key): plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy's arrays and numbers, without importing numpy
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def json_text(content: Any) -> str:
    """Return content as the text of a JSON file; a missing number is null."""
    return json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def is_known(value: Any) -> TypeGuard[float]:
    """Return whether a number is known: not None, NaN or pandas' NA."""
    return value is not None and type(value).__name__ != "NAType" and value == value
