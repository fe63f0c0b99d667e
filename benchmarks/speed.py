"""Time training against the DataLoader loop that a user would write, in one run.

    .venv/bin/python benchmarks/speed.py wide      # 60,000 x 784, encoder 512,256,64
    .venv/bin/python benchmarks/speed.py narrow    # 1,000,000 x 32, encoder 64,32,8

Both train the same network (ReLU, linear output) with Adam at 1e-3, batches of 1,024 rows and the
same number of epochs, on the same rows, standardised beforehand; only the training itself is timed.
Rounds alternate, so that a noisy machine slows both; the ratio of the medians is what counts.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import aecli

SHAPES = {"wide": (60_000, 784, [512, 256, 64], 3), "narrow": (1_000_000, 32, [64, 32, 8], 2)}
BATCH = 1_024
ROUNDS = 3


def rows(count: int, width: int) -> np.ndarray:
    """Draw standardised rows of a curved surface of few dimensions, with noise."""
    generator = np.random.default_rng(0)
    latent = generator.standard_normal((count, 16), dtype=np.float32)
    mixing = generator.standard_normal((16, width), dtype=np.float32)
    values = np.tanh(latent @ mixing / 2) + 0.1 * generator.standard_normal(
        (count, width), dtype=np.float32
    )
    return (values - values.mean(0)) / values.std(0)


def dataloader_loop(values: np.ndarray, widths: list[int], epochs: int) -> tuple[float, float]:
    """Train as a tutorial does; return the seconds and the last epoch's mean loss."""
    torch.manual_seed(0)
    sizes = [values.shape[1], *widths, *widths[-2::-1], values.shape[1]]
    layers: list[nn.Module] = []
    for position, (inputs, outputs) in enumerate(itertools.pairwise(sizes), start=1):
        layers.append(nn.Linear(inputs, outputs))
        if position not in (len(widths), len(sizes) - 1):
            layers.append(nn.ReLU())
    network = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset(torch.from_numpy(values)), batch_size=BATCH, shuffle=True)
    began = time.perf_counter()
    for _ in range(epochs):
        total = 0.0
        for (batch,) in loader:
            optimizer.zero_grad()
            loss = F.mse_loss(network(batch), batch)
            loss.backward()
            optimizer.step()
            total += loss.item()
    return time.perf_counter() - began, total / len(loader)


def aecli_train(table: pa.Table, widths: list[int], epochs: int) -> tuple[float, float]:
    """Train the same network with aecli; return its seconds and its last epoch's mean loss."""
    with tempfile.TemporaryDirectory() as folder:
        result = aecli.train(
            table,
            model=f"{folder}/model",
            encoder=widths,
            init="default",
            activation="ReLU",
            scale="none",
            optimizer="Adam",
            lr=1e-3,
            schedule="constant",
            clip=0,
            batch_size=BATCH,
            epochs=epochs,
            valid="none",
        )
    return result.spec.summary.seconds, result.history[-1].train["reconstruction"]


def main() -> None:
    """Alternate the two and print the medians and their ratio."""
    name = sys.argv[1] if len(sys.argv) > 1 else "wide"
    count, width, widths, epochs = SHAPES[name]
    values = rows(count, width)
    table = pa.table({f"x{i}": values[:, i] for i in range(width)})
    timed: dict[str, list[float]] = {"DataLoader loop": [], "aecli": []}
    losses = {}
    for _ in range(ROUNDS):
        for who, (seconds, loss) in {
            "DataLoader loop": dataloader_loop(values, widths, epochs),
            "aecli": aecli_train(table, widths, epochs),
        }.items():
            timed[who].append(seconds)
            losses[who] = loss
    medians = {who: statistics.median(seconds) for who, seconds in timed.items()}
    print(
        f"{name}: {count:,} x {width}, {widths}, {epochs} epochs, {torch.get_num_threads()} threads"
    )
    for who, seconds in medians.items():
        print(f"  {who:16} {seconds:7.2f} s   loss {losses[who]:.5f}")
    print(f"  ratio            {medians['DataLoader loop'] / medians['aecli']:7.2f}")


if __name__ == "__main__":
    main()
