"""Roll back to an earlier model: `aecli rollback`."""

from __future__ import annotations

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import display_options, model_options
from aecli.cli.output import show
from aecli.cli.section_command import SectionCommand
from aecli.errors import UsageError


@click.command(cls=SectionCommand)
@click.argument("arguments", nargs=-1, metavar="[MODEL] [GENERATION]")
@model_options
@display_options()
def rollback(settings: Settings, arguments: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Roll back to the model that a training replaced.

    GENERATION is the id of an earlier model, or its first digits, as aecli
    inspect lists them [default: the one replaced last]. The current model
    becomes an earlier one, so a rollback can be undone too.

    \b
      aecli rollback
      aecli rollback runs/small 3f2a
    """
    from aecli.cli.display.generations import rollback_report
    from aecli.model_directory.rollback import rollback as run

    model, generations = settings.model_and_rest(arguments)
    if len(generations) > 1:
        raise UsageError(
            f"aecli rollback takes one GENERATION, not {' and '.join(generations)}",
            facts=[f"{generations[0]} is not a model directory"],
            hint="aecli rollback --help",
        )
    result = run(generations[0] if generations else None, model=model)
    show(result, "aecli.rollback/1", rollback_report, as_json=as_json, quiet=quiet)
