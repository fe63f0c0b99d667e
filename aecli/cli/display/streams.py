"""Draw what the streaming commands say when they are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from aecli.cli.display.blocks import BAD, clipped, names
from aecli.cli.text import count, duration, safe
from aecli.verbs.results import DecodeResult, SampleResult, StreamResult


def stream_report(result: StreamResult) -> RenderableType:
    """Say what was written, and what was odd about the table."""
    return Group(*_lines(result))


def sample_report(result: SampleResult) -> RenderableType:
    """Say what was drawn."""
    of_class = f" of class {safe(result.of_class)}" if result.of_class is not None else ""
    where = "stdout" if result.output == "-" else safe(result.output)
    shape = f"{count(result.rows, 'drawn row')}{of_class} of {count(len(result.columns), 'column')}"
    return Text(f"{shape} to {where} in {duration(result.seconds)}")


def decode_report(result: DecodeResult) -> RenderableType:
    """Say what was decoded."""
    where = "stdout" if result.output == "-" else safe(result.output)
    shape = f"{count(result.rows, 'row')} of {count(len(result.columns), 'column')}"
    latents = count(result.latents, "latent")
    return Text(f"{shape} from {latents} to {where} in {duration(result.seconds)}")


def _lines(result: StreamResult) -> Iterator[Text]:
    where = "stdout" if result.output == "-" else safe(result.output)
    shape = f"{count(result.rows, 'row')} of {count(len(result.columns), 'column')}"
    pace = f"{count(round(result.rows / max(result.seconds, 1e-6)))} rows/s"
    yield Text(f"{shape} to {where} in {duration(result.seconds)} ({pace})")
    yield from odd_cells("filled", result.filled, style="")
    yield from odd_cells("in no window, left empty", result.unfilled)
    yield from (Text(safe(note)) for note in result.notes)
    if result.ignored:
        yield Text(f"not in the model, ignored: {names(list(result.ignored))}", style=BAD)
    yield from odd_cells("values that training did not have", result.unseen)
    yield from odd_cells("empty cells where training had none", result.missing)


def odd_cells(
    what: str, counts: Mapping[str, int], most: int = 5, style: str = BAD
) -> Iterator[Text]:
    """Name the columns with most cells of a kind."""
    found = sorted(((n, column) for column, n in counts.items() if n), reverse=True)
    if found:
        listed = ", ".join(f"{clipped(column, 24)} {count(n)}" for n, column in found[:most])
        rest = f", … and {count(len(found) - most)} more columns" if len(found) > most else ""
        yield Text(f"{what}: {listed}{rest}", style=style)
