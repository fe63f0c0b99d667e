"""Compare every architecture with PCA on test rows, and its epochs with those of a plain loop.

    .venv/bin/python benchmarks/architectures.py FOLDER [quality] [speed]

`quality` trains on `split=train` and measures `split=test` once, next to PCA of the same latent on
the same samples: windows of two tables of series, and MNIST by convolutions and by an MLP of as
many parameters. `speed` times the second of two epochs on generated rows, with Adam at 1e-3 and
batches of 256, against the same modules in the DataLoader loop of a tutorial, in a process of its
own, since `aecli.train` tunes the memory allocator of the one it runs in; rounds alternate, so that
a noisy machine slows both; the ratio of the medians is what counts.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import tempfile
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import aecli
from aecli.model.build import build
from aecli.schema.model_spec import ModelSpec

WINDOWED = ("vanilla", "conv1d", "lstm", "transformer")
SERIES = {"japanese_vowels": 12, "italy_power": 12}
LATENT = 8

# 20 epochs on all 60,000 rows of MNIST take conv2d minutes on one thread.
PIXEL_ROWS, PIXEL_EPOCHS, PIXEL_LATENT = 10_000, 5, 12

IMAGES, WINDOWS, WINDOW, WIDTH = 10_000, 20_000, 12, 12
BATCH = 256
ROUNDS = 3
TIMED: dict[str, dict[str, Any]] = {
    "mlp": {"latent": PIXEL_LATENT},
    "conv2d": {"latent": PIXEL_LATENT, "shape": "28x28"},
    **{name: {"latent": LATENT, "window": WINDOW} for name in WINDOWED},
}


def halves(path: Path) -> tuple[pa.Table, pa.Table]:
    """Return the training and the test rows of a table, without split and label."""
    table = pq.read_table(path)
    train, test = (table.filter(pc.equal(table["split"], part)) for part in ("train", "test"))
    return train.drop_columns(["split", "label"]), test.drop_columns(["split", "label"])


def measured(name: str, train: pa.Table, test: pa.Table, **options: Any) -> ModelSpec:
    """Train and evaluate one model and print a line of the table; return its spec."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        made = aecli.train(train, model=f"{folder}/m", **options)
        seconds = time.perf_counter() - began
        found = aecli.evaluate(test, model=f"{folder}/m")
    figures = f"{found.number_mse:.5f} | {found.number_mse_pca:.5f} | {seconds:.1f}"
    print(f"| {name} | {options['arch']} | {figures} |", flush=True)
    return made.spec


def quality(folder: Path) -> None:
    """Print the test error of every architecture next to that of PCA."""
    print("| table | architecture | scaled MSE | PCA of the same latent | seconds |")
    print("|---|---|---|---|---|")
    for name, window in SERIES.items():
        how = {"window": window, "group": ["series"], "time": "t", "latent": LATENT, "epochs": 20}
        parts = halves(folder / f"{name}.parquet")
        for arch in WINDOWED:
            measured(name, *parts, arch=arch, **how)
    train, test = halves(folder / "mnist.parquet")
    train, epochs = train.slice(0, PIXEL_ROWS), PIXEL_EPOCHS
    conv2d = measured(
        "mnist", train, test, arch="conv2d", latent=PIXEL_LATENT, shape="28x28", epochs=epochs
    )
    widths = [matching_width(conv2d), PIXEL_LATENT]
    mlp = measured("mnist", train, test, arch="mlp", encoder=widths, epochs=epochs)
    counts = [spec.parameters for spec in (conv2d, mlp)]
    assert abs(counts[1] / counts[0] - 1) < 0.05, f"{counts} parameters are not comparable"
    print(f"\nmnist: {PIXEL_ROWS:,} training rows and {epochs} epochs only, latent {PIXEL_LATENT};")
    print(f"parameters: conv2d {counts[0]:,}, mlp {widths} {counts[1]:,} ", end="")
    print(f"(of both {linear_path(conv2d):,} are the linear path that starts as PCA).")


def linear_path(spec: ModelSpec) -> int:
    """Return the parameters of the linear maps next to encoder and decoder."""
    network = spec.network
    if not network.linear_path:
        return 0
    return (network.inputs + 1) * network.latent + (network.latent + 1) * network.outputs


