"""Put an earlier model back: `aecli rollback`."""

from __future__ import annotations

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import SectionCommand, display_options, model_options
from aecli.cli.output import show


@click.command(cls=SectionCommand)
@click.argument("generation", required=False, metavar="[ID]")
@model_options
@display_options()
def rollback(settings: Settings, generation: str | None, as_json: bool, quiet: bool) -> None:
    """Put an earlier model of a model directory back.

    A training keeps the model that it replaces (--keep-generations). ID is the
    beginning of an earlier model's id, as aecli inspect lists it; without one
    the newest of them comes back. The present model is kept in its place, so
    that the same command undoes it.

    \b
      aecli rollback
      aecli rollback 3f2a -m runs/small
    """
    from aecli.cli.display.generations import rollback_report
    from aecli.model_directory.rollback import rollback as run

    result = run(generation, model=settings.model)
    show(result, "aecli.rollback/1", rollback_report, as_json=as_json, quiet=quiet)
