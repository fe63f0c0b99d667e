"""Show a model, or what a table's columns would become: `aecli inspect`."""

from __future__ import annotations

from functools import partial

import click

from aecli.cli.option_decorators import SectionCommand, Settings, names_of, spec_options
from aecli.cli.shared_options import manner_options, model_of, model_options, option
from aecli.errors import UsageError
from aecli.schema.options import ColumnOptions, ReadOptions


@click.command(cls=SectionCommand)
@click.argument("target", required=False, metavar="[MODEL|DATA]")
@model_options
@spec_options(*names_of(ColumnOptions, ReadOptions))
@option("--all-columns", section="Output", is_flag=True, help="List every column.")
@option("--history", section="Output", is_flag=True, help="Draw a model's loss curves.")
@manner_options(quiet=False)
def inspect(
    settings: Settings,
    target: str | None,
    all_columns: bool,
    history: bool,
    as_json: bool,
    model: str | None,
    tag: str | None,
) -> None:
    """Show a model, or what each column of a table would become.

    \b
      aecli inspect
      aecli inspect runs/small --all-columns
      aecli inspect --history
      aecli inspect data.csv --label y
    """
    from aecli.cli.display.model import inspection_report
    from aecli.cli.output import show
    from aecli.inspection.inspect import inspect as run

    if target is not None and (model or tag):
        raise UsageError(
            f"{target} and -m both say what to inspect", hint=f"aecli inspect {target}"
        )
    found = run(
        target,
        model=model_of(settings.given),
        read=settings.options.read,
        columns=settings.options.columns,
        history=history,
    )
    draw = partial(inspection_report, all_columns=all_columns)
    show(found, "aecli.inspect/1", draw, as_json=as_json)
