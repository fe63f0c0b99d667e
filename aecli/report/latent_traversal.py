"""Show what each latent unit does: decode it at several places, the others at their means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aecli.array_types import AnyFloats
from aecli.features.inverse import Restorer
from aecli.inference.loaded_model import LoadedModel
from aecli.report.data import Latent, Traversal
from aecli.report.examples import as_images, in_units
from aecli.report.sampled_rows import SampledRows
from aecli.schema.model_spec import Column

UNITS = 8
"""Units that are shown: those that vary most."""

BARS = 6
ENDS = (-2.0, 2.0)
SIGNALS = (-2.0, -1.0, 0.0, 1.0, 2.0)
IMAGES = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class _Decoded:
    """Hold one unit's decoded steps: `outputs` `(n_steps, window, n_outputs)`."""

    unit: int
    steps: Sequence[float]
    outputs: AnyFloats


def traversals(
    model: LoadedModel, latent: Latent, sample: SampledRows, shape: tuple[int, int, int] | None
) -> list[Traversal]:
    """Return, for the units that vary most, what the decoder makes of -2 to +2 deviations."""
    window = model.spec.network.window
    steps = IMAGES if shape else SIGNALS if window > 1 else ENDS
    alive = [unit for unit in np.argsort(-latent.deviations) if unit not in latent.dead][:UNITS]
    found = [_decoded(model, latent, sample, int(unit), steps) for unit in sorted(alive)]
    if shape:
        return [_as_images(model.spec.columns, one, shape) for one in found]
    if window > 1:
        return [one for one in (_as_signal(model.spec.columns, one) for one in found) if one]
    spread = _spread(model, sample)
    return [_as_bars(model.spec.columns, one, spread) for one in found]


@torch.no_grad()
def _decoded(
    model: LoadedModel, latent: Latent, sample: SampledRows, unit: int, steps: Sequence[float]
) -> _Decoded:
    values = sample.latent.astype(np.float64)
    places = np.tile(values.mean(0), (len(steps), 1))
    places[:, unit] += np.array(steps) * latent.deviations[unit]
    if model.spec.network.latent_activation.name != "Identity":
        # What no row is encoded to, such as -0.3 of a sigmoid, the decoder has never met.
        places = places.clip(values.min(0), values.max(0))
    tensor = torch.from_numpy(places).float().to(model.device)
    outputs = model.network.decode(tensor).float().cpu().numpy()
    return _Decoded(unit, steps, outputs.reshape(len(steps), -1, outputs.shape[1]))


def _as_images(columns: Sequence[Column], one: _Decoded, shape: tuple[int, int, int]) -> Traversal:
    return Traversal(one.unit, one.steps, images=as_images(columns, one.outputs[:, 0], shape))


def _as_signal(columns: Sequence[Column], one: _Decoded) -> Traversal | None:
    """Return the column that the unit moves most, measured in scaled units."""
    restorer = Restorer(columns)
    numbers = [c for c in restorer.layout.numeric if c.size == 1]
    if not numbers:
        return None
    moved = [
        float(np.abs(np.diff(restorer.part(c, flat(one.outputs[[0, -1]])), axis=0)).max())
        for c in numbers
    ]
    column = numbers[int(np.argmax(moved))]
    signal = np.stack([in_units(restorer, column, step)[:, 0] for step in one.outputs])
    return Traversal(one.unit, one.steps, signal=signal, channel=column.name)


def flat(outputs: AnyFloats) -> AnyFloats:
    """Return `(n_steps, window, n_outputs)` as `(n_steps, window · n_outputs)`'s rows in order."""
    return outputs.reshape(-1, outputs.shape[-1])


def _spread(model: LoadedModel, sample: SampledRows) -> AnyFloats:
    """Return each scaled number's standard deviation `(n_numbers,)` over the kept rows."""
    numbers = sample.cells[:, 0, : model.reader.layout.numbers].astype(np.float64)
    known = ~np.isnan(numbers)
    counts = np.maximum(1, known.sum(0))
    mean = np.where(known, numbers, 0.0).sum(0) / counts
    spread = np.sqrt((np.where(known, numbers - mean, 0.0) ** 2).sum(0) / counts)
    return np.where(spread > 1e-9, spread, 1.0)


def _as_bars(columns: Sequence[Column], one: _Decoded, spread: AnyFloats) -> Traversal:
    restorer = Restorer(columns)
    first, last = one.outputs[0], one.outputs[-1]
    moves: list[tuple[str, float]] = []
    cell = 0
    for column in restorer.layout.columns:
        low, high = (restorer.part(column, side)[0].astype(np.float64) for side in (first, last))
        if column.kind == "boolean":
            moves.append((column.name, float(_logistic(high[0]) - _logistic(low[0]))))
        elif column.kind == "category":
            change = _softmax(high) - _softmax(low)
            place = int(np.abs(change).argmax())
            names = [*map(str, column.categories), "other"]
            moves.append((f"{column.name} = {names[place]}", float(change[place])))
        else:
            change = (high - low) / spread[cell : cell + column.size]
            cell += column.size
            moves.append((column.name, float(change[int(np.abs(change).argmax())])))
    moves.sort(key=lambda move: -abs(move[1]))
    return Traversal(one.unit, one.steps, bars=moves[:BARS])


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(value, -50, 50))))


def _softmax(values: AnyFloats) -> AnyFloats:
    shifted = np.exp(values - values.max())
    return np.asarray(shifted / shifted.sum())
