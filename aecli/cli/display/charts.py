"""Draw loss curves with block characters, and as sparklines in one line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from aecli.cli.display.widgets import DIM, clipped
from aecli.formatting import count, figure

BAR_BLOCKS = " ▁▂▃▄▅▆▇█"
CHART_HEIGHT = 6
CHART_WIDTH = 80
AXIS_WIDTH = 10
"""Cells before a curve, for the numbers of its axis."""

Curve = Sequence[float | None]


class LossCurves:
    """Every loss term over the epochs: bars of the validation loss, or of the training loss.

    Off a terminal the bars are left out, and the figures of some epochs stay.
    """

    def __init__(self, history: Sequence[Mapping[str, Any]]) -> None:
        self.history = history

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.history:
            yield Text("no history.jsonl: nothing is known of the epochs", style=DIM)
            return
        width = min(options.max_width, CHART_WIDTH) - AXIS_WIDTH
        side = "valid" if any(entry.get("valid") for entry in self.history) else "train"
        best = next((e["epoch"] for e in reversed(self.history) if e.get("best")), None)
        for name in _terms(self.history):
            line = [(entry.get(side) or {}).get(name) for entry in self.history]
            known = [value for value in line if value is not None]
            if not known:
                continue
            yield Text("")
            summary = f"train {self._range('train', name)}"
            if side == "valid":
                summary += f", valid {self._range('valid', name)}, lowest {figure(min(known), 3)}"
            yield Text.assemble((clipped(name, 16), "bold"), (f"  {summary}", DIM))
            if console.is_terminal:
                yield from self._bars(line, width, best)
        epochs = count(len(self.history), "epoch")
        yield Text(f"\n{epochs}" + (f"; epoch {best} was the best" if best else ""), style=DIM)

    def _range(self, side: str, name: str) -> str:
        first, last = ((self.history[end].get(side) or {}).get(name) for end in (0, -1))
        return f"{figure(first, 3)} to {figure(last, 3)}"

    def _bars(self, line: Curve, width: int, best: int | None) -> Iterator[Text]:
        points = resampled(line, width)
        known = [value for value in points if value is not None]
        low, high = min(known), max(known)
        cell_width = max(1, min(3, width // len(points)))
        for level in reversed(range(CHART_HEIGHT)):
            cells = "".join(_block(value, low, high, level) * cell_width for value in points)
            label = {CHART_HEIGHT - 1: figure(high, 3), 0: figure(low, 3)}.get(level, "")
            yield Text.assemble((f"{label:>{AXIS_WIDTH - 2}} ", DIM), ("│", DIM), (cells, "cyan"))
        if best is not None:
            index = (best - self.history[0]["epoch"]) * len(points) // len(self.history)
            yield Text(" " * (AXIS_WIDTH + index * cell_width) + "▲", style="bold")


def sparkline(line: Curve, width: int) -> str:
    """Return a line of at most `width` cells, high where the values are; gaps are empty."""
    points = resampled(line, width)
    known = [value for value in points if value is not None]
    if not known:
        return ""
    low, spread = min(known), (max(known) - min(known)) or 1.0
    return "".join(
        " " if value is None else BAR_BLOCKS[1 + round(7 * (value - low) / spread)]
        for value in points
    )


def resampled(line: Curve, width: int) -> list[float | None]:
    """Return a line of at most `width` points: means of neighbours where there are more."""
    step = len(line) / min(len(line), max(1, width))
    points: list[float | None] = []
    for index in range(min(len(line), max(1, width))):
        part = line[int(index * step) : max(int((index + 1) * step), int(index * step) + 1)]
        known = [value for value in part if value is not None and math.isfinite(value)]
        points.append(sum(known) / len(known) if known else None)
    return points


def _block(value: float | None, low: float, high: float, level: int) -> str:
    if value is None:
        return " "
    # The lowest value is still seen, as a line at the foot.
    filled = 1 + (CHART_HEIGHT * 8 - 1) * (value - low) / ((high - low) or 1.0)
    return BAR_BLOCKS[min(8, max(0, round(filled) - 8 * level))]


def _terms(history: Sequence[Mapping[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(name for entry in history for name in entry["train"]))
    same = all(e["train"].get("total") == e["train"].get(names[0]) for e in history)
    return [name for name in names if name != "total" or len(names) > 2 or not same]
