"""Training steps whose inputs and outputs have fixed addresses: on a GPU, CUDA graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from aecli.progress import Progress
from aecli.training.cuda_graph import capture, memory_pool
from aecli.training.objective import Objective
from aecli.training.optimizers import Optimizer
from aecli.training.static_batches import StaticBatches
from aecli.training.step import Rates, Step, StepFigures
from aecli.training.streamed_batches import StreamedBatches

WARM_UP_STEPS = 3
"""Steps on batches of a size before a graph is captured, in which torch and its libraries allocate
their memory."""

STEPS_PER_REPLAY = 8
"""Maximum number of steps of one graph: starting a graph takes as long as several kernels."""

REPLAYED_WORK = 1 << 33
"""Parameters times samples of all steps of one graph, about a millisecond of a fast GPU: the
training can be stopped between graphs only."""


class StaticSteps:
    """Training steps of whole epochs, of which a GPU repeats several at once as a CUDA graph.

    Everything that differs between steps is in tensors: their position in the epoch, by which they
    choose a batch and a row of the learning rates, of the KL warm-ups, and of the figures of the
    epoch. There are graphs of several steps, of one, and of that on the last batch, which is
    smaller. On a CPU the same function runs without a graph. Where it cannot be captured, which is
    reported with `--debug`, or is not `captured`, each step is run by itself. With `weighs_numbers`
    the weight of numbers may change.
    """

    def __init__(
        self,
        step: Step,
        objective: Objective,
        optimizer: Optimizer,
        batches: StaticBatches | StreamedBatches,
        rates: Rates,
        *,
        device: torch.device,
        captured: bool,
        weighs_numbers: bool,
        progress: Progress,
    ) -> None:
        assert optimizer.lr_tensor is not None, "the learning rate is a tensor"
        self._step, self._objective, self._batches = step, objective, batches
        self._rates, self._device, self._progress = rates, device, progress
        steps = batches.full + (batches.rest > 0)
        self._lr = optimizer.lr_tensor.view(1)
        self._lrs = self._lr.new_empty(steps)
        one = torch.ones((), dtype=torch.float64, device=device)
        self._warm_up = one.clone() if "kl_normal" in objective.weights else None
        self._warm_ups = one.new_empty(steps)
        self._number_weight = one if weighs_numbers else None
        self._position = torch.zeros(1, dtype=torch.int64, device=device)
        self._figures: Tensor | None = None
        self._per_replay = steps_per_replay(
            min(batches.full, batches.loaded),
            parameters=sum(parameter.numel() for parameter in optimizer.params),
            samples=batches.size * batches.window,
        )
        self._captured = captured
        self._pool = memory_pool(device) if captured else None
        self._graphs: dict[tuple[int, int], Callable[[], None]] = {}
        self._trained: Counter[int] = Counter()

    def epoch(self, epoch: int, first_step: int, done: int) -> Iterator[StepFigures]:
        """Train an epoch; yield the figures of steps, and the numbers of rows of their batches.

        The first `done` steps are left out.
        """
        batches = self._batches
        self._begin(epoch, first_step)
        self._position.fill_(done)
        for position in range(0, done, batches.loaded):
            batches.load(position)
        while done < batches.full:
            if done % batches.loaded == 0:
                batches.load(done)
            left = min(batches.full - done, batches.loaded - done % batches.loaded)
            steps = self._per_replay if left >= self._per_replay else 1
            self._train(batches.size, steps)
            yield self._figures_of(done, steps, batches.size)
            done += steps
        if batches.rest and done == batches.full:
            if done % batches.loaded == 0:
                batches.load(done)
            self._train(batches.rest, 1)
            yield self._figures_of(done, 1, batches.rest)

    def _begin(self, epoch: int, first_step: int) -> None:
        steps = [self._rates(first_step + index) for index in range(len(self._lrs))]
        lrs, warm_ups = zip(*steps, strict=True)
        self._lrs.copy_(torch.tensor(lrs, dtype=torch.float64))
        self._warm_ups.copy_(torch.tensor(warm_ups, dtype=torch.float64))
        self._batches.shuffle(epoch)
        objective = self._objective
        if self._warm_up is not None:
            objective.kl_warm_up = self._warm_up
        if self._number_weight is not None:
            objective.number_weight = self._number_weight.fill_(objective.number_weight)

    def _train(self, size: int, steps: int) -> None:
        """Train on batches of `size` samples, by a graph once such batches have warmed up."""
        run = partial(self._train_batches, size, steps)
        key = size, steps
        if self._captured and key not in self._graphs and self._trained[size] >= WARM_UP_STEPS:
            self._graphs[key] = self._capture(run)
        self._graphs.get(key, run)()
        self._trained[size] += steps

    def _capture(self, run: Callable[[], None]) -> Callable[[], None]:
        try:
            return capture(run, self._device, self._pool)
        except RuntimeError as error:
            self._progress.debug(f"training without a CUDA graph: {error}")
            self._captured = False
            # Earlier graphs draw from the generator that the failed capture has replaced, which
            # seeding no longer reaches.
            self._graphs.clear()
            return run

    def _train_batches(self, size: int, steps: int) -> None:
        for _ in range(steps):
            self._train_batch(size)

    def _train_batch(self, size: int) -> None:
        at = self._position
        torch.index_select(self._lrs, 0, at, out=self._lr)
        if self._warm_up is not None:
            torch.index_select(self._warm_ups, 0, at, out=self._warm_up.view(1))
        figures = self._step(*self._batches.batch(at, size))
        if self._figures is None:
            self._figures = figures.new_empty(len(self._lrs), len(figures))
        self._figures.index_copy_(0, at, figures[None])
        self._position += 1

    def _figures_of(self, first: int, steps: int, samples: int) -> StepFigures:
        assert self._figures is not None, "a step has been trained"
        rows = samples * self._batches.window
        return self._figures[first : first + steps], [rows] * steps


def steps_per_replay(full: int, *, parameters: int, samples: int) -> int:
    """Return the number of steps of a graph.

    Args:
        full: steps of an epoch, or of a block, with complete batches.
        parameters: of the network.
        samples: of a batch.
    """
    most = min(STEPS_PER_REPLAY, REPLAYED_WORK // max(1, parameters * samples))
    return max(1, min(most, full))
