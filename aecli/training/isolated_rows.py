"""Drop the most isolated training samples, which may be anomalies, before the training."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from aecli.features.layout import Layout
from aecli.features.staging import Staged
from aecli.schema.training_options import TrainingOptions
from aecli.scoring.fit import sampled_cells
from aecli.scoring.forest import fit_forest
from aecli.scoring.isolation_fit import BLOCK
from aecli.scoring.sample_inputs import SampleInputs


def drop_isolated(
    train: Staged, layout: Layout, options: TrainingOptions, notes: list[str]
) -> tuple[Staged, int]:
    """Return the samples without those that a forest isolates first, and their number.

    A note on them is added to `notes`. The memory of `train` is reused.
    """
    count = int(options.drop_isolated * len(train))
    if not count:
        return train, 0
    kept = torch.ones(len(train), dtype=torch.bool)
    kept[_most_isolated(train, layout)[:count]] = False
    if train.windows is None:
        _keep_varying(train.cells, kept)
    dropped = int((~kept).sum())
    unit = "rows" if train.windows is None else "windows"
    isolated = f"{dropped:,} most isolated of {len(train):,} training {unit}"
    notes.append(f"--drop-isolated left out the {isolated}")
    return _chosen(train, kept), dropped


def _most_isolated(train: Staged, layout: Layout) -> Tensor:
    """Return the indices of the samples, the most isolated one first."""
    samples = SampleInputs(layout, train.size)
    forest = fit_forest(samples.vectors(sampled_cells(train, layout)), samples.columns)
    blocks = [forest.isolation(samples.vectors(cells)) for cells in train.blocks(BLOCK)]
    return torch.cat(blocks).argsort(descending=True, stable=True)


def _keep_varying(cells: Tensor, kept: Tensor) -> None:
    """Keep one more row for each column whose remaining cells would all be equal.

    The columns' scaling and losses are those of columns that vary.
    """
    for column in cells.T:
        left = column[kept]
        left = left[~left.isnan()]
        if len(left) and bool((left == left[0]).all()):
            others = ~kept & ~column.isnan() & (column != left[0])
            kept[others.nonzero()[:1, 0]] = True


def _chosen(train: Staged, kept: Tensor) -> Staged:
    """Return the samples where `kept` is True."""
    codes = None if train.codes is None else train.codes[kept]
    if train.windows is not None:
        windows = replace(train.windows, starts=train.windows.starts[kept.numpy()])
        return replace(train, codes=codes, windows=windows)
    start = 0
    # Block by block, in place: the cells may be larger than the memory.
    for cells, mask in zip(train.cells.split(BLOCK), kept.split(BLOCK), strict=True):
        chosen = cells[mask]
        train.cells[start : start + len(chosen)] = chosen
        start += len(chosen)
    return replace(train, cells=train.cells[:start], codes=codes)