def matching_width(spec: ModelSpec) -> int:
    """Return the one hidden width of an MLP with about as many parameters as a model of rows."""
    inputs, latent = spec.network.inputs, spec.network.latent
    own = spec.parameters - linear_path(spec)
    # n-w-k and k-w-n have (n + 1) w + (w + 1) k and (k + 1) w + (w + 1) n parameters.
    return round((own - latent - inputs) / (2 * (inputs + latent + 1)))


def generated(rows: int, width: int) -> np.ndarray:
    """Draw rows of a curved surface of few dimensions, with noise."""
    generator = np.random.default_rng(0)
    latent = generator.standard_normal((rows, 8), dtype=np.float32)
    mixing = generator.standard_normal((8, width), dtype=np.float32)
    noise = generator.standard_normal((rows, width), dtype=np.float32)
    values: np.ndarray = np.tanh(latent @ mixing / 2) + 0.1 * noise
    return values


def aecli_epoch(rows: np.ndarray, arch: str) -> tuple[float, float, ModelSpec]:
    """Return the seconds and the mean loss of the second epoch, and what was trained."""
    table = pa.table({f"x{i}": rows[:, i] for i in range(rows.shape[1])})
    with tempfile.TemporaryDirectory() as folder:
        made = aecli.train(
            table,
            model=f"{folder}/m",
            arch=arch,
            init="default",
            output="linear",
            scale="none",
            optimizer="Adam",
            lr=1e-3,
            schedule="constant",
            clip=0,
            batch_size=BATCH,
            epochs=2,
            valid="none",
            **TIMED[arch],
        )
    last = made.history[-1]
    return last.seconds, last.train["reconstruction"], made.spec


def plain_epoch(rows: np.ndarray, spec: ModelSpec) -> tuple[float, float]:
    """Train the same modules as a tutorial does; return what `aecli_epoch` does of an epoch."""
    torch.manual_seed(0)
    network = build(spec.network, columns=spec.columns)
    assert sum(p.numel() for p in network.parameters()) == spec.parameters
    samples = torch.from_numpy(rows)
    if spec.network.window > 1:
        # (samples, columns, steps) of views become real (samples, steps, columns).
        samples = samples.unfold(0, spec.network.window, 1).transpose(1, 2).contiguous()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset(samples), batch_size=BATCH, shuffle=True)
    seconds = loss_of_epoch = 0.0
    for _ in range(2):
        began, total = time.perf_counter(), 0.0
        for (batch,) in loader:
            batch = batch.flatten(0, -2)
            optimizer.zero_grad()
            loss = F.mse_loss(network(batch), batch)
            loss.backward()
            optimizer.step()
            total += loss.item()
        seconds, loss_of_epoch = time.perf_counter() - began, total / len(loader)
    return seconds, loss_of_epoch


def medians(rows: np.ndarray, arch: str, elsewhere: Executor) -> tuple[list[float], ModelSpec]:
    """Return seconds and losses, `[loop, aecli, loop, aecli]`, and what was trained."""
    rounds = []
    for _ in range(ROUNDS):
        seconds, loss, spec = aecli_epoch(rows, arch)
        loop = elsewhere.submit(plain_epoch, rows, spec).result()
        rounds.append((loop[0], seconds, loop[1], loss))
    return [statistics.median(values) for values in zip(*rounds, strict=True)], spec


def speed() -> None:
    """Print the seconds of one epoch of every architecture, in a plain loop and here."""
    images, series = generated(IMAGES, 784), generated(WINDOWS + WINDOW - 1, WIDTH)
    print("| architecture | DataLoader loop s | aecli s | ratio |\n|---|---|---|---|")
    notes = []
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
        for arch, options in TIMED.items():
            rows = series if "window" in options else images
            (loop, own, *losses), spec = medians(rows, arch, elsewhere)
            print(f"| {arch} | {loop:.2f} | {own:.2f} | {loop / own:.2f} |", flush=True)
            sizes = f"{spec.parameters:,} parameters, {spec.summary.precision}"
            notes.append(f"{arch} {sizes}, losses {losses[0]:.4f} and {losses[1]:.4f}")
    print(f"\n{torch.get_num_threads()} threads; losses of the loop and of aecli:")
    print(";\n".join(notes) + ".")


def main() -> None:
    """Run what is asked for, both unless something is."""
    for position, name in enumerate(sys.argv[2:] or ("quality", "speed")):
        print("\n" if position else "", end="")
        if name == "quality":
            quality(Path(sys.argv[1]))
        else:
            speed()


if __name__ == "__main__":
    main()
