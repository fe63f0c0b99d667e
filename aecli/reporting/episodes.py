"""Join anomalous windows into episodes, and find the rows around them with their reconstruction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import torch

from aecli.array_types import AnyFloats, Indices, Mask
from aecli.features.inverse import InverseColumns
from aecli.features.layout import TEXTS
from aecli.features.windows import Windows
from aecli.inference.batches import WindowedTable
from aecli.inference.loaded_model import LoadedModel
from aecli.reporting.data import ReportRow, ScoreTimeline, SignalExcerpt
from aecli.reporting.examples import MAX_ROW_CELLS, in_units, name_text
from aecli.schema.model_spec import Column
from aecli.schema.network_options import WindowOptions
from aecli.scoring.explanation import ScoreReason, cell_text
from aecli.scoring.scorer import MIN_BLOCK, Scorer
from aecli.table.arrow_types import is_plain_number

EXCERPT_ROWS = 400
"""Rows of the excerpt, or two windows where these are longer."""

EXCERPT_COLUMNS = 3


MAX_EPISODES = 10
TIMELINE_POINTS = 600


def episodes(
    model: LoadedModel,
    scorer: Scorer,
    table: WindowedTable,
    scores: AnyFloats,
    constants: Sequence[Column],
) -> list[ReportRow]:
    """Return the most anomalous episodes, the highest score first.

    An episode joins windows above the threshold that overlap or follow each other in one series.
    Without such a window the most anomalous one is the only episode. Its times are those of rows
    whose mean score over their windows is above the threshold.

    Args:
        scores: of all windows `(n_windows,)`, in their order.
        constants: columns whose cells are compared.
    """
    spec = model.spec
    assert spec.calibration is not None, "a scorer has a calibration"
    windows, times = table.windows, time_texts(table, spec.options.windows.time)
    series = _series_texts(table, spec.options.windows.group)
    threshold = spec.calibration.scales["mean"].threshold
    by_row = _row_scores(windows, scores)
    joined = _joined_windows(windows, scores > threshold)
    joined = joined or [(int(np.nanargmax(scores)),) * 2]
    joined.sort(key=lambda pair: -float(np.nanmax(scores[pair[0] : pair[1] + 1])))
    found = []
    for first, last in joined[:MAX_EPISODES]:
        peak = first + int(np.nanargmax(scores[first : last + 1]))
        begin, end = _anomalous_part(windows, by_row > threshold, first, last)
        rows = [int(windows.order[position]) for position in (begin, end)]
        cells = _window_cells(model, scorer, table, constants, peak)
        last_row = int(windows.last_rows[peak])
        signal = signal_excerpt(model, scorer, table, last_row, [cell.column for cell in cells])
        around = signal[0][[0, -1]].tolist() if signal is not None else rows
        found.append(
            ReportRow(
                number=last_row,
                error=float(scores[peak]),
                cells=cells,
                identifier=series(last_row),
                windows=last - first + 1,
                highest=(int(windows.rows(np.array([peak]))[0, 0]), last_row),
                span=(times(rows[0]), times(rows[1])),
                signal=signal,
                signal_span=(times(around[0]), times(around[1])),
            )
        )
    return found


def _row_scores(windows: Windows, scores: AnyFloats) -> AnyFloats:
    """Return for each position in the order of windows the mean score of those that contain it."""
    known = ~np.isnan(scores)
    starts = windows.starts[known]
    totals = np.zeros((2, len(windows.order) + windows.size + 1))
    for total, values in zip(totals, (scores[known], np.ones(len(starts))), strict=True):
        np.add.at(total, starts, values)
        np.add.at(total, starts + windows.size, -values)
    sums, counts = totals.cumsum(1)[:, : len(windows.order)]
    return np.where(counts > 0.5, sums / np.maximum(counts, 1.0), 0.0)


def _anomalous_part(windows: Windows, above: Mask, first: int, last: int) -> tuple[int, int]:
    """Return the first and the last position of an episode whose own score is above the threshold.

    Where there is none, those of its windows.
    """
    begin, end = int(windows.starts[first]), int(windows.starts[last]) + windows.size - 1
    inside = begin + np.flatnonzero(above[begin : end + 1])
    return (int(inside[0]), int(inside[-1])) if len(inside) else (begin, end)


def _joined_windows(windows: Windows, above: Mask) -> list[tuple[int, int]]:
    """Return the first and the last window of each run above the threshold in one series."""
    pieces = np.searchsorted(windows.firsts, windows.starts, side="right")
    found: list[tuple[int, int]] = []
    for window in np.flatnonzero(above).tolist():
        last = found[-1][1] if found else -1
        near = last >= 0 and windows.starts[window] <= windows.starts[last] + windows.size
        if near and pieces[window] == pieces[last]:
            found[-1] = (found[-1][0], window)
        else:
            found.append((window, window))
    return found


def time_texts(table: WindowedTable, time: str | None) -> Callable[[int], str]:
    """Return a function that writes the time of a row, or without times its number."""
    if time is None or time not in table.source.names:
        return lambda row: f"row {row:,}"
    column = _column(table, time)
    return lambda row: name_text(column, row)


def _series_texts(table: WindowedTable, group: Sequence[str]) -> Callable[[int], str]:
    """Return a function that names the series of a row; it is empty without groups."""
    columns = {name: _column(table, name) for name in group if name in table.source.names}
    return lambda row: ", ".join(f"{name} {name_text(one, row)}" for name, one in columns.items())


def _column(table: WindowedTable, name: str) -> pa.Array:
    source = table.source.select([name])
    return pa.Table.from_batches(source.batches(), source.schema)[name].combine_chunks()


def _window_cells(
    model: LoadedModel,
    scorer: Scorer,
    table: WindowedTable,
    constants: Sequence[Column],
    window: int,
) -> list[ScoreReason]:
    """Return the columns of a window at the row where each deviates most, the largest first."""
    rows = table.windows.rows(np.array([window]))[0]
    cells = table.staged.cells.index_select(0, torch.from_numpy(rows))
    scored = scorer.score(cells, table.differs[rows])
    inverse = InverseColumns(model.spec.columns)
    columns, outputs, found = inverse.layout.columns, scored.outputs.cpu().numpy(), []
    reasons = scored.reasons[0].nan_to_num(-1.0).tolist()
    for position in np.argsort(-np.array(reasons), kind="stable")[:MAX_ROW_CELLS].tolist():
        part = reasons[position]
        if position >= len(columns):
            name = constants[position - len(columns)].name
            constant = ScoreReason(name, math.nan, constant=True, contribution=part)
            found += [constant] if part > 0 else []
            continue
        row = int(scored.row_errors[:, position].nan_to_num(-1.0).argmax())
        values = _cell_texts(inverse, columns[position], cells.numpy()[[row]], outputs[[row]])
        error = float(scored.row_errors[row, position])
        found.append(ScoreReason(columns[position].name, error, *values, contribution=part))
    return found


def _cell_texts(
    inverse: InverseColumns, column: Column, cells: AnyFloats, outputs: AnyFloats
) -> tuple[str | None, str | None]:
    """Return the value and the reconstruction of one row; of a vector or text neither."""
    found = inverse.column(column, outputs)
    at = sum(inverse.layout.widths[: inverse.layout.columns.index(column)])
    value, expected = float(cells[0, at]), cell_text(found, 0, digits=4)
    if column.kind in ("vector", "time", *TEXTS) or np.isnan(value):
        return None, None
    if column.kind == "number":
        return cell_text(inverse.column(column, np.full_like(outputs, value)), 0), expected
    names = ["false", "true"] if column.kind == "boolean" else list(map(str, column.categories))
    code = int(value)
    return names[code] if 0 <= code < len(names) else "another value", expected


def score_timeline(
    table: WindowedTable, scores: AnyFloats, options: WindowOptions
) -> ScoreTimeline:
    """Return the scores of windows over the time of their last rows, the highest of each point.

    Several series follow each other, by the number of their windows, and so do rows without times.
    """
    windows, time = table.windows, options.time
    at: AnyFloats = np.arange(len(windows), dtype=np.float64)
    texts = time_texts(table, time)
    if windows.series > 1 and options.group:
        texts = _series_texts(table, options.group)
    elif time is not None and time in table.source.names:
        at = _positions_in_time(_column(table, time), at, windows.last_rows)
    parts = np.array_split(np.arange(len(at)), min(TIMELINE_POINTS, len(at)))
    highest = [part[int(np.nanargmax(np.nan_to_num(scores[part], nan=-1.0)))] for part in parts]
    ends = (texts(int(windows.last_rows[0])), texts(int(windows.last_rows[-1])))
    return at[highest], scores[highest], ends


def _positions_in_time(column: pa.Array, positions: AnyFloats, rows: Indices) -> AnyFloats:
    """Return the times of rows as numbers, or their `positions` where times are not numbers."""
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int64() if column.type.bit_width == 64 else pa.int32())
    if not is_plain_number(column.type):
        return positions
    times: AnyFloats = column.to_numpy(zero_copy_only=False).astype(np.float64)[rows]
    return times if bool((np.diff(times) >= 0).all()) else positions


def signal_excerpt(
    model: LoadedModel,
    scorer: Scorer | None,
    table: WindowedTable,
    last_row: int,
    names: Sequence[str] = (),
) -> SignalExcerpt | None:
    """Return the rows around the window that ends with `last_row`, and a few number columns.

    These are the first of `names`, or without names those with the largest errors. A row's
    reconstruction and score are the means over the windows that it lies in. None where no column
    is a number.
    """
    inverse = InverseColumns(model.spec.columns)
    if not any(column.size == 1 for column in inverse.layout.numeric):
        return None
    rows, starts = _excerpt_windows(table, last_row)
    cells = table.staged.cells.index_select(0, torch.from_numpy(rows))
    outputs = np.zeros((len(rows), inverse.layout.outputs))
    scores, counts = np.zeros(len(rows)), np.zeros(len(rows))
    size = table.windows.size
    for group in np.array_split(starts, max(1, len(starts) * size // MIN_BLOCK)):
        positions = (group[:, None] + np.arange(size)).reshape(-1)
        decoded, window_scores = _decoded_windows(
            model, scorer, cells[torch.from_numpy(positions)], table.differs[rows[positions]]
        )
        np.add.at(outputs, positions, decoded)
        np.add.at(scores, positions, np.repeat(window_scores, size))
        np.add.at(counts, positions, 1)
    with np.errstate(invalid="ignore"):  # NaN, a gap in the curve, for a row in no window
        outputs, scores = outputs / counts[:, None], scores / counts
    columns = excerpt_columns(inverse, cells.numpy(), outputs, names)
    return rows, columns, scores if scorer is not None else None


def window_ending_at(table: WindowedTable, last_row: int) -> int:
    """Return the position of the window whose last row has a number."""
    return int(np.flatnonzero(table.windows.last_rows == last_row)[0])


def _excerpt_windows(table: WindowedTable, last_row: int) -> tuple[Indices, Indices]:
    """Return the rows around a window of one series, and where windows start among them."""
    windows = table.windows
    most = max(EXCERPT_ROWS, 2 * windows.size)
    first = int(windows.starts[window_ending_at(table, last_row)])
    series = int(np.searchsorted(windows.firsts, first, side="right")) - 1
    low, high = int(windows.firsts[series]), len(windows.order)
    if series + 1 < windows.series:
        high = int(windows.firsts[series + 1])
    begin = max(low, min(first + windows.size // 2 - most // 2, high - most))
    stop = min(high, begin + most)
    inside = (windows.starts >= begin) & (windows.starts + windows.size <= stop)
    return windows.order[begin:stop], windows.starts[inside] - begin


def _decoded_windows(
    model: LoadedModel, scorer: Scorer | None, cells: torch.Tensor, differs: Mask
) -> tuple[AnyFloats, AnyFloats]:
    """Return the outputs of every row of some windows, and the windows' scores."""
    if scorer is not None:
        scored = scorer.score(cells, differs)
        return scored.outputs.cpu().double().numpy(), scored.scores["mean"].numpy()
    with torch.no_grad():
        latent = model.network.encode(model.inputs(cells.to(model.device)))
        outputs = model.network.decode(latent).double().cpu().numpy()
    return outputs, np.zeros(len(latent))


def excerpt_columns(
    inverse: InverseColumns, cells: AnyFloats, outputs: AnyFloats, names: Sequence[str]
) -> dict[str, tuple[AnyFloats, AnyFloats]]:
    """Return values and reconstructions of number columns: the first names, or largest errors."""
    numbers = {column.name: column for column in inverse.layout.numeric if column.size == 1}
    chosen = [name for name in names if name in numbers]
    if not chosen:
        chosen = sorted(numbers, key=lambda name: -_error(inverse, numbers[name], cells, outputs))
    return {
        name: (
            in_units(inverse, numbers[name], cells)[:, 0],
            in_units(inverse, numbers[name], outputs)[:, 0],
        )
        for name in chosen[:EXCERPT_COLUMNS]
    }


def _error(inverse: InverseColumns, column: Column, cells: AnyFloats, outputs: AnyFloats) -> float:
    differences = inverse.part(column, cells) - inverse.part(column, outputs)
    known = differences[~np.isnan(differences)]
    return float((known**2).mean()) if len(known) else 0.0
