"""Map latents into two dimensions, and decode each latent unit at several values."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.linalg import norm
from scipy.special import expit, softmax

from aecli.array_types import AnyFloats, Codes, Floats
from aecli.features.inverse import InverseColumns
from aecli.inference.loaded_model import LoadedModel
from aecli.metrics.latent import with_limited_outliers
from aecli.reporting.data import LatentMap, UnitTraversal
from aecli.reporting.examples import ImageShape, SampledRows, as_images, in_units
from aecli.schema.model_spec import Column, Label

MIN_UMAP_SAMPLES = 20
"""Different samples that UMAP needs; more than `UMAP_NEIGHBOURS`."""

UMAP_NEIGHBOURS = 15

COLOURED_CLASSES = 9
"""Classes with a colour of their own; the others share one."""

TRAVERSED_UNITS, PICTURED_UNITS = 12, 8
"""Units that are decoded, and those with images or signals: the units that vary most."""

CHANGE_STEPS = (-2.0, 2.0)
SIGNAL_STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)
IMAGE_STEPS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)


def pca_map(
    latents: Floats,
    label: Label | None,
    codes: Codes,
    scores: AnyFloats,
    anomalous: AnyFloats | None = None,
) -> LatentMap:
    """Return latents `(n_samples, n_units)` on their first two principal components.

    The components are those of latents `with_limited_outliers`, so that a single sample does not
    choose them. Points are coloured by the label's `codes`, or by `scores` where no label is known.
    The `anomalous` latents `(n_anomalous, n_units)` are mapped by the same components.
    """
    limited = with_limited_outliers(latents)
    middle = limited.mean(0)
    axes, shares = np.eye(latents.shape[1])[:1], (1.0, 0.0)
    if latents.shape[1] > 1 and len(latents) > 1:
        _, values, axes = np.linalg.svd(limited - middle, full_matrices=False)
        total = max(float((values**2).sum()), 1e-300)
        shares = (float(values[0] ** 2 / total), float(values[1] ** 2 / total))
    points, marked = (
        None if part is None else _projected(part - middle, axes) for part in (latents, anomalous)
    )
    assert points is not None, "there are latents"
    if label is not None and (codes >= 0).any():
        names, groups = _groups(label, codes)
        return LatentMap(points, shares, label.name, names, groups, anomalous=marked)
    return LatentMap(points, shares, "score", scores=scores, anomalous=marked)


def _projected(latents: AnyFloats, axes: AnyFloats) -> Floats:
    points = np.zeros((len(latents), 2))
    points[:, : len(axes[:2])] = latents @ axes[:2].T
    return points


def _groups(label: Label, codes: Codes) -> tuple[list[str], Codes]:
    """Return the names and codes of the most frequent classes; the others are one group."""
    order = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(label.classes)), kind="stable")
    # A single remaining class needs no group: it has a colour of its own.
    shown = np.sort(order[: COLOURED_CLASSES + (len(order) == COLOURED_CLASSES + 1)])
    names = [str(label.classes[code]) for code in shown]
    if len(shown) < len(order):
        names.append(f"{len(order) - len(shown)} other classes")
    groups = np.full(len(order), len(shown))
    groups[shown] = np.arange(len(shown))
    return names, np.where(codes >= 0, groups[codes.clip(0)], -1)


def umap_map(latents: Floats, coloured: LatentMap, seed: int) -> LatentMap | None:
    """Return a UMAP of latents in the colours of another map; None where there is none."""
    points = umap_layout(latents, seed)
    return None if points is None else replace(coloured, points=points, shares=None, anomalous=None)


def umap_layout(latents: AnyFloats, seed: int) -> Floats | None:
    """Return UMAP's layout `(n_samples, 2)` of latents `(n_samples, n_units)`.

    None without `umap-learn`, with few different samples, or for a latent of at most two units.
    The same seed gives the same layout. McInnes, Healy and Melville 2018.
    """
    centred = latents - latents.mean(0)
    scaled = (centred / max(float(centred.std()), 1e-300)).astype(np.float32)
    if latents.shape[1] < 3 or len(np.unique(scaled, axis=0)) < MIN_UMAP_SAMPLES:
        return None
    try:
        with warnings.catch_warnings():
            # umap warns where tensorflow is missing, which only its parametric variant needs.
            warnings.filterwarnings("ignore", category=ImportWarning)
            from umap import UMAP
    except ImportError:
        return None
    # n_jobs=1: a seed gives the same layout on one thread only.
    layout = UMAP(n_neighbors=UMAP_NEIGHBOURS, init="pca", random_state=seed, n_jobs=1)
    return np.asarray(layout.fit_transform(scaled), dtype=np.float64)


def latent_traversals(
    model: LoadedModel,
    deviations: AnyFloats,
    dead: Collection[int],
    sample: SampledRows,
    shape: ImageShape | None,
) -> list[UnitTraversal]:
    """Return the units that vary most, decoded from -2 to +2 of their `deviations`."""
    columns, window = model.spec.columns, model.spec.network.window
    steps = IMAGE_STEPS if shape else SIGNAL_STEPS if window > 1 else CHANGE_STEPS
    most = PICTURED_UNITS if shape or window > 1 else TRAVERSED_UNITS
    units = [unit for unit in np.argsort(-deviations) if unit not in dead][:most]
    decoded = {int(u): _decode(model, deviations, sample, u, steps) for u in sorted(units)}
    if shape:
        images = {u: as_images(columns, outputs[:, 0], shape) for u, outputs in decoded.items()}
        return [UnitTraversal(u, steps, images=shown) for u, shown in images.items()]
    if window > 1:
        signals = {u: _signal(columns, outputs) for u, outputs in decoded.items()}
        return [UnitTraversal(u, steps, signal=one) for u, one in signals.items() if one]
    spread = _spread(model, sample)
    return [
        UnitTraversal(u, steps, changes=_changes(columns, outputs[:, 0], spread))
        for u, outputs in decoded.items()
    ]


@torch.no_grad()
def _decode(
    model: LoadedModel,
    deviations: AnyFloats,
    sample: SampledRows,
    unit: int,
    steps: Sequence[float],
) -> AnyFloats:
    """Return the outputs `(n_steps, window, n_outputs)` at one unit's steps."""
    values = sample.latent.astype(np.float64)
    latents = np.tile(values.mean(0), (len(steps), 1))
    latents[:, unit] += np.array(steps) * deviations[unit]
    if model.spec.network.latent_activation.name != "Identity":
        # The decoder was not trained on values beyond the activation's range, as -0.3 of a sigmoid.
        latents = latents.clip(values.min(0), values.max(0))
    tensor = torch.from_numpy(latents).float().to(model.device)
    outputs = model.network.decode(tensor).float().cpu().numpy()
    return outputs.reshape(len(steps), -1, outputs.shape[1])


