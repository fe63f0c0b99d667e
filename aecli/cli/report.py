"""Write a report on a model, or one of its pictures: `aecli report` and `aecli plot`."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import click

from aecli.cli.option_sources import Settings
from aecli.cli.options import (
    F,
    SectionCommand,
    display_options,
    model_options,
    option,
    pass_options,
)
from aecli.cli.output import show
from aecli.errors import UsageError
from aecli.model_directory.location import SPEC_FILE


def shape_option(command: F) -> F:
    """Give a command `--shape`, for rows that are images."""
    shape = option(
        "--shape", section="Pictures", metavar="HxW[xC]",
        help="Rows are images of this height, width and channels; known of conv2d models.",
    )  # fmt: skip
    return shape(command)


@click.command(cls=SectionCommand)
@click.argument("targets", nargs=-1, metavar="[MODEL] [DATA...]")
@model_options
@option(
    "-o", "--output", section="Output", default="report.html", metavar="FILE",
    help="HTML file to write.", extra="default: report.html",
)  # fmt: skip
@option(
    "--side-by-side", section="Model", is_flag=True,
    help="Set several models side by side: name them all before DATA.",
)  # fmt: skip
@shape_option
@pass_options
@display_options()
def report(
    settings: Settings,
    targets: tuple[str, ...],
    output: str,
    side_by_side: bool,
    shape: str | None,
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write what is known of a model as one HTML page.

    The page needs no network and no script: a summary, the loss curves, and
    with DATA how every column comes back, the latent, the label, scores and
    rows beside their reconstructions.

    \b
      aecli report
      aecli report test.parquet -o report.html
      aecli report runs/small digits.parquet --shape 8x8
      aecli report --side-by-side runs/plain runs/sparse test.parquet
    """
    if side_by_side:
        model, others, data = models_and_data(targets, settings)
    else:
        model, data = model_and_data(targets, settings)
        others = []
    from aecli.cli.display.written import page_report
    from aecli.cli.progress import show_progress
    from aecli.reporting.report import report as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            data, output, model=model, side_by_side=others, shape=shape, batch_size=batch_size,
            device=settings.device, threads=settings.threads, read=settings.read,
            progress=progress,
        )  # fmt: skip
    show(result, "aecli.report/1", page_report, as_json=as_json, quiet=quiet)


@click.command(cls=SectionCommand)
@click.argument("kind")
@click.argument("targets", nargs=-1, metavar="[MODEL] [DATA...]")
@model_options
@option(
    "-o", "--output", section="Output", required=True, metavar="FILE", extra="required",
    help="Picture to write: png, svg or pdf, by its name.",
)  # fmt: skip
@shape_option
@pass_options
@display_options()
def plot(
    settings: Settings,
    kind: str,
    targets: tuple[str, ...],
    output: str,
    shape: str | None,
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Draw one picture of a model.

    KIND is loss, gradients, or of a model by tune search, importance or
    options, which need no DATA; or columns, rows, map, activations, units,
    correlation, traversal, confusion, calibration, scores, anomalous.

    \b
      aecli plot loss -o loss.svg
      aecli plot map test.parquet -o map.png
      aecli plot rows digits.parquet --shape 8x8 -o digits.png
    """
    model, data = model_and_data(targets, settings)
    from aecli.cli.display.written import plot_report
    from aecli.cli.progress import show_progress
    from aecli.reporting.report import plot as run

    with show_progress(quiet=quiet) as progress:
        result = run(
            kind, data, output, model=model, shape=shape, batch_size=batch_size,
            device=settings.device, threads=settings.threads, read=settings.read,
            progress=progress,
        )  # fmt: skip
    show(result, "aecli.plot/1", plot_report, as_json=as_json, quiet=quiet)


def model_and_data(
    targets: tuple[str, ...], settings: Settings
) -> tuple[Path, str | list[str] | None]:
    """Return the model directory, which may be the first of the targets, and the tables.

    Raises:
        UsageError: the model is named twice.
    """
    paths = list(targets)
    first_is_model = bool(paths) and _is_model(paths[0])
    if first_is_model and settings.model_on_command_line:
        raise UsageError(f"{paths[0]} and -m both name the model", hint=f"-m {paths[0]}")
    model = Path(paths.pop(0)) if first_is_model else settings.model
    return model, _tables(paths)


def models_and_data(
    targets: tuple[str, ...], settings: Settings
) -> tuple[Path, list[Path], str | list[str] | None]:
    """Return a model directory, the others that are named before the tables, and the tables.

    Raises:
        UsageError: there are not two models.
    """
    leading = list(itertools.takewhile(_is_model, targets))
    models = [str(settings.model)] if settings.model_on_command_line else []
    models += leading
    if len(models) < 2:
        raise UsageError(
            "--side-by-side needs at least two models",
            facts=[f"model directories here: {', '.join(models) or 'none'}"],
            hint="aecli report --side-by-side runs/a runs/b data.parquet",
        )
    model, *others = (Path(path) for path in models)
    return model, others, _tables(list(targets[len(leading) :]))


def _is_model(path: str) -> bool:
    return os.path.lexists(Path(path, SPEC_FILE))


def _tables(paths: list[str]) -> str | list[str] | None:
    return None if not paths else paths[0] if len(paths) == 1 else paths
