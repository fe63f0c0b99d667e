"""Read the scoring fit of a saved model from the tensors of its weights file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

import torch
from torch import Tensor

from aecli.errors import ModelError
from aecli.features.layout import Layout
from aecli.inference.loaded_model import LoadedModel
from aecli.schema.calibration import AGGREGATES
from aecli.schema.network import Network
from aecli.scoring.deviations import PREFIX, ScoringFit
from aecli.scoring.forest import DEPTH, IsolationForest
from aecli.scoring.neighbours import Neighbours
from aecli.scoring.whitening import MAX_JOINT
from aecli.scoring.window_statistics import WindowStatistics

STORED = tuple(field.name for field in fields(ScoringFit) if field.default is MISSING)
"""Tensors that every model with scores has; those of newer parts are optional."""

StoredPart = TypeVar("StoredPart", WindowStatistics, IsolationForest, Neighbours)
"""Part of a scoring fit that a model of aecli 0.2 does not have."""

Shapes = Iterator[tuple[Tensor, tuple[int, ...]]]
"""Tensors with the shapes that they must have."""


def stored_fit(model: LoadedModel) -> ScoringFit:
    """Return the scoring fit in a model's weights file.

    Raises:
        ModelError: there is none, since an older aecli saved the model, or its tensors do not have
            the sizes of the model's columns and network.
    """
    if model.spec.calibration is None or any(PREFIX + n not in model.baseline for n in STORED):
        raise ModelError(
            f"{model.directory} was saved without a scoring fit",
            hint=f"train it again: aecli train DATA -m {model.directory}",
        )
    layout = model.reader.layout
    try:
        fitted = _read(model.baseline, layout)
    except KeyError:
        fitted = None
    if fitted is None or not _is_consistent(fitted, layout, model.spec.network):
        raise ModelError(
            f"{model.directory} has a scoring fit that differs from the columns in spec.json",
            hint=f"train it again: aecli train DATA -m {model.directory}",
        )
    return fitted


def _read(baseline: Mapping[str, Tensor], layout: Layout) -> ScoringFit | None:
    """Return the scoring fit; None if the values of booleans and categories are not its own.

    Raises:
        KeyError: some tensors of a part are missing.
    """
    stored = {name.removeprefix(PREFIX): tensor for name, tensor in baseline.items()}
    tensors: dict[str, Any] = {name: stored[name].double() for name in STORED}
    sizes = [2 + 1] * layout.booleans + [size + 1 for size in layout.cardinalities]
    if tensors["rarity"].shape != (sum(sizes),):
        return None
    tensors["rarity"] = list(tensors["rarity"].split(sizes))
    windows, forest = (
        _part(WindowStatistics, stored, torch.float64),
        _part(IsolationForest, stored, torch.float32),
    )
    neighbours = _part(Neighbours, stored, torch.float32)
    if forest is not None or neighbours is not None:
        tensors["ordinary"] = stored["ordinary"].double()
    return ScoringFit(**tensors, windows=windows, forest=forest, neighbours=neighbours)


def _part(
    kind: type[StoredPart], stored: Mapping[str, Tensor], dtype: torch.dtype
) -> StoredPart | None:
    """Return a part of the fit; None if none of its tensors is stored.

    Raises:
        KeyError: some of its tensors are missing.
    """
    names = [field.name for field in fields(kind)]
    if not any(name in stored for name in names):
        return None
    return kind(*(stored[name].to(dtype) for name in names))


def _is_consistent(fitted: ScoringFit, layout: Layout, network: Network) -> bool:
    """Return whether the tensors have the sizes of the columns and the network."""
    compared = fitted.windows is not None or fitted.forest is not None
    together = (fitted.forest is None) == (fitted.neighbours is None)
    if not together or (fitted.windows is not None and fitted.forest is not None):
        return False
    shapes = [*_shapes(fitted, layout, network, len(AGGREGATES) + (4 if compared else 2))]
    if any(tensor.shape != shape for tensor, shape in shapes):
        return False
    if fitted.forest is None or fitted.neighbours is None:
        return True
    features, points = fitted.forest.features, fitted.neighbours.points
    known = torch.arange(network.window * layout.outputs).to(features.dtype)
    ranked = float(fitted.neighbours.rank) >= 1 and len(points) >= 1
    return ranked and len(features) >= 1 and bool(torch.isin(features, known).all())


def _shapes(fitted: ScoringFit, layout: Layout, network: Network, parts: int) -> Shapes:
    """Yield every tensor with its shape."""
    numbers, residuals = layout.numbers, network.window * layout.cells
    joint = residuals + network.latent
    for tensor in (fitted.median, fitted.spread, fitted.leaving):
        yield tensor, (numbers,)
    yield fitted.scale, (len(layout.columns),)
    yield fitted.medians, (parts,)
    yield fitted.constant, (len(AGGREGATES),)
    yield fitted.centre, (joint,)
    full = joint <= MAX_JOINT
    yield fitted.whiten, (joint, joint) if full else (residuals,)
    yield fitted.whiten_latent, (0, 0) if full else (network.latent, network.latent)
    if fitted.windows is not None:
        yield from _window_shapes(fitted.windows, layout.outputs)
    if fitted.forest is not None and fitted.neighbours is not None:
        assert fitted.ordinary is not None, "it is read with the forest"
        forest, neighbours = fitted.forest, fitted.neighbours
        trees, points = forest.lengths.numel() // 2**DEPTH, neighbours.points
        yield fitted.ordinary, (1,)
        yield forest.features, (trees, DEPTH)
        yield forest.splits, (trees, DEPTH)
        yield forest.lengths, (trees, 2**DEPTH)
        elements = network.window * layout.outputs
        yield points, (points.numel() // elements, elements)
        yield neighbours.rank, (1,)


def _window_shapes(windows: WindowStatistics, elements: int) -> Shapes:
    size = 3 * elements
    yield windows.window_floor, (2, elements)
    yield windows.window_median, (3, elements)
    yield windows.window_spread, (3, elements)
    yield windows.window_centre, (size,)
    yield windows.window_whiten, (size, size) if size <= MAX_JOINT else (size,)
