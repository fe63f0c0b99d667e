"""Learning-rate schedules, and the default batch size and number of epochs."""

from __future__ import annotations

import math

from aecli.features.staging import Staged

BATCH_BOUNDS = (16, 128, 1024)
"""Smallest batch, largest that saves steps of an epoch, largest of all."""

EPOCH_BOUNDS = (5, 40)

VISITS = 500_000
"""Samples that the default epochs visit, where their bounds allow it."""

FEWER_VISITS = 300_000
"""The same for wide samples, whose epochs cost more, and beside a classifier, which begins to learn
its rows by heart (benchmarks/RESULTS.md, How long training goes on)."""

WIDE_SAMPLE = 256
"""Numbers of a sample beyond which it is wide."""

LR_WARM_UP = 0.03
"""Share of all steps in which the rate rises from zero, while Adam's second moments settle."""

FLOOR = 0.01
"""Share of the highest rate at which the cosine ends, so that the last epoch still learns."""

PLATEAU_FACTOR = 0.5


class Schedule:
    """Learning rate of each step, from the step's number and the validation losses."""

    def __init__(self, name: str, *, highest: float, steps: int, patience: int) -> None:
        self._name = name
        self._highest = highest
        self._steps = max(1, steps)
        self._warm_up_steps = max(1, min(round(LR_WARM_UP * steps), 500))
        self._patience = max(2, patience // 3)
        self.factor = 1.0
        self.waited = 0

    def rate(self, step: int) -> float:
        """Return the learning rate of step `step`, counted from 0."""
        rise = min(1.0, (step + 1) / self._warm_up_steps)
        if self._name != "cosine":
            return self._highest * rise * self.factor
        done = min(1.0, step / self._steps)
        wave = 0.5 * (1 + math.cos(math.pi * done))
        return self._highest * rise * (FLOOR + (1 - FLOOR) * wave)

    def epoch_ended(self, improved: bool) -> None:
        """Halve the plateau schedule's rate after patience / 3 epochs without improvement."""
        self.waited = 0 if improved else self.waited + 1
        if self._name == "plateau" and self.waited >= self._patience:
            self.factor *= PLATEAU_FACTOR
            self.waited = 0


def default_batch_size(rows: int) -> int:
    """Return the power of two near 1/64 of the rows up to 128, near 1/512 of more rows up to 1,024.

    A small table then has steps enough in an epoch to learn. A large one has them anyway, and fills
    the processor with larger batches.
    """
    low, middle, high = BATCH_BOUNDS
    small, large = (1 << (rows // share).bit_length() for share in (64, 512))
    return max(low, min(small, middle), min(large, high))


def default_epochs(train: Staged, *, classifies: bool) -> int:
    """Return how many passes visit about `VISITS` samples, or `FEWER_VISITS`, within bounds."""
    low, high = EPOCH_BOUNDS
    wide = train.cells.shape[1] * train.size > WIDE_SAMPLE
    visits = FEWER_VISITS if wide or classifies else VISITS
    return min(high, max(low, math.ceil(visits / max(1, len(train)))))
