"""Training steps with one thread and with all, for networks and batches of several sizes.

Each row is an autoencoder of inputs, hidden units and 8 numbers with Adam, trained on the same
batch again and again; `rule` are the threads of `aecli.device.step_threads`. Turns alternate, and
the minimum counts, because other programs only add to it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import torch
from harness import Row, Run
from torch import nn
from torch.nn import functional as F

from aecli.device import step_threads

LAYERS = ((8, 16), (32, 64), (64, 128), (128, 256), (784, 512), (2048, 1024))
BATCHES = (128, 1_024)
TURNS = 30
SECONDS = 0.02


def measure(run: Run) -> Iterator[Row]:
    """Yield the milliseconds of a step by threads."""
    counts = [1, torch.get_num_threads()]
    for (inputs, hidden), rows in itertools.product(LAYERS[: 1 if run.quick else None], BATCHES):
        model, batch = network(inputs, hidden), torch.randn(rows, inputs)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        best = dict.fromkeys(counts, float("inf"))
        for _ in range(2 if run.quick else TURNS):
            for threads in counts:
                torch.set_num_threads(threads)
                best[threads] = min(best[threads], step_seconds(model, optimizer, batch))
        parameters = sum(parameter.numel() for parameter in model.parameters())
        names = {"network": f"{inputs}, {hidden}, 8, {hidden}, {inputs}", "batch": f"{rows:,}"}
        sizes = {"MFLOP": 6 * parameters * rows / 1e6}
        times = {f"{threads} threads, ms": 1000 * seconds for threads, seconds in best.items()}
        yield names | sizes | times | {"rule": step_threads(parameters, rows, counts[-1])}


def network(inputs: int, hidden: int) -> nn.Module:
    """Return the layers of an autoencoder."""
    sizes = [inputs, hidden, 8, hidden, inputs]
    layers = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in itertools.pairwise(sizes)]
    return nn.Sequential(*layers)


def step_seconds(model: nn.Module, optimizer: torch.optim.Optimizer, batch: torch.Tensor) -> float:
    """Return the seconds of a step."""
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS or not steps:
        optimizer.zero_grad()
        F.mse_loss(model(batch), batch).backward()
        optimizer.step()
        steps += 1
    return (time.perf_counter() - began) / steps
