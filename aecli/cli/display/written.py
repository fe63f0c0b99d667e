"""Draw the results of commands that write a file: rows, thresholds, pages and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from aecli.cli.display.widgets import BAD, clipped, names
from aecli.formatting import count, duration, figure, safe, size

if TYPE_CHECKING:
    from aecli.inference.decode import DecodeResult
    from aecli.inference.sample import SampleResult
    from aecli.inference.stream_result import StreamResult
    from aecli.reporting.report import PlotResult, ReportResult
    from aecli.scoring.calibrate import CalibrateResult


def stream_report(result: StreamResult) -> RenderableType:
    """Return the number of written rows, and notes on the table."""
    return Group(*stream_lines(result))


def calibration_report(result: CalibrateResult) -> RenderableType:
    """Return the new and the old threshold, and how well it detects anomalies."""
    old, new = (c.scales["mean"].threshold for c in (result.before, result.calibration))
    lines = [
        f"{count(result.rows)} {safe(result.calibration.source)}",
        f"threshold {figure(new, 4)}, before {figure(old, 4)}: {safe(result.calibration.rule)}",
    ]
    if result.anomalies is not None:
        figures = {"precision": result.precision, "recall": result.recall, "F1": result.f1}
        shown = ", ".join(f"{name} {figure(value, 3)}" for name, value in figures.items())
        lines.append(f"{count(result.anomalies, 'anomaly', 'anomalies')}: {shown}")
    return Group(*(Text(line) for line in lines))


def sample_report(result: SampleResult) -> RenderableType:
    """Return the number of sampled rows, and their file."""
    of_class = f" of class {safe(result.of_class)}" if result.of_class is not None else ""
    where = "stdout" if result.output == "-" else safe(result.output)
    shape = (
        f"{count(result.rows, 'sampled row')}{of_class} of {count(len(result.columns), 'column')}"
    )
    return Text(f"{shape} to {where} in {duration(result.seconds)}")


def decode_report(result: DecodeResult) -> RenderableType:
    """Return the number of decoded rows, and their file."""
    where = "stdout" if result.output == "-" else safe(result.output)
    shape = f"{count(result.rows, 'row')} of {count(len(result.columns), 'column')}"
    latents = count(result.latents, "latent")
    return Text(f"{shape} from {latents} to {where} in {duration(result.seconds)}")


def page_report(result: ReportResult) -> RenderableType:
    """Return the content and the file of a page."""
    of = f", {count(result.rows, 'row')} of {safe(result.data)}" if result.data else ""
    figures = count(result.figures, "figure")
    if result.compared:
        figures += f" of {count(1 + len(result.compared), 'model')}"
    return Text(f"{figures}{of} to {safe(result.output)} ({size(result.bytes)})")


def plot_report(result: PlotResult) -> RenderableType:
    """Return a description of a picture."""
    lines = [f"{result.kind} to {safe(result.output)} ({size(result.bytes)})", *result.shows]
    return Group(*(Text(line) for line in lines))


def stream_lines(result: StreamResult) -> Iterator[Text]:
    """Yield what was read and written, and notes on the table."""
    written = count(result.rows, result.unit)
    if result.output is not None:
        where = "stdout" if result.output == "-" else safe(result.output)
        where += f" ({count(result.files, 'file')})" if result.files is not None else ""
        written += f" of {count(len(result.columns), 'column')} to {where}"
    speed = f"{count(round(result.rows / max(result.seconds, 1e-6)), result.unit)}/s"
    yield Text(f"{written} in {duration(result.seconds)} ({speed})")
    yield from cell_counts("filled", result.filled, style="")
    why = "in no window" if result.uncovered else "no stored text is near"
    yield from cell_counts(f"{why}, left missing", result.unfilled)
    yield from (Text(safe(note)) for note in result.notes)
    if result.ignored:
        yield Text(f"not in the model, ignored: {names(list(result.ignored))}", style=BAD)
    yield from cell_counts("values that training did not have", result.unseen)
    yield from cell_counts("missing cells where training had none", result.missing)


def cell_counts(
    what: str, counts: Mapping[str, int], most: int = 5, style: str = BAD
) -> Iterator[Text]:
    """Return the columns with most cells of a kind, and their counts."""
    cells = sorted(((n, column) for column, n in counts.items() if n), reverse=True)
    if cells:
        listed = ", ".join(f"{clipped(column, 24)} {count(n)}" for n, column in cells[:most])
        rest = f", … and {count(len(cells) - most)} more columns" if len(cells) > most else ""
        yield Text(f"{what}: {listed}{rest}", style=style)
