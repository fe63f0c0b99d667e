"""Check that reading options fit one another and a file's format."""

from __future__ import annotations

from aecli.errors import UsageError
from aecli.schema.read_options import ReadOptions
from aecli.table.cells.date_format import require_date_format
from aecli.table.cells.number_format import MARKS


def require_fitting_options(format: str, name: str, options: ReadOptions) -> None:
    """Raise if the options do not fit files of this format.

    Raises:
        UsageError: `--header` or `--skip-rows` for a format without lines, or `--sheet` for one
            without sheets.
    """
    given = {
        "--header": options.header != "auto",
        "--skip-rows": options.skip_rows > 0,
        "--sheet": options.sheet is not None,
    }
    fitting = {"csv": {"--header", "--skip-rows"}, "xlsx": set(given)}.get(format, set())
    unfit = next((option for option, used in given.items() if used and option not in fitting), None)
    if unfit is not None:
        files = "Excel workbooks" if unfit == "--sheet" else "CSV files and Excel workbooks"
        raise UsageError(
            f"{unfit} is for {files}; {name} is read as {format}", hint=f"leave out {unfit}"
        )


def require_fitting_marks(options: ReadOptions) -> None:
    """Raise if the date format or the separators of numbers cannot be used.

    Raises:
        UsageError: one is invalid, or both separators are the same character.
    """
    if options.date_format is not None:
        require_date_format(options.date_format)
    if options.thousands is not None and options.thousands not in MARKS:
        raise UsageError(
            f"--thousands {options.thousands!r} is not a thousands separator",
            facts=["a point, a comma, an apostrophe, a space or _"],
            hint="--thousands ,",
        )
    if options.thousands is not None and options.thousands == options.decimal:
        raise UsageError(
            f"--decimal and --thousands are the same character, {options.decimal!r}",
            hint=f"only --decimal {options.decimal}",
        )
