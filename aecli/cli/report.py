"""Write a report of a model, or one of its pictures: `aecli report` and `aecli plot`."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from aecli.cli.completion import complete_files, complete_words
from aecli.cli.option_sources import Settings, one_or_several
from aecli.cli.options import F, data_argument, display_options, model_options, pass_options
from aecli.cli.output import show
from aecli.cli.section_command import SectionCommand, option
from aecli.errors import UsageError
from aecli.model_directory.spec_file import is_model
from aecli.remote_files.path import location


def shape_option(command: F) -> F:
    """Give a command `--shape`, for rows that are images."""
    shape = option(
        "--shape", section="Pictures", metavar="HxW[xC]",
        help="Height, width and channels of rows that are images.",
        default_text="that of a conv2d model",
    )  # fmt: skip
    return shape(command)


@click.command(cls=SectionCommand)
@data_argument(required=False, metavar="[MODEL] [DATA...]")
@model_options
@option(
    "-o", "--output", section="Output", default="report.html", metavar="FILE",
    help="HTML file to write.", shell_complete=complete_files,
)  # fmt: skip
@option(
    "--side-by-side", section="Model", is_flag=True,
    help="Compare several models, which are all named before DATA.",
)  # fmt: skip
@shape_option
@pass_options
@display_options()
def report(
    settings: Settings,
    output: str,
    side_by_side: bool,
    shape: str | None,
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a report of a model as one HTML page.

    The page needs no network. It has a summary and the loss curves, and with
    DATA the reconstruction of each column, the latent, the label, the most
    anomalous rows, and rows with their reconstructions.

    \b
      aecli report
      aecli report test.parquet -o report.html
      aecli report runs/small digits.parquet --shape 8x8
      aecli report --side-by-side runs/plain runs/sparse test.parquet
    """
    if side_by_side:
        model, others, data = models_and_data(settings)
    else:
        model, data = settings.model_and_data()
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


def _complete_kind(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from aecli.reporting.picture_kinds import PICTURE_KINDS

    return complete_words(PICTURE_KINDS)(ctx, param, incomplete)


@click.command(cls=SectionCommand)
@click.argument("kind", shell_complete=_complete_kind)
@data_argument(required=False, metavar="[MODEL] [DATA...]")
@model_options
@option(
    "-o", "--output", section="Output", required=True, metavar="FILE",
    help="Picture to write: png, svg or pdf, by its name.", shell_complete=complete_files,
)  # fmt: skip
@shape_option
@pass_options
@display_options()
def plot(
    settings: Settings,
    kind: str,
    output: str,
    shape: str | None,
    batch_size: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Draw one picture of a model.

    KIND is loss, gradients, or of a model by tune search, importance or
    options, which need no DATA; or card, columns, rows, map, activations,
    units, correlation, traversal, confusion, calibration, scores, anomalous.

    \b
      aecli plot card test.parquet -o card.png
      aecli plot loss -o loss.svg
      aecli plot map test.parquet -o map.png
      aecli plot rows digits.parquet --shape 8x8 -o digits.png
    """
    if is_model(kind):
        raise UsageError(
            f"KIND, a picture's name, comes first, but {kind} is a model directory",
            hint=f"aecli plot card {shlex.quote(kind)} data.parquet -o card.png",
        )
    model, data = settings.model_and_data()
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


def models_and_data(settings: Settings) -> tuple[Path, list[Path], str | list[str] | None]:
    """Return a model directory, the others that are named before the tables, and the tables.

    Raises:
        UsageError: there are not two models.
    """
    paths = [settings.data] if isinstance(settings.data, str) else settings.data
    leading = list(itertools.takewhile(is_model, paths))
    models = [str(settings.model)] if settings.model_option else []
    models += leading
    if len(models) < 2:
        raise UsageError(
            "--side-by-side needs at least two models",
            facts=[f"model directories here: {', '.join(models) or 'none'}"],
            hint="aecli report --side-by-side runs/a runs/b data.parquet",
        )
    model, *others = (location(path) for path in models)
    return model, others, one_or_several(paths[len(leading) :])
