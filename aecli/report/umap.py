"""Lay latents out in two dimensions by their neighbours, where `umap-learn` is installed."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

FEWEST = 20
"""Different samples below which neighbours say nothing; more than `NEIGHBOURS`."""

NEIGHBOURS = 15


def neighbour_map(
    latent: npt.NDArray[np.floating[Any]], seed: int
) -> npt.NDArray[np.float64] | None:
    """Return UMAP's layout `(n_samples, 2)` of latents `(n_samples, latent)`.

    None without `umap-learn`, with few different samples, or for a latent of at most two units.
    The same seed gives the same layout. McInnes, Healy and Melville 2018.
    """
    centred = latent - latent.mean(0)
    scaled = (centred / max(float(centred.std()), 1e-300)).astype(np.float32)
    if latent.shape[1] < 3 or len(np.unique(scaled, axis=0)) < FEWEST:
        return None
    try:
        with warnings.catch_warnings():
            # It says that it will do without tensorflow, of which it has another kind of map.
            warnings.filterwarnings("ignore", category=ImportWarning)
            from umap import UMAP
    except ImportError:
        return None
    # n_jobs=1: what a seed gives is defined for one thread only.
    layout = UMAP(n_neighbors=NEIGHBOURS, init="pca", random_state=seed, n_jobs=1)
    return np.asarray(layout.fit_transform(scaled), dtype=np.float64)
