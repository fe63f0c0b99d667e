"""Errors of tables that cannot be read, and the names and commands in their messages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

import pyarrow as pa

from aecli.errors import DataError

STANDARD_INPUT = "standard input"
TABLE_IN_MEMORY = "the table"


def shell_name(name: str) -> str:
    """Return how to write the table that messages call `name` in a shell command."""
    if name in (STANDARD_INPUT, TABLE_IN_MEMORY):
        return "-" if name == STANDARD_INPUT else "DATA"
    return shlex.quote(re.sub(r" \([\d,]+ files\)$", "", name))


def show_line_command(name: str, line: int) -> str:
    """Return the command that shows a line of the text file that messages call `name`."""
    file = shell_name(name)
    unpack = {".gz": "zcat", ".zst": "zstdcat"}.get(PurePath(name).suffix.lower())
    return f"{unpack} {file} | sed -n {line}p" if unpack else f"sed -n {line}p {file}"


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn errors of reading the table `name` into a DataError with its name."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, EOFError) as error:
        raise unreadable(name, error) from error
    except OSError as error:
        if error.errno is not None and error.strerror:
            message = f"cannot read {name}: {error.strerror}"
            raise DataError(message, hint=check_file_command(name)) from error
        raise unreadable(name, error) from error


def unreadable(name: str, error: BaseException) -> DataError:
    """Return the error of a damaged file, with the first line of the reader's message."""
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return DataError(
        f"cannot read {name}: it is damaged or incomplete",
        facts=[reason],
        hint=check_file_command(name) + ("" if name == STANDARD_INPUT else ", and copy it again"),
    )


def check_file_command(name: str) -> str:
    """Return the command that shows whether a file, or the input of a pipe, is complete."""
    if name == STANDARD_INPUT:
        return "the command before the pipe by itself"
    return f"ls -l {shell_name(name)}"
