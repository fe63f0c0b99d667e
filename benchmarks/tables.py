"""Tables of the benchmarks: stored and generated ones, and their training and test rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from harness import Run

Floats = npt.NDArray[np.float64]
Parts = tuple[pa.Table, pa.Table]

QUICK_ROWS = 600
FAILURES = ["TWF", "HDF", "PWF", "OSF", "RNF"]
"""Columns of ai4i2020.csv that the label is computed from."""

IDENTIFIERS = ["UID", "Product ID"]


def read(run: Run, name: str) -> pa.Table:
    """Return a table of the folder, with missing texts as nulls; if quick, a few random rows."""
    path = run.data / name
    if path.suffix == ".parquet":
        table = pq.read_table(path)
    else:
        nulls = pacsv.ConvertOptions(strings_can_be_null=True)
        table = pacsv.read_csv(path, convert_options=nulls)
    return fewer(table, QUICK_ROWS) if run.quick else table


def fewer(table: pa.Table, rows: int) -> pa.Table:
    """Return random rows in the order of the table."""
    order = np.random.default_rng(0).permutation(len(table))[:rows]
    return table.take(np.sort(order))


def shuffled(table: pa.Table, seed: int) -> pa.Table:
    """Return the rows in random order."""
    return table.take(np.random.default_rng(seed).permutation(len(table)))


def halves(table: pa.Table, share: float = 0.2) -> Parts:
    """Return training and test rows: those of `split`, or a random share of the rows."""
    if "split" in table.column_names:
        train, test = (table.filter(pc.equal(table["split"], part)) for part in ("train", "test"))
        return train.drop_columns(["split"]), test.drop_columns(["split"])
    return held_out(table, 0, share)


def held_out(table: pa.Table, seed: int, share: float = 0.2) -> Parts:
    """Return training rows and a random share of the rows."""
    drawn = pa.array(np.random.default_rng(seed).random(len(table)) < share)
    return table.filter(pc.invert(drawn)), table.filter(drawn)


def folds(table: pa.Table, count: int = 5) -> Iterator[Parts]:
    """Yield training and test rows such that each row is a test row once."""
    fold = np.random.default_rng(0).integers(0, count, len(table))
    for number in range(count):
        yield table.filter(pa.array(fold != number)), table.filter(pa.array(fold == number))


def without(table: pa.Table, *names: str) -> pa.Table:
    """Return a table without those of the named columns that it has."""
    return table.drop_columns([name for name in names if name in table.column_names])


def mnist(run: Run) -> Parts:
    """Return the training and test rows of MNIST."""
    return halves(read(run, "mnist.parquet"))


def matrix(table: pa.Table) -> Floats:
    """Return a table of numbers as `(n_rows, n_columns)`."""
    return np.stack([column.to_numpy() for column in table.columns], axis=1).astype(float)


def adbench(run: Run) -> dict[str, pa.Table]:
    """Return the ten tables of ADBench by name, with the label `anomaly`."""
    paths: list[Path] = sorted((run.data / "adbench").glob("*.parquet"))
    if run.quick:
        paths = [path for path in paths if "cardio" in path.name]
    return {path.stem: read(run, f"adbench/{path.name}") for path in paths}


def protocols(table: pa.Table, seed: int) -> dict[str, Parts]:
    """Return training and scored rows: half of the normal rows and the rest, or all rows."""
    marks = table["anomaly"].to_numpy()
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(marks == 0))
    half = len(normal) // 2
    scored = np.sort(np.concatenate([normal[half:], np.flatnonzero(marks == 1)]))
    trained = table.take(np.sort(normal[:half]))
    return {"normal rows": (trained, table.take(scored)), "all rows": (table, table)}


def curved(rows: int, width: int, factors: int = 16) -> npt.NDArray[np.float32]:
    """Draw standardised rows of a curved surface of few dimensions, with noise."""
    generator = np.random.default_rng(0)
    latent = generator.standard_normal((rows, factors), dtype=np.float32)
    mixing = generator.standard_normal((factors, width), dtype=np.float32)
    noise = generator.standard_normal((rows, width), dtype=np.float32)
    values = np.tanh(latent @ mixing / 2) + 0.1 * noise
    standardised: npt.NDArray[np.float32] = (values - values.mean(0)) / values.std(0)
    return standardised


def table_of(values: npt.NDArray[np.float32]) -> pa.Table:
    """Return a matrix as a table of columns x0, x1 and so on."""
    return pa.table({f"x{i}": column for i, column in enumerate(values.T)})
