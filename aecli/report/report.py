"""Write a report on a model as one HTML file, or one of its pictures."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aecli.atomic_files import atomic_path
from aecli.errors import OutputError, UsageError, nearest
from aecli.model_directory import model_directory
from aecli.progress import SILENT, Progress
from aecli.report.data import Findings
from aecli.report.saved import alone
from aecli.schema.options import ReadOptions
from aecli.table.read_errors import shell_name
from aecli.table.source import Source, open_source


@dataclass(frozen=True)
class ReportResult:
    """Hold what `report` wrote: a page with so many figures, of a table or of the model alone.

    `compared` are the other models on the page.
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
    """Hold what `plot` drew: how many panels, and in words what each shows."""

    model: Path
    output: str
    kind: str
    panels: int
    shows: Sequence[str]
    bytes: int
    seconds: float


KINDS = (
    "loss", "gradients", "search", "importance", "options", "columns", "rows", "map",
    "activations", "units", "correlation", "traversal", "confusion", "calibration", "scores",
    "anomalous",
)  # fmt: skip
"""Every picture: the names of `plot`."""

FORMATS = ("png", "svg", "pdf")

WITHOUT_DATA = ("loss", "gradients", "search", "importance", "options")

ABSENT = {
    "loss": ("the model has no history.jsonl", "aecli train DATA"),
    "gradients": ("gradient norms were not logged", "aecli train DATA --log-gradients"),
    "search": ("the model was not tuned", "aecli tune DATA --trials 30"),
    "importance": ("the model was not tuned, or by few trials", "aecli tune DATA --trials 30"),
    "options": ("the model was not tuned, or by few trials", "aecli tune DATA --trials 30"),
    "confusion": ("it has no classifier, or the table no label", "aecli train DATA --label NAME"),
    "calibration": ("it has no classifier, or the table no label", "aecli train DATA --label NAME"),
    "scores": ("the model was saved without scores", "aecli train DATA"),
    "anomalous": ("the model was saved without scores", "aecli train DATA"),
    "rows": ("no column can be drawn", "aecli reconstruct DATA -o rows.csv"),
    "correlation": ("the latent has one unit", "aecli plot activations DATA"),
}
"""Why a picture may have nothing to show, and what to do about it."""


def report(
    data: Any = None,
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
    """Write what is known of a model, and how it does on `data`, as a page that needs nothing else.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; None for the model alone.
        output: the HTML file.
        side_by_side: directories of other models, to be set beside this one.
        shape: height, width and channels where rows are images, as in 28x28.
        seen: the model was trained on these rows, which the page then says.

    Raises:
        UsageError: rows are no images of this shape, or models do not read the same columns.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: a model is missing, damaged or too new.
        OutputError: the page cannot be written.
    """
    began = time.perf_counter()
    check_place(output)
    directory, others = model_directory(model, tag), [Path(path) for path in side_by_side]
    source = None if data is None else open_source(data, read or ReadOptions())
    how: dict[str, Any] = {
        "device": device, "threads": threads, "shape": shape, "seen": seen,
        "batch_size": batch_size, "progress": progress,
    }  # fmt: skip
    if others:
        found, text = _side_by_side([directory, *others], source, how)
    else:
        found, text = _by_itself(directory, source, how)
    content = text.encode()
    _write(output, content)
    progress.finish()
    return ReportResult(
        model=directory,
        compared=others,
        output=output,
        data=found.data,
        rows=found.rows,
        figures=text.count("<figure"),
        bytes=len(content),
        seconds=time.perf_counter() - began,
    )


def plot(
    kind: str,
    data: Any = None,
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
        UsageError: there is no such kind or format, it needs a table, or has nothing to show.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: the model is missing, damaged or too new.
        OutputError: the picture cannot be written.
    """
    began = time.perf_counter()
    format = _checked(kind, data, output)
    check_place(output)
    source = None if data is None else open_source(data, read or ReadOptions())
    found = _findings(
        model_directory(model, tag), source, device=device, threads=threads, shape=shape,
        batch_size=batch_size, progress=progress, neighbours=kind == "map",
    )  # fmt: skip
    from aecli.report.figures import PANELS
    from aecli.report.style import written

    progress.stage("drawing")
    panels = PANELS[kind](found)
    if not panels:
        what, hint = ABSENT.get(kind, ("the table has too few rows", "a table with more rows"))
        raise UsageError(f"plot {kind} has nothing to show: {what}", hint=hint)
    content = written(panels, format)
    _write(output, content)
    progress.finish()
    return PlotResult(
        model=found.model,
        output=output,
        kind=kind,
        panels=len(panels),
        shows=[panel.alt for panel in panels],
        bytes=len(content),
        seconds=time.perf_counter() - began,
    )


def check_place(output: str) -> None:
    """Make sure that there is a folder to write a file in, before work is spent on it.

    Raises:
        OutputError: there is none.
    """
    if not Path(os.path.abspath(output)).parent.is_dir():
        parent = Path(output).parent
        raise OutputError(
            f"there is no folder {parent}", hint=f"mkdir -p {shell_name(str(parent))}"
        )


def _checked(kind: str, data: Any, output: str) -> str:
    """Return the format that the output's name asks for."""
    if kind not in KINDS:
        near = nearest(kind, KINDS)
        raise UsageError(
            f"there is no picture {kind!r}", facts=[", ".join(KINDS)], hint=f"plot {near or 'loss'}"
        )
    format = Path(output).suffix.lower().removeprefix(".")
    if format not in FORMATS:
        raise UsageError(
            f"{output}: a picture is {', '.join(FORMATS)}, by its name", hint=f"-o {kind}.png"
        )
    if data is None and kind not in WITHOUT_DATA:
        raise UsageError(
            f"plot {kind} needs a table: no DATA was given", hint=f"aecli plot {kind} data.parquet"
        )
    return format


def _by_itself(directory: Path, source: Source | None, how: dict[str, Any]) -> tuple[Findings, str]:
    found = _findings(directory, source, neighbours=True, **how)
    from aecli.report.html import page

    how["progress"].stage("drawing")
    return found, page(found)


def _side_by_side(
    directories: Sequence[Path], source: Source | None, how: dict[str, Any]
) -> tuple[Findings, str]:
    from aecli.report.collect_models import compared

    found = compared(directories, source, **how)
    from aecli.report.html import comparison_page

    how["progress"].stage("drawing")
    return found.models[0], comparison_page(found)


def _findings(directory: Path, source: Source | None, **how: Any) -> Findings:
    if source is None:
        return alone(directory)
    from aecli.report.collect import measured

    return measured(directory, source, **how)[0]


def _write(output: str, content: bytes) -> None:
    with atomic_path(Path(output)) as path:
        path.write_bytes(content)
