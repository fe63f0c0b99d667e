"""Convert every exception that ends a command to lines on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import platform
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

import click

from aecli.errors import AecliError, AecliWarning, nearest, shortened_line
from aecli.formatting import safe
from aecli.synonyms import VALUES

INTERRUPTED, CLOSED_PIPE, TERMINATED = 130, 141, 143
_EXTRA_ARGUMENTS = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)
_MEMORY_MESSAGES = ("can't allocate memory", "out of memory", "realloc of size", "malloc of size")


class Terminated(BaseException):
    """Exception for SIGTERM; like KeyboardInterrupt, `except Exception` does not catch it."""


@contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM inside the block, so that no incomplete file remains.

    Does nothing if the parent process ignores the signal.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def show_warnings() -> None:
    """Print warnings of aecli as lines on stderr, each once; those of libraries only with `-W`."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    # Also with -W error: nothing may raise after a model is committed.
    warnings.filterwarnings("always", category=AecliWarning)
    other, shown = warnings.showwarning, set[str]()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, AecliWarning):
            if str(message) not in shown:
                shown.add(str(message))
                _print_lines([str(message)], level="warning: ")
        else:
            other(message, category, filename, lineno, file, line)

    warnings.showwarning = show  # documented as the way to set a handler


def report_error(error: BaseException, *, debug: bool) -> int:
    """Print the error on stderr and return the exit code."""
    if isinstance(error, BrokenPipeError):
        return _closed_pipe()
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        _print_lines(["interrupted"], level="")
        return INTERRUPTED
    if isinstance(error, Terminated):
        _print_lines(["terminated"], level="")
        return TERMINATED
    if debug:
        traceback.print_exception(error)
    lines, code = _lines_and_code(error)
    _print_lines(lines)
    return code


def _lines_and_code(error: BaseException) -> tuple[list[str], int]:
    if isinstance(error, AecliError):
        return error.lines(), error.exit_code
    if isinstance(error, click.ClickException):
        return _click_lines(error), 2
    if _is_memory(error):
        hint = "a smaller --batch-size or fewer columns (--columns)"
        return ["out of memory", f"  {_first_line(error)}", f"  try: {hint}"], 6
    if isinstance(error, OSError) and error.errno == errno.EBADF and error.filename is None:
        return ["cannot write the result: standard output is closed"], 6
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return [f"cannot write {error.filename or 'the output'}: no space left"], 6
    from aecli import __version__

    return [
        f"a bug in aecli: {type(error).__name__}: {_first_line(error)}",
        f"  aecli {__version__}, Python {platform.python_version()}, {platform.system()}",
        "  try: the same command with --debug, and report what it prints",
    ], 1


def _click_lines(error: click.ClickException) -> list[str]:
    ctx: click.Context = getattr(error, "ctx", None) or click.Context(
        click.Command("aecli"), info_name="aecli"
    )
    path = ctx.command_path
    hint = f"{path} --help"
    match error:
        case click.NoSuchOption():
            what = f"{path} has no option {error.option_name}"
            known = [opt for param in ctx.command.params for opt in param.opts if opt[:2] == "--"]
            near = nearest(error.option_name, known, file=_output_option(ctx.command))
            value = VALUES.get(error.option_name.lstrip("-")) if near == "--device" else None
            hint = " ".join(filter(None, (path, near, value))) if near else hint
        case click.exceptions.NoSuchCommand():
            what = f"aecli has no command {error.command_name!r}"
            known = list(ctx.command.commands) if isinstance(ctx.command, click.Group) else []
            near = nearest(error.command_name, known)
            hint = f"{path} {near}" if near else hint
        case click.MissingParameter() if error.param is not None:
            option = isinstance(error.param, click.Option)
            metavar = error.param.make_metavar(ctx).removeprefix("[MODEL] ")
            needs = "/".join(error.param.opts) if option else metavar
            what = f"{path} needs {needs}"
        case click.BadParameter() if error.param is not None:
            message = re.sub(r"(\d+)<=x<=(\d+)", r"\1 to \2", _sentence(error.message))
            what = f"{error.param.opts[-1]}: {message}"
        case click.UsageError() if extra := _EXTRA_ARGUMENTS.match(error.message):
            what = f"{path} takes no further argument: {extra[1]}"
        case _:
            what = _sentence(error.format_message())
    return [what, f"  try: {hint}"]


def _output_option(command: click.Command) -> str | None:
    """Return the option of a command's output; None where it writes to stdout only."""
    names = {opt for param in command.params for opt in param.opts}
    if "-o" in names:
        return "--output"
    return "--model" if "--activation" in names else None


def _closed_pipe() -> int:
    # Buffered output would raise again at the exit of Python.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return CLOSED_PIPE


def _print_lines(lines: list[str], level: str = "error: ") -> None:
    prefix = f"aecli: {level}"
    if sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
        prefix = f"\x1b[1;31m{prefix}\x1b[0m"
    first, *rest = (safe(shortened_line(line)) for line in lines)
    try:
        print(f"{prefix}{first}", *rest, sep="\n", file=sys.stderr)
    except OSError:
        return  # stderr is closed; the exit code still reports the error.


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(
        message in str(error) for message in _MEMORY_MESSAGES
    )


def _sentence(message: str) -> str:
    text = message.strip().rstrip(".")
    return text[:1].lower() + text[1:]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200]
