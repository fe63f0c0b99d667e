"""Find the stretch of rows around the oddest window, as the model gives it back."""

from __future__ import annotations

import numpy as np
import torch

from aecli.array_types import AnyFloats, Integers
from aecli.features.inverse import Restorer
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.windows import WindowedTable
from aecli.report.data import Channel, Signal
from aecli.report.examples import in_units
from aecli.report.sampled_rows import SampledRows
from aecli.schema.model_spec import ModelSpec
from aecli.scoring.scorer import SCORING_BLOCK, Scorer

ROWS = 400
"""Rows of the stretch, or two windows where these are longer."""

CHANNELS = 3


def anomalous_stretch(
    model: LoadedModel, scorer: Scorer | None, table: WindowedTable, odd: SampledRows
) -> Signal | None:
    """Return the rows around the first of `odd`, in order, with the columns restored worst.

    A row's reconstruction and score are the means over the windows that it lies in. None where no
    column is a number.
    """
    restorer = Restorer(model.spec.columns)
    if not any(column.size == 1 for column in restorer.layout.numeric):
        return None
    rows, starts = _places(table, int(odd.row[0]))
    cells = table.staged.cells.index_select(0, torch.from_numpy(rows))
    outputs = np.zeros((len(rows), restorer.layout.outputs))
    scores, counts = np.zeros(len(rows)), np.zeros(len(rows))
    size = table.windows.size
    for group in np.array_split(starts, max(1, len(starts) * size // SCORING_BLOCK)):
        places = (group[:, None] + np.arange(size)).reshape(-1)
        made, found = _windows(model, scorer, cells[torch.from_numpy(places)])
        np.add.at(outputs, places, made)
        np.add.at(scores, places, np.repeat(found, size))
        np.add.at(counts, places, 1)
    with np.errstate(invalid="ignore"):  # a row in no window is the NaN that is wanted
        outputs, scores = outputs / counts[:, None], scores / counts
    limit = _threshold(model.spec)
    return Signal(
        rows=rows + 1,
        channels=_channels(restorer, cells.numpy(), outputs),
        scores=scores if scorer is not None else None,
        threshold=limit,
    )


def _places(table: WindowedTable, last: int) -> tuple[Integers, Integers]:
    """Return the rows around the window that ends with row `last`, and where windows start."""
    windows = table.windows
    most = max(ROWS, 2 * windows.size)
    end = int(np.flatnonzero(windows.last_rows == last)[0])
    first = int(windows.starts[end])
    piece = int(np.searchsorted(windows.firsts, first, side="right")) - 1
    low, high = int(windows.firsts[piece]), len(windows.order)
    if piece + 1 < windows.series:
        high = int(windows.firsts[piece + 1])
    begin = max(low, min(first + windows.size // 2 - most // 2, high - most))
    stop = min(high, begin + most)
    inside = (windows.starts >= begin) & (windows.starts + windows.size <= stop)
    return windows.order[begin:stop], windows.starts[inside] - begin


def _windows(
    model: LoadedModel, scorer: Scorer | None, cells: torch.Tensor
) -> tuple[AnyFloats, AnyFloats]:
    """Return the outputs of every row of some windows, and the windows' scores."""
    if scorer is not None:
        found = scorer.score(cells)
        return found.outputs.double().numpy(), found.scores["mean"].numpy()
    with torch.no_grad():
        latent = model.network.encode(model.inputs(cells.to(model.device)))
        outputs = model.network.decode(latent).double().cpu().numpy()
    return outputs, np.zeros(len(latent))


def _channels(restorer: Restorer, cells: AnyFloats, outputs: AnyFloats) -> list[Channel]:
    """Return the number columns with the largest mean squared errors, in scaled units."""
    numbers = [column for column in restorer.layout.numeric if column.size == 1]
    errors = []
    for column in numbers:
        apart = restorer.part(column, cells) - restorer.part(column, outputs)
        known = apart[~np.isnan(apart)]
        errors.append(float((known**2).mean()) if len(known) else 0.0)
    order = np.argsort(-np.array(errors), kind="stable")[:CHANNELS]
    return [
        Channel(
            numbers[i].name,
            in_units(restorer, numbers[i], cells)[:, 0],
            in_units(restorer, numbers[i], outputs)[:, 0],
        )
        for i in order
    ]


def _threshold(spec: ModelSpec) -> float | None:
    return spec.calibration.scales["mean"].threshold if spec.calibration else None
