"""Compare filling missing cells of Adult and diamonds with means and scikit-learn.

    .venv/bin/python benchmarks/filling.py FOLDER [adult] [diamonds] [-- TRAIN OPTIONS]

FOLDER holds `adult.csv` and `diamonds.csv`. A seeded tenth of the cells of every column is masked,
at random; training and filling see only what is left, through the installed command. Numbers are
compared by their root mean squared error over the standard deviation of the column, categories by
the share that is right, both over the masked cells alone. The peer is scikit-learn's
IterativeImputer (its defaults) on the same rows, with categories one-hot and all zeros where they
are missing: with missing ones to impute as well it takes nine times as long and is worse.
"""

from __future__ import annotations

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

SHARE, SEED = 0.1, 0
OPTIONS = ["--noise", "mask:0.2"]
Mask = npt.NDArray[np.bool_]


def read(path: Path) -> pa.Table:
    """Return the table with its empty cells as nulls, without the column that splits it."""
    table = pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(strings_can_be_null=True))
    return table.drop_columns([name for name in table.schema.names if name == "split"])


def punched(table: pa.Table) -> tuple[pa.Table, dict[str, Mask]]:
    """Return the table with a share of its cells masked, and their positions."""
    rng = np.random.default_rng(SEED)
    columns, masks = [], {}
    for name in table.schema.names:
        cells = table[name].combine_chunks()
        mask = rng.random(len(cells)) < SHARE
        masks[name] = mask & cells.is_valid().to_numpy(zero_copy_only=False)
        columns.append(pc.if_else(pa.array(mask), pa.scalar(None, cells.type), cells))
    return pa.table(columns, names=table.schema.names), masks


def by_aecli(table: pa.Table, options: list[str]) -> pa.Table:
    """Train on the rows with missing cells and fill them."""
    aecli = Path(sys.executable).with_name("aecli")
    with tempfile.TemporaryDirectory() as folder:
        data, model, output = (str(Path(folder, name)) for name in ("t.parquet", "m", "f.parquet"))
        pq.write_table(table, data)
        subprocess.run([aecli, "train", data, "-m", model, *options, "-q"], check=True)
        fill = [aecli, "reconstruct", data, "-m", model, "--fill", "-o", output, "-q"]
        subprocess.run(fill, check=True)
        return pq.read_table(output)


def by_trivial(table: pa.Table) -> pa.Table:
    """Fill with the mean or the mode of what is there."""
    filled = {}
    for name in table.schema.names:
        cells = table[name].combine_chunks()
        if is_number(cells.type):
            cells = cells.cast(pa.float64())
            answer = pc.mean(cells)
        else:
            answer = pc.mode(cells.dictionary_encode().indices)[0][0]
            answer = cells.dictionary_encode().dictionary[answer.as_py()]
        filled[name] = pc.fill_null(cells, answer)
    return pa.table(filled)


def by_iterative_imputer(table: pa.Table) -> pa.Table:
    """Fill the numbers."""
    blocks, numbers = [], []
    for name in table.schema.names:
        cells = table[name].combine_chunks()
        if is_number(cells.type):
            numbers.append(name)
            blocks.insert(0, cells.cast(pa.float64()).to_numpy(zero_copy_only=False)[:, None])
        else:
            values = cells.drop_null().unique()
            slots = pc.index_in(cells, value_set=values).fill_null(len(values))
            blocks.append(np.eye(len(values) + 1)[slots.to_numpy()][:, :-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged after its default ten rounds
        filled = IterativeImputer(random_state=SEED).fit_transform(np.concatenate(blocks, axis=1))
    return pa.table({name: filled[:, place] for place, name in enumerate(reversed(numbers))})


def is_number(kind: pa.DataType) -> bool:
    """Return whether a column is numeric."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def figures(truth: pa.Table, filled: pa.Table, masks: dict[str, Mask]) -> dict[str, float]:
    """Return the error of each number column and the accuracy of each other one."""
    found = {}
    for name in filled.schema.names:
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
    data, *rest = sys.argv[1:]
    wanted, options = rest, OPTIONS
    if "--" in rest:
        wanted, options = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    for name in wanted or ["adult", "diamonds"]:
        truth = read(Path(data, f"{name}.csv"))
        table, masks = punched(truth)
        results = {}
        for who, fill in (
            ("aecli", lambda table: by_aecli(table, options)),
            ("mean or mode", by_trivial),
            ("IterativeImputer", by_iterative_imputer),
        ):
            began = time.perf_counter()
            results[who] = figures(truth, fill(table), masks)
            print(f"{name}: {who} took {time.perf_counter() - began:.0f} s", flush=True)
        show(truth, results)


def show(truth: pa.Table, results: dict[str, dict[str, float]]) -> None:
    """Print the figures as a Markdown table, numbers first."""
    print(f"| column | {' | '.join(results)} |\n|---|{'---|' * len(results)}")
    numbers = [name for name in truth.schema.names if is_number(truth.schema.field(name).type)]
    others = [name for name in truth.schema.names if name not in numbers]
    for what, names in (("error", numbers), ("accuracy", others)):
        for name in names:
            cells = (f"{found[name]:.4f}" if name in found else "" for found in results.values())
            print(f"| {name} | {' | '.join(cells)} |")
        means = (
            f"{np.mean([found[name] for name in names]):.4f}" if names[0] in found else ""
            for found in results.values()
        )
        print(f"| **mean {what}** | {' | '.join(means)} |")


if __name__ == "__main__":
    main()
