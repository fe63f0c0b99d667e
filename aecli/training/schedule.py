"""Learning-rate schedules, and the default batch size and number of epochs."""

from __future__ import annotations

import math

from aecli.features.staging import Staged

BATCH_BOUNDS = (16, 128, 1024)
"""Smallest batch, largest batch of a small table, largest batch."""

EPOCH_BOUNDS = (5, 40)

TRAINED_SAMPLES = 500_000
"""Samples of all default epochs together, within `EPOCH_BOUNDS`."""

FEWER_TRAINED_SAMPLES = 300_000
"""The same for wide samples, whose epochs take longer, and with a classifier, which begins to
overfit (benchmarks/RESULTS.md, Length of the training)."""

WIDE_SAMPLE = 256
"""Numbers per sample above which it is wide."""

LR_WARM_UP = 0.03
"""Share of all steps in which the rate rises from zero, until Adam's second moments are stable."""

FINAL_RATE = 0.01
"""Ratio of the cosine schedule's final to its peak rate, so that the last epoch still trains."""

PLATEAU_FACTOR = 0.5


class Schedule:
    """Learning rate of each step, from the step's number and the validation losses."""

    def __init__(self, name: str, *, peak: float, steps: int, patience: int) -> None:
        self._name = name
        self._peak = peak
        self._steps = max(1, steps)
        self._warm_up_steps = max(1, min(round(LR_WARM_UP * steps), 500))
        self._patience = max(2, patience // 3)
        self.factor = 1.0
        self.waited = 0

    def rate(self, step: int) -> float:
        """Return the learning rate of step `step`, counted from 0."""
        rise = min(1.0, (step + 1) / self._warm_up_steps)
        if self._name != "cosine":
            return self._peak * rise * self.factor
        done = min(1.0, step / self._steps)
        wave = 0.5 * (1 + math.cos(math.pi * done))
        return self._peak * rise * (FINAL_RATE + (1 - FINAL_RATE) * wave)

    def epoch_ended(self, improved: bool) -> None:
        """Halve the plateau schedule's rate after patience / 3 epochs without improvement."""
        self.waited = 0 if improved else self.waited + 1
        if self._name == "plateau" and self.waited >= self._patience:
            self.factor *= PLATEAU_FACTOR
            self.waited = 0


def default_batch_size(rows: int) -> int:
    """Return the power of two near 1/64 of the rows up to 128, near 1/512 of more rows up to 1,024.

    A small table then has enough steps per epoch. A large one has enough in any case, and larger
    batches use the processor better.
    """
    low, middle, high = BATCH_BOUNDS
    small, large = (1 << (rows // share).bit_length() for share in (64, 512))
    return max(low, min(small, middle), min(large, high))


def default_epochs(train: Staged, *, classifies: bool) -> int:
    """Return the number of epochs with about `TRAINED_SAMPLES` samples, within bounds."""
    low, high = EPOCH_BOUNDS
    wide = train.cells.shape[1] * train.size > WIDE_SAMPLE
    samples = FEWER_TRAINED_SAMPLES if wide or classifies else TRAINED_SAMPLES
    return min(high, max(low, math.ceil(samples / max(1, len(train)))))
