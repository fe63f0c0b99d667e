"""Format text, numbers and shell commands for display; column names are not trusted."""

from __future__ import annotations

import math
import re
import shlex
import unicodedata
from collections.abc import Sequence
from pathlib import PurePath

# Cc control characters, Cf invisible format characters such as bidirectional overrides, Cs lone
# surrogates, Zl and Zp line separators, Co and Cn private and unassigned characters.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"})
# Zero-width joiners and emoji selectors only affect the characters next to them.
_HARMLESS = frozenset("\u200c\u200d\ufe0e\ufe0f")

STANDARD_INPUT = "standard input"
TABLE_IN_MEMORY = "the table"


def safe(text: object) -> str:
    """Return text with invisible and control characters written as escapes."""
    string = str(text)
    if string.isascii() and string.isprintable():
        return string
    return "".join(c if _is_visible(c) else _escaped(c) for c in string)


def figure(value: float | None, digits: int = 4) -> str:
    """Format a number with about `digits` significant digits in at most `digits + 3` characters.

    Examples: 0.01234, 0.12345, 12.34, 1.23e-5. Values below 1 have the same number of decimals, so
    that they align; a minus sign is extra; `–` stands for an undefined value.
    """
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 10 ** (digits + 2) or size < 1e-3:
        return _exponent(f"{value:.{digits - 2}e}")
    before_point = math.floor(math.log10(size)) + 1
    return f"{value:.{digits + 1 if size < 1 else max(digits - before_point, 0)}f}"


def number_text(value: float, digits: int = 5) -> str:
    """Write a value of a table with at most `digits` significant digits, integers in full.

    As in 12, 2026, 99,999, 76.712 and 1.2e12; digits are grouped from 10,000 on.
    """
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size >= 1e9 or 0 < size < 1e-4:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    if value == int(value) or size >= 10 ** (digits - 1):
        return f"{value:,.0f}" if size >= 10_000 else f"{value:.0f}"
    return f"{value:.{digits}g}"


def weight(value: float) -> str:
    """Format a weight with at most four digits and no trailing zeros: 1, 13.01, 1e-5."""
    text = f"{value:.4g}"
    return _exponent(text) if "e" in text else text


def percent(share: float | None, digits: int = 1) -> str:
    """Format a share of 1 as a percentage; only an exact 0 or 1 becomes 0 % or 100 %."""
    if share is None or not math.isfinite(share):
        return "–"
    step = 10.0**-digits
    if 0 < 100 * share < step / 2:
        return f"< {step:.{digits}f} %"
    if 100 - step / 2 <= 100 * share < 100:
        return f"> {100 - step:.{digits}f} %"
    return f"{100 * share:.{digits}f} %"


def count(number: int, noun: str = "", plural: str = "") -> str:
    """Format a count with its noun: 1 row, 60,000 rows."""
    if not noun:
        return f"{number:,}"
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Format a duration in its two largest units: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    units = [("d", 86400), ("h", 3600), ("min", 60), ("s", 1)]
    parts: list[tuple[int, str]] = []
    for unit, size in units:
        amount, whole = divmod(whole, size)
        if amount or parts:
            parts.append((amount, unit))
    return " ".join(f"{amount} {unit}" for amount, unit in parts[:2] if amount)


def size(number: int) -> str:
    """Format a number of bytes: 812 B, 3.1 MB."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def name_list(names: Sequence[str], limit: int = 8) -> str:
    """Return the first `limit` names, and the total number if there are more."""
    more = f", … ({len(names):,} in all)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def shell_name(name: str) -> str:
    """Return the shell argument for the table that messages call `name`."""
    if name in (STANDARD_INPUT, TABLE_IN_MEMORY):
        return "-" if name == STANDARD_INPUT else "DATA"
    return shlex.quote(re.sub(r" \([\d,]+ files\)$", "", name))


def show_line_command(name: str, line: int) -> str:
    """Return the command that shows a line of the text file that messages call `name`."""
    file = shell_name(name)
    unpack = {".gz": "zcat", ".zst": "zstdcat"}.get(PurePath(name).suffix.lower())
    return f"{unpack} {file} | sed -n {line}p" if unpack else f"sed -n {line}p {file}"


_LIST_COMMANDS = {
    "s3": "aws s3 ls", "gs": "gcloud storage ls", "https": "curl -I", "http": "curl -I"
}  # fmt: skip
"""Commands that show a remote file, by the scheme of its address."""


def check_file_command(name: str) -> str:
    """Return the command that shows whether a file, or the input of a pipe, is complete."""
    if name == STANDARD_INPUT:
        return "the command before the pipe by itself"
    if name.startswith(("abfs://", "abfss://")):
        return "az login"
    list_command = _LIST_COMMANDS.get(name.partition("://")[0], "ls -l")
    return f"{list_command} {shell_name(name)}"


def _is_visible(char: str) -> bool:
    return unicodedata.category(char) not in _UNSAFE or char in _HARMLESS


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _exponent(text: str) -> str:
    """Shorten 1.20e-05 to 1.2e-5."""
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{int(exponent)}"
