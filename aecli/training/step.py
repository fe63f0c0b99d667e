"""Compute a batch's losses and gradients: by autograd, or by hand where the network allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any

import torch
from torch import Tensor, nn

from aecli.device import arithmetic
from aecli.nn.autoencoder import Autoencoder, Clipped
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
        head = Chained(Chain(network.head)) if network.head else None
        self._twin = Autoencoder(
            encoder=Chained(self._encoder),
            decoder=Chained(self._decoder),
            head=head,
            output=network.output,
            numbers=network.numbers,
            window=network.window,
            code=network.code,
            path=network.path,
            variational=network.variational,
        )
        others = [network.output, network.code, network.path]
        self._by_autograd = [p for part in others if part is not None for p in part.parameters()]
        ends = [network.path.encode, network.path.decode] if network.path else []
        self._paths = [Chain(nn.Sequential(end)) for end in ends]
        only_reconstruction = objective.weights.keys() == {"reconstruction"}
        self._may_be_plain = (
            only_reconstruction
            and isinstance(network.output, (NoneType, Clipped))
            and network.code is None
            and not network.variational
            and objective.noise is None
            and not objective.trimmed_loss
            and network.window == 1
        )

    def __call__(self, cells: Tensor, codes: Tensor | None) -> Terms:
        if self._may_be_plain and self._objective.reconstruction.is_plain_mse:
            return self._plain(cells)
        for parameter in self._by_autograd:
            parameter.grad = None
        terms = self._objective(cells, codes, network=self._twin)
        terms.total.backward()
        return terms

    @torch.no_grad()
    def _plain(self, cells: Tensor) -> Terms:
        inputs = self._objective.inputs(cells)
        latent = _sum([chain.forward(inputs) for chain in (self._encoder, *self._paths[:1])])
        output = _sum([chain.forward(latent) for chain in (self._decoder, *self._paths[1:])])
        if self._objective.network.output is not None:
            output.clamp_(0, 1)  # `Clipped`, whose gradient goes on as it is
        value, gradient = self._objective.reconstruction.plain_mse(output, cells)
        weight = self._objective.weights["reconstruction"]
        if weight != 1:
            gradient.mul_(weight)
        # The last layers are bare, so that no chain changes the gradient that both read.
        back = _sum([chain.backward(gradient) for chain in (self._decoder, *self._paths[1:])])
        for chain in (self._encoder, *self._paths[:1]):
            chain.backward(back, inputs=False)
        return Terms(value * weight, [value], None)


def _sum(parts: Sequence[Tensor | None]) -> Tensor:
    """Add the others to the first, in place."""
    first, *others = [part for part in parts if part is not None]
    for other in others:
        first.add_(other)
    return first


class Chained(nn.Module):
    """Run a chain as one node of autograd's graph; its parameters get their gradients by hand."""

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self._chain = chain
        # A node without any input that wants a gradient would be left out of the graph.
        self._anchor = torch.zeros((), requires_grad=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the chain's output `(n_rows, n_outputs)`, good until its next call."""
        output: Tensor = _Run.apply(x, self._anchor, self._chain)  # type: ignore[no-untyped-call]  # torch's
        return output


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, chain: Chain) -> Tensor:
        ctx.chain = chain
        return chain.forward(x).detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        inputs = ctx.needs_input_grad[0]
        return ctx.chain.backward(gradients[0].contiguous(), inputs=inputs), None, None
