"""Make the pictures of docs/gallery.md: `python docs/gallery.py`, half a minute."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

import aecli

ROOT = Path(__file__).parent.parent
DIGITS, TRAIN, TEST = "digits.parquet", "adult_train.csv", "adult_test.csv"

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "adult": (TRAIN, {"label": "income", "latent": 8, "epochs": 20}),
    "digits": (DIGITS, {"label": "label", "latent": 8, "epochs": 60}),
    "digits-vae": (DIGITS, {"exclude": ["label"], "variational": True, "latent": 8, "epochs": 60}),
}
"""What is trained for the pictures, with seed 0 on one thread of a processor."""

PICTURES: dict[str, tuple[str, str, str | None, dict[str, Any]]] = {
    "card.png": ("card", "adult", TEST, {}),
    "columns.svg": ("columns", "adult", TEST, {}),
    "anomalous.svg": ("anomalous", "adult", TEST, {}),
    "digits.png": ("rows", "digits", DIGITS, {"shape": "8x8"}),
    "loss.svg": ("loss", "digits", None, {}),
    "map.png": ("map", "digits", DIGITS, {}),
    "traversal.png": ("traversal", "digits-vae", DIGITS, {"shape": "8x8"}),
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
            if file.endswith(".png"):
                reduce_colours(folder / file)


def reduce_colours(path: Path) -> None:
    """Save a png with a palette of 256 colours, which takes about a third of the bytes."""
    with Image.open(path) as picture:
        palette = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    palette.save(path, optimize=True)


if __name__ == "__main__":
    (ROOT / "docs" / "gallery").mkdir(exist_ok=True)
    make(ROOT / "docs" / "gallery")
