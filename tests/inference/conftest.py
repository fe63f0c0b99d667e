"""The table of the tests of output folders, and the commands that write them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

import aecli

COMMANDS = {
    "encode": aecli.encode,
    "reconstruct": aecli.reconstruct,
    "score": aecli.score,
    "predict": aecli.predict,
}


def table(rows: int, seed: int = 0) -> pa.Table:
    """Return a table of an identifier, two related numbers, a category and a label."""
    generator = np.random.default_rng(seed)
    a = generator.normal(size=rows)
    return pa.table(
        {
            "id": [f"row-{i}" for i in range(rows)],
            "a": a,
            "b": 2 * a + generator.normal(size=rows),
            "colour": generator.choice(["red", "green", "blue"], rows).tolist(),
            "y": np.where(a > 0, "yes", "no").tolist(),
        }
    )
