"""A sorted table and the same rows shuffled, in memory and staged on disk.

The rows are those of 200 clusters on a curved surface in 12 dimensions, in the order of the
clusters or shuffled. All trainings have the same validation rows, in a file of their own; the
figures are the losses of the best of 2 epochs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from harness import Row, Run
from measures import trained
from tables import table_of

CLUSTERS, LATENT, WIDTH = 200, 6, 12
ROWS, QUICK_ROWS, HELD_OUT = 1_000_000, 4_000, 50_000
EPOCHS = 2
MEMORY = ("2GB", "1MB")
"""Space for the rows: all in memory, and staged on disk."""


def measure(run: Run) -> Iterator[Row]:
    """Yield the validation losses by order of the rows and memory."""
    values = clustered_rows((QUICK_ROWS if run.quick else ROWS) + HELD_OUT)
    held_out = np.random.default_rng(1).permutation(len(values)) < HELD_OUT
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.parquet" for name in ("valid", "sorted", "shuffled")}
        shuffled = np.random.default_rng(2).permutation(values[~held_out])
        for path, part in zip(
            paths.values(), (values[held_out], values[~held_out], shuffled), strict=True
        ):
            pq.write_table(table_of(part), path)
        shared = {"valid": str(paths["valid"]), "epochs": EPOCHS}
        for memory in MEMORY:
            loss = {}
            for order in ("sorted", "shuffled"):
                with trained(run, str(paths[order]), memory=memory, **shared) as model:
                    losses = [of.valid["total"] for of in model.result.history if of.valid]
                loss[order] = min(losses)
            ratio = loss["sorted"] / loss["shuffled"]
            yield {"memory": f"`--memory {memory}`", **loss, "sorted / shuffled": ratio}


def clustered_rows(rows: int) -> npt.NDArray[np.float32]:
    """Return rows `(rows, 12)` in the order of their clusters."""
    generator = np.random.default_rng(0)
    cluster = np.sort(generator.integers(0, CLUSTERS, rows))
    centres = generator.normal(size=(CLUSTERS, LATENT))
    mixing = generator.normal(size=(LATENT, WIDTH))
    latent = centres[cluster] + 0.4 * generator.normal(size=(rows, LATENT))
    noise = 0.05 * generator.normal(size=(rows, WIDTH))
    values: npt.NDArray[np.float32] = (np.tanh(latent @ mixing * 0.5) + noise).astype(np.float32)
    return values
