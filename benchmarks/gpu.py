"""CUDA graphs next to steps one by one, and the speed of training, encode and score on a GPU.

`equal`: losses and weights of trainings with CUDA graphs and without, and of one that was stopped
and resumed; 1 are the same bits. `speed`: samples per second of a tutorial's DataLoader loop, of a
lean loop, of aecli, and of the lean step captured by hand as a CUDA graph, which is what can be
reached; the median of the epochs after the first, in which libraries are loaded and graphs
captured. `precision`: aecli in fp32 and bf16, with graphs and without, by width and batch, for
`BF16_WORK`. `apply`: seconds of encode and score, on the GPU and on the CPU. Without a GPU all run
on the CPU. All parts take less than 8 minutes on one GPU.
"""

from __future__ import annotations

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from harness import Row, Run
from loops import RATE, lean_epochs, network_of, tutorial_epochs
from tables import curved, table_of
from torch import Tensor
from torch.nn import functional as F

import aecli
from aecli.training import epoch_steps, streamed_batches

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Shape(NamedTuple):
    """Table, hidden layers and batch of a training."""

    rows: int
    width: int
    widths: list[int]
    batch: int


SHAPES = {
    "60k × 784, b128": Shape(60_000, 784, [512, 256, 64], 128),
    "60k × 784, b1024": Shape(60_000, 784, [512, 256, 64], 1_024),
    "250k × 32, b128": Shape(250_000, 32, [64, 32, 8], 128),
    "1M × 32, b1024": Shape(1_000_000, 32, [64, 32, 8], 1_024),
}
QUICK = Shape(512, 16, [8, 4], 128)
EPOCHS = 6
WINDOWS = {"window": 8, "latent": 4}
TRAININGS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "classifier": {"label": "y"},
    "dropout, batch norm": {"dropout": 0.1, "norm": "batch"},
    "variational": {"variational": True, "latent": 4},
    "noise": {"noise": "swap:0.2"},
    "l1": {"l1": 1e-3},
    "trimmed loss": {"trimmed_loss": True, "log_gradients": True},
    "bf16": {"precision": "bf16", "encoder": [256, 8]},
    "SGD": {"optimizer": "SGD:momentum=0.9", "lr": 0.01},
    "RMSprop": {"optimizer": "RMSprop"},
    "Adagrad, not captured": {"optimizer": "Adagrad"},
    "conv1d": WINDOWS | {"arch": "conv1d"},
    "lstm": WINDOWS | {"arch": "lstm"},
    "transformer": WINDOWS | {"arch": "transformer"},
    "read in blocks": {"label": "y"},
}
QUICK_TRAININGS = ("mlp",)


def equal(run: Run) -> Iterator[Row]:
    """Yield whether trainings with CUDA graphs, without, and resumed are equal."""
    values = curved(600 if run.quick else 3_000, 12)
    table = table_of(values).append_column("y", pa.array((values[:, 0] > 0).astype(int)))
    for name in QUICK_TRAININGS if run.quick else TRAININGS:
        options = {"device": DEVICE, "epochs": 3 if run.quick else 12, **TRAININGS[name]}
        if "label" not in options:
            options["exclude"] = ["y"]
        with ExitStack() as stack:
            if name == "read in blocks":  # as if the table did not fit on the device
                stack.enter_context(patch.object(epoch_steps, "fits_on", lambda *_: False))
                stack.enter_context(patch.object(streamed_batches, "STREAMED_BYTES", 1 << 16))
            graph, single = train(table, options), train(table, options | {"cuda_graph": False})
            resumed = train(table, options, stopped_after=graph.seconds / 2)
        losses = zip(graph.losses, single.losses, strict=True)
        yield {
            "training": name,
            "same bits": float(graph.weights == single.weights),
            "largest difference of a loss": max(abs(a - b) / max(abs(b), 1e-9) for a, b in losses),
            "stopped in epoch": resumed.stopped_in,
            "resumed: same bits": float(graph.weights == resumed.weights),
        }


class Training(NamedTuple):
    """Hash of the weights of a training, its losses, and the epoch in which it was stopped."""

    weights: str
    losses: list[float]
    seconds: float
    stopped_in: int


def train(table: pa.Table, options: dict[str, Any], stopped_after: float | None = None) -> Training:
    """Train a model, and after `stopped_after` seconds stop and resume it."""
    with tempfile.TemporaryDirectory() as folder:
        model, stopped_in = Path(folder) / "model", 0
        if stopped_after is not None:
            first = aecli.train(table, model=model, time_limit=stopped_after, **options)
            stopped_in = 0 if first.spec.summary.finished else len(first.history)
        result = aecli.train(table, model=model, resume=stopped_in > 0, **options)
        weights = hashlib.sha256((model / result.spec.weights.file).read_bytes()).hexdigest()
    losses = [epoch.train["total"] for epoch in result.history]
    return Training(weights, losses, result.spec.summary.seconds, stopped_in)


