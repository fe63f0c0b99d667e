"""Architectures next to PCA of the same latent, and their epochs next to a plain loop.

`quality`, on test rows: windows of 12 rows of two tables of series into 8 numbers, 20 epochs; MNIST
into 12 numbers, 10,000 rows and 5 epochs (20 epochs of all rows take minutes by convolutions), by
convolutions and by an MLP of as many parameters. `speed`: the second of two epochs on generated
rows, Adam at 1e-3, batches of 256, next to the same modules in a tutorial's loop, each in a process
of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from harness import Row, Run
from loops import RATE
from measures import in_process, trained
from tables import curved, halves, mnist, read, table_of, without
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import aecli
from aecli.model.build import build
from aecli.schema.model_spec import ModelSpec

WINDOWED = ("vanilla", "conv1d", "lstm", "transformer")
LATENT, WINDOW = 8, 12
PIXEL_ROWS, PIXEL_EPOCHS, PIXEL_LATENT = 10_000, 5, 12
IMAGES, WINDOWS, QUICK_ROWS = 10_000, 20_000, 500
BATCH = 256
TIMED: dict[str, dict[str, Any]] = {
    "mlp": {"latent": PIXEL_LATENT},
    "conv2d": {"latent": PIXEL_LATENT, "shape": "28x28"},
    **{name: {"latent": LATENT, "window": WINDOW} for name in WINDOWED},
}


def quality(run: Run) -> Iterator[Row]:
    """Yield the test error of every architecture next to that of PCA."""
    if run.case == "mnist":
        yield from pixels(run)
        return
    options = {"window": WINDOW, "group": ["series"], "time": "t", "latent": LATENT, "epochs": 20}
    whole = read(replace(run, quick=False), f"{run.case}.parquet")  # a part has no whole windows
    parts = [without(part, "label") for part in halves(whole)]
    for arch in WINDOWED:
        yield evaluated(run, *parts, arch=arch, **options)[0]


def pixels(run: Run) -> Iterator[Row]:
    """Yield the errors of convolutions and of an MLP of as many parameters."""
    train, test = (without(part, "label") for part in mnist(run))
    train, shared = train.slice(0, PIXEL_ROWS), {"epochs": PIXEL_EPOCHS}
    image = {"arch": "conv2d", "latent": PIXEL_LATENT, "shape": "28x28"}
    row, spec = evaluated(run, train, test, **image, **shared)
    yield row
    widths = [matching_width(spec), PIXEL_LATENT]
    row, other = evaluated(run, train, test, arch="mlp", encoder=widths, **shared)
    assert abs(other.parameters / spec.parameters - 1) < 0.05, "they are not comparable"
    yield row


def evaluated(run: Run, train: pa.Table, test: pa.Table, **options: Any) -> tuple[Row, ModelSpec]:
    """Train and evaluate one model; return its row and its spec."""
    with trained(run, train, **options) as model:
        found = aecli.evaluate(test, model=model.model)
    row: Row = {
        "table": run.case,
        "architecture": options["arch"],
        "scaled MSE": found.number_mse,
        "PCA of the same latent": found.number_mse_pca,
        "CPU s": model.seconds,
    }
    return row, model.result.spec


def matching_width(spec: ModelSpec) -> int:
    """Return the one hidden width of an MLP with about as many parameters as a model of rows."""
    network = spec.network
    inputs, latent, outputs = network.inputs, network.latent, network.outputs
    path = (inputs + 1) * latent + (latent + 1) * outputs if network.linear_path else 0
    # n-w-k and k-w-n have (n + 1) w + (w + 1) k and (k + 1) w + (w + 1) n parameters.
    return round((spec.parameters - path - latent - inputs) / (2 * (inputs + latent + 1)))


def speed(run: Run) -> Iterator[Row]:
    """Yield the seconds of one epoch in a plain loop and here, in one round."""
    arch = run.case
    windowed = "window" in TIMED[arch]
    rows = QUICK_ROWS if run.quick else WINDOWS + WINDOW - 1 if windowed else IMAGES
    width = WINDOW if windowed else 784
    seconds, loss, spec = in_process(own_epoch, rows, width, arch)
    loop, loop_loss = in_process(plain_epoch, rows, width, spec)
    yield {
        "architecture": arch,
        "tutorial's loop, s": loop,
        "aecli, s": seconds,
        "ratio": loop / seconds,
        "loss of the loop": loop_loss,
        "of aecli": loss,
    }


def own_epoch(rows: int, width: int, arch: str) -> tuple[float, float, ModelSpec]:
    """Return the seconds and the mean loss of the second epoch, and the spec."""
    run = Run(arch, 0, Path())
    options = {"init": "default", "output": "linear", "scale": "none", "optimizer": "Adam"}
    options |= {"lr": RATE, "schedule": "constant", "clip": 0, "batch_size": BATCH, "epochs": 2}
    table = table_of(curved(rows, width, 8))
    with trained(run, table, arch=arch, valid="none", **options, **TIMED[arch]) as model:
        last = model.result.history[-1]
    return last.seconds, last.train["reconstruction"], model.result.spec


def plain_epoch(rows: int, width: int, spec: ModelSpec) -> tuple[float, float]:
    """Train the same modules as a tutorial does; return the seconds and loss of a second epoch."""
    torch.manual_seed(0)
    network = build(spec.network, columns=spec.columns)
    samples = torch.from_numpy(curved(rows, width, 8))
    if spec.network.window > 1:
        # (samples, columns, steps) of views become real (samples, steps, columns).
        samples = samples.unfold(0, spec.network.window, 1).transpose(1, 2).contiguous()
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
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
