"""Drop the most isolated training samples, which may be anomalies, before the training."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from aecli.features.layout import Layout
from aecli.features.staging import Staged
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.schema.training_options import TrainingOptions
from aecli.scoring.fit import sampled_cells
from aecli.scoring.forest import fit_forest
from aecli.scoring.isolation_fit import BLOCK
from aecli.scoring.sample_inputs import SampleInputs


def drop_isolated(
    train: Staged,
    layout: Layout,
    options: TrainingOptions,
    notes: list[str],
    *,
    ranks: Ranks = ONE_PROCESS,
) -> tuple[Staged, int]:
    """Return the samples without those that a forest isolates first, and their number.

    The number is that of all ranks, and the most isolated samples of all ranks are dropped. A note
    on them is added to `notes`. The memory of `train` is reused.
    """
    total = sum(ranks.gather(len(train)))
    count = int(options.drop_isolated * total)
    if not count:
        return train, 0
    kept = _least_isolated(_isolation(train, layout, ranks), count, ranks)
    if train.windows is None:
        _keep_varying(train.cells, kept, ranks)
    dropped = sum(ranks.gather(int((~kept).sum())))
    unit = "rows" if train.windows is None else "windows"
    notes.append(
        f"--drop-isolated left out the {dropped:,} most isolated of {total:,} training {unit}"
    )
    return _chosen(train, kept), dropped


def _isolation(train: Staged, layout: Layout, ranks: Ranks) -> Tensor:
    """Return the isolation of each sample by a forest of the samples of all ranks."""
    samples = SampleInputs(layout, train.size)
    cells = torch.cat(ranks.gather(sampled_cells(train, layout)[:: ranks.size].contiguous()))
    forest = fit_forest(samples.vectors(cells), samples.columns)
    blocks = (samples.vectors(block) for block in train.blocks(BLOCK) if len(block))
    return torch.cat([*map(forest.isolation, blocks), torch.empty(0)])


def _least_isolated(isolation: Tensor, count: int, ranks: Ranks) -> Tensor:
    """Return a mask of the samples without the `count` most isolated ones of all ranks."""
    parts = ranks.gather(isolation)
    order = torch.cat(parts).argsort(descending=True, stable=True)
    kept = torch.ones(len(order), dtype=torch.bool)
    kept[order[:count]] = False
    before = sum(map(len, parts[: ranks.rank]))
    return kept[before : before + len(isolation)].clone()


def _keep_varying(cells: Tensor, kept: Tensor, ranks: Ranks) -> None:
    """Keep one more row for each column whose remaining cells would all be equal.

    The columns' scaling and losses are those of columns that vary.
    """
    for number in _equal_columns(cells, kept, ranks):
        if number not in _equal_columns(cells, kept, ranks):
            continue  # a row that was kept for another column is enough
        column = cells[:, number]
        values = column[kept]
        value = next(
            part for part in ranks.gather(values[~values.isnan()][:1].clone()) if len(part)
        )
        others = (~kept & ~column.isnan() & (column != value)).nonzero()[:1, 0].clone()
        found = [len(part) > 0 for part in ranks.gather(others)]
        if any(found) and found.index(True) == ranks.rank:
            kept[others] = True


def _equal_columns(cells: Tensor, kept: Tensor, ranks: Ranks) -> list[int]:
    """Return the columns whose remaining cells have one value."""
    low, high = torch.full((2, cells.shape[1]), torch.inf)
    for block, mask in zip(cells.split(BLOCK), kept.split(BLOCK), strict=True):
        chosen = block[mask]
        if len(chosen):
            low = torch.minimum(low, chosen.nan_to_num(torch.inf).amin(0))
            high = torch.minimum(high, (-chosen).nan_to_num(torch.inf).amin(0))
    ends = torch.stack(ranks.gather(torch.stack([low, high]))).amin(0)
    return (ends[0] == -ends[1]).nonzero()[:, 0].tolist()


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
