"""Measure what each part of the anomaly score is worth, and what it costs.

    .venv/bin/python benchmarks/score_parts.py FOLDER [--tables TEXT] [--seeds 0 1 2] [--store-rows]
        [--trees 64] [--prototypes 128]
    .venv/bin/python benchmarks/score_parts.py FOLDER --cost
    .venv/bin/python benchmarks/score_parts.py FOLDER --ratio ROWS

The ten tables of ADBench (FOLDER/adbench) and two made here: three normal clusters with anomalies
around them, and one normal cluster with a small cluster of anomalies. Each table, seed and protocol
(benchmarks/outliers.py) is trained on once, with defaults; the parts of a row's score are combined
afterwards. `--cost` prints the CPU microseconds per row of each part on 102,400 rows of 32 numbers,
and `--ratio` compares `encode` and `score` of ROWS such rows from Parquet to Parquet; one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from outliers import auroc, average_precision, protocols

import aecli
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.inference.run import Pass
from aecli.scoring import forest, neighbours
from aecli.scoring.deviations import log_compressed, whitened
from aecli.scoring.scorer import Scorer

Floats = npt.NDArray[np.float64]
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


def tables(folder: Path, seed: int) -> Iterator[tuple[str, pa.Table]]:
    """Yield the tables by name."""
    for path in sorted((folder / "adbench").glob("*.parquet")):
        yield path.stem, pq.read_table(path)
    yield "several clusters", clusters(seed, small=False)
    yield "small cluster", clusters(seed, small=True)


def ratios(train: pa.Table, test: pa.Table, seed: int, **options: object) -> Floats:
    """Train with defaults; return the parts of the other rows' scores, divided and compressed."""
    with tempfile.TemporaryDirectory() as place:
        aecli.train(train, model=f"{place}/m", seed=seed, **options)
        model = load_model(Path(place) / "m", device="cpu", threads=1)
        opened, scorer = Pass.over(model, test), Scorer.of(model, ["mean"])
        parts = [parts_of(scorer, torch.as_tensor(s.cells)) for s in opened.samples("", carried=[])]
    fitted = scorer.fitted
    joined = torch.cat(parts)
    if fitted.ordinary is not None:
        joined[:, -1] = (joined[:, -1] - fitted.ordinary).clamp(min=0)
    divided = log_compressed((joined / fitted.medians).nan_to_num(1.0))
    return divided[:, FACTORS].numpy()


def parts_of(scorer: Scorer, cells: torch.Tensor) -> torch.Tensor:
    """Return the undivided parts of rows."""
    blocks = cells.split(scorer.block_rows)
    return torch.cat([scorer.parts(block, *scorer.run(block))[0] for block in blocks])


def worth(folder: Path, only: str, seeds: list[int], store_rows: bool) -> None:
    """Print the mean figures of each combination of parts."""
    figures: dict[tuple[str, str], list[Floats]] = {}
    for seed in seeds:
        for name, table in tables(folder, seed):
            if only not in name:
                continue
            kind = name if "cluster" in name else "ADBench"
            for protocol, train, test in protocols(table, seed):
                marks = test["anomaly"].to_numpy()
                rows, asked = train.drop_columns(["anomaly"]), test.drop_columns(["anomaly"])
                found = ratios(rows, asked, seed, store_rows=store_rows)
                scores = [found[:, list(chosen)].mean(1) for chosen in COMBINATIONS]
                both = [(auroc(marks, of), average_precision(marks, of)) for of in scores]
                figures.setdefault((kind, protocol), []).append(np.array(both))
    means = {key: np.mean(values, axis=0) for key, values in sorted(figures.items())}
    titles = [f"{kind}, {p}: AUROC | AP" for kind, p in means]
    print(f"| parts | {' | '.join(titles)} |\n|---|{'---|' * 2 * len(means)}")
    for i, chosen in enumerate(COMBINATIONS):
        values = " | ".join(f"{of[i, 0]:.4f} | {of[i, 1]:.3f}" for of in means.values())
        print(f"| {' + '.join(PARTS[part] for part in chosen)} | {values} |")


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
        residuals = deviations.residuals(block, outputs)
        return whitened(residuals, latent, fitted)

    return {
        "encoder": lambda block: model.network.encode(model.inputs(block)),
        "encoder and decoder": scorer.run,
        "reconstruction": lambda block: log_compressed(
            deviations.errors(block, outputs) / fitted.scale
        ),
        "joint": joint,
        "univariate": lambda block: deviations.distances(block, fitted),
        f"neighbours of {len(fitted.neighbours.points):,}": fitted.neighbours.squares,
        f"isolation: {len(fitted.forest.features)} trees": fitted.forest.isolation,
        "score and reasons": scorer.score,
    }


def cost() -> None:
    """Print the CPU microseconds per row of each part, and of the network: medians of 5 turns."""
    torch.set_num_threads(1)
    table = correlated_rows(102_400)
    with tempfile.TemporaryDirectory() as place:
        for store_rows in (False, True):
            aecli.train(table, model=f"{place}/m", epochs=1, store_rows=store_rows)
            model = load_model(Path(place) / "m", device="cpu", threads=1)
            scorer = Scorer.of(model, ["mean"])
            cells = torch.from_numpy(model.reader.read(table.to_batches()[0]))
            for name, step in steps(model, scorer).items():
                turns = [_micros(step, cells, scorer.block_rows) for _ in range(5)]
                print(f"| {name} | {np.median(turns):.2f} |", flush=True)


@torch.no_grad()
def _micros(step: Callable[[torch.Tensor], object], cells: torch.Tensor, rows: int) -> float:
    began = time.process_time()
    for block in cells.split(rows):
        step(block)
    return (time.process_time() - began) / len(cells) * 1e6


def ratio(rows: int) -> None:
    """Print the CPU seconds of `encode` and `score`, beyond start-up: medians of 5 turns."""
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as place:
        table, source, few = correlated_rows(rows), f"{place}/rows", f"{place}/few"
        pq.write_table(table, f"{source}.parquet")
        pq.write_table(table.slice(0, 100), f"{few}.parquet")
        aecli.train(table.slice(0, 100_000), model=f"{place}/m", epochs=1)
        medians = {}
        for command in (aecli.encode, aecli.score):
            seconds = []
            for _ in range(5):
                spent = []
                for data in (few, source):
                    began = time.process_time()
                    command(f"{data}.parquet", f"{data}_out.parquet", model=f"{place}/m", threads=1)
                    spent.append(time.process_time() - began)
                seconds.append(spent[1] - spent[0])
            medians[command.__name__] = float(np.median(seconds))
            print(f"| {command.__name__} | {medians[command.__name__]:.2f} |", flush=True)
    print(f"| ratio | {medians['score'] / medians['encode']:.2f} |")


def main() -> None:
    """Print the worth of the parts, or with `--cost` their cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", default="")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--store-rows", action="store_true")
    parser.add_argument("--trees", type=int, default=forest.TREES)
    parser.add_argument("--prototypes", type=int, default=neighbours.MAX_PROTOTYPES)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--ratio", type=int)
    given = parser.parse_args()
    forest.TREES, neighbours.MAX_PROTOTYPES = given.trees, given.prototypes
    if given.cost:
        cost()
    elif given.ratio:
        ratio(given.ratio)
    else:
        worth(given.folder, given.tables, given.seeds, given.store_rows)


if __name__ == "__main__":
    main()
