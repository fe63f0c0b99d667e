"""Write a report on a model as one HTML file, or one of its pictures."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aecli.atomic_files import atomic_path
from aecli.errors import OutputError, UsageError, nearest
from aecli.formatting import shell_name
from aecli.model_directory.location import model_directory, require_not_a_part
from aecli.model_directory.read import read_model
from aecli.progress import SILENT, Progress
from aecli.remote_files.path import RemotePath, location
from aecli.reporting.collect_saved import collect_saved
from aecli.reporting.data import CollectOptions, ReportData
from aecli.reporting.picture_kinds import (
    KINDS_OF_THE_DECODER,
    KINDS_WITHOUT_DATA,
    NOTHING_TO_SHOW,
    PICTURE_FORMATS,
    PICTURE_KINDS,
)
from aecli.schema.model_spec import UNTRAINED_DECODER
from aecli.schema.read_options import ReadOptions
from aecli.table.source import Data, Source, open_source


@dataclass(frozen=True)
class ReportResult:
    """Page that `report` wrote: its size, and the table where there was one.

    `compared` are the other models on the page. `figures` counts the charts that have a description
    of their own; those in tables have none.
    """

    model: Path
    compared: Sequence[Path]
    output: str
    data: str | None
    rows: int
    figures: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class PlotResult:
    """Picture that `plot` drew, with a description of each of its panels."""

    model: Path
    output: str
    kind: str
    panels: int
    shows: Sequence[str]
    bytes: int
    seconds: float


def report(
    data: Data | None = None,
    output: str = "report.html",
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    side_by_side: Sequence[str | os.PathLike[str]] = (),
    shape: str | None = None,
    seen: bool = False,
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> ReportResult:
    """Write a report on a model, and on its figures for `data`, as one self-contained HTML file.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; None for the model alone.
        output: the HTML file.
        side_by_side: directories of other models, to compare with this one.
        shape: height, width and channels where rows are images, as in 28x28.
        seen: the model was trained on these rows; the page says so.

    Raises:
        UsageError: rows are not images of this shape, or models do not read the same columns.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: a model is missing, damaged or too new.
        OutputError: the page cannot be written.
    """
    began = time.perf_counter()
    check_folder(output)
    directory, others = model_directory(model, tag), [location(path) for path in side_by_side]
    source = None if data is None else open_source(data, read or ReadOptions())
    options = CollectOptions(
        shape=shape, seen=seen, umap=not others, batch_size=batch_size, device=device,
        threads=threads, progress=progress,
    )  # fmt: skip
    shown, text = _page(directory, others, source, options)
    content = text.encode()
    _write(output, content)
    progress.finish()
    return ReportResult(
        model=directory,
        compared=others,
        output=output,
        data=shown.data,
        rows=shown.rows,
        figures=text.count("<svg") - text.count('aria-hidden="true"'),
        bytes=len(content),
        seconds=time.perf_counter() - began,
    )


def plot(
    kind: str,
    data: Data | None = None,
    output: str = "plot.png",
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    shape: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> PlotResult:
    """Draw one kind of picture into a png, svg or pdf file, by its name.

    Raises:
        UsageError: the kind or format is unknown, it needs a table, or it has nothing to show.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: the model is missing, damaged or too new.
        OutputError: the picture cannot be written.
    """
    began = time.perf_counter()
    format = _checked_format(kind, data, output)
    check_folder(output)
    source = None if data is None else open_source(data, read or ReadOptions())
    options = CollectOptions(
        shape=shape, umap=kind == "map", batch_size=batch_size, device=device, threads=threads,
        progress=progress,
    )  # fmt: skip
    shown = _collected(model_directory(model, tag), source, options)
    from aecli.reporting.figures import PANELS
    from aecli.reporting.style import picture_file

    progress.stage("drawing")
    panels = PANELS[kind](shown)
    if not panels:
        what, hint = _nothing_to_show(kind, shown)
        raise UsageError(f"plot {kind} has nothing to show: {what}", hint=hint)
    content = picture_file(panels, format)
    _write(output, content)
    progress.finish()
    return PlotResult(
        model=shown.model,
        output=output,
        kind=kind,
        panels=len(panels),
        shows=[panel.alt for panel in panels],
        bytes=len(content),
        seconds=time.perf_counter() - began,
    )


def _nothing_to_show(kind: str, shown: ReportData) -> tuple[str, str]:
    """Return why a picture has nothing to show, and what to try."""
    if kind in KINDS_OF_THE_DECODER and not shown.spec.decoder_trained:
        return UNTRAINED_DECODER, "aecli train DATA --label COLUMN (without --reconst-weight 0)"
    few = ("the table has too few rows", "a table with more rows")
    return NOTHING_TO_SHOW.get(kind, few)


def check_folder(output: str) -> None:
    """Check that the folder of a file to write exists.

    Raises:
        OutputError: it does not.
        UsageError: the file is one of a model.
    """
    require_not_a_part(output)
    target = location(output)
    if not isinstance(target, RemotePath) and not Path(os.path.abspath(output)).parent.is_dir():
        parent = target.parent
        raise OutputError(
            f"there is no folder {parent}", hint=f"mkdir -p {shell_name(str(parent))}"
        )


def _checked_format(kind: str, data: Data | None, output: str) -> str:
    """Return the format of the output, by its name."""
    if kind not in PICTURE_KINDS:
        near = nearest(kind, PICTURE_KINDS)
        raise UsageError(
            f"there is no picture {kind!r}",
            facts=[", ".join(PICTURE_KINDS)],
            hint=f"plot {near}" if near else "aecli plot --help",
        )
    format = location(output).suffix.lower().removeprefix(".")
    if format not in PICTURE_FORMATS:
        raise UsageError(
            f"{output}: a picture is {', '.join(PICTURE_FORMATS)}, by its name",
            hint=f"-o {kind}.png",
        )
    if data is None and kind not in KINDS_WITHOUT_DATA:
        raise UsageError(
            f"plot {kind} needs a table: no DATA was given", hint=f"aecli plot {kind} data.parquet"
        )
    return format


def _page(
    directory: Path, others: Sequence[Path], source: Source | None, options: CollectOptions
) -> tuple[ReportData, str]:
    """Return the data of the first model, and the HTML of the page."""
    if others:
        from aecli.reporting.collect_models import collect_models

        comparison = collect_models([directory, *others], source, options)
        from aecli.reporting.html import comparison_page

        options.progress.stage("drawing")
        return comparison.models[0], comparison_page(comparison)
    shown = _collected(directory, source, options)
    from aecli.reporting.page import model_page

    options.progress.stage("drawing")
    return shown, model_page(shown)


def _collected(directory: Path, source: Source | None, options: CollectOptions) -> ReportData:
    if source is None:
        return read_model(directory, partial(collect_saved, directory))[1]
    from aecli.reporting.collect import collect

    return collect(directory, source, options)


def _write(output: str, content: bytes) -> None:
    with atomic_path(location(output)) as path:
        path.write_bytes(content)
