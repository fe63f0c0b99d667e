"""Make the golden models of the present version, which every later version must load and apply.

    PYTHONPATH=. .venv/bin/python tests/golden/make.py

Run once, just before a release: it writes `tests/golden/VERSION/NAME/` with a small table that is
generated here (CC0), the model that was trained on it, and what `encode`, `reconstruct`, `score`
and `predict` make of the table. NEVER make the folder of a released version anew: people have
models like those in it, and a test that fails on them has found that a new version cannot read
them. The script refuses to replace a folder that is there.

Numbers have a scale of about 1 and more digits than a float32, so that no result is rounded to a
grid where a last bit could decide.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import aecli

FOLDER = Path(__file__).parent
ROWS = 160
APPLIED = 24
"""Rows that a table in the folder has; the model has seen all `ROWS`."""


def numbers(count: int, seed: int) -> pa.Table:
    """Return columns that are mixtures of two sources, and noise."""
    rng = np.random.default_rng(seed)
    sources = rng.normal(size=(ROWS, 2)) @ rng.normal(size=(2, count))
    values = sources + 0.2 * rng.normal(size=(ROWS, count))
    return pa.table({f"x{i}": values[:, i] for i in range(count)})


def mixed(seed: int) -> pa.Table:
    """Return numbers, categories, booleans and dates with missing cells, and a label."""
    rng = np.random.default_rng(seed)
    table = numbers(3, seed)
    first = table["x0"].to_numpy()
    color = [None if rng.random() < 0.1 else ("red" if x > 0.3 else "blue") for x in first]
    flag = [None if rng.random() < 0.1 else bool(x > 0) for x in first]
    start = datetime(2026, 1, 1)
    times = [start + timedelta(seconds=float(s)) for s in rng.uniform(0, 1e7, ROWS)]
    gaps = [None if rng.random() < 0.1 else float(x) for x in table["x1"].to_numpy()]
    return (
        table.set_column(1, "x1", pa.array(gaps))
        .append_column("color", pa.array(color))
        .append_column("flag", pa.array(flag))
        .append_column("time", pa.array(times, pa.timestamp("us")))
        .append_column("label", pa.array(["high" if x > 0 else "low" for x in first]))
    )


def waves(seed: int) -> pa.Table:
    """Return three columns of a time series."""
    rng = np.random.default_rng(seed)
    steps = np.arange(ROWS)[:, None] * np.array([0.3, 0.2, 0.1])
    values = np.sin(steps) + 0.1 * rng.normal(size=(ROWS, 3))
    return pa.table({f"x{i}": values[:, i] for i in range(3)})


Options = dict[str, Any]
SERIES: Options = {"window": 4, "stride": 4}
MODELS: dict[str, tuple[Callable[[int], pa.Table], Options]] = {
    "mlp": (lambda seed: numbers(6, seed), {"encoder": [8, 2]}),
    "classifier": (mixed, {"encoder": [8, 3], "label": "label", "noise": "mask:0.2"}),
    "conv2d": (
        lambda seed: numbers(16, seed),
        {"arch": "conv2d", "shape": "4x4", "channels": [4], "latent": 2},
    ),
    "vanilla": (waves, {"arch": "vanilla", **SERIES, "encoder": [8, 2]}),
    "conv1d": (waves, {"arch": "conv1d", **SERIES, "latent": 2, "channels": [4]}),
    "lstm": (waves, {"arch": "lstm", **SERIES, "latent": 2, "hidden": 8}),
    "transformer": (waves, {"arch": "transformer", **SERIES, "latent": 2, "hidden": 8, "heads": 2}),
    "variational": (lambda seed: numbers(6, seed), {"encoder": [8, 2], "variational": True}),
}


def apply(model: Path, table: str, folder: Path) -> list[str]:
    """Write what the model makes of a table as Parquet files; return their names."""
    commands: dict[str, Callable[..., object]] = {
        "latents": aecli.encode,
        "reconstructions": aecli.reconstruct,
        "scores": aecli.score,
    }
    if (model.parent / "predictions.parquet").exists() or model.parent.name == "classifier":
        commands["predictions"] = aecli.predict
    for name, command in commands.items():
        command(table, str(folder / f"{name}.parquet"), model=model, device="cpu")
    return [f"{name}.parquet" for name in commands]


def main() -> int:
    folder = FOLDER / aecli.__version__
    if folder.exists():
        print(f"{folder} exists; the models of a version are never made anew", file=sys.stderr)
        return 2
    for seed, (name, (make, options)) in enumerate(MODELS.items()):
        place = folder / name
        place.mkdir(parents=True)
        table = make(seed)
        # Without a file's name no path of this machine gets into the model.
        aecli.train(
            table, model=place / "model", epochs=6, seed=seed, device="cpu", threads=1, **options
        )
        pq.write_table(table.slice(0, APPLIED), place / "table.parquet")
        apply(place / "model", str(place / "table.parquet"), place)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{len(MODELS)} models, {size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
