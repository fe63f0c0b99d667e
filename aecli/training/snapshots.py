"""Take snapshots of a training, save them as its checkpoint, and continue from them."""

from __future__ import annotations

import warnings
from dataclasses import replace

import torch

from aecli.device import has_bf16
from aecli.errors import AecliWarning, ModelError, OutputError
from aecli.formatting import count
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.progress import Progress
from aecli.ranks import Ranks
from aecli.training.checkpoint import Checkpoint, Tensors, TrainingState, copied
from aecli.training.objective import EpochMeans
from aecli.training.optimizers import Optimizer
from aecli.training.schedule import Schedule

GENERATOR = "generator"
"""Name of the states of random generators in an unfinished epoch, before the number of a rank."""


class Snapshots:
    """Snapshots of the state of a training, of which rank 0 saves the last one.

    Without a checkpoint nothing is saved.
    """

    def __init__(
        self,
        network: AutoencoderNetwork,
        optimizer: Optimizer,
        schedule: Schedule,
        device: torch.device,
        checkpoint: Checkpoint | None,
        ranks: Ranks,
        progress: Progress,
    ) -> None:
        self._network, self._optimizer, self._schedule = network, optimizer, schedule
        self._device, self._progress = device, progress
        self._checkpoint, self._ranks = checkpoint, ranks
        self._last = TrainingState()
        self._saved: TrainingState | None = None

    def take(
        self,
        state: TrainingState,
        seconds: float,
        *,
        done: int = 0,
        means: EpochMeans | None = None,
    ) -> None:
        """Copy the state at the end of an epoch, or after `done` steps of one with their means.

        A resumed training starts from it.
        """
        unfinished: Tensors = {}
        if means is not None and done:
            states = self._ranks.gather(_generators(self._device))
            unfinished = means.saved() | {
                f"{GENERATOR}.{rank}.{name}": tensor
                for rank, named in enumerate(states)
                for name, tensor in named.items()
            }
        if self._ranks.rank:
            return
        self._last = replace(
            state,
            network=copied(self._network.state_dict()),
            optimizer=self._optimizer.state(),
            history=list(state.history),
            seconds=seconds,
            schedule_factor=self._schedule.factor,
            schedule_waited=self._schedule.waited,
            done=done,
            unfinished=unfinished,
            ranks=self._ranks.size,
        )

    def save(self) -> None:
        """Save what a resumed training needs; a failure is a warning, since the model is valid."""
        if self._checkpoint is None or self._ranks.rank or self._saved is self._last:
            return
        try:
            self._checkpoint.save(self._last)
            self._saved = self._last
        except (OutputError, ModelError) as error:
            message = f"no checkpoint was saved, so --resume cannot continue this training: {error}"
            warnings.warn(message, AecliWarning, stacklevel=2)

    def load(self, *, auto_precision: bool) -> TrainingState | None:
        """Continue from the checkpoint; None if there is none and a launcher may have restarted.

        Raises:
            UsageError: there is no checkpoint, or its training had different options or data.
            ModelError: the file is damaged, or belongs to another network.
        """
        state = self._ranks.from_first(self._read)
        if state is None:
            self._progress.note("--resume: no unfinished training, which starts from the beginning")
            return None
        try:
            self._network.load_state_dict(state.network)
            self._optimizer.load(state.optimizer)
        except (RuntimeError, LookupError, TypeError, ValueError) as error:
            raise ModelError(
                "the checkpoint belongs to another network",
                facts=[str(error).splitlines()[0]],
                hint="run the same command without --resume",
            ) from error
        self._schedule.factor, self._schedule.waited = state.schedule_factor, state.schedule_waited
        if auto_precision and state.precision == "bf16" and not has_bf16(self._device):
            state.precision = "fp32"
            self._progress.note(f"the training continues in fp32: {self._device} has no bf16")
        self._last = replace(state, history=list(state.history))
        if state.ranks != self._ranks.size:
            before = count(state.ranks, "process", "processes")
            self._progress.note(
                f"the training continues with {self._ranks.size} instead of {before}: its result "
                "is not that of an uninterrupted training bit by bit"
            )
        return state

    def _read(self) -> TrainingState | None:
        assert self._checkpoint is not None, "a training without a checkpoint cannot be resumed"
        if self._ranks.is_launched and not self._checkpoint.exists():
            return None
        return self._checkpoint.load()


def restore_epoch(
    state: TrainingState, means: EpochMeans, device: torch.device, ranks: Ranks
) -> int:
    """Continue an epoch after its steps in a snapshot: add their means; return their number.

    The random generators continue too, if there are as many ranks as before.
    """
    if not state.done:
        return 0
    means.restore(state.unfinished, device)
    if state.ranks == ranks.size:
        prefix = f"{GENERATOR}.{ranks.rank}."
        torch.set_rng_state(state.unfinished[f"{prefix}cpu"])
        on_device = state.unfinished.get(f"{prefix}cuda")
        if on_device is not None and device.type == "cuda":
            torch.cuda.set_rng_state(on_device, device)
    done, state.done, state.unfinished = state.done, 0, {}
    return done


def _generators(device: torch.device) -> Tensors:
    """Return the states of the random generators of this process."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states
