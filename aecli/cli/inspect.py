"""Show a model, or the column plan of a table: `aecli inspect`."""

from __future__ import annotations

import shlex
from functools import partial

import click

from aecli.cli.completion import complete_files
from aecli.cli.option_sources import Settings, one_or_several
from aecli.cli.options import display_options, model_options, names_of, spec_options
from aecli.cli.output import show
from aecli.cli.section_command import SectionCommand, option
from aecli.errors import UsageError
from aecli.model_directory.spec_file import is_model
from aecli.schema.options import ColumnOptions
from aecli.schema.read_options import ReadOptions


@click.command(cls=SectionCommand)
@click.argument("targets", nargs=-1, metavar="[MODEL|DATA...]", shell_complete=complete_files)
@model_options
@spec_options(*names_of(ColumnOptions, ReadOptions), usual=("label", "columns", "exclude", "id"))
@option("--all-columns", section="Output", is_flag=True, help="List every column.")
@option("--history", section="Output", is_flag=True, help="Draw the loss curves of a model.")
@option(
    "--verify", section="Output", is_flag=True,
    help="Check every file of a model and of its earlier ones; exit with 4 if one is damaged.",
)  # fmt: skip
@display_options(quiet=False)
def inspect(
    settings: Settings,
    targets: tuple[str, ...],
    all_columns: bool,
    history: bool,
    verify: bool,
    as_json: bool,
) -> None:
    """Show a model, or how columns of a table are treated.

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

    target = one_or_several([*targets])
    if targets and settings.model_option:
        raise UsageError(
            f"{targets[0]} and {settings.model_option} both name what to inspect",
            hint="give only one of them",
        )
    if len(targets) > 1 and is_model(targets[0]):
        raise UsageError(
            "aecli inspect shows a model or a table, not both",
            facts=[f"{targets[0]} is a model directory"],
            hint=f"aecli inspect {shlex.quote(targets[0])}",
        )
    result = run(
        target, model=settings.model, read=settings.read, columns=settings.options.columns,
        history=history, verified=verify,
    )  # fmt: skip
    draw = partial(inspection_report, all_columns=all_columns)
    show(result, "aecli.inspect/1", draw, as_json=as_json)
    if isinstance(result, ModelInspection) and result.verified is not None:
        from aecli.model_directory.verify import require_undamaged

        require_undamaged(result.model, result.verified)
