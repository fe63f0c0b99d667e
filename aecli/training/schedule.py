"""Say how the learning rate moves over a training."""

from __future__ import annotations

import math

WARM_UP = 0.03
"""Share of all steps in which the rate rises from zero, while Adam's second moments settle."""

FLOOR = 0.01
"""Share of the highest rate at which the cosine ends, so that the last epoch still learns."""

PLATEAU_FACTOR = 0.5


class Schedule:
    """Compute the learning rate of each step, from the step's number and the validation losses."""

    def __init__(self, name: str, *, highest: float, steps: int, patience: int) -> None:
        self._name = name
        self._highest = highest
        self._steps = max(1, steps)
        self._warm = max(1, min(round(WARM_UP * steps), 500))
        self._patience = max(2, patience // 3)
        self.factor = 1.0
        self.waited = 0

    def rate(self, step: int) -> float:
        """Return the learning rate of step `step`, counted from 0."""
        rise = min(1.0, (step + 1) / self._warm)
        if self._name != "cosine":
            return self._highest * rise * self.factor
        done = min(1.0, step / self._steps)
        wave = 0.5 * (1 + math.cos(math.pi * done))
        return self._highest * rise * (FLOOR + (1 - FLOOR) * wave)

    def epoch_ended(self, improved: bool) -> None:
        """Halve the plateau schedule's rate after a third of the patience in vain."""
        self.waited = 0 if improved else self.waited + 1
        if self._name == "plateau" and self.waited >= self._patience:
            self.factor *= PLATEAU_FACTOR
            self.waited = 0
