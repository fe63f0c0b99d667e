"""Run linear layers and activations forward and backward by hand, into buffers kept between steps.

Autograd allocates every activation and gradient anew and walks a graph in each step; on narrow
networks that is most of the time. A chain computes the same numbers in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

aten = torch.ops.aten


class Rule(NamedTuple):
    """Hold an activation's two directions.

    `forward(before, out)` writes the activation of `before` into `out`; `backward(gradient, before,
    after)` turns the gradient of `after` into that of `before`, in place. Where `backward` does
    without `before`, the activation may overwrite it (`in_place`).
    """

    forward: Callable[[Tensor, Tensor], object]
    backward: Callable[[Tensor, Tensor, Tensor], object]
    in_place: bool = False


def rule_of(module: nn.Module) -> Rule | None:
    """Return the rule of an activation, None where autograd must do it."""
    match module:
        case nn.ReLU():
            return Rule(
                lambda x, out: torch.clamp_min(x, 0, out=out),
                lambda g, _, y: aten.threshold_backward.grad_input(g, y, 0, grad_input=g),
                in_place=True,
            )
        case nn.LeakyReLU(negative_slope=slope):
            return Rule(
                lambda x, out: aten.leaky_relu.out(x, slope, out=out),
                lambda g, x, _: aten.leaky_relu_backward.grad_input(
                    g, x, slope, False, grad_input=g
                ),
            )
        case nn.GELU(approximate=how):
            return Rule(
                lambda x, out: aten.gelu.out(x, approximate=how, out=out),
                lambda g, x, _: aten.gelu_backward.grad_input(g, x, approximate=how, grad_input=g),
            )
        case nn.SiLU():
            return Rule(
                lambda x, out: aten.silu.out(x, out=out),
                lambda g, x, _: aten.silu_backward.grad_input(g, x, grad_input=g),
            )
        case nn.Tanh():
            return Rule(
                lambda x, out: torch.tanh(x, out=out),
                lambda g, _, y: aten.tanh_backward.grad_input(g, y, grad_input=g),
                in_place=True,
            )
        case nn.Sigmoid():
            return Rule(
                lambda x, out: torch.sigmoid(x, out=out),
                lambda g, _, y: aten.sigmoid_backward.grad_input(g, y, grad_input=g),
                in_place=True,
            )
    return None


class _Buffers(NamedTuple):
    before: list[Tensor]
    after: list[Tensor]
    gradients: list[Tensor]


class Chain:
    """Run a sequence of linear layers, each with at most one activation behind it.

    Call under `torch.no_grad()`. What `forward` and `backward` return is overwritten by the next
    call with as many rows.

    Raises:
        ValueError: the sequence holds something else; ask `is_chain` first.
    """

    def __init__(self, layers: nn.Module) -> None:
        steps = _steps(layers)
        if steps is None:
            raise ValueError("a chain is made of linear layers and simple activations")
        self._linears = [linear for linear, _ in steps]
        # Views share the parameters' memory, which optimizers and `load_state_dict` write in place.
        self._weights = [linear.weight.detach() for linear in self._linears]
        self._transposed = [weight.t() for weight in self._weights]
        self._biases = [linear.bias.detach() for linear in self._linears]
        self._rules = [rule for _, rule in steps]
        self._buffers: dict[int, _Buffers] = {}
        self._weight_gradients = [torch.empty_like(linear.weight) for linear in self._linears]
        self._bias_gradients = [torch.empty_like(linear.bias) for linear in self._linears]
        self._input = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output `(n_rows, n_outputs)` of inputs `(n_rows, n_inputs)`."""
        self._input = x
        buffers = self._of(x)
        for position, rule in enumerate(self._rules):
            before, after = buffers.before[position], buffers.after[position]
            torch.addmm(self._biases[position], x, self._transposed[position], out=before)
            if rule is not None:
                rule.forward(before, after)
            x = after
        return x

    def backward(self, gradient: Tensor, *, inputs: bool = True) -> Tensor | None:
        """Set every parameter's `grad` from the output's gradient, which is overwritten.

        Returns the gradient `(n_rows, n_inputs)` of the last `forward`'s input, if `inputs`.
        """
        buffers = self._of(self._input)
        self._attach_gradients()
        for position in range(len(self._linears) - 1, -1, -1):
            rule = self._rules[position]
            if rule is not None:
                rule.backward(gradient, buffers.before[position], buffers.after[position])
            x = buffers.after[position - 1] if position else self._input
            torch.mm(gradient.t(), x, out=self._weight_gradients[position])
            torch.sum(gradient, 0, out=self._bias_gradients[position])
            if position == 0 and not inputs:
                return None
            gradient = torch.mm(gradient, self._weights[position], out=buffers.gradients[position])
        return gradient

    def _attach_gradients(self) -> None:
        gradients = zip(self._weight_gradients, self._bias_gradients, strict=True)
        for linear, (weight, bias) in zip(self._linears, gradients, strict=True):
            if linear.weight.grad is not weight:
                linear.weight.grad, linear.bias.grad = weight, bias

    def _of(self, x: Tensor) -> _Buffers:
        rows = len(x)
        if rows not in self._buffers:
            outs = [x.new_empty(rows, linear.out_features) for linear in self._linears]
            after = [
                out if rule is None or rule.in_place else torch.empty_like(out)
                for out, rule in zip(outs, self._rules, strict=True)
            ]
            ins = [x.new_empty(rows, linear.in_features) for linear in self._linears]
            self._buffers[rows] = _Buffers(outs, after, ins)
        return self._buffers[rows]


def is_chain(module: nn.Module | None) -> bool:
    """Return whether `module` can be run as a chain."""
    return module is not None and _steps(module) is not None


def _steps(layers: nn.Module) -> list[tuple[nn.Linear, Rule | None]] | None:
    if not isinstance(layers, nn.Sequential):
        return None
    steps: list[tuple[nn.Linear, Rule | None]] = []
    for layer in layers:
        if isinstance(layer, nn.Linear):
            steps.append((layer, None))
            continue
        rule = rule_of(layer)
        if rule is None or not steps or steps[-1][1] is not None:
            return None
        steps[-1] = (steps[-1][0], rule)
    return steps or None
