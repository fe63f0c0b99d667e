"""Detect and parse numbers in text with separators, currencies, percent signs or units."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from aecli.schema.text_format import TextFormat

MARKS = ".,'_ "
"""Separators of decimals or thousands; other spaces and apostrophes are treated as these."""

_NUMBER_LAYOUTS: tuple[tuple[str, str | None], ...] = (
    *((".", None), (",", None), (".", ","), (",", "."), (".", " "), (",", " ")),
    *((".", "'"), (",", "'"), (".", "_"), (",", "_")),
)
_MONEY = "(?:[A-Z]{0,3}[$¢-¥฿₠-⃏])"
_CURRENCIES = (
    "USD|EUR|GBP|CHF|JPY|CNY|INR|BRL|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|MXN|KRW|Rs|kr"
)
_LETTERS = r"(?:[^\W\d_]{1,3}|[a-zµäöüéè]{4,10})[²³]?"
_UNIT_NAME = rf"[%‰]|°[^\W\d_]?|{_LETTERS}(?:[/·*^][^\W_]{{1,10}}[²³]?){{0,2}}"
_NUMBER_CELL = re.compile(
    rf"[+-]?(?P<prefix>{_MONEY} ?|(?:{_CURRENCIES})\.? )?[+-]?"
    rf"(?:\d[\d.,'_ ]*?|[.,]\d+)(?:[eE][+-]?\d+)?(?P<suffix> ?(?:{_MONEY}|{_UNIT_NAME}))?"
)
_NO_UNITS = {"st", "nd", "rd", "th", "am", "pm", "e", "x"}
_OTHER_SIGNS = (
    ("[\u00a0\u2007\u2009\u202f]", " "),
    ("[\u2018\u2019\u02bc]", "'"),
    ("\u2212", "-"),
)


def number_formats(cells: Sequence[str]) -> list[TextFormat]:
    """Return the formats in which most of these cells may be numbers, simplest first."""
    matches = [
        match for cell in normalized_texts(pa.array(cells)).to_pylist() if (match := _cell(cell))
    ]
    affixes = Counter((m["prefix"] or "", m["suffix"] or "") for m in matches)
    if len(affixes) > 1:  # only some cells may have a space next to it
        affixes = Counter(
            ((m["prefix"] or "").strip(), (m["suffix"] or "").strip()) for m in matches
        )
    if not affixes or affixes.most_common(1)[0][1] * 2 < len(cells):
        return []
    prefix, suffix = affixes.most_common(1)[0][0]
    if suffix.strip().lower() in _NO_UNITS:
        return []
    return [
        TextFormat(decimal=decimal, thousands=thousands, prefix=prefix, suffix=suffix)
        for decimal, thousands in _NUMBER_LAYOUTS
    ]


def plain_numbers(array: pa.Array, format: TextFormat) -> pa.Array:
    """Return numbers in Arrow's notation, such as `-1234.5`; null for other text.

    Args:
        array: texts returned by `normalized_texts`.
        format: of the numbers.
    """
    matches = pc.match_substring_regex(array, _pattern(format))
    bare = pc.replace_substring_regex(
        array, f"(?:^([+-]?) ?{_quoted(format.prefix.strip())} ?)", r"\1"
    )
    if format.suffix:
        bare = pc.replace_substring_regex(bare, f" ?{_quoted(format.suffix.strip())}$", "")
    if format.thousands:
        bare = pc.replace_substring(bare, format.thousands, "")
    if format.decimal == ",":
        bare = pc.replace_substring(bare, ",", ".")
    return pc.if_else(matches, bare, pa.scalar(None, bare.type))


def format_number(value: float | Decimal | None, format: TextFormat) -> str | None:
    """Return a number as text in a format."""
    if value is None:
        return None
    sign, text = ("-", f"{abs(value):,}") if value < 0 else ("", f"{value:,}")
    whole, point, fraction = text.partition(".")
    whole = whole.replace(",", format.thousands or "")
    return f"{sign}{format.prefix}{whole}{format.decimal if point else ''}{fraction}{format.suffix}"


def marks_in(array: pa.Array, format: TextFormat) -> set[str]:
    """Return the separators in numbers of a format; the texts are those of `normalized_texts`."""
    bare = array
    for affix in filter(None, (format.prefix.strip(), format.suffix.strip())):
        bare = pc.replace_substring(bare, affix, "")
    bare = pc.utf8_trim_whitespace(pc.replace_substring_regex(bare, "^([+-]) ", r"\1"))
    return {mark for mark in MARKS if pc.any(pc.match_substring(bare, mark)).as_py()}


def normalized_texts(array: pa.Array) -> pa.Array:
    """Return texts with plain spaces and apostrophes, and the sign in front of the number.

    Parentheses or a trailing minus make a number negative.
    """
    array = pc.utf8_trim_whitespace(array)
    if not pc.all(pc.string_is_ascii(array)).as_py():
        for pattern, sign in _OTHER_SIGNS:
            array = pc.replace_substring_regex(array, pattern, sign)
    if not pc.any(pc.match_substring_regex(array, r"[)-]$")).as_py():
        return array
    array = pc.replace_substring_regex(array, r"^(\pS?)\(([^()-]*)\)$", r"-\1\2")
    return pc.replace_substring_regex(array, r"^([^-]*\d) ?-$", r"-\1")


def _cell(text: str | None) -> re.Match[str] | None:
    return _NUMBER_CELL.fullmatch(text) if text is not None else None


def _pattern(format: TextFormat) -> str:
    decimal = re.escape(format.decimal)
    whole = r"\d+"
    if format.thousands:
        mark = _quoted(format.thousands)
        # Indian numbers have groups of two digits except for the last: 12,34,567.
        group = r"\d{2,3}" if format.thousands == "," else r"\d{3}"
        whole = rf"(?:[1-9]\d{{0,2}}(?:{mark}{group})*{mark}\d{{3}}|\d+)"
    number = rf"(?:{whole}(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"
    sign = "[+-]? ?" + _quoted(format.prefix.strip()) + (" ?[+-]?" if format.prefix else "")
    return f"^{sign} ?{number} ?{_quoted(format.suffix.strip())}$"


def _quoted(text: str) -> str:
    return "".join(f"\\{sign}" if not sign.isalnum() and sign.isascii() else sign for sign in text)
