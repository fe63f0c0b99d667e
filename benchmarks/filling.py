"""Compare filling missing cells of tables with means and scikit-learn.

    .venv/bin/python benchmarks/filling.py FOLDER [TABLE …] [--seeds 1] [-- TRAIN OPTIONS]

A tenth of the cells of every column of a table in FOLDER is masked, at random by the seed, except
for times; training and filling see only what is left. Numbers are
compared by their root mean squared error over the standard deviation of the column, categories by
the share that is right, both over the masked cells alone. The peer is scikit-learn's
IterativeImputer (its defaults) on the same rows, with categories one-hot and all zeros where they
are missing: with missing ones to impute as well it takes nine times as long and is worse. Times
are numbers to it. Tables with a time have another peer, linear interpolation between its rows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # makes the next line work
from sklearn.impute import IterativeImputer

TABLES = {
    "adult": "adult.csv",
    "diamonds": "diamonds.csv",
    "nyc_taxi": "nab/nyc_taxi.csv",
    "etth1": "etth1.csv",
}
SHARE = 0.1
OPTIONS = ["--noise", "mask:0.2"]
Mask = npt.NDArray[np.bool_]


def read(path: Path) -> pa.Table:
    """Return the table with its empty cells as nulls, without the columns of splits and marks."""
    table = pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(strings_can_be_null=True))
    return table.drop_columns([name for name in table.schema.names if name in ("split", "anomaly")])


def punched(table: pa.Table, seed: int) -> tuple[pa.Table, dict[str, Mask]]:
    """Return the table with a share of its cells masked, and their positions."""
    rng = np.random.default_rng(seed)
    columns, masks = [], {}
    for name in table.schema.names:
        cells = table[name].combine_chunks()
        mask = rng.random(len(cells)) < SHARE * (not pa.types.is_temporal(cells.type))
        masks[name] = mask & cells.is_valid().to_numpy(zero_copy_only=False)
        columns.append(pc.if_else(pa.array(mask), pa.scalar(None, cells.type), cells))
    return pa.table(columns, names=table.schema.names), masks


def by_aecli(table: pa.Table, seed: int, options: list[str]) -> pa.Table:
    """Train on the rows with missing cells and fill them."""
    aecli = [sys.executable, "-m", "aecli"]
    with tempfile.TemporaryDirectory() as folder:
        data, model, output = (str(Path(folder, name)) for name in ("t.parquet", "m", "f.parquet"))
        pq.write_table(table, data)
        train = [*aecli, "train", data, "-m", model, "--seed", str(seed), *options, "-q"]
        subprocess.run(train, check=True)
        fill = [*aecli, "reconstruct", data, "-m", model, "--fill", "-o", output, "-q"]
        subprocess.run(fill, check=True)
        return pq.read_table(output)


def by_trivial(table: pa.Table) -> pa.Table:
    """Fill with the mean or the mode of what is there."""
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


def main() -> None:
    """Fill each table and print a line per column."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("tables", nargs="*", metavar="TABLE")
    parser.add_argument("--seeds", type=int, default=1)
    given = sys.argv[1:]
    at = given.index("--") if "--" in given else len(given)
    arguments, options = parser.parse_args(given[:at]), given[at + 1 :] or OPTIONS
    for name in arguments.tables or TABLES:
        truth = read(arguments.folder / TABLES[name])
        runs = [fill_all(truth, seed, options) for seed in range(arguments.seeds)]
        show(name, truth, {who: mean([run[who] for run in runs]) for who in runs[0]})


def fill_all(truth: pa.Table, seed: int, options: list[str]) -> dict[str, dict[str, float]]:
    """Return the figures of every way to fill the cells that a seed masks."""
    table, masks = punched(truth, seed)
    ways = {
        "aecli": lambda: by_aecli(table, seed, options),
        "mean or mode": lambda: by_trivial(table),
        "IterativeImputer": lambda: by_iterative_imputer(table, seed),
    }
    if any(pa.types.is_temporal(field.type) for field in table.schema):
        ways["interpolation in time"] = lambda: by_interpolation(table)
    results = {}
    for who, fill in ways.items():
        began = time.perf_counter()
        results[who] = figures(truth, fill(), masks)
        print(f"seed {seed}: {who} took {time.perf_counter() - began:.0f} s", flush=True)
    return results


def mean(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the means of figures over seeds."""
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


def show(table: str, truth: pa.Table, results: dict[str, dict[str, float]]) -> None:
    """Print the figures as a Markdown table, numbers first."""
    print(f"| {table} | {' | '.join(results)} |\n|---|{'---|' * len(results)}")
    measured = [name for name in truth.schema.names if name in results["aecli"]]
    numbers = [name for name in measured if is_number(truth.schema.field(name).type)]
    others = [name for name in measured if name not in numbers]
    for what, names in (("error", numbers), ("accuracy", others)):
        for name in names:
            cells = (f"{found[name]:.4f}" if name in found else "" for found in results.values())
            print(f"| {name} | {' | '.join(cells)} |")
        means = (
            f"{np.mean([found[name] for name in names]):.4f}" if names[0] in found else ""
            for found in results.values()
            if names
        )
        if names:
            print(f"| **mean {what}** | {' | '.join(means)} |")


if __name__ == "__main__":
    main()
