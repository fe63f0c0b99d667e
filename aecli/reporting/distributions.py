"""Count the values of sampled rows for the small histograms, and average images by pixel."""

from __future__ import annotations

import numpy as np
import torch

from aecli.array_types import AnyFloats
from aecli.evaluation.accumulator import stored_pca
from aecli.features.inputs import Inputs
from aecli.features.layout import Layout
from aecli.inference.loaded_model import LoadedModel
from aecli.reporting.examples import ImageShape, SampledRows, as_images

COLUMN_BARS = 14
"""Bars of a column's histogram: ranges of a number, or the most frequent values."""

TAIL_CUT = 0.005
"""Share of the values at each end that lie in the first and the last bar."""


def column_histograms(layout: Layout, cells: AnyFloats) -> dict[str, list[int]]:
    """Return the counts of each varying column's values, from cells `(n_samples, window, n_cells)`.

    Numbers are counted in ranges, categories by value, as frequent as in training first.
    """
    rows = cells.reshape(-1, cells.shape[2])
    found, start = {}, 0
    for column, width in zip(layout.columns, layout.widths, strict=True):
        values = rows[:, start : start + width].ravel()
        known = values[~np.isnan(values)]
        numeric = start < layout.numbers
        found[column.name] = _counts(known) if numeric else _code_counts(known)
        start += width
    return found


def _counts(values: AnyFloats) -> list[int]:
    if not len(values):
        return []
    low, high = np.quantile(values, [TAIL_CUT, 1 - TAIL_CUT])
    if high <= low:
        low, high = values.min(), max(values.max(), values.min() + 1.0)
    counted = np.histogram(values.clip(low, high), COLUMN_BARS, (float(low), float(high)))[0]
    return [int(count) for count in counted]


def _code_counts(codes: AnyFloats) -> list[int]:
    counts = np.bincount(codes[codes >= 0].astype(np.int64))
    rest = int(counts[COLUMN_BARS - 1 :].sum()) if len(counts) > COLUMN_BARS else None
    shown = counts if rest is None else counts[: COLUMN_BARS - 1]
    return [*map(int, shown), *([rest] if rest is not None else [])]


def pixel_means(model: LoadedModel, sample: SampledRows, shape: ImageShape) -> dict[str, AnyFloats]:
    """Return the mean image, and the root mean square errors by pixel of the model and of PCA.

    Each is `(height, width)`, from 0 to 1, where 1 is the range of the pixels.
    """
    columns = model.spec.columns
    inputs = as_images(columns, sample.cells[:, 0], shape)
    outputs = {"this model": as_images(columns, sample.outputs[:, 0], shape)}
    pca = stored_pca(model)
    if pca is not None:
        prepare = Inputs(model.reader.layout, copies=False).to(model.device)
        with torch.no_grad():
            cells = prepare(torch.from_numpy(sample.cells[:, 0]).to(model.device))
            outputs["PCA"] = as_images(columns, pca.reconstruct(cells).cpu().numpy(), shape)
    found = {"mean image": _grey(np.nan_to_num(inputs).mean(0))}
    for name, images in outputs.items():
        errors = np.nan_to_num((images - inputs) ** 2)
        found[f"error of {name}"] = _grey(np.sqrt(errors.mean(0)))
    return found


def _grey(image: AnyFloats) -> AnyFloats:
    grey: AnyFloats = image.mean(-1) if image.ndim == 3 else image
    return grey
