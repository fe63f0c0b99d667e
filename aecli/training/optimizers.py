"""Optimizers by name, with a settable learning rate and a state of plain tensors."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from aecli.errors import ModelError, UsageError
from aecli.schema.torch_classes import OPTIMIZERS

OptimizerState = dict[str, Tensor]


class Optimizer(ABC):
    """Optimizer of parameters; the learning rate may be set between steps.

    `lr_tensor` is the learning rate as a tensor of no dimension that `step` reads, None if it is a
    Python number: then a CUDA graph, which repeats only what the device does, cannot contain the
    step.
    """

    lr_tensor: Tensor | None = None

    def __init__(self, params: Iterable[Tensor]) -> None:
        self.params = list(params)

    @property
    @abstractmethod
    def lr(self) -> float:
        """Return the learning rate."""

    @lr.setter
    @abstractmethod
    def lr(self, value: float) -> None: ...

    @abstractmethod
    def step(self) -> None:
        """Update every parameter that has a gradient."""

    def zero_grad(self) -> None:
        """Reset all gradients."""
        for param in self.params:
            param.grad = None

    @abstractmethod
    def state(self) -> OptimizerState:
        """Return a copy of the learning rate and all moments as plain tensors, by `index.name`."""

    @abstractmethod
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned, bit for bit.

        Raises:
            ModelError: the state belongs to other parameters.
        """


class FusedAdam(Optimizer):
    """Adam (Kingma and Ba, 2015) or AdamW (Loshchilov and Hutter, 2019) in a fused kernel.

    The same arithmetic as `torch.optim.Adam(fused=True)`, whose constructor costs a second because
    it imports torch's compiler. `kernel` is `torch._fused_adam_` or `torch._fused_adamw_`.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        kernel: Callable[..., None],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params)
        self._kernel = kernel
        self._fixed = {
            "beta1": betas[0],
            "beta2": betas[1],
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": False,
        }
        names = (
            ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if amsgrad else ("exp_avg", "exp_avg_sq")
        )
        with torch.no_grad():
            self._moments = {name: [torch.zeros_like(p) for p in self.params] for name in names}
        device = self.params[0].device if self.params else torch.device("cpu")
        # One step count for all: a parameter is updated in every step or in none.
        self._step = torch.zeros((), device=device)
        self._lr = _lr_tensor(lr, device)
        self.lr_tensor = self._lr

    @property
    def lr(self) -> float:
        """Return the learning rate."""
        return float(self._lr)

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr.fill_(value)

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        trained = [i for i, param in enumerate(self.params) if param.grad is not None]
        if not trained:
            return
        params = [self.params[i] for i in trained]
        moments = [[tensors[i] for i in trained] for tensors in self._moments.values()]
        if len(moments) == 2:
            moments.append([])
        with torch.no_grad():
            self._step += 1
            self._kernel(
                params,
                [param.grad for param in params],
                *moments,
                [self._step] * len(trained),
                lr=self._lr,
                **self._fixed,
            )

    def state(self) -> OptimizerState:
        """Return a copy of the learning rate and all moments as plain tensors, by `index.name`."""
        named = {name: tensor.clone() for name, tensor in self._named().items()}
        return {"lr": torch.tensor(self.lr, dtype=torch.float64), **named}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned, bit for bit.

        Raises:
            ModelError: the state belongs to other parameters.
        """
        current = self._named()
        shapes = {name: tensor.shape for name, tensor in current.items()} | {"lr": torch.Size()}
        if {name: tensor.shape for name, tensor in state.items()} != shapes:
            raise _state_error()
        for name, tensor in current.items():
            tensor.copy_(state[name])
        self.lr = float(state["lr"])

    def _named(self) -> OptimizerState:
        parts = self._moments.items()
        named = {f"{i}.{part}": t for part, tensors in parts for i, t in enumerate(tensors)}
        return {"step": self._step, **named}


