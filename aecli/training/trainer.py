"""Training loop: steps, validation, early stopping, and the best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch.random import fork_rng

from aecli.device import arithmetic, deterministic_convolutions
from aecli.errors import DivergedError
from aecli.features.staging import Staged
from aecli.formatting import count
from aecli.progress import SILENT, Epoch, Progress
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.schema.training_options import TrainingOptions
from aecli.training.batches import Batches
from aecli.training.checkpoint import Checkpoint, TrainingState, copied, same_random_numbers
from aecli.training.cuda_graph import side_stream
from aecli.training.epoch_steps import epoch_steps
from aecli.training.fit_result import KL_WARM_UP, FitResult
from aecli.training.interrupt import Interrupt
from aecli.training.objective import EpochMeans, Objective, weight_matrices
from aecli.training.optimizers import make_optimizer
from aecli.training.requests import Requests
from aecli.training.same_weights import require_same_weights
from aecli.training.schedule import default_epochs, schedule_of
from aecli.training.snapshots import Snapshots, restore_epoch
from aecli.training.step import EpochSteps
from aecli.training.validation import (
    Criterion,
    NumberTarget,
    ValidationFigures,
    ValidationResult,
    next_number_weight,
    number_weight_rate,
)

CHECK_SECONDS = 0.1
"""Seconds between checks for time limit, signals and non-finite loss."""


class Trainer:
    """Trainer of a network on staged rows; without a checkpoint it writes no file.

    `widest` is the size of the network's widest layer for one sample. `on_epoch` is called with
    each complete epoch, and may return a reason to stop. With a `target` the weight of numbers is
    raised until it is reached. `images` says that it is a classifier of images. With `static` the
    steps have fixed addresses, and with `captured` they are repeated as CUDA graphs. The rows are
    those of one of the `ranks`, which train the same network on the rows of all of them.
    """

    def __init__(
        self,
        objective: Objective,
        train: Staged,
        valid: Staged | None,
        options: TrainingOptions,
        *,
        device: torch.device,
        precision: str,
        batch_size: int,
        widest: int,
        checkpoint: Checkpoint | None,
        interrupt: Interrupt | None = None,
        progress: Progress = SILENT,
        on_epoch: Callable[[Epoch], str | None] | None = None,
        target: NumberTarget | None = None,
        images: bool = False,
        static: bool = False,
        captured: bool = False,
        ranks: Ranks = ONE_PROCESS,
    ) -> None:
        self._target = target
        self._objective = objective.to(device)
        self._options = options
        self._device = device
        self._widest = widest
        self._train = train
        self._ranks = ranks
        n_train, self._n_valid = (sum(ranks.gather(len(part or ()))) for part in (train, valid))
        self._valid = Batches(valid, device) if valid is not None and self._n_valid else None
        parameters = [p for p in objective.network.parameters() if p.requires_grad]
        named = options.optimizer
        self._optimizer = make_optimizer(named.name, parameters, lr=options.lr, **named.args)
        classifies = objective.network.head is not None
        self.epochs = options.epochs or default_epochs(
            train, classifies=classifies, optimizer=named.name, images=images, samples=n_train
        )
        self._batch_size = batch_size
        steps = math.ceil(n_train / self._batch_size) * self.epochs
        self._kl_warm_up_steps = steps * KL_WARM_UP
        self._schedule = schedule_of(options, steps)
        self._static, self._captured = static, captured
        self._layers = weight_matrices(objective.network) if options.log_gradients else {}
        self._checkpoint = checkpoint
        self._snapshots = Snapshots(
            objective.network, self._optimizer, self._schedule, device, checkpoint, ranks, progress
        )
        self._progress = progress
        self._on_epoch = on_epoch
        self._state = TrainingState(precision=precision)
        self._interrupt = interrupt or Interrupt()
        self._requests = Requests(self._interrupt, options.time_limit, first=ranks.rank == 0)
        self._stop: str | None = None
        self._stopped_by_caller = False
        self._finished = True

    def fit(self, *, resume: bool = False) -> FitResult:
        """Train until the last epoch or a reason to stop; load the best weights.

        The checkpoint is not removed here: that is safe only when the model is saved.

        Raises:
            DivergedError: the loss became non-finite before the first complete epoch.
        """
        resumed = resume and self._checkpoint is not None and self._resume()
        self._requests.start(self._state.seconds)
        if not resumed:
            self._snapshots.take(self._state, self._requests.seconds)
        listening = nullcontext() if self._interrupt.listening else self._interrupt
        # By default torch would also save the state of GPUs that are not used.
        gpus = {"cuda": [self._device], "cpu": []}.get(self._device.type)
        with fork_rng(gpus), listening, deterministic_convolutions(), side_stream(self._device):
            self._epoch_steps = self._steps()
            if not self._state.history and not self._state.done:
                self._evaluate_start()
            while self._stop is None and self._state.epoch < self.epochs:
                self._epoch()
        if not self._state.history:
            raise self._diverged()
        require_same_weights(self._objective.network, self._ranks)
        self._objective.network.load_state_dict(self._state.best)
        self._optimizer.zero_grad()
        if not self._finished:
            self._snapshots.save()
        all_done = f"all {self.epochs} epochs done" if self.epochs > 1 else "1 epoch done"
        return FitResult(
            history=self._state.history,
            best_epoch=self._state.best_epoch,
            stopped=self._stop or all_done,
            finished=self._finished,
            planned=self.epochs,
            batch_size=self._batch_size,
            seconds=self._requests.seconds,
            signal=self._interrupt.signal,
            start=self._state.start,
            criterion=self._state.best_criterion,
            stopped_by_caller=self._stopped_by_caller,
            precision=self._state.precision,
            resumed=resumed,
        )

    def _steps(self) -> EpochSteps:
        return epoch_steps(
            self._objective, self._optimizer, self._train, self._options, self._rates,
            device=self._device, precision=self._state.precision, batch_size=self._batch_size,
            static=self._static, captured=self._captured,
            weighs_numbers=self._target is not None, layers=self._layers.values(),
            progress=self._progress, ranks=self._ranks, requests=self._requests,
        )  # fmt: skip

    def _resume(self) -> bool:
        """Continue from the checkpoint, if there is one."""
        state = self._snapshots.load(auto_precision=self._options.precision == "auto")
        if state is not None:
            self._state = state
            self._progress.resumed(state.history)
        return state is not None

    def _diverged(self) -> DivergedError:
        return DivergedError(
            f"training diverged in epoch {self._state.epoch + 1}: the loss is not finite",
            facts=[f"learning rate {self._options.lr:g}, gradient clip {self._options.clip:g}"],
            hint=f"--lr {self._options.lr / 10:g}",
        )

    def _evaluate_start(self) -> None:
        """Set the PCA initialisation as the best weights so far, so that training can only improve.

        Not with noise or a trimmed loss: their objective differs from that of PCA, which the
        validation loss does not show. Nor with a classifier, which is not trained yet.
        """
        objective = self._objective
        differs = objective.noise is not None or objective.trimmed_loss
        differs = differs or "classification" in objective.weights
        if objective.network.path is None or self._valid is None or differs:
            return
        objective.network.eval()
        figures = self._validate()
        if figures is None or not math.isfinite(figures.losses["total"]):
            self._stop, self._finished = None, True  # the first epoch checks again
            return
        state = self._state
        state.start = Epoch(
            0, {}, figures.losses, seconds=0.0, learning_rate=0.0, best=True,
            metrics=figures.metrics,
        )  # fmt: skip
        state.best = copied(objective.network.state_dict())
        state.best_criterion = figures.criterion

    def _epoch(self) -> None:
        began = time.perf_counter()
        state = self._state
        same_random_numbers(self._options.seed, state.epoch, self._ranks.rank)
        self._objective.number_weight = state.number_weight
        means = self._train_epoch()
        train = means.means()
        if not math.isfinite(train.get("total", math.nan)):
            self._end(f"the loss is not finite in epoch {state.epoch + 1}", finished=True)
            return
        figures = self._validate()
        if figures is None and self._valid is not None and state.history:
            return
        criterion = Criterion(train["total"]) if figures is None else figures.criterion
        weight = state.number_weight
        improved = criterion.at(weight) < state.best_criterion.at(weight)
        record = Epoch(
            number=state.epoch + 1,
            train=train,
            valid=None if figures is None else figures.losses,
            seconds=time.perf_counter() - began,
            learning_rate=self._rates(self._step - 1)[0],
            best=improved,
            metrics={} if figures is None else figures.metrics,
            gradients=means.gradients(self._layers),
            number_weight=state.number_weight,
        )
        if figures is not None:
            state.number_weight = self._next_weight(criterion, figures.excess, improved)
        completed = self._stop is None
        self._update(record, criterion if improved else None, completed)
        self._progress.epoch(record)
        if completed:
            self._check_stopping(record)

    def _next_weight(self, criterion: Criterion, excess: float, improved: bool) -> float:
        """Return the next weight of numbers: it does not rise at the cost of classification."""
        state = self._state
        if not improved and not criterion.classifies_as_well_as(state.best_criterion):
            excess = min(excess, 1.0)
        as_pca = self._objective.network.path is not None
        rate = number_weight_rate(state.epoch + 1, self.epochs, as_pca=as_pca)
        return next_number_weight(state.number_weight, excess, rate)

    def _rates(self, step: int) -> tuple[float, float]:
        """Return the learning rate of a step, and its KL warm-up."""
        return self._schedule.rate(step), min(1.0, step / self._kl_warm_up_steps)

    def _train_epoch(self) -> EpochMeans:
        state, window = self._state, self._objective.network.window
        self._objective.network.train()
        means, checked, seen = EpochMeans(self._objective), time.perf_counter(), 0
        done = restore_epoch(state, means, self._device, self._ranks)
        for figures, rows in self._epoch_steps(state.epoch, state.step, done):
            means.add_steps(figures, rows)
            done += len(rows)
            seen += sum(rows) // window
            if time.perf_counter() - checked > CHECK_SECONDS:
                self._progress.rows(seen)
                checked, seen = time.perf_counter(), 0
                self._agree_in_one_process(float(figures[-1, 0]))
            if self._requests.saves and not self._requests.diverged:
                self._snapshots.take(state, self._requests.seconds, done=done, means=means)
                self._snapshots.save()
                self._requests.saved()
            if self._must_stop():
                break
        self._progress.rows(seen)
        self._agree_in_one_process()
        if self._must_stop() and not self._finished:
            self._snapshots.take(state, self._requests.seconds, done=done, means=means)
            self._snapshots.save()  # whoever sent the signal may not wait for the validation
        self._step = state.step + done
        self._objective.network.eval()
        return means

    def _agree_in_one_process(self, loss: float = 0.0) -> None:
        """Look for requests in one process; several agree on them in their steps."""
        if self._ranks.size == 1:
            self._requests.agree(self._requests.wanted(), loss)

    def _must_stop(self) -> bool:
        requests, limit = self._requests, self._options.time_limit
        if requests.signal is not None:
            name = {2: "SIGINT", 15: "SIGTERM"}[requests.signal]
            self._end(f"{name} in epoch {self._state.epoch + 1}", finished=False)
        elif requests.time_is_up:
            self._end(f"time limit of {limit:g} s reached", finished=False)
        return self._stop is not None or requests.diverged

    @torch.no_grad()
    def _validate(self) -> ValidationResult | None:
        """Return the figures of the validation rows; None without rows, or if it was stopped."""
        several = self._ranks.size > 1
        if self._valid is None or (several and self._stop is not None and self._state.history):
            return None
        figures = ValidationFigures(self._objective, self._target, self._n_valid)
        checked = time.perf_counter()
        for cells, codes in self._valid.in_order(self._widest):
            if not len(cells):
                continue
            # Several ranks stop in their steps only, of which all have as many.
            if not several and time.perf_counter() - checked > CHECK_SECONDS:
                checked = time.perf_counter()
                self._agree_in_one_process()
                if self._must_stop():
                    return None
            with arithmetic(self._state.precision, self._device):
                terms = self._objective(cells, codes)
            figures.add(terms, cells, codes)
        return figures.of_ranks(self._ranks)

    def _update(self, record: Epoch, criterion: Criterion | None, completed: bool) -> None:
        state = self._state
        state.history.append(record)
        if criterion is not None:
            state.best = copied(self._objective.network.state_dict())
            state.best_criterion, state.best_epoch = criterion, record.number
        if completed:
            state.epoch, state.step = record.number, self._step

    def _check_stopping(self, record: Epoch) -> None:
        state, patience = self._state, self._options.patience
        self._schedule.epoch_ended(record.best)
        if patience and self._valid is not None and state.epoch - state.best_epoch >= patience:
            best, epochs = state.best_epoch or "the initial weights", count(patience, "epoch")
            self._end(f"early stopping: no improvement for {epochs} (best: {best})", finished=True)
        elif self._on_epoch is not None and (reason := self._on_epoch(record)):
            self._end(reason, finished=True)
            self._stopped_by_caller = True
        self._snapshots.take(state, self._requests.seconds)
        if self._stop is None and self._requests.checkpoint_is_due:
            self._snapshots.save()
            self._requests.saved()

    def _end(self, reason: str, *, finished: bool) -> None:
        self._stop, self._finished = reason, finished