def speed(run: Run) -> Iterator[Row]:
    """Yield the samples per second of every loop, also as multiples of the tutorial's."""
    shape, epochs = (QUICK, 2) if run.quick else (SHAPES[run.case], EPOCHS)
    values = curved(shape.rows, shape.width)
    rows, table = torch.from_numpy(values), table_of(values)
    timed = {}
    for title, loop, times in (
        ("tutorial's DataLoader loop", tutorial_epochs, max(2, epochs // 3)),
        ("lean loop", lean_epochs, epochs),
    ):
        network = network_of(shape.width, shape.widths)
        losses = loop(network, rows, times, shape.batch, DEVICE)
        timed[title] = loop_speed(losses, shape.rows)
    for precision in ("fp32", "bf16"):
        title = f"aecli, `--precision {precision}`"
        timed[title] = aecli_speed(table, shape, epochs, precision=precision)
        reach = captured(rows, shape, epochs, bf16=precision == "bf16")
        timed[f"lean step as a CUDA graph, {precision}"] = loop_speed(reach, shape.rows)
    base = next(iter(timed.values()))[0]
    for title, (per_second, loss) in timed.items():
        names = {"table": run.case, "training": title}
        yield names | {"rows/s": per_second, "× tutorial": per_second / base, "loss": loss}


def captured(values: Tensor, shape: Shape, epochs: int, bf16: bool = False) -> Iterator[float]:
    """Train on complete batches only, each a replay of one graph; a CPU runs the step itself."""
    network = network_of(shape.width, shape.widths).to(DEVICE)
    cuda = DEVICE == "cuda"
    fixed: dict[str, Any] = {"capturable": True} if cuda else {}
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, fused=True, **fixed)
    rows, steps = values.to(DEVICE), len(values) // shape.batch
    order = torch.arange(len(rows), device=DEVICE)
    within = torch.arange(shape.batch, device=DEVICE)
    position = torch.zeros(1, dtype=torch.int64, device=DEVICE)
    total = torch.zeros((), device=DEVICE)

    def step() -> None:
        batch = rows.index_select(0, order.index_select(0, within + position * shape.batch))
        optimizer.zero_grad()
        with torch.autocast(DEVICE, torch.bfloat16, enabled=bf16):
            outputs = network(batch)
        loss = F.mse_loss(outputs.float(), batch)
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())
        position.add_(1)

    run = graph_of(step) if cuda else step
    for _ in range(epochs):
        torch.randperm(len(rows), out=order)
        position.zero_()
        total.zero_()
        for _ in range(steps):
            run()
        yield float(total) / steps


def graph_of(step: Callable[[], None]) -> Callable[[], None]:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def loop_speed(epochs: Iterator[float], rows: int) -> tuple[float, float]:
    """Return the samples per second of the median epoch after the first, and the last loss."""
    seconds, losses = [], []
    began = time.perf_counter()
    for loss in epochs:
        losses.append(loss)
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
    return rows / statistics.median(seconds[1:]), losses[-1]


def aecli_speed(table: pa.Table, shape: Shape, epochs: int, **options: Any) -> tuple[float, float]:
    """Return the samples per second of the median epoch, and the last loss."""
    with tempfile.TemporaryDirectory() as folder:
        result = aecli.train(
            table, model=f"{folder}/model", encoder=shape.widths, init="default", scale="none",
            activation="ReLU", optimizer="Adam", lr=RATE, schedule="constant", clip=0,
            batch_size=shape.batch, epochs=epochs, valid="none", device=DEVICE, **options,
        )  # fmt: skip
    seconds = statistics.median(epoch.seconds for epoch in result.history[1:])
    return table.num_rows / seconds, result.history[-1].train["reconstruction"]


def precision(run: Run) -> Iterator[Row]:
    """Yield how many times as fast aecli is in bf16 as in fp32, by width and batch."""
    for width in (8,) if run.quick else (256, 1_024, 4_096):
        for batch in (128,) if run.quick else (128, 1_024):
            shape = Shape(batch * (4 if run.quick else 60), 64, [width, 16], batch)
            table = table_of(curved(shape.rows, shape.width))
            row: Row = {"width": f"{width:,}", "batch": f"{batch:,}", "work": width**2 * batch}
            for graphs, title in ((True, "graphs"), (False, "one by one")):
                fp32, bf16 = (
                    aecli_speed(table, shape, 3, precision=kind, cuda_graph=graphs)[0]
                    for kind in ("fp32", "bf16")
                )
                row[f"bf16 / fp32, {title}"] = bf16 / fp32
            yield row


def apply(run: Run) -> Iterator[Row]:
    """Yield the seconds of encode and score on the device and on the CPU."""
    rows = 1_000 if run.quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path, model = Path(folder) / "rows.parquet", Path(folder) / "model"
        table = table_of(curved(rows, 32))
        pq.write_table(table, path)
        aecli.train(table.slice(0, min(rows, 50_000)), model=model, epochs=1, device=DEVICE)
        for name in ("encode", "score"):
            for device in dict.fromkeys((DEVICE, "cpu")):
                began = time.perf_counter()
                output = f"{folder}/out.parquet"
                getattr(aecli, name)(path, model=model, output=output, device=device)
                seconds = time.perf_counter() - began
                yield {"command": f"`{name}`, {rows:,} rows", "device": device, "seconds": seconds}