def _signal(columns: Sequence[Column], outputs: AnyFloats) -> tuple[str, AnyFloats] | None:
    """Return the column that the unit changes most, measured in scaled units, at each step."""
    inverse = InverseColumns(columns)
    numbers = [column for column in inverse.layout.numeric if column.size == 1]
    if not numbers:
        return None
    ends = outputs[[0, -1]].reshape(-1, outputs.shape[-1])
    changes = [float(np.abs(np.diff(inverse.part(c, ends), axis=0)).max()) for c in numbers]
    column = numbers[int(np.argmax(changes))]
    return column.name, np.stack([in_units(inverse, column, step)[:, 0] for step in outputs])


def _spread(model: LoadedModel, sample: SampledRows) -> AnyFloats:
    """Return each scaled number's standard deviation `(n_numbers,)` over the sampled rows."""
    numbers = sample.cells[:, 0, : model.reader.layout.numbers].astype(np.float64)
    known = ~np.isnan(numbers)
    counts = np.maximum(1, known.sum(0))
    mean = np.where(known, numbers, 0.0).sum(0) / counts
    spread = np.sqrt((np.where(known, numbers - mean, 0.0) ** 2).sum(0) / counts)
    return np.where(spread > 1e-9, spread, 1.0)


def _changes(
    columns: Sequence[Column], outputs: AnyFloats, spread: AnyFloats
) -> list[tuple[str, float]]:
    """Return the change of each column from the first step to the last, the largest first."""
    inverse = InverseColumns(columns)
    changes: list[tuple[str, float]] = []
    cell = 0
    for column in inverse.layout.columns:
        low, high = inverse.part(column, outputs[[0, -1]]).astype(np.float64)
        if column.kind == "boolean":
            changes.append((column.name, float(expit(high[0]) - expit(low[0]))))
        elif column.kind == "category":
            change = softmax(high) - softmax(low)
            largest = int(np.abs(change).argmax())
            names = [*map(str, column.categories), "other"]
            changes.append((f"{column.name} = {names[largest]}", float(change[largest])))
        elif column.kind != "characters":
            at = slice(cell, cell + column.size)
            cell += column.size
            # The elements of a text's vector are not of interest one by one, and some hardly vary.
            texts = column.kind == "text"
            change = [norm(high - low) / norm(spread[at])] if texts else (high - low) / spread[at]
            changes.append((column.name, float(max(change, key=abs))))
    changes.sort(key=lambda change: -abs(change[1]))
    return changes
