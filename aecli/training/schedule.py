"""Learning-rate schedules, and the default batch size and number of epochs."""

from __future__ import annotations

import math

from aecli.features.staging import Staged
from aecli.schema.torch_classes import FULL_BATCH_OPTIMIZERS
from aecli.schema.training_options import TrainingOptions

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

LR_WARM_UP_STEPS = 500
"""Maximum number of these steps by default."""

FINAL_RATE = 0.01
"""Ratio of the cosine schedule's final to its peak rate, so that the last epoch still trains."""

PLATEAU_FACTOR = 0.5

FULL_BATCH = 65_536
"""Maximum number of rows of a batch by default, where it should be all rows: memory."""

FULL_BATCH_STEPS = 200
"""Minimum number of training steps by default, where each is an epoch."""


class Schedule:
    """Learning rate of each step, from the step's number and the validation losses.

    `warm_up` is the share of the steps in which it rises from zero, None for the default.
    """

    def __init__(
        self, name: str, *, peak: float, steps: int, patience: int, warm_up: float | None = None
    ) -> None:
        self._name = name
        self._peak = peak
        self._steps = max(1, steps)
        by_default = min(round(LR_WARM_UP * steps), LR_WARM_UP_STEPS)
        self._warm_up_steps = max(1, by_default if warm_up is None else round(warm_up * steps))
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


def schedule_of(options: TrainingOptions, steps: int) -> Schedule:
    """Return the schedule of a training of `steps` steps.

    It is constant for an optimizer that determines the step sizes: the rate is only the first one.
    """
    fixed = options.optimizer.name in FULL_BATCH_OPTIMIZERS
    return Schedule(
        "constant" if fixed else options.schedule,
        peak=options.lr,
        steps=steps,
        patience=options.patience,
        warm_up=0.0 if fixed else options.lr_warmup,
    )


def default_batch_size(rows: int, optimizer: str = "", *, images: bool = False) -> int:
    """Return the power of two near 1/64 of the rows up to 128, near 1/512 of more rows up to 1,024.

    A small table then has enough steps per epoch. A large one has enough in any case, and larger
    batches use the processor better: near 1/256 of the rows for a classifier of `images`, which
    gains more from epochs than from steps. An optimizer that compares the gradients of successive
    steps has all rows in a batch, up to `FULL_BATCH`.
    """
    if optimizer in FULL_BATCH_OPTIMIZERS:
        return max(1, min(rows, FULL_BATCH))
    low, middle, high = BATCH_BOUNDS
    small, large = (1 << (rows // share).bit_length() for share in (64, 256 if images else 512))
    return max(low, min(small, middle), min(large, high))


def default_epochs(
    train: Staged,
    *,
    classifies: bool,
    optimizer: str = "",
    images: bool = False,
    samples: int | None = None,
) -> int:
    """Return the number of epochs with about `TRAINED_SAMPLES` samples, within bounds.

    An epoch has `samples`, those of all ranks, or of `train` if it is None. A classifier of
    `images` does not overfit early, because each epoch has other noise. With full batches these are
    at least `FULL_BATCH_STEPS` steps.
    """
    low, high = EPOCH_BOUNDS
    wide = train.cells.shape[1] * train.size > WIDE_SAMPLE
    fewer = (wide or classifies) and not images
    trained = FEWER_TRAINED_SAMPLES if fewer else TRAINED_SAMPLES
    samples = len(train) if samples is None else samples
    epochs = min(high, max(low, math.ceil(trained / max(1, samples))))
    if optimizer not in FULL_BATCH_OPTIMIZERS:
        return epochs
    steps = math.ceil(samples / default_batch_size(samples, optimizer))
    return max(epochs, math.ceil(FULL_BATCH_STEPS / max(1, steps)))
