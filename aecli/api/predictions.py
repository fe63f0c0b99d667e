"""Latents, logits, scores and losses of a table's rows as arrays, for the estimator."""

from __future__ import annotations

import numpy as np
import torch

from aecli.array_types import Codes, Float32s, Floats
from aecli.evaluation.accumulator import DecodedSamples, TermFigures
from aecli.features.windows import Windows, read_series, window_codes
from aecli.inference.loaded_model import LoadedModel
from aecli.inference.run import Pass
from aecli.scoring.output_columns import scores_of_rows
from aecli.scoring.scorer import Scorer
from aecli.table.column_match import match_columns
from aecli.table.source import Data, open_source


def latents_of(model: LoadedModel, data: Data) -> Float32s:
    """Return the latents `(n_samples, latent)` of rows, or of windows of them."""
    parts = [samples.latent.cpu().numpy() for samples in Pass.over(model, data).encoded(carried=[])]
    return np.concatenate([*parts, np.empty((0, model.spec.network.latent), np.float32)])


def logits_of(model: LoadedModel, data: Data) -> Float32s:
    """Return the classifier's logits `(n_samples, n_classes)` of rows, or of windows of them."""
    parts = [np.empty((0, model.spec.network.classes), np.float32)]
    with torch.no_grad():
        for samples in Pass.over(model, data).encoded(carried=[]):
            parts.append(model.network.classify(samples.latent).float().cpu().numpy())
    return np.concatenate(parts)


def windows_of(model: LoadedModel, data: Data) -> Windows | None:
    """Return the windows of a table, None for models of single rows."""
    source, _ = match_columns(open_source(data), model.spec)
    series = read_series(source, model.spec.options.windows, model.spec.ids)
    return None if series is None else series.cut()


def codes_of_samples(model: LoadedModel, data: Data, codes: Codes) -> Codes:
    """Return the label codes of rows `(n_rows,)`, or of their windows, as in training."""
    windows = windows_of(model, data)
    if windows is None:
        return codes
    return window_codes(codes, windows, model.spec.options.windows.window_label)


def reconstruction_loss(model: LoadedModel, data: Data) -> float:
    """Return the mean reconstruction loss of rows, as in training and `aecli evaluate`."""
    terms = TermFigures(model.network, model.spec)
    for samples in Pass.over(model, data).encoded(carried=[]):
        with torch.no_grad():
            outputs = model.network.decode(samples.latent).float()
        cells = torch.from_numpy(samples.cells).to(model.device)
        terms.add(DecodedSamples(cells, samples.code, outputs))
    return terms.reconstruction()


def scores_of(model: LoadedModel, data: Data, aggregate: str, *, by_window: bool = False) -> Floats:
    """Return the score `(n_rows,)` of each row; the mean over its windows, NaN if in none.

    With `by_window` there is one score per window, in which every row's constants count.
    """
    scorer, opened = Scorer.of(model, [aggregate]), Pass.over(model, data)
    batches = opened.samples("scoring", carried=[])
    if opened.windowed is not None and not by_window:
        return scores_of_rows(scorer, opened.windowed, batches, aggregate)[0]
    scored = (scorer.scores(samples.cells, samples.differs) for samples in batches)
    return np.concatenate([*(scores[aggregate].numpy() for scores in scored), np.empty(0)])
