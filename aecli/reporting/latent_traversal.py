"""Decode each latent unit at several values, the others at their means."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from scipy.special import expit, softmax

from aecli.array_types import AnyFloats
from aecli.features.inverse import InverseColumns
from aecli.inference.loaded_model import LoadedModel
from aecli.reporting.data import UnitTraversal
from aecli.reporting.examples import ImageShape, SampledRows, as_images, in_units
from aecli.schema.model_spec import Column

TRAVERSED_UNITS = 8
"""Units that are decoded: those that vary most."""

CHANGES_SHOWN = 6
CHANGE_STEPS = (-2.0, 2.0)
SIGNAL_STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)
IMAGE_STEPS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)


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
    units = [unit for unit in np.argsort(-deviations) if unit not in dead][:TRAVERSED_UNITS]
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
    restorer = InverseColumns(columns)
    numbers = [column for column in restorer.layout.numeric if column.size == 1]
    if not numbers:
        return None
    ends = outputs[[0, -1]].reshape(-1, outputs.shape[-1])
    changes = [float(np.abs(np.diff(restorer.part(c, ends), axis=0)).max()) for c in numbers]
    column = numbers[int(np.argmax(changes))]
    return column.name, np.stack([in_units(restorer, column, step)[:, 0] for step in outputs])


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
    """Return the columns that change most from the first step to the last."""
    restorer = InverseColumns(columns)
    changes: list[tuple[str, float]] = []
    cell = 0
    for column in restorer.layout.columns:
        low, high = restorer.part(column, outputs[[0, -1]]).astype(np.float64)
        if column.kind == "boolean":
            changes.append((column.name, float(expit(high[0]) - expit(low[0]))))
        elif column.kind == "category":
            change = softmax(high) - softmax(low)
            largest = int(np.abs(change).argmax())
            names = [*map(str, column.categories), "other"]
            changes.append((f"{column.name} = {names[largest]}", float(change[largest])))
        else:
            change = (high - low) / spread[cell : cell + column.size]
            cell += column.size
            changes.append((column.name, float(change[int(np.abs(change).argmax())])))
    changes.sort(key=lambda change: -abs(change[1]))
    return changes[:CHANGES_SHOWN]
