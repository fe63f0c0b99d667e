"""Worth and cost of each part of the anomaly score.

`worth`: the ten tables of ADBench and two made here, three normal clusters with anomalies around
them, and one normal cluster with a small cluster of anomalies. Each table, seed and protocol is
trained on once, with defaults; the parts of a row's score are combined afterwards. `cost`: CPU
microseconds per row of each part on 102,400 rows of 32 numbers. `ratio`: `encode`, `score` and the
commands that evaluate on 1,000,000 such rows of a Parquet file, beyond start-up; one thread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from harness import Row, Run
from measures import seconds_of, trained
from outliers import detection
from tables import Floats, adbench, fewer, protocols

import aecli
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.inference.run import Pass
from aecli.scoring.deviations import log_compressed, whitened
from aecli.scoring.scorer import Scorer

PARTS = ("reconstruction", "joint", "univariate", "neighbours", "isolation")
COMBINATIONS = [
    *((i,) for i in range(5)), (0, 1, 2), (0, 1, 2, 4), (0, 1, 2, 3), (0, 1, 2, 3, 4), (1, 2, 3, 4),
    (0, 2, 3, 4), (0, 1, 3, 4),
]  # fmt: skip
FACTORS = [0, 3, 4, 5, 6]
"""Indices of the parts, with the mean of the errors, among those of the scorer."""


def clusters(seed: int, small: bool) -> pa.Table:
    """Return normal clusters, and anomalies: one small cluster, or rows around the normal ones."""
    rng = np.random.default_rng(seed)
    count = 1 if small else 3
    centres = 2 * rng.normal(size=(count, 10)) * (not small)
    shapes = rng.normal(size=(count, 10, 10)) / np.sqrt(10)
    of = rng.integers(0, count, 3_150)
    wide = np.where((np.arange(3_150) < 150) & (not small), 2.2, 1.0)[:, None, None] * shapes[of]
    rows = centres[of] + np.einsum("nij,nj->ni", wide, rng.normal(size=(3_150, 10)))
    if small:
        rows[:150] = 1.8 * rows.std(0) + 0.1 * rng.normal(size=(150, 10)) * rows.std(0)
    order = rng.permutation(3_150)
    columns = {f"c{i}": rows[order, i] for i in range(10)}
    return pa.table(columns | {"anomaly": (order < 150).astype(np.int64)})


def tables(run: Run) -> dict[str, pa.Table]:
    """Return the tables of a case by name."""
    if run.case == "ADBench":
        return adbench(run)
    found = {
        "several clusters": clusters(run.seed, small=False),
        "small cluster": clusters(run.seed, small=True),
    }
    return {name: fewer(table, 600) if run.quick else table for name, table in found.items()}


def ratios(run: Run, train: pa.Table, test: pa.Table, **options: object) -> Floats:
    """Train with defaults; return the parts of the other rows' scores, divided and compressed."""
    with trained(run, train, **options) as result:
        model = load_model(Path(result.model), device="cpu", threads=1)
        opened, scorer = Pass.over(model, test), Scorer.of(model, ["mean"])
        parts = [parts_of(scorer, torch.as_tensor(s.cells)) for s in opened.samples("", carried=[])]
    fitted = scorer.fitted
    joined = torch.cat(parts)
    if fitted.ordinary is not None:
        joined[:, -1] = (joined[:, -1] - fitted.ordinary).clamp(min=0)
    divided = log_compressed((joined / fitted.medians).nan_to_num(1.0))
    found: Floats = divided[:, FACTORS].numpy()
    return found


def parts_of(scorer: Scorer, cells: torch.Tensor) -> torch.Tensor:
    """Return the undivided parts of rows."""
    blocks = cells.split(scorer.block_rows)
    return torch.cat([scorer.parts(block, *scorer.run(block))[0] for block in blocks])


def worth(run: Run) -> Iterator[Row]:
    """Yield the mean figures of each combination of parts over the tables."""
    figures: dict[tuple[str, tuple[int, ...]], list[Row]] = {}
    for table in tables(run).values():
        for protocol, parts in protocols(table, run.seed).items():
            marks = parts[1]["anomaly"].to_numpy()
            found = ratios(run, *(part.drop_columns(["anomaly"]) for part in parts))
            for chosen in COMBINATIONS:
                row = detection(marks, found[:, list(chosen)].mean(1))
                figures.setdefault((protocol, chosen), []).append(row)
    for (protocol, chosen), rows in figures.items():
        names = {"tables": run.case, "trained on": protocol, "parts": combination(PARTS, chosen)}
        yield names | {title: statistics.mean(row[title] for row in rows) for title in rows[0]}


