"""TODO."""

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
    """Return what to type in a shell for the table that messages call `name`."""
    if name in (STANDARD_INPUT, TABLE_IN_MEMORY):
        return "-" if name == STANDARD_INPUT else "DATA"
    return shlex.quote(re.sub(r" \([\d,]+ files\)$", "", name))


def show_line_command(name: str, line: int) -> str:
    """Return the command that shows a line of the text file that messages call `name`."""
    unpack = {".gz": "zcat", ".zst": "zstdcat"}.get(PurePath(name).suffix.lower())
    return (
        f"{unpack} {shell_name(name)} | sed -n {line}p"
        if unpack
        else f"sed -n {line}p {shell_name(name)}"
    )


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what goes wrong while the table `name` is read into a DataError that names it."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, EOFError) as error:
        raise unreadable(name, error) from error
    except OSError as error:
        if error.errno is not None and error.strerror:
            what = f"cannot read {name}: {error.strerror}"
            raise DataError(what, hint=check_file_command(name)) from error
        raise unreadable(name, error) from error


def unreadable(name: str, error: BaseException) -> DataError:
    """Say that a file is damaged, with the first line of what the reader told."""
    told = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return DataError(
        f"cannot read {name}: it is damaged or incomplete",
        facts=[told],
        hint=check_file_command(name) + ("" if name == STANDARD_INPUT else ", and copy it again"),
    )


def check_file_command(name: str) -> str:
    """Return the command that shows whether a file, or what is piped in, is whole."""
    return (
        "the command before the pipe by itself"
        if name == STANDARD_INPUT
        else f"ls -l {shell_name(name)}"
    )