class TorchOptimizer(Optimizer):
    """An optimizer of `torch.optim` with one parameter group.

    On a GPU those that torch can run in a CUDA graph are built so.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        kind: type[torch.optim.Optimizer],
        lr: float,
        **args: object,
    ) -> None:
        super().__init__(params)
        build: Callable[..., torch.optim.Optimizer] = kind
        device = self.params[0].device if self.params else torch.device("cpu")
        if device.type != "cuda" or not is_capturable(kind.__name__):
            self._inner = build(self.params, lr=lr, **args)
            return
        self.lr_tensor = _lr_tensor(lr, device)
        graph_safe = "fused" if kind is torch.optim.SGD else "capturable"
        self._inner = build(self.params, lr=self.lr_tensor, **{graph_safe: True}, **args)

    @property
    def lr(self) -> float:
        """Return the learning rate."""
        return float(self._inner.param_groups[0]["lr"])

    @lr.setter
    def lr(self, value: float) -> None:
        if self.lr_tensor is None:
            self._inner.param_groups[0]["lr"] = value
        else:
            self.lr_tensor.fill_(value)

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        self._inner.step()

    def state(self) -> OptimizerState:
        """Return a copy of the learning rate and all moments as plain tensors, by `index.name`."""
        slots = self._inner.state_dict()["state"]
        named = {
            f"{index}.{name}": value.clone()
            for index, slot in slots.items()
            for name, value in slot.items()
            if value is not None
        }
        return {"lr": torch.tensor(self.lr, dtype=torch.float64), **named}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned, bit for bit.

        Raises:
            ModelError: the state belongs to other parameters.
        """
        slots: dict[int, OptimizerState] = {}
        for key, tensor in state.items():
            index, _, name = key.partition(".")
            if key == "lr":
                continue
            if not index.isdigit() or int(index) >= len(self.params) or "lr" not in state:
                raise _state_error()
            slots.setdefault(int(index), {})[name] = tensor.clone()
        groups = self._inner.state_dict()["param_groups"]
        self._inner.load_state_dict({"state": slots, "param_groups": groups})
        if self.lr_tensor is not None:  # torch replaces it by a copy
            self._inner.param_groups[0]["lr"] = self.lr_tensor
        self.lr = float(state["lr"])


def is_capturable(name: str) -> bool:
    """Return whether a CUDA graph can contain the steps of the optimizer `name`.

    SGD's fused kernel reads the learning rate on the device, as Adam's does.
    """
    constructor = inspect.signature(getattr(torch.optim, name).__init__)
    return name == "SGD" or "capturable" in constructor.parameters


def _lr_tensor(value: float, device: torch.device) -> Tensor:
    """Return a learning rate as a tensor of the type that torch's kernels on the device read."""
    exact = device.type == "cpu"
    return torch.tensor(value, dtype=torch.float64 if exact else torch.float32, device=device)


def _fused_adam(
    params: Iterable[Tensor], *, decoupled_weight_decay: bool = False, **args: Any
) -> Optimizer:
    kernel = torch._fused_adamw_ if decoupled_weight_decay else torch._fused_adam_
    return FusedAdam(params, kernel=kernel, **args)


_FUSED_ADAM: dict[str, Callable[..., Optimizer]] = {
    "Adam": _fused_adam,
    "AdamW": partial(FusedAdam, kernel=torch._fused_adamw_, weight_decay=0.01),
}

# Only names in the schema's closed table are looked up in torch.
_OPTIMIZER_BUILDERS: dict[str, Callable[..., Optimizer]] = {
    name: _FUSED_ADAM.get(name) or partial(TorchOptimizer, kind=getattr(torch.optim, name))
    for name in OPTIMIZERS
}


def make_optimizer(name: str, params: Iterable[Tensor], *, lr: float, **args: object) -> Optimizer:
    """Build the optimizer `name` of `OPTIMIZERS` with its torch constructor arguments.

    Raises:
        KeyError: the name is not in the table.
        UsageError: two arguments contradict each other, such as Nesterov without momentum.
    """
    try:
        return _OPTIMIZER_BUILDERS[name](params, lr=lr, **args)
    except ValueError as error:
        raise UsageError(
            f"--optimizer {name}: {error}", hint=f"--optimizer {name} for its defaults"
        ) from error


def _state_error() -> ModelError:
    return ModelError(
        "the checkpoint's optimizer state belongs to another network",
        hint="run the same command without --resume",
    )