def combination(names: tuple[str, ...], chosen: tuple[int, ...]) -> str:
    """Return the names of some parts."""
    return " + ".join(names[part] for part in chosen)


def correlated_rows(rows: int) -> pa.Table:
    """Return rows of 32 numbers with 8 common factors."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, 8)) @ rng.normal(size=(8, 32)) + rng.normal(size=(rows, 32))
    return pa.table({f"c{i}": values[:, i] for i in range(32)})


def steps(model: LoadedModel, scorer: Scorer) -> dict[str, Callable[[torch.Tensor], object]]:
    """Return the steps of a score by name, each as a function of a block of cells."""
    fitted, deviations = scorer.fitted, scorer.deviations
    assert fitted.forest is not None, "a new model has a forest"
    assert fitted.neighbours is not None, "a new model has neighbours"
    outputs = torch.zeros(scorer.block_rows, deviations.layout.outputs)
    latent = torch.zeros(scorer.block_rows, model.spec.network.latent)

    def joint(block: torch.Tensor) -> torch.Tensor:
        _, residuals = deviations.errors_and_residuals(block, outputs[: len(block)])
        return whitened(residuals, latent[: len(block)], fitted)

    return {
        "encoder": lambda block: model.network.encode(model.inputs(block)),
        "encoder and decoder": scorer.run,
        "reconstruction": lambda block: log_compressed(
            deviations.errors(block, outputs[: len(block)]) / fitted.scale
        ),
        "joint": joint,
        "univariate": lambda block: deviations.distances(block, fitted),
        f"neighbours of {len(fitted.neighbours.points):,}": fitted.neighbours.squares,
        f"isolation: {len(fitted.forest.features)} trees": fitted.forest.isolation,
        "score and reasons": scorer.score,
    }


def cost(run: Run) -> Iterator[Row]:
    """Yield the CPU microseconds per row of each part, and of the network."""
    torch.set_num_threads(1)
    table = correlated_rows(8_192 if run.quick else 102_400)
    for store_rows in (False, True):
        with trained(run, table, epochs=1, store_rows=store_rows) as result:
            model = load_model(Path(result.model), device="cpu", threads=1)
            scorer = Scorer.of(model, ["mean"])
            cells = torch.from_numpy(model.reader.read(table.to_batches()[0]))
            for name, step in steps(model, scorer).items():
                micros = statistics.median(
                    _micros(step, cells, scorer.block_rows) for _ in range(5)
                )
                options = "`--store-rows`" if store_rows else "the default"
                yield {"model": options, "step": name, "µs per row": micros}


@torch.no_grad()
def _micros(step: Callable[[torch.Tensor], object], cells: torch.Tensor, rows: int) -> float:
    began = time.process_time()
    for block in cells.split(rows):
        step(block)
    return (time.process_time() - began) / len(cells) * 1e6


def ratio(run: Run) -> Iterator[Row]:
    """Yield the CPU seconds of commands beyond start-up, and relative to `encode`, in one turn."""
    pa.set_cpu_count(1)
    rows = 20_000 if run.quick else 1_000_000
    table = correlated_rows(rows)
    marked = table.append_column("anomaly", pa.array(np.arange(rows) % 50 == 0))
    with trained(run, table.slice(0, 100_000), epochs=1) as result:
        folder = Path(result.model).parent
        for count in (100, rows):
            pq.write_table(marked.slice(0, count), folder / f"{count}.parquet")
        base = 0.0
        for name, command in commands(result.model, folder).items():
            few, many = (str(folder / f"{count}.parquet") for count in (100, rows))
            command(few)  # what the first call imports
            spent = seconds_of(partial(command, many))[0] - seconds_of(partial(command, few))[0]
            base = base or spent
            yield {"command": f"`{name}`", "CPU s": spent, "× encode": spent / base}


def commands(model: str, folder: Path) -> dict[str, Callable[[str], object]]:
    """Return the commands by name, as functions of a file of rows."""
    how: dict[str, Any] = {"model": model, "threads": 1}
    output, page = str(folder / "output.parquet"), str(folder / "report.html")
    return {
        "encode": lambda data: aecli.encode(data, output, **how),
        "score": lambda data: aecli.score(data, output, **how),
        "calibrate": lambda data: aecli.calibrate(data, **how),
        "evaluate": lambda data: aecli.evaluate(data, **how),
        "evaluate --anomaly": lambda data: aecli.evaluate(data, anomaly="anomaly", **how),
        "report": lambda data: aecli.report(data, page, **how),
    }
