"""The classifier with other inputs, heads and schedules.

One thing is changed at a time and a fifth of the training rows, held out, is measured, on which the
epoch is chosen as well: piecewise-linear copies with other bins, learning rates and schedules,
dropout, label smoothing, averaged weights, and k heads on one encoder whose predictions are
averaged (after TabM, Gorishniy et al. 2025). Its loop is that of `aecli.training.trainer` without
checkpoints. Test rows, and gradient boosting next to them, are measured by `models.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from harness import Row, Run
from measures import cpu_seconds
from tables import FAILURES, IDENTIFIERS, halves, read
from torch import Tensor, nn
from torch.nn import functional

from aecli.features.shuffling import epoch_order
from aecli.metrics.classification import ClassificationFigures
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.nn.losses import best_temperature
from aecli.progress import SILENT
from aecli.training import piecewise
from aecli.training.batches import Batches
from aecli.training.build import build_training
from aecli.training.data import PreparedTable, prepare
from aecli.training.objective import Objective
from aecli.training.optimizers import make_optimizer
from aecli.training.schedule import Schedule, default_batch_size, default_epochs
from aecli.training.train import parse_options

TABLES: dict[str, tuple[str, dict[str, Any]]] = {
    "adult": ("adult.csv", {"label": "income", "latent": 16}),
    "diamonds": ("diamonds.csv", {"label": "cut", "latent": 4}),
    "ai4i": (
        "ai4i2020.csv",
        {
            "label": "Machine failure",
            "exclude": IDENTIFIERS + FAILURES,
        },
    ),
    "letter": ("letter.csv", {"label": "lettr"}),
}


@dataclass(frozen=True)
class Alternative:
    """What a training does differently."""

    bins: int = 64
    edges: str = "limited"
    lr: float = 4e-3
    schedule: str = "cosine"
    batch: int | None = None
    dropout: float = 0.0
    smoothing: float = 0.0
    averaging: float = 0.0
    heads: int = 1


ALTERNATIVES = {
    "no copies": Alternative(bins=0),
    "64 bins, frequent values limited": Alternative(),
    "32 bins": Alternative(bins=32),
    "128 bins": Alternative(bins=128),
    "64 bins, quantiles of rows": Alternative(edges="rows"),
    "64 bins, quantiles of rows and of distinct values": Alternative(edges="both"),
    "64 bins, rate 0.002": Alternative(lr=2e-3),
    "64 bins, RealMLP's schedule": Alternative(schedule="coslog4"),
    "64 bins, batches of 256": Alternative(batch=256),
    "64 bins, dropout 0.1": Alternative(dropout=0.1),
    "64 bins, label smoothing 0.03": Alternative(smoothing=0.03),
    "64 bins, averaged weights": Alternative(averaging=0.998),
    "64 bins, 16 heads": Alternative(heads=16),
}


def edges(values: np.ndarray, count: int, kind: str) -> list[float]:
    """Return the edges of bins by an alternative rule."""
    if kind == "limited":
        return piecewise.fit_bins(values, count)
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if kind == "rows":
        drawn = np.quantile(known, np.linspace(0, 1, count + 1))
    else:
        shares = np.linspace(0, 1, count // 2 + 1)
        drawn = np.concatenate([np.quantile(part, shares) for part in (known, distinct)])
    return [float(edge) for edge in np.unique(drawn.astype(np.float32))]


def with_copies(table: PreparedTable, how: Alternative) -> PreparedTable:
    """Return the table with the bins of an alternative."""
    if not how.bins:
        return table
    columns, cells = [], table.train.cells.numpy()
    at = {column.name: cell for cell, column in enumerate(table.layout.numeric)}
    for column in table.plan.columns:
        if column.kind == "number" and column.name in at:
            bins = edges(cells[:, at[column.name]], how.bins, how.edges)
            column = column.model_copy(update={"bins": bins if len(bins) > 2 else []})
        columns.append(column)
    plan = replace(table.plan, columns=tuple(columns))
    return replace(table, plan=plan, layout=piecewise.lay_out(columns))


class Heads(nn.Module):
    """Hidden layer that k heads share, each with its own signs of the latent, and their outputs."""

    def __init__(self, latent: int, classes: int, k: int, hidden: int = 64) -> None:
        super().__init__()
        self.signs = nn.Parameter(torch.randint(0, 2, (k, latent)).float() * 2 - 1)
        self.shared = nn.Linear(latent, hidden)
        self.bias = nn.Parameter(torch.zeros(k, hidden))
        self.out = nn.Parameter(torch.randn(k, hidden, classes) / hidden**0.5)

    def forward(self, z: Tensor) -> Tensor:
        """Return the logits `(n_rows, k, classes)`."""
        hidden = functional.silu(self.shared(z[:, None] * self.signs) + self.bias)
        return torch.einsum("nkh,khc->nkc", hidden, self.out)


def logits_of(network: AutoencoderNetwork, z: Tensor) -> Tensor:
    """Return the logits of each head `(n_rows, k, classes)`."""
    logits = network.classify(z)
    return logits if logits.dim() == 3 else logits[:, None]


def rate(how: Alternative, schedule: Schedule, step: int, steps: int) -> float:
    """Return the learning rate; coslog4 is that of RealMLP (Holzmüller et al. 2024, §3)."""
    if how.schedule == "cosine":
        return schedule.rate(step)
    return how.lr * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * step / steps))) / 2


def measured(objective: Objective, table: PreparedTable) -> dict[str, float]:
    """Return the figures of the held-out rows, with the cross-entropy at the best temperature."""
    network, codes = objective.network.eval(), table.valid.codes
    assert codes is not None, "every table has a label"
    with torch.no_grad():
        inputs = objective.inputs(table.valid.cells)
        z = network.encode(inputs)
        logits = logits_of(network, z).softmax(2).mean(1).log()
        reconstruction = float(objective.reconstruction(network.decode(z), table.valid.cells))
    figures = ClassificationFigures(logits.shape[1])
    calibrated = logits / best_temperature(logits, codes)
    figures.add(calibrated, codes)
    loss = figures.log_loss()
    return {
        "criterion": objective.weights["reconstruction"] * reconstruction + loss,
        "AUROC": figures.auroc() or math.nan,
        "cross-entropy": loss,
        "accuracy": figures.accuracy(),
        "reconstruction loss": reconstruction,
    }


def trained(table: PreparedTable, options: Any, how: Alternative, epochs: int) -> dict[str, float]:
    """Train an alternative; return the figures of its best epoch, and the CPU seconds."""
    table, seed = with_copies(table, how), options.training.seed
    objective = build_training(table, options, SILENT).objective
    network = objective.network
    if how.heads > 1:
        torch.manual_seed(seed)
        first = network.classify(network.encode(objective.inputs(table.train.cells[:2])))
        latent = network.encode(objective.inputs(table.train.cells[:2])).shape[1]
        network.head = Heads(latent, first.shape[1], how.heads)
    parameters = list(network.parameters())
    optimizer = make_optimizer("AdamW", parameters, lr=how.lr)
    batch = how.batch or default_batch_size(len(table.train))
    steps = math.ceil(len(table.train) / batch) * epochs
    schedule = Schedule("cosine", peak=how.lr, steps=steps, patience=15)
    averages = [parameter.detach().clone() for parameter in parameters]
    batches, step, best = Batches(table.train, torch.device("cpu")), 0, {"criterion": math.inf}
    began = cpu_seconds()
    for epoch in range(epochs):
        network.train()
        for cells, codes in batches.shuffled(
            epoch_order(len(batches), batches.parts, seed, epoch), batch
        ):
            optimizer.lr = rate(how, schedule, step, steps)
            optimizer.zero_grad()
            z = network.encode(objective.inputs(cells))
            logits = logits_of(network, z).transpose(1, 2)
            assert codes is not None, "every table has a label"
            truth = codes[:, None].expand(-1, logits.shape[2])
            loss = functional.cross_entropy(logits, truth, label_smoothing=how.smoothing)
            weight = objective.weights["reconstruction"]
            loss = loss + weight * objective.reconstruction(network.decode(z), cells)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            step += 1
            keep = min(how.averaging, (1 + step) / (10 + step)) if how.averaging else 0.0
            torch._foreach_lerp_(averages, [p.detach() for p in parameters], 1 - keep)
        current = [parameter.detach().clone() for parameter in parameters]
        put(parameters, averages)
        found = measured(objective, table)
        put(parameters, current)
        best = min(best, found, key=lambda figures: figures["criterion"])
    return best | {"CPU s": cpu_seconds() - began}


@torch.no_grad()
def put(parameters: list[nn.Parameter], values: list[Tensor]) -> None:
    """Copy values into parameters."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


def measure(run: Run) -> Iterator[Row]:
    """Yield the held-out figures of each alternative."""
    torch.set_num_threads(1)
    file, options = TABLES[run.case]
    train, _ = halves(read(run, file))
    for title, how in ALTERNATIVES.items():
        shared = {"dropout": how.dropout, "valid": "0.2", "seed": run.seed}
        chosen = parse_options({**options, **shared})
        prepared = prepare(train, chosen, SILENT)
        epochs = 1 if run.quick else default_epochs(prepared.train, classifies=True)
        figures = trained(prepared, chosen, how, epochs)
        figures.pop("criterion")
        yield {"table": run.case, "alternative": title, **figures}
