"""Missing cells that `aecli reconstruct --fill` fills, next to means and scikit-learn.

A tenth of the cells of every column is masked at random by the seed, except for times; training and
filling see only the rest. Errors of numbers are root mean squares over the standard deviation of
the column, of the masked cells alone. The peer is scikit-learn's IterativeImputer (its defaults) on
the same rows, with categories one-hot and zeros where they are missing: with missing ones to impute
as well it takes nine times as long and is worse. Times are numbers to it. Tables with a time have
another peer, linear interpolation between their rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from harness import Row, Run
from measures import trained
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # makes the next line work
from sklearn.impute import IterativeImputer
from tables import read, without

import aecli

FILES = {
    "adult": "adult.csv",
    "diamonds": "diamonds.csv",
    "nyc_taxi": "nab/nyc_taxi.csv",
    "etth1": "etth1.csv",
}
SHARE = 0.1
Mask = npt.NDArray[np.bool_]


def measure(run: Run) -> Iterator[Row]:
    """Yield the error or accuracy of every column, by each way to fill it."""
    truth = without(read(run, FILES[run.case]), "split", "anomaly")
    table, masks = masked(truth, run.seed)
    ways: dict[str, Callable[[], pa.Table]] = {
        "aecli": lambda: by_aecli(run, table),
        "mean or mode": lambda: by_trivial(table),
        "IterativeImputer": lambda: by_iterative_imputer(table, run.seed),
    }
    if any(pa.types.is_temporal(field.type) for field in table.schema):
        ways["interpolation in time"] = lambda: by_interpolation(table)
    found = {way: figures(truth, fill(), masks) for way, fill in ways.items()}
    for name in found["aecli"]:
        figure = "error" if is_number(truth.schema.field(name).type) else "accuracy"
        by_way = {way: values.get(name) for way, values in found.items()}
        yield {"table": run.case, "column": name, "figure": figure, **by_way}


def masked(table: pa.Table, seed: int) -> tuple[pa.Table, dict[str, Mask]]:
    """Return the table with a share of its cells masked, and their positions."""
    rng = np.random.default_rng(seed)
    columns, masks = [], {}
    for name in table.schema.names:
        cells = table[name].combine_chunks()
        mask = rng.random(len(cells)) < SHARE * (not pa.types.is_temporal(cells.type))
        masks[name] = mask & cells.is_valid().to_numpy(zero_copy_only=False)
        columns.append(pc.if_else(pa.array(mask), pa.scalar(None, cells.type), cells))
    return pa.table(columns, names=table.schema.names), masks


def by_aecli(run: Run, table: pa.Table) -> pa.Table:
    """Train on the rows with missing cells and fill them."""
    with trained(run, table, noise="mask:0.2") as model:
        output = f"{model.model}/../filled.parquet"
        aecli.reconstruct(table, output, model=model.model, fill=True)
        return pq.read_table(output)


def by_trivial(table: pa.Table) -> pa.Table:
    """Fill with the mean or the mode of the present cells."""
    filled = {}
    for name in table.schema.names:
        cells = table[name].combine_chunks()
        if pa.types.is_temporal(cells.type):
            continue
        if is_number(cells.type):
            cells = cells.cast(pa.float64())
            answer = pc.mean(cells)
        else:
            answer = pc.mode(cells.dictionary_encode().indices)[0][0]
            answer = cells.dictionary_encode().dictionary[answer.as_py()]
        filled[name] = pc.fill_null(cells, answer)
    return pa.table(filled)


def by_iterative_imputer(table: pa.Table, seed: int) -> pa.Table:
    """Fill the numbers."""
    blocks, numbers = [], []
    for name in table.schema.names:
        cells = table[name].combine_chunks()
        if pa.types.is_temporal(cells.type):
            cells = cells.cast(pa.int64())
        if is_number(cells.type):
            numbers.append(name)
            blocks.insert(0, cells.cast(pa.float64()).to_numpy(zero_copy_only=False)[:, None])
        else:
            values = cells.drop_null().unique()
            slots = pc.index_in(cells, value_set=values).fill_null(len(values))
            blocks.append(np.eye(len(values) + 1)[slots.to_numpy()][:, :-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged after its default ten rounds
        filled = IterativeImputer(random_state=seed).fit_transform(np.concatenate(blocks, axis=1))
    return pa.table({name: filled[:, place] for place, name in enumerate(reversed(numbers))})


def by_interpolation(table: pa.Table) -> pa.Table:
    """Fill the numbers of a table with one time by interpolation between the known rows."""
    (time,) = (field.name for field in table.schema if pa.types.is_temporal(field.type))
    rows = table.to_pandas().set_index(time).astype(float)
    filled = rows.interpolate("time", limit_direction="both")
    return pa.Table.from_pandas(filled, preserve_index=False)


def is_number(kind: pa.DataType) -> bool:
    """Return whether a column is numeric."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def figures(truth: pa.Table, filled: pa.Table, masks: dict[str, Mask]) -> dict[str, float]:
    """Return the error of each number column and the accuracy of each other one."""
    found = {}
    for name in filled.schema.names:
        if pa.types.is_temporal(truth.schema.field(name).type):
            continue
        mask = pa.array(masks[name])
        actual, answer = truth[name].filter(mask), filled[name].filter(mask)
        if is_number(actual.type):
            scale = pc.stddev(truth[name]).as_py()
            difference = np.subtract(answer.to_numpy(), actual.to_numpy(), dtype=np.float64)
            found[name] = float(np.sqrt(np.mean(difference**2))) / scale
        else:
            found[name] = float(np.mean(np.array(actual) == np.array(answer)))
    return found
