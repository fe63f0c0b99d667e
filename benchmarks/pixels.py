"""Compare trainings of a classifier of images: noise, label smoothing, other options.

    .venv/bin/python benchmarks/pixels.py FOLDER TABLE [--seeds 0,1,2] VARIANT …

TABLE is mnist (50,000 rows), mnist10 (10,000 rows) or digits. A VARIANT is `default`, or what
differs from it, as in `shift=0,norm=none`: the `noise` on pixels, the `smoothing` of labels, the
share of a batch that is `decoded`, `shift=0` to move no images, and options of `train`. The figures
are those of rows that training held out, 10,000 of MNIST's `split=train` and a fifth of digits, at
the epoch that they choose; the cross-entropy is at the best temperature. No test row is read.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from aecli.progress import SILENT
from aecli.training import build
from aecli.training.data import PreparedTable, prepare
from aecli.training.fit import configure_process, default_settings, fit
from aecli.training.interrupt import Interrupt
from aecli.training.train import parse_options

WIDE: dict[str, Any] = {"encoder": [512, 256, 64], "l1": 1e-4}

TABLES: dict[str, tuple[int, dict[str, Any]]] = {
    "mnist": (50_000, WIDE),
    "mnist10": (10_000, WIDE),
    "digits": (1_078, {}),
}
"""Training rows and options of each table."""


def divided(folder: Path, name: str) -> tuple[pa.Table, pa.Table]:
    """Return training rows and held-out rows; a fifth of digits is in neither."""
    if name == "digits":
        table = pacsv.read_csv(folder / "digits.csv")
    else:
        table = pq.read_table(folder / "mnist.parquet")
        table = table.filter(pc.equal(table["split"], "train")).drop_columns(["split"])
    order = np.random.default_rng(7).permutation(len(table))
    held_out = order[50_000:] if name != "digits" else order[1_078:1_437]
    return table.take(order[: TABLES[name][0]]), table.take(held_out)


CONSTANTS = {
    "noise": "PIXEL_NOISE",
    "smoothing": "LABEL_SMOOTHING",
    "decoded": "DECODED_SHARE",
}
"""Names of constants of `aecli.training.build` in variants."""


@contextmanager
def changed(variant: dict[str, str]) -> Iterator[dict[str, str]]:
    """Change the constants that a variant names, for a while; yield its other options."""
    before = {name: getattr(build, name) for name in (*CONSTANTS.values(), "image_shift")}
    options = dict(variant)
    for name, constant in CONSTANTS.items():
        if name in options:
            setattr(build, constant, float(options.pop(name)))
    if options.pop("shift", "1") == "0":
        build.image_shift = lambda *_: None
    yield options
    for name, value in before.items():
        setattr(build, name, value)


def measure(prepared: PreparedTable, options: dict[str, Any]) -> list[float]:
    """Return accuracy, cross-entropy, error of the pixels and CPU seconds of one training."""
    chosen = parse_options(options)
    device = configure_process(chosen)
    began = time.process_time()
    settings = default_settings(prepared, chosen)
    fitted = fit(prepared, chosen, device, interrupt=Interrupt(listen=False), settings=settings)
    seconds = time.process_time() - began
    best, criterion = fitted.result.best, fitted.result.criterion
    assert best.valid is not None, "rows are held out"
    accuracy, error = best.metrics["accuracy"], best.valid["reconstruction"]
    return [accuracy, criterion.classification, error, seconds]


def means(
    prepared: PreparedTable, fixed: dict[str, Any], variant: str, seeds: Sequence[str]
) -> str:
    """Return the figures of a variant, means of the seeds, as cells of a row."""
    given = {} if variant == "default" else dict(text.split("=") for text in variant.split(","))
    with changed(given) as options:
        runs = [measure(prepared, fixed | options | {"seed": int(seed)}) for seed in seeds]
    shown = [statistics.mean(values) for values in zip(*runs, strict=True)]
    return "{:.4f} | {:.4f} | {:.5f} | {:.1f}".format(*shown)


def main() -> None:
    """Print the figures of every variant."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("variants", nargs="+", metavar="VARIANT")
    parser.add_argument("--seeds", default="0,1,2")
    args = parser.parse_args()
    train, held_out = divided(args.folder, args.table)
    with tempfile.TemporaryDirectory() as place:
        pq.write_table(held_out, f"{place}/held_out.parquet")
        fixed = {"label": "label", "valid": f"{place}/held_out.parquet", **TABLES[args.table][1]}
        prepared = prepare(train, parse_options(fixed), SILENT)
        print("| variant | accuracy | cross-entropy | MSE | CPU s |\n|---|---|---|---|---|")
        for variant in args.variants:
            shown = means(prepared, fixed, variant, args.seeds.split(","))
            print(f"| {args.table}, {variant} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
