"""Put an earlier model back: `aecli rollback`."""

from __future__ import annotations

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import SectionCommand, display_options, model_options
from aecli.cli.output import show


@click.command(cls=SectionCommand)
@click.argument("generation", required=False)
@model_options
@display_options()
def rollback(settings: Settings, generation: str | None, as_json: bool, quiet: bool) -> None:
    """Put the model back that a training replaced.

    GENERATION is the id of an earlier model, or its first digits, as aecli
    inspect lists them; by default the one that was replaced last. The present
    model becomes an earlier one, and can be put back too.

    \b
      aecli rollback
      aecli rollback 3f2a -m runs/small
    """
    from aecli.cli.display.generations import rollback_report
    from aecli.model_directory.rollback import rollback as run

    result = run(generation, model=settings.model)
    show(result, "aecli.rollback/1", rollback_report, as_json=as_json, quiet=quiet)
