"""Result of a training loop."""

from __future__ import annotations

from dataclasses import dataclass

from aecli.progress import Epoch
from aecli.training.validation import NO_CRITERION, Criterion

KL_WARM_UP = 0.25
"""Share of the steps in which the weight of a variational latent's KL term rises to its value."""


@dataclass(frozen=True)
class FitResult:
    """Result of a training, after which the network has the best weights.

    `finished` is False if the training was stopped before its end: `--resume` continues it.
    `planned` is the number of epochs of a training that is not stopped. `best_epoch` is 0 if no
    epoch was better on the validation rows than the `start`, the PCA initialisation. `criterion`
    has the figures of the best epoch by which epochs were compared. `precision` is that of the
    network's arithmetic. `resumed` is whether the training continued an unfinished one.
    """

    history: list[Epoch]
    best_epoch: int
    stopped: str
    finished: bool
    planned: int
    batch_size: int
    seconds: float
    signal: int | None
    start: Epoch | None = None
    criterion: Criterion = NO_CRITERION
    stopped_by_caller: bool = False
    precision: str = "fp32"
    resumed: bool = False

    @property
    def best(self) -> Epoch:
        """Return the epoch with the best weights; number 0 is the PCA initialisation, untrained."""
        known = [self.start, *self.history] if self.start is not None else self.history
        return next(epoch for epoch in known if epoch.number == self.best_epoch)

    @property
    def kl_warmed_up(self) -> bool:
        """Return whether the KL term had its full weight in the best epoch."""
        return self.best_epoch > KL_WARM_UP * self.planned
