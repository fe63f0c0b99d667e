"""Map latents into two dimensions: by PCA, and by UMAP where `umap-learn` is installed."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from aecli.array_types import AnyFloats, Codes, Floats
from aecli.reporting.data import LatentMap
from aecli.schema.model_spec import Label

FEWEST_UMAP_SAMPLES = 20
"""Different samples that UMAP needs; more than `UMAP_NEIGHBOURS`."""

UMAP_NEIGHBOURS = 15

COLOURED_CLASSES = 9
"""Classes with a colour of their own; the others share one."""


def pca_map(latents: Floats, label: Label | None, codes: Codes, scores: AnyFloats) -> LatentMap:
    """Return latents `(n_samples, n_units)` on their first two principal components.

    They are coloured by the label's `codes`, or by `scores` where no label is known.
    """
    centred = latents - latents.mean(0)
    points, shares = np.zeros((len(latents), 2)), (1.0, 0.0)
    if centred.shape[1] > 1 and len(latents) > 1:
        _, values, axes = np.linalg.svd(centred, full_matrices=False)
        points = centred @ axes[:2].T
        total = max(float((values**2).sum()), 1e-300)
        shares = (float(values[0] ** 2 / total), float(values[1] ** 2 / total))
    else:
        points[:, 0] = centred[:, 0]
    if label is not None and (codes >= 0).any():
        names, groups = _groups(label, codes)
        return LatentMap(points, shares, label.name, names, groups)
    return LatentMap(points, shares, "score", scores=scores)


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
    return None if points is None else replace(coloured, points=points, shares=None)


def umap_layout(latents: AnyFloats, seed: int) -> Floats | None:
    """Return UMAP's layout `(n_samples, 2)` of latents `(n_samples, n_units)`.

    None without `umap-learn`, with few different samples, or for a latent of at most two units.
    The same seed gives the same layout. McInnes, Healy and Melville 2018.
    """
    centred = latents - latents.mean(0)
    scaled = (centred / max(float(centred.std()), 1e-300)).astype(np.float32)
    if latents.shape[1] < 3 or len(np.unique(scaled, axis=0)) < FEWEST_UMAP_SAMPLES:
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
