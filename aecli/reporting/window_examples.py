"""Windows that a report shows: the median and the best ones, and the latents of episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from aecli.array_types import Floats
from aecli.features.inverse import InverseColumns
from aecli.inference.batches import WindowedTable
from aecli.inference.loaded_model import LoadedModel
from aecli.reporting.data import ReportRow
from aecli.reporting.episodes import excerpt_columns, time_texts, window_ending_at
from aecli.reporting.examples import SampledRows
from aecli.scoring.scorer import Scorer


def example_windows(
    model: LoadedModel, table: WindowedTable, examples: Mapping[str, SampledRows]
) -> dict[str, ReportRow]:
    """Return the first window of each rank, with the number column whose error is the largest.

    There are none where no column is a number.
    """
    inverse = InverseColumns(model.spec.columns)
    times = time_texts(table, model.spec.options.windows.time)
    shown = {}
    for rank, windows in examples.items():
        last = int(windows.row[0])
        rows = table.windows.rows(np.array([window_ending_at(table, last)]))[0]
        curves = excerpt_columns(inverse, windows.cells[0], windows.outputs[0], ())
        span = times(int(rows[0])), times(int(rows[-1]))
        for name, curve in list(curves.items())[:1]:
            shown[rank] = ReportRow(
                last, float(windows.mean_errors[0]), [], windows=1, span=span,
                signal=(rows, {name: curve}, None), signal_span=("first row", "last row"),
            )  # fmt: skip
    return shown


def episode_latents(scorer: Scorer, table: WindowedTable, episodes: Sequence[ReportRow]) -> Floats:
    """Return the latent `(n_episodes, n_units)` of the highest window of each episode."""
    windows = np.array([window_ending_at(table, episode.number) for episode in episodes])
    rows = table.windows.rows(windows).reshape(-1)
    latents, _ = scorer.run(table.staged.cells.index_select(0, torch.from_numpy(rows)))
    found: Floats = latents.cpu().double().numpy()
    return found
