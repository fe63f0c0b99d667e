"""Compute a batch's losses and gradients: by autograd, or by hand where the network allows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aecli.hardware import arithmetic
from aecli.nn.chain import Chain, is_chain
from aecli.training.objective import Objective, Terms

Step = Callable[[Tensor, Tensor | None], Terms]


def make_step(objective: Objective, precision: str, device: torch.device) -> Step:
    """Return what takes cells and label codes, sets the gradients and returns the terms."""
    network = objective.network
    parts = [network.encoder, network.decoder] + ([network.head] if network.head else [])
    if precision == "fp32" and device.type == "cpu" and all(map(is_chain, parts)):
        return _ByHand(objective)
    return _by_autograd(objective, precision, device)


def _by_autograd(objective: Objective, precision: str, device: torch.device) -> Step:
    parameters = list(objective.network.parameters())

    def step(cells: Tensor, codes: Tensor | None) -> Terms:
        for parameter in parameters:
            parameter.grad = None
        with arithmetic(precision, device):
            terms = objective(cells, codes)
        terms.total.backward()
        return terms

    return step


class _ByHand:
    """Leave the losses to autograd, and run encoder, decoder and head as chains."""

    def __init__(self, objective: Objective) -> None:
        network = objective.network
        self._objective = objective
        self._encoder, self._decoder = Chain(network.encoder), Chain(network.decoder)
        self._head = Chain(network.head) if network.head else None

    def __call__(self, cells: Tensor, codes: Tensor | None) -> Terms:
        ran: list[tuple[Chain, Tensor]] = []

        def run(chain: Chain, x: Tensor) -> Tensor:
            with torch.no_grad():
                leaf = chain.forward(x).detach().requires_grad_()
            ran.append((chain, leaf))
            return leaf

        latent = run(self._encoder, self._objective.inputs(cells))
        terms = self._objective.terms(
            latent,
            cells,
            codes,
            decode=lambda z: self._objective.network.bounded(run(self._decoder, z)),
            classify=lambda z: run(self._head, z) if self._head else z,
        )
        terms.total.backward()
        with torch.no_grad():
            gradient = latent.grad
            for chain, leaf in ran[1:]:
                assert leaf.grad is not None, "every chain that ran is part of the total"
                back = chain.backward(leaf.grad)
                assert back is not None, "asked for the inputs' gradient"
                gradient = back if gradient is None else gradient.add_(back)
            assert gradient is not None, "every loss depends on the latent"
            self._encoder.backward(gradient, inputs=False)
        return terms
