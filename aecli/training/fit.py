"""Hold how a training ended."""

from __future__ import annotations

from dataclasses import dataclass

from aecli.progress import Epoch

WARM_UP = 0.25
"""Share of the steps in which a variational latent's term rises to its whole weight."""


@dataclass(frozen=True)
class Fit:
    """Hold how a training ended; the network carries the best weights.

    `finished` is False where more epochs were wanted: `--resume` can go on. `planned` is how many
    epochs there would be if nothing stopped it. `best_epoch` is 0 where no epoch was better on the
    validation rows than the `start` at PCA.
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

    @property
    def best(self) -> Epoch:
        """Return the epoch whose weights were kept; the start is number 0, untrained."""
        known = [self.start, *self.history] if self.start is not None else self.history
        return next(epoch for epoch in known if epoch.number == self.best_epoch)

    @property
    def warm(self) -> bool:
        """Return whether a variational latent's term had its whole weight in the best epoch."""
        return self.best_epoch > WARM_UP * self.planned
