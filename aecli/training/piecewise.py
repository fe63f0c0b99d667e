"""Fit the bins of piecewise-linear copies of numbers, which help a classifier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aecli.array_types import AnyFloats
from aecli.features.layout import lay_out
from aecli.schema.model_spec import Column
from aecli.schema.options import TrainOptions
from aecli.training.data import PreparedTable

MAX_BINS = 64
"""Bins of one column."""

MAX_PIECEWISE_INPUTS = 512
"""Bins of all columns together; more would make the first layer slow."""

MIN_BINS = 4

BINNED_ROWS = 1 << 16

LIMITINGS = 10
"""Iterations that limit the weight of frequent values, whose limit falls with their weight."""

MANY_LABELLED = 10_000
"""Labelled training rows from which the copies help in general (benchmarks/RESULTS.md, Heads)."""


def takes_piecewise_copies(prepared: PreparedTable, options: TrainOptions) -> bool:
    """Return whether a training may have the copies: a classifier of rows, with an MLP."""
    labelled = options.classifies and prepared.plan.label is not None
    rows = prepared.train.windows is None and options.network.arch in (None, "mlp")
    return labelled and rows and 0 < len(_numbers(prepared)) <= MAX_PIECEWISE_INPUTS // MIN_BINS


def _numbers(prepared: PreparedTable) -> list[str]:
    return [column.name for column in prepared.layout.numeric if column.kind == "number"]


def with_piecewise_copies(prepared: PreparedTable) -> PreparedTable:
    """Return the table with bins of its number columns."""
    layout, numbers = prepared.layout, _numbers(prepared)
    count = min(MAX_BINS, MAX_PIECEWISE_INPUTS // len(numbers))
    rows = prepared.sampled.train.cells
    cells = rows[:: -(-len(rows) // BINNED_ROWS)].numpy()
    firsts = np.cumsum([0, *layout.widths])
    bins = {
        column.name: fit_bins(cells[:, first], count)
        for column, first in zip(layout.columns, firsts, strict=False)
        if column.name in numbers
    }

    def with_bins(column: Column) -> Column:
        edges = bins.get(column.name, [])
        reason = f"{column.reason}; {len(edges) - 1} bins" if edges else column.reason
        return column.model_copy(update={"bins": edges, "reason": reason})

    columns = tuple(map(with_bins, prepared.plan.columns))
    plan, layout = replace(prepared.plan, columns=columns), lay_out(columns)
    sample = prepared.sample and replace(prepared.sample, plan=plan, layout=layout)
    return replace(prepared, plan=plan, layout=layout, sample=sample)


def fit_bins(values: AnyFloats, count: int) -> list[float]:
    """Return the ascending edges of at most `count` bins of the values that are not NaN.

    They are quantiles, as in Gorishniy et al. (2022), §3.1, but a value that many rows have counts
    at most as one bin, so that the other values have the other bins. Of few distinct values each is
    an edge; of two, the number itself is enough.
    """
    distinct, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    if len(distinct) < 3:
        return []
    if len(distinct) <= count + 1:
        return [float(value) for value in distinct]
    weights = counts.astype(np.float64)
    for _ in range(LIMITINGS):
        weights = np.minimum(weights, weights.sum() / count)
    shares = weights.cumsum() / weights.sum()
    quantiles = np.searchsorted(shares, np.linspace(0, 1, count + 1)[1:-1])
    edges = distinct[np.unique([0, *quantiles, len(distinct) - 1])]
    return [float(edge) for edge in edges]


def labelled_rows(prepared: PreparedTable) -> int:
    """Return the number of labelled training rows of all ranks."""
    codes = prepared.train.codes
    return sum(prepared.ranks.gather(0 if codes is None else int((codes >= 0).sum())))
