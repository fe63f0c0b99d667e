"""Draw new rows from a variational model: `aecli sample`."""

from __future__ import annotations

from typing import Any

import click

from aecli.cli.option_decorators import SectionCommand, Settings, spec_options
from aecli.cli.shared_options import (
    RUNNING,
    TITLES,
    manner_options,
    model_of,
    model_options,
    option,
    output_options,
)
from aecli.errors import UsageError


@click.command(cls=SectionCommand)
@model_options
@output_options
@option(
    "-n", "--count", section="Drawing", type=click.IntRange(1, 10**9), default=1000, metavar="N",
    help="Rows to draw; windows, where the model encodes windows.",
    extra="at least 1; default: 1000",
)  # fmt: skip
@option(
    "--class", "of_class", section="Drawing", metavar="NAME",
    help="Only rows of this class: latents are drawn among those of its training rows.",
)  # fmt: skip
@option(
    "--seed", section="Drawing", type=click.IntRange(0, 2**63 - 1), default=0, metavar="N",
    help="Seed of the draw.", extra="default: 0",
)  # fmt: skip
@spec_options(*RUNNING, titles=TITLES)
@manner_options()
def sample(settings: Settings, output: str, as_json: bool, quiet: bool, **given: Any) -> None:
    """Draw new rows from a model trained with --variational.

    They come in the columns, units and categories of the training table.

    \b
      aecli train data.parquet --variational --label kind
      aecli sample -n 1000 -o rows.parquet
      aecli sample -n 10 --class cat -o -
    """
    if as_json and output == "-":
        raise UsageError("--json and -o - both want stdout", hint="-o FILE with --json")
    directory = model_of(settings.given)
    draw = {name: given[name] for name in ("count", "of_class", "seed", "to")}
    from aecli.cli.display.widgets import stderr
    from aecli.cli.display.written import sample_report
    from aecli.cli.output import show
    from aecli.cli.progress import listening
    from aecli.inference.sample import sample as run

    with listening(quiet=quiet) as progress:
        result = run(output, model=directory, progress=progress, **settings.values(RUNNING), **draw)
    if as_json:
        show(result, "aecli.sample/1", sample_report, as_json=True)
    elif not quiet:
        console = stderr()
        console.print(sample_report(result), soft_wrap=not console.is_terminal)
