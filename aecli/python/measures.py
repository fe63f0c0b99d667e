"""Run a loaded model over a table for figures that are no columns of an output."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from aecli.evaluation.terms import TermFigures
from aecli.stream.model import LoadedModel
from aecli.table.source import Data
from aecli.verbs.stream import open_feed

Floats = npt.NDArray[np.float32]


def latents_of(model: LoadedModel, data: Data) -> Floats:
    """Return the latents `(n_samples, latent)` of rows, or of windows of them."""
    parts = [chunk.latent.cpu().numpy() for chunk in open_feed(model, data, carry=False).chunks]
    return np.concatenate([*parts, np.empty((0, model.spec.network.latent), np.float32)])


def logits_of(model: LoadedModel, data: Data) -> Floats:
    """Return the classifier's logits `(n_samples, n_classes)` of rows, or of windows of them."""
    parts = [np.empty((0, model.spec.network.classes), np.float32)]
    with torch.no_grad():
        for chunk in open_feed(model, data, carry=False).chunks:
            parts.append(model.network.classify(chunk.latent).float().cpu().numpy())
    return np.concatenate(parts)


def reconstruction_loss(model: LoadedModel, data: Data) -> float:
    """Return the mean reconstruction loss of rows, as training and `aecli evaluate` give it."""
    figures = TermFigures(model.network, model.spec)
    for chunk in open_feed(model, data, carry=False).chunks:
        with torch.no_grad():
            outputs = model.network.decode(chunk.latent).float()
        cells = torch.from_numpy(chunk.cells).to(model.device)
        figures.add(cells, chunk.code, outputs, None, None)
    return figures.reconstruction()
