"""Convert a network's state to safetensors and back, with checks before memory is allocated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from safetensors.torch import save as save_bytes
from torch import Tensor, nn

from aecli.errors import ModelError
from aecli.safetensors_header import (
    DTYPES,
    EXTRA_PREFIX,
    TensorInfo,
    damaged_weights,
    read_header,
    retrain_hint,
)

_FORMAT_NAMES = {getattr(torch, torch_name): code for code, (torch_name, _) in DTYPES.items()}


def to_bytes(module: nn.Module, extra: Mapping[str, Tensor] | None = None) -> bytes:
    """Return the module's state and `extra` tensors, named with `EXTRA_PREFIX`, as safetensors.

    Raises:
        ValueError: the name of an extra tensor does not begin with `EXTRA_PREFIX`.
    """
    extra = extra or {}
    if any(not name.startswith(EXTRA_PREFIX) for name in extra):
        raise ValueError(f"extra tensors {list(extra)} must be named {EXTRA_PREFIX}…")
    tensors = {**module.state_dict(), **extra}
    return save_bytes({name: t.detach().cpu().contiguous() for name, t in tensors.items()})


def load_into(module: nn.Module, weights: bytes, path: Path) -> dict[str, Tensor]:
    """Load the bytes of the weights file `path` into the module; return the extra tensors.

    A module built on the meta device gets the loaded tensors.

    Raises:
        ModelError: the weights are damaged, of another network, or not finite.
    """
    state = module.state_dict()
    expected = {k: TensorInfo(_FORMAT_NAMES[t.dtype], tuple(t.shape)) for k, t in state.items()}
    _require_equal(path, read_header(weights, path), expected)
    try:
        tensors = load(weights)
    except SafetensorError as error:
        raise damaged_weights(path, str(error)) from error
    not_finite = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if not_finite:
        raise ModelError(
            f"{path} contains weights that are not finite numbers",
            facts=_shortened([f"in {name}" for name in not_finite]),
            hint=retrain_hint(path),
        )
    network_tensors = {name: tensors.pop(name) for name in state}
    module.load_state_dict(network_tensors, assign=any(t.is_meta for t in state.values()))
    return tensors


def _require_equal(
    path: Path, header: Mapping[str, TensorInfo], expected: Mapping[str, TensorInfo]
) -> None:
    foreign = [
        name for name in header if name not in expected and not name.startswith(EXTRA_PREFIX)
    ]
    differences = [
        f"lacks {name} ({info})" for name, info in expected.items() if name not in header
    ]
    differences += [
        f"{name} is {header[name]}, the model needs {info}"
        for name, info in expected.items()
        if name in header and header[name] != info
    ]
    differences += [f"has {name} ({header[name]}), which the model lacks" for name in foreign]
    if differences:
        raise ModelError(
            f"{path} does not match the network in spec.json",
            facts=_shortened(differences),
            hint=retrain_hint(path),
        )


def _shortened(facts: list[str]) -> list[str]:
    return facts if len(facts) <= 4 else [*facts[:3], f"and {len(facts) - 3} more"]
