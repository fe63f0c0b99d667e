"""Make the pictures of docs/gallery.md: `python docs/gallery.py`, half a minute."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import aecli

ROOT = Path(__file__).parent.parent
DIGITS, TRAIN, TEST = "digits.parquet", "adult_train.csv", "adult_test.csv"

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "digits": (DIGITS, {"label": "label", "latent": 8, "epochs": 60}),
    "digits-vae": (DIGITS, {"exclude": ["label"], "variational": True, "latent": 8, "epochs": 60}),
    "adult": (TRAIN, {"label": "income", "latent": 8, "epochs": 20}),
}
"""What is trained for the pictures, with seed 0 on one thread of a processor."""

PICTURES: dict[str, tuple[str, str, str | None, dict[str, Any]]] = {
    "digits.png": ("rows", "digits", DIGITS, {"shape": "8x8"}),
    "loss.svg": ("loss", "digits", None, {}),
    "map.png": ("map", "digits", DIGITS, {}),
    "traversal.png": ("traversal", "digits-vae", DIGITS, {"shape": "8x8"}),
    "columns.svg": ("columns", "adult", TEST, {}),
    "anomalous.svg": ("anomalous", "adult", TEST, {}),
}
"""Each picture's kind, model, table and options."""


def make(folder: Path) -> None:
    """Train the models and draw every picture into a folder."""
    os.chdir(ROOT / "sample_data")
    with tempfile.TemporaryDirectory() as models:
        for name, (table, options) in MODELS.items():
            how = {"seed": 0, "device": "cpu", "threads": 1} | options
            aecli.train(table, model=Path(models) / name, **how)
        for file, (kind, name, data, options) in PICTURES.items():
            how = {"device": "cpu", "threads": 1} | options
            aecli.plot(kind, data, str(folder / file), model=Path(models) / name, **how)


if __name__ == "__main__":
    (ROOT / "docs" / "gallery").mkdir(exist_ok=True)
    make(ROOT / "docs" / "gallery")
