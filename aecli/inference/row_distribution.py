"""Distribution of the rows of a variational model, which `sample` draws from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from aecli.errors import ModelError
from aecli.features.cell_codes import POINTS, CellCodes
from aecli.inference.loaded_model import LoadedModel
from aecli.nn.autoregressive import Autoregressive
from aecli.safetensors_header import retrain_hint

ROWS_PREFIX = "baseline.rows_"
"""Prefix of its tensors in the weights file; a model of aecli 0.2 has none of them."""


@dataclass(frozen=True)
class RowDistribution:
    """Autoregressive distribution of a row's class, latents and cells, in this order."""

    codes: CellCodes
    network: Autoregressive

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors to store in the weights file."""
        stored = {
            "points": torch.cat(self.codes.points),
            "point_counts": torch.tensor([len(part) for part in self.codes.points]),
            "missing": torch.tensor(self.codes.missing),
        }
        stored |= self.network.state_dict()
        return {ROWS_PREFIX + name: tensor for name, tensor in stored.items()}

    def draw(
        self, count: int, classes: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return outputs `(count, n_outputs)` and which cells are missing.

        `classes` `(count,)` are codes of classes, None without a classifier.
        """
        drawn = self.network.sample(count, generator, first=classes)
        return self.codes.decode(drawn[:, 0 if classes is None else 1 :], generator)


def row_distribution(codes: CellCodes, *, n_classes: int, hidden: int) -> RowDistribution:
    """Return a distribution with initial weights; `n_classes` is 0 without a classifier."""
    of_class = [n_classes] if n_classes else []
    first = len(of_class)
    ordered = range(first, first + len(codes.points))
    network = Autoregressive([*of_class, *codes.sizes], hidden=hidden, ordered=ordered)
    return RowDistribution(codes, network)


def stored_row_distribution(model: LoadedModel) -> RowDistribution | None:
    """Return the distribution in a model's weights file; None if there is none.

    Raises:
        ModelError: its tensors do not have the sizes of the model's columns and network.
    """
    stored = {
        name.removeprefix(ROWS_PREFIX): tensor
        for name, tensor in model.baseline.items()
        if name.startswith(ROWS_PREFIX)
    }
    if not stored:
        return None
    try:
        return _read(stored, model)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{model.directory} has a distribution of rows that differs from spec.json",
            facts=[str(error).splitlines()[0]],
            hint=retrain_hint(model.directory),
        ) from error


def _read(stored: Mapping[str, Tensor], model: LoadedModel) -> RowDistribution:
    layout, spec = model.reader.layout, model.spec.network
    state = dict(stored)
    points, counts, missing = (state.pop(name) for name in ("points", "point_counts", "missing"))
    if counts.shape != (spec.latent + layout.numbers,):
        raise ValueError(f"quantiles of {counts.numel()} latents and numbers")
    if missing.shape != (spec.latent + layout.cells,):
        raise ValueError(f"{missing.numel()} latents and cells")
    if bool((counts < 1).any()) or points.shape != (int(counts.sum()), POINTS):
        raise ValueError(f"quantiles of shape {tuple(points.shape)}")
    codes = CellCodes(layout, points.split(counts.tolist()), missing.tolist(), latents=spec.latent)
    with torch.device("meta"):  # allocates no memory before the sizes are checked
        read = row_distribution(codes, n_classes=spec.classes, hidden=len(state["start"]))
    read.network.load_state_dict(state, assign=True)
    return read
