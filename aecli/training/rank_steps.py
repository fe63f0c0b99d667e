"""Steps of training on the rows of several ranks, each of which computes a part of each batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice

import torch
from torch import Tensor

from aecli.device import arithmetic
from aecli.features.shuffling import epoch_order
from aecli.features.staging import Staged
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.nn.sparsity import limit_columns
from aecli.ranks import Ranks
from aecli.training.batches import Batches
from aecli.training.objective import Objective, step_figures
from aecli.training.optimizers import Optimizer
from aecli.training.requests import Requests
from aecli.training.step import Rates, StepFigures
from aecli.training.summed_gradients import SummedGradients

RANK_STREAMS = 1 << 40
"""Distance between the streams of random orders of two ranks, more than there are epochs."""

AGREED_STEPS = 16
"""Steps on a GPU between two readings of what ranks agree on, each of which waits for the GPU."""


class RankSteps:
    """Training steps of whole epochs, in which the gradients of all ranks are added.

    A batch has about `size` samples of all ranks, of each its share: all of them train the same
    number of steps, also those with few samples or none. The losses are multiplied by the shares of
    the batch, so that the sum of the gradients is that of the batch.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: Optimizer,
        train: Staged,
        rates: Rates,
        ranks: Ranks,
        requests: Requests,
        *,
        device: torch.device,
        precision: str,
        size: int,
        clip: float,
        seed: int,
        layers: Iterable[Tensor],
    ) -> None:
        self._objective, self._optimizer, self._rates = objective, optimizer, rates
        self._ranks, self._requests, self._device = ranks, requests, device
        self._precision, self._clip, self._seed = precision, clip, seed
        self._layers = list(layers)
        self._batches = Batches(train, device)
        codes = train.codes if "classification" in objective.weights else None
        unlabelled = codes is not None and bool((codes < 0).any())
        self._codes = codes if any(ranks.gather(unlabelled)) else None
        self._figures = 1 + len(objective.weights) + ("classification" in objective.weights)
        self._window = train.size
        self._parts = part_sizes(ranks.gather(len(train)), size)
        self._gradients = SummedGradients(optimizer.params, ranks)
        self._statistics = running_statistics(objective.network)
        self._checked = 1 if device.type == "cpu" else AGREED_STEPS

    def epoch(self, epoch: int, first_step: int, done: int) -> Iterator[StepFigures]:
        """Train an epoch after `done` steps; yield the figures of each, which are of all ranks."""
        sizes = [sum(parts) for parts in self._parts]
        own = [parts[self._ranks.rank] for parts in self._parts]
        shares = self._label_shares(epoch, own)
        samples = islice(self._samples(epoch, own), done, None)
        batches = self._batches.gathered(samples, max(own, default=0))
        for step, (cells, codes) in enumerate(batches, done):
            self._optimizer.lr, self._objective.kl_warm_up = self._rates(first_step + step)
            row_share = own[step] / max(1, sizes[step])
            self._objective.shares = row_share, row_share if shares is None else shares[step]
            figures = self._step(cells, codes, agrees=step % self._checked == 0)
            yield figures[None], [sizes[step] * self._window]
        self._objective.shares = None

    def _samples(self, epoch: int, sizes: list[int]) -> Iterator[Tensor]:
        """Yield this rank's samples of each step."""
        stream = epoch + RANK_STREAMS * self._ranks.rank
        order = epoch_order(len(self._batches), self._batches.parts, self._seed, stream)
        return self._batches.divided(order, sizes)

    def _label_shares(self, epoch: int, sizes: list[int]) -> list[float] | None:
        """Return the shares of the labelled rows of the batches; None if all rows are labelled."""
        codes = self._codes
        if codes is None:
            return None
        counts = [int((codes[chosen] >= 0).sum()) for chosen in self._samples(epoch, sizes)]
        own = torch.tensor(counts, dtype=torch.float64)
        total = own.clone()
        self._ranks.add(total)
        shares: list[float] = (own / total.clamp(min=1)).tolist()
        return shares

    def _step(self, cells: Tensor, codes: Tensor | None, *, agrees: bool) -> Tensor:
        """Update the weights by the gradients of all ranks; return the figures of the batch."""
        objective, gradients, requests = self._objective, self._gradients, self._requests
        gradients.zero()
        figures = torch.zeros(self._figures, device=self._device)
        if len(cells):
            with arithmetic(self._precision, self._device):
                terms = objective(cells, codes)
            terms.total.backward()
            figures = self._shared_figures(step_figures(objective, terms, codes))
        wanted = torch.tensor(requests.wanted()).to(self._device, non_blocking=True)
        assert objective.shares is not None, "they are set before each step"
        row_share = objective.shares[0]
        statistics = [row_share * part.flatten() for part in self._statistics]
        added = gradients.add(torch.cat([figures, wanted, *statistics]))
        sizes = [self._figures, len(wanted), *map(len, statistics)]
        figures, sums, *means = added.split(sizes)
        for part, mean in zip(self._statistics, means, strict=True):
            part.copy_(mean.view_as(part))
        if agrees:
            requests.agree(sums.tolist(), float(figures[0]))
        norms = [weight.grad.norm() for weight in self._layers if weight.grad is not None]
        if self._clip:
            torch.nn.utils.clip_grad_norm_(self._optimizer.params, self._clip)
        self._optimizer.step()
        limit_columns(objective.limited_columns)
        return torch.cat([figures, torch.stack(norms)]) if norms else figures

    def _shared_figures(self, figures: Tensor) -> Tensor:
        """Return this rank's addends of the figures of a batch, all but the number of labels."""
        assert self._objective.shares is not None, "they are set before each step"
        rows, labels = self._objective.shares
        names = self._objective.weights
        factors = [1.0, *(labels if name == "classification" else rows for name in names)]
        factors += [1.0] * (len(figures) - len(factors))
        return figures * torch.tensor(factors).to(figures)


def running_statistics(network: AutoencoderNetwork) -> list[Tensor]:
    """Return the statistics of batches that a network saves, such as those of batch norm."""
    saved = network.state_dict().keys()
    return [tensor for name, tensor in network.named_buffers() if name in saved]


def part_sizes(rows: Sequence[int], size: int) -> list[list[int]]:
    """Return how many samples each rank has in each step of an epoch.

    Args:
        rows: the samples of each rank.
        size: samples of a batch.
    """
    steps = -(-sum(rows) // size)
    offsets = [before % steps for before in accumulate(rows, initial=0)] if steps else []
    return [
        [
            (count * (step + 1) + offset) // steps - (count * step + offset) // steps
            for count, offset in zip(rows, offsets, strict=False)
        ]
        for step in range(steps)
    ]
