"""Latents, logits, scores and losses of a table's rows as arrays, for the estimator."""

from __future__ import annotations

import numpy as np
import torch

from aecli.array_types import Codes, Float32s, Floats
from aecli.evaluation.loss_terms import TermFigures
from aecli.features.reader import Tally
from aecli.features.series import read_series, window_codes
from aecli.features.windows import Windows
from aecli.inference.batches import row_cells
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.run import open_feed
from aecli.inference.windows import open_windows, window_cells
from aecli.progress import SILENT
from aecli.scoring.output_columns import scores_of_rows
from aecli.scoring.scorer import Scorer
from aecli.table.column_match import match_columns
from aecli.table.source import Data, open_source


def latents_of(model: LoadedModel, data: Data) -> Float32s:
    """Return the latents `(n_samples, latent)` of rows, or of windows of them."""
    parts = [chunk.latent.cpu().numpy() for chunk in open_feed(model, data, carry=False).chunks]
    return np.concatenate([*parts, np.empty((0, model.spec.network.latent), np.float32)])


def logits_of(model: LoadedModel, data: Data) -> Float32s:
    """Return the classifier's logits `(n_samples, n_classes)` of rows, or of windows of them."""
    parts = [np.empty((0, model.spec.network.classes), np.float32)]
    with torch.no_grad():
        for chunk in open_feed(model, data, carry=False).chunks:
            parts.append(model.network.classify(chunk.latent).float().cpu().numpy())
    return np.concatenate(parts)


def windows_of(model: LoadedModel, data: Data) -> Windows | None:
    """Return the windows of a table, None where the model encodes single rows."""
    source, _ = match_columns(open_source(data), model.spec)
    series = read_series(source, model.spec.options.windows, model.spec.ids)
    return None if series is None else series.cut()


def codes_of_samples(model: LoadedModel, data: Data, codes: Codes) -> Codes:
    """Return the label codes of rows `(n_rows,)`, or of the windows of them, as in training."""
    windows = windows_of(model, data)
    if windows is None:
        return codes
    return window_codes(codes, windows, model.spec.options.windows.window_label)


def reconstruction_loss(model: LoadedModel, data: Data) -> float:
    """Return the mean reconstruction loss of rows, as training and `aecli evaluate` give it."""
    figures = TermFigures(model.network, model.spec)
    for chunk in open_feed(model, data, carry=False).chunks:
        with torch.no_grad():
            outputs = model.network.decode(chunk.latent).float()
        cells = torch.from_numpy(chunk.cells).to(model.device)
        figures.add(cells, chunk.code, outputs, None, None)
    return figures.reconstruction()


def scores_of(model: LoadedModel, data: Data, aggregate: str) -> Floats:
    """Return the score `(n_rows,)` of each row; the mean of its windows, NaN where in none."""
    scorer, tally = Scorer.of(model), Tally(model.reader.layout)
    source, _ = match_columns(open_source(data), model.spec)
    if scorer.window == 1:
        parts = [np.empty(0)]
        for _, cells in row_cells(model, source, None, tally):
            parts.append(scorer.score(cells).scores[aggregate].numpy())
        return np.concatenate(parts)
    table = open_windows(model, source, tally=tally)
    cut = ((cells, rows) for _, cells, rows in window_cells(model, table, [], None))
    return scores_of_rows(scorer, table, cut, aggregate, SILENT)[0].scores
