"""Find the rows around the most anomalous window, and their reconstruction."""

from __future__ import annotations

import numpy as np
import torch

from aecli.array_types import AnyFloats, Indices, Mask
from aecli.features.inverse import InverseColumns
from aecli.inference.batches import WindowedTable
from aecli.inference.loaded_model import LoadedModel
from aecli.reporting.data import SignalExcerpt
from aecli.reporting.examples import in_units
from aecli.scoring.scorer import SCORING_BLOCK, Scorer

EXCERPT_ROWS = 400
"""Rows of the excerpt, or two windows where these are longer."""

EXCERPT_COLUMNS = 3


def signal_excerpt(
    model: LoadedModel, scorer: Scorer | None, table: WindowedTable, last_row: int
) -> SignalExcerpt | None:
    """Return the rows around the window that ends with `last_row`, and their worst columns.

    A row's reconstruction and score are the means over the windows that it lies in. None where no
    column is a number.
    """
    inverse = InverseColumns(model.spec.columns)
    if not any(column.size == 1 for column in inverse.layout.numeric):
        return None
    rows, starts = _excerpt_windows(table, last_row)
    cells = table.staged.cells.index_select(0, torch.from_numpy(rows))
    outputs = np.zeros((len(rows), inverse.layout.outputs))
    scores, counts = np.zeros(len(rows)), np.zeros(len(rows))
    size = table.windows.size
    for group in np.array_split(starts, max(1, len(starts) * size // SCORING_BLOCK)):
        positions = (group[:, None] + np.arange(size)).reshape(-1)
        decoded, window_scores = _decoded_windows(
            model, scorer, cells[torch.from_numpy(positions)], table.differs[rows[positions]]
        )
        np.add.at(outputs, positions, decoded)
        np.add.at(scores, positions, np.repeat(window_scores, size))
        np.add.at(counts, positions, 1)
    with np.errstate(invalid="ignore"):  # NaN, a gap in the curve, for a row in no window
        outputs, scores = outputs / counts[:, None], scores / counts
    columns = _worst_columns(inverse, cells.numpy(), outputs)
    return rows + 1, columns, scores if scorer is not None else None


def _excerpt_windows(table: WindowedTable, last_row: int) -> tuple[Indices, Indices]:
    """Return the rows around a window of one series, and where windows start among them."""
    windows = table.windows
    most = max(EXCERPT_ROWS, 2 * windows.size)
    window = int(np.flatnonzero(windows.last_rows == last_row)[0])
    first = int(windows.starts[window])
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
        return scored.outputs.double().numpy(), scored.scores["mean"].numpy()
    with torch.no_grad():
        latent = model.network.encode(model.inputs(cells.to(model.device)))
        outputs = model.network.decode(latent).double().cpu().numpy()
    return outputs, np.zeros(len(latent))


def _worst_columns(
    inverse: InverseColumns, cells: AnyFloats, outputs: AnyFloats
) -> dict[str, tuple[AnyFloats, AnyFloats]]:
    """Return values and reconstructions of the number columns with the largest scaled errors."""
    numbers = [column for column in inverse.layout.numeric if column.size == 1]
    errors = []
    for column in numbers:
        differences = inverse.part(column, cells) - inverse.part(column, outputs)
        known = differences[~np.isnan(differences)]
        errors.append(float((known**2).mean()) if len(known) else 0.0)
    order = np.argsort(-np.array(errors), kind="stable")[:EXCERPT_COLUMNS]
    return {
        numbers[i].name: (
            in_units(inverse, numbers[i], cells)[:, 0],
            in_units(inverse, numbers[i], outputs)[:, 0],
        )
        for i in order
    }
