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
    """Run encoder, decoder and head as chains; leave all losses but the plain one to autograd."""

    def __init__(self, objective: Objective) -> None:
        network = objective.network
        self._objective = objective
        self._encoder, self._decoder = Chain(network.encoder), Chain(network.decoder)
        self._head = Chain(network.head) if network.head else None
        only_reconstruction = objective.weights.keys() == {"reconstruction"}
        self._may_be_plain = only_reconstruction and network.output is None

    def __call__(self, cells: Tensor, codes: Tensor | None) -> Terms:
        if self._may_be_plain and self._objective.reconstruction.is_plain_mse:
            return self._plain(cells)
        return self._mixed(cells, codes)

    @torch.no_grad()
    def _plain(self, cells: Tensor) -> Terms:
        output = self._decoder.forward(self._encoder.forward(self._objective.inputs(cells)))
        value, gradient = self._objective.reconstruction.plain_mse(output, cells)
        weight = self._objective.weights["reconstruction"]
        back = self._decoder.backward(gradient if weight == 1 else gradient.mul_(weight))
        assert back is not None, "asked for the inputs' gradient"
        self._encoder.backward(back, inputs=False)
        return Terms(value * weight, [value], None)

    def _mixed(self, cells: Tensor, codes: Tensor | None) -> Terms:
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
