"""Show a model, or the column plan of a table: `aecli inspect`."""

from __future__ import annotations

from functools import partial

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import (
    SectionCommand,
    display_options,
    model_options,
    names_of,
    option,
    spec_options,
)
from aecli.cli.output import show
from aecli.errors import UsageError
from aecli.schema.options import ColumnOptions
from aecli.schema.read_options import ReadOptions


@click.command(cls=SectionCommand)
@click.argument("target", required=False, metavar="[MODEL|DATA]")
@model_options
@spec_options(*names_of(ColumnOptions, ReadOptions))
@option("--all-columns", section="Output", is_flag=True, help="List every column.")
@option("--history", section="Output", is_flag=True, help="Draw a model's loss curves.")
@option(
    "--verify", section="Output", is_flag=True,
    help="Read every file of a model and of its earlier ones; exit code 4 if one is damaged.",
)  # fmt: skip
@display_options(quiet=False)
def inspect(
    settings: Settings,
    target: str | None,
    all_columns: bool,
    history: bool,
    verify: bool,
    as_json: bool,
) -> None:
    """Show a model, or what each column of a table would become.

    \b
      aecli inspect
      aecli inspect runs/small --all-columns
      aecli inspect --history
      aecli inspect --verify
      aecli inspect data.csv --label y
    """
    from aecli.cli.display.inspection import inspection_report
    from aecli.inspection.inspect import ModelInspection
    from aecli.inspection.inspect import inspect as run
    from aecli.model_directory.verify import require_whole

    if target is not None and settings.model_on_command_line:
        raise UsageError(
            f"{target} and -m both say what to inspect", hint=f"aecli inspect {target}"
        )
    result = run(
        target, model=settings.model, read=settings.read, columns=settings.options.columns,
        history=history, verified=verify,
    )  # fmt: skip
    draw = partial(inspection_report, all_columns=all_columns)
    show(result, "aecli.inspect/1", draw, as_json=as_json)
    if isinstance(result, ModelInspection) and result.verified is not None:
        require_whole(result.model, result.verified)
