"""Check that reading options fit a file's format."""

from __future__ import annotations

from aecli.errors import UsageError
from aecli.schema.read_options import ReadOptions


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
