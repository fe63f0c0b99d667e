"""Detect and parse dates and times in text that is not ISO 8601."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from aecli.errors import UsageError
from aecli.schema.text_format import ISO_MIXED, TextFormat

_MONTH_NAMES = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_DATE_DAYS = "(?P<weekday>(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6})(?P<comma>,?) "
_DATE_NUMBERS = r"(?P<first>\d{1,4})(?P<sign>[-./ ])(?P<second>\d{1,2})(?P=sign)(?P<third>\d{1,4})"
_DAY_NAME = (
    rf"(?P<day>\d{{1,2}})(?P<s1>\.? |[-/.]|){_MONTH_NAMES}(?P<s2>,? |[-/.]|)(?P<year1>\d{{4}}|\d\d)"
)
_NAME_DAY = rf"{_MONTH_NAMES}(?P<s3> |-)\d{{1,2}}(?P<s4>,? |-)(?P<year2>\d{{4}})"
_DATE_CLOCK = (
    r"(?P<gap>[ T]|, )\d{1,2}:\d\d(?P<seconds>:\d\d(?P<part>[.,]\d{1,9})?)?"
    r"(?:(?P<space> ?)(?P<half>[ap]m))?(?P<zone> ?(?:z|[+-]\d\d:?\d\d))?"
)
_DATE_CELL = re.compile(
    f"(?:{_DATE_DAYS})?(?:{_DATE_NUMBERS}|{_DAY_NAME}|{_NAME_DAY})(?:{_DATE_CLOCK})?", re.IGNORECASE
)
_ISO_CELL = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d.*)?")
_DIRECTIVES = {
    **{"%d": r"(?P<day>\d{1,2})", "%m": r"\d{1,2}", "%Y": r"\d{4}", "%y": r"\d{2}"},
    **{"%H": r"\d{1,2}", "%I": r"\d{1,2}", "%M": r"\d{1,2}", "%S": r"\d{1,2}", "%e": r" ?\d{1,2}"},
    **{"%p": "[AaPp][Mm]", "%b": "[A-Za-z]+", "%B": "[A-Za-z]+", "%a": "[A-Za-z]+"},
    **{"%A": "[A-Za-z]+", "%j": r"\d{1,3}", "%z": r"(?:Z|z|[+-]\d\d:?\d\d)", "%%": "%"},
}
_CLOCK_DIRECTIVES = ("%H", "%I", "%M", "%S")
_LAST_DAY_AFTER_OVERFLOW = 3  # 31 February would be 3 March


def date_formats(cells: Sequence[str]) -> list[TextFormat]:
    """Return the formats of which most of these cells may be dates, with day and month swapped."""
    matches = [match for cell in cells if (match := _DATE_CELL.fullmatch(cell.strip()))]
    iso = [cell for cell in cells if _ISO_CELL.fullmatch(cell.strip())]
    formats = [ISO_MIXED] if len(iso) * 2 >= len(cells) else []
    if len(matches) * 2 >= len(cells):
        formats += [f for match in matches for f in _formats_of(match)]
    return [TextFormat(date_format=format) for format in dict.fromkeys(formats)]


def parsed_dates(array: pa.Array, format: str) -> pa.Array:
    """Return texts parsed as dates (`date32`) or times by a `strptime` format, null on failure.

    Times are in seconds; with `%f` in nanoseconds if the fraction has more than six digits.
    """
    array = pc.utf8_trim_whitespace(array)
    if format == ISO_MIXED:
        return _iso_times(array)
    plain, fraction = array, None
    if "%f" in format:
        plain = pc.replace_substring_regex(array, r"(:\d\d)[.,]\d{1,9}", r"\1")
        fraction = pc.struct_field(pc.extract_regex(array, r":\d\d[.,](?P<part>\d{1,9})"), ["part"])
    times = _strptime(plain, re.sub("[.,]?%f", "", format))
    if not any(directive in format for directive in _CLOCK_DIRECTIVES):
        return times.cast(pa.date32())
    return times if fraction is None else _with_fraction(times, fraction)


def require_date_format(format: str) -> None:
    """Raise UsageError if a date written in `format` cannot be parsed again."""
    example = pa.array([86_400 * 12_345], pa.timestamp("s"))
    plain = re.sub("[.,]?%f", "", format)
    try:
        again = _strptime(pc.strftime(example, plain), plain)[0].as_py() if "%" in format else None
    except pa.ArrowException:
        again = None
    if again is None or (again.year, again.month, again.day) != (2003, 10, 20):
        raise UsageError(
            f"--date-format {format} does not determine the day, month and year of a date",
            facts=["%d day, %m month, %b its name, %Y year, %H:%M:%S, %I:%M %p with AM and PM"],
            hint="--date-format '%d/%m/%Y'",
        )


def _formats_of(match: re.Match[str]) -> list[str]:
    weekday = f"%a{match['comma']} " if match["weekday"] else ""
    return [weekday + date + _clock_format(match) for date in _date_layouts(match)]


def _date_layouts(match: re.Match[str]) -> list[str]:
    if match["sign"]:
        order = {4: ["Ymd"]}.get(len(match["first"]))
        order = order or {4: ["dmY", "mdY"], 2: ["dmy", "mdy", "ymd"]}.get(len(match["third"]), [])
        return [match["sign"].join("%" + letter for letter in letters) for letters in order]
    if match["day"]:
        year = "%Y" if len(match["year1"]) == 4 else "%y"
        return [f"%d{match['s1']}%b{match['s2']}{year}"]
    return [f"%b{match['s3']}%d{match['s4']}%Y"]


def _clock_format(match: re.Match[str]) -> str:
    if not match["gap"]:
        return ""
    hours = "%I:%M" if match["half"] else "%H:%M"
    seconds = ":%S" if match["seconds"] else ""
    seconds += f"{match['part'][0]}%f" if match["part"] else ""
    half = f"{match['space']}%p" if match["half"] else ""
    zone = f"{' ' if match['zone'].startswith(' ') else ''}%z" if match["zone"] else ""
    return match["gap"] + hours + seconds + half + zone


def _strptime(array: pa.Array, format: str) -> pa.Array:
    times = pc.strptime(array, format=format, unit="s", error_is_null=True)
    pattern = _pattern(format)
    if pattern is None:
        return times
    # The C function parses 31 February as 3 March, and accepts years of any length.
    fits = pc.match_substring_regex(array, pattern)
    early = pc.less_equal(pc.day(times), _LAST_DAY_AFTER_OVERFLOW)
    if "%d" in format and pc.any(early).as_py():
        text = pc.struct_field(pc.extract_regex(array, pattern), ["day"])
        same = pc.equal(pc.cast(text, pa.int64()), pc.day(times))
        fits = pc.and_(fits, pc.or_(pc.invert(early), same))
    return pc.if_else(fits, times, pa.scalar(None, times.type))


@cache
def _pattern(format: str) -> str | None:
    """Return the regular expression of a format, None for one with other directives."""
    parts = re.split("(%.)", format)
    if any(part.startswith("%") and part not in _DIRECTIVES for part in parts):
        return None
    return "^" + "".join(_DIRECTIVES.get(part) or re.escape(part) for part in parts) + "$"


def _with_fraction(times: pa.Array, fraction: pa.Array) -> pa.Array:
    digits = pc.max(pc.binary_length(fraction)).as_py() or 0
    unit, width = ("us", 6) if digits <= 6 else ("ns", 9)
    padded = pc.utf8_rpad(pc.fill_null(fraction, "0"), width, "0").cast(pa.int64())
    # Years far from 1970 do not fit in nanoseconds.
    years = pc.is_in(pc.year(times), pa.array(range(1678, 2262), pa.int64()))
    fits = pc.or_(years, unit == "us")
    times = pc.if_else(fits, times, pa.scalar(None, times.type))
    whole = times.cast(pa.timestamp(unit, times.type.tz))
    return pc.add(whole, padded.cast(pa.duration(unit)))


def _iso_times(array: pa.Array) -> pa.Array:
    """Return ISO times, with a time zone or in UTC, null for other text."""
    iso = pc.match_substring_regex(array, r"^\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d.*)?$")
    array = pc.replace_substring_regex(array, " ?(?:UTC|GMT)$", "Z")
    dates = _strptime(pc.utf8_slice_codeunits(array, 0, 10), "%Y-%m-%d")
    array = pc.if_else(pc.and_(iso, dates.is_valid()), array, pa.scalar(None, array.type))
    date_only = pc.equal(pc.utf8_length(array), 10)
    array = pc.if_else(date_only, pc.binary_join_element_wise(array, "00:00", " "), array)
    zoned = pc.match_substring_regex(array, r"(?:[Zz]|\d[+-]\d\d(?::?\d\d)?)$")
    array = pc.if_else(zoned, array, pc.binary_join_element_wise(array, "Z", ""))
    for unit in ("us", "ns"):
        try:
            return array.cast(pa.timestamp(unit, "UTC"))
        except pa.ArrowInvalid:
            continue
    return pa.nulls(len(array), pa.timestamp("us", "UTC"))
