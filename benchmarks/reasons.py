"""Parts of the anomaly score that name the columns which were changed.

A model is trained with defaults on four fifths of at most 2,500 ordinary rows of each table. In the
others one random column is changed: to the value of another row (swapped), or by three standard
deviations (shifted; numbers only). A part names the column if its contribution is the largest, or
among the three largest, of all columns. Next to the parts of the reasons: the forest by split
depth. A tree adds 1/h - 1/h_max to the columns of the first h splits of a row's path, where h is
the row's path length, as DIFFI does for a row (Carletti, Terzi and Susto 2023, section 3.3); the
sums are divided by their mean over the training rows, so that a column is not named because it is
split often. `compressed` are contributions that grow with their logarithm, as the parts do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from harness import Row, Run
from measures import trained
from tables import Floats, read, shuffled

from aecli.inference.loaded_model import load_model
from aecli.inference.run import Pass
from aecli.scoring.deviations import log_compressed
from aecli.scoring.forest import DEPTH, IsolationForest
from aecli.scoring.scorer import Scorer

TABLES = (
    "adbench/2_annthyroid.parquet", "adbench/28_pendigits.parquet", "adbench/31_satimage-2.parquet",
    "adbench/6_cardio.parquet", "adult.csv", "diamonds.csv",
)  # fmt: skip
PARTS = (
    "reconstruction", "univariate", "neighbours", "forest", "the first three", "all four",
    "the first three, compressed",
)  # fmt: skip
WHOLE = 2 * (np.log(1_023) + np.euler_gamma) - 2 * 1_023 / 1_024
"""Mean path length of the trees' 1,024 samples, by which path lengths are divided."""


def ordinary(run: Run, name: str) -> pa.Table:
    """Return at most 2,500 ordinary rows of a table in random order, without its marks."""
    table = read(run, name)
    if "anomaly" in table.column_names:
        table = table.filter(pc.equal(table["anomaly"], 0)).drop_columns(["anomaly"])
    return shuffled(table, run.seed).slice(0, 2_500).combine_chunks()


def changed(
    rows: Floats, numbers: int, kind: str, seed: int
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return cells with one changed column in each row, and the columns."""
    rng = np.random.default_rng(seed)
    cells, order = rows.copy(), np.arange(len(rows))
    columns = rng.integers(0, numbers if kind == "shifted" else rows.shape[1], len(rows))
    if kind == "shifted":
        cells[order, columns] += 3 * np.nanstd(rows, 0)[columns] * rng.choice([-1, 1], len(rows))
    else:
        cells[order, columns] = rows[rng.permutation(len(rows)), columns]
    different = cells[order, columns] != rows[order, columns]
    return cells[different], columns[different]


def depths(forest: IsolationForest, vectors: torch.Tensor, owners: torch.Tensor) -> Floats:
    """Return the sums of 1/h - 1/h_max by column `(n_rows, n_columns)`."""
    credits = torch.zeros(len(vectors), int(owners.max()) + 1)
    longest = 1 / (WHOLE * float(forest.lengths.max()))
    for features, splits, lengths in zip(*vars(forest).values(), strict=True):
        above = vectors[:, features.long()] > splits
        leaves = (above.long() * 2 ** torch.arange(DEPTH - 1, -1, -1)).sum(1)
        paths = lengths[leaves] * WHOLE
        reached = torch.arange(DEPTH) < paths[:, None].round()
        added = (1 / paths.clamp(min=1) - longest)[:, None] * reached
        credits.index_add_(1, owners[features.long()], added)
    return credits.numpy().astype(float)


def contributions(scorer: Scorer, cells: torch.Tensor, usual: Floats | None) -> list[Floats]:
    """Return the contributions by column of each of `PARTS`; `usual` are the forest's means."""
    fitted, deviations, samples = scorer.fitted, scorer.deviations, scorer.samples
    assert fitted.forest is not None, "a new model has a forest"
    assert fitted.neighbours is not None, "a new model has neighbours"
    medians = fitted.medians[[0, 4, 5]].numpy()
    _, outputs = scorer.run(cells)
    errors = deviations.per_column(deviations.errors(cells, outputs)) / fitted.scale
    vectors = samples.vectors(cells)
    squares = samples.per_column(samples.without_missing(fitted.neighbours.squares(vectors), cells))
    parts = [log_compressed(errors), deviations.per_column(deviations.distances(cells, fitted))]
    pairs = zip([*parts, squares], medians, strict=True)
    found = [part.nan_to_num(0.0).double().numpy() / median for part, median in pairs]
    found.append(depths(fitted.forest, vectors, samples.columns))
    if usual is not None:
        found[-1] = found[-1] / usual
        compressed = [log_compressed(torch.from_numpy(part)).numpy() for part in found[:3]]
        found += [np.mean(found[:3], 0), np.mean(found, 0), np.mean(compressed, 0)]
    return found


def shares(run: Run, table: pa.Table) -> dict[str, Floats]:
    """Return the shares of changed columns in the first and the first three places, by change."""
    cut = len(table) * 4 // 5
    with trained(run, table.slice(0, cut)) as fitted:
        model = load_model(Path(fitted.model), device="cpu", threads=1)
        cells = [
            np.concatenate([s.cells for s in Pass.over(model, part).samples("", carried=[])])
            for part in (table.slice(0, cut), table.slice(cut))
        ]
        scorer = Scorer.of(model, ["mean"])
    layout = scorer.deviations.layout
    usual = contributions(scorer, torch.from_numpy(cells[0]), None)[3].mean(0)
    result = {}
    for kind in ("swapped", "shifted"):
        rows, columns = changed(cells[1], layout.numbers, kind, run.seed)
        owners = np.array(layout.column_of)[columns]
        found = contributions(scorer, torch.from_numpy(rows), usual)
        order = [np.argsort(-part, axis=1, kind="stable") for part in found]
        result[kind] = np.array(
            [[(o[:, :n] == owners[:, None]).any(1).mean() for n in (1, 3)] for o in order]
        )
    return result


def measure(run: Run) -> Iterator[Row]:
    """Yield the shares of changed columns that each part names first, and among the first three."""
    for name in TABLES:
        for kind, found in shares(run, ordinary(run, name)).items():
            for part, (first, three) in zip(PARTS, found, strict=True):
                names = {"table": Path(name).stem, "change": kind, "part": part}
                yield names | {"first": float(first), "first three": float(three)}
