"""Turn a network's state into safetensors and back, looking before anything is allocated."""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file
from safetensors.torch import save as save_bytes
from torch import Tensor, nn

from aecli.errors import ModelError

EXTRA = "baseline."
"""Prefix of the tensors that a weights file may hold beside the network's own."""

MAX_HEADER = 4 << 20
"""Largest header read, in bytes; a network of 64 layers needs a hundredth of it."""

MAX_DIMENSIONS = 8

IN_MEMORY = Path("the model in memory")
"""What messages call a model that is in no directory."""

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class Entry(NamedTuple):
    """Hold what a safetensors header says of one tensor."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return (
            f"{'×'.join(map(str, self.shape)) or 'scalar'} {str(self.dtype).removeprefix('torch.')}"
        )


def to_bytes(module: nn.Module, extra: Mapping[str, Tensor] | None = None) -> bytes:
    """Return the module's state and `extra` tensors, named with `EXTRA` in front, as safetensors.

    Raises:
        ValueError: the name of an extra tensor does not begin with `EXTRA`.
    """
    extra = extra or {}
    if any(not name.startswith(EXTRA) for name in extra):
        raise ValueError(f"extra tensors {list(extra)} must be named {EXTRA}…")
    tensors = {**module.state_dict(), **extra}
    return save_bytes({name: t.detach().cpu().contiguous() for name, t in tensors.items()})


def load_into(module: nn.Module, weights: Path | bytes) -> dict[str, Tensor]:
    """Load a weights file, or its bytes, into the module; return the tensors of `EXTRA` names.

    A module built under `torch.device("meta")` takes the loaded tensors as its own.

    Raises:
        ModelError: the file is unreadable, damaged, of another network, or its weights not finite.
    """
    state = module.state_dict()
    path = weights if isinstance(weights, Path) else IN_MEMORY
    _compare(
        path, read_header(weights), {k: Entry(t.dtype, tuple(t.shape)) for k, t in state.items()}
    )
    try:
        tensors = load_file(weights) if isinstance(weights, Path) else load(weights)
    except (SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error
    unfit = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if unfit:
        raise ModelError(
            f"{path} holds weights that are not finite numbers",
            facts=_shortened([f"in {name}" for name in unfit]),
            hint=_train_again(path),
        )
    own = {name: tensors.pop(name) for name in state}
    module.load_state_dict(own, assign=any(tensor.is_meta for tensor in state.values()))
    return tensors


def read_header(weights: Path | bytes) -> dict[str, Entry]:
    """Return the names, types and shapes of a safetensors file, read without its tensors.

    Format: 8 bytes little-endian length, that many bytes of JSON, then the tensors
    (https://github.com/huggingface/safetensors#format).

    Raises:
        ModelError: the file is unreadable, or its header is damaged.
    """
    path = weights if isinstance(weights, Path) else IN_MEMORY
    try:
        with io.BytesIO(weights) if isinstance(weights, bytes) else weights.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\xff"))
            if length > min(size - 8, MAX_HEADER):
                raise _damaged(path, f"its header would end after its {size:,} bytes")
            header = json.loads(file.read(length))
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its header is no JSON") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no JSON object")
    header.pop("__metadata__", None)
    return {name: _entry(path, name, item, size - 8 - length) for name, item in header.items()}


def _entry(path: Path, name: str, item: object, room: int) -> Entry:
    """Return one header entry, checked against the bytes that it claims among `room`."""
    fields = item if isinstance(item, dict) else {}
    dtype = DTYPES.get(str(fields.get("dtype")))
    shape, span = fields.get("shape"), fields.get("data_offsets")
    if dtype is None or not _are_sizes(shape) or not _are_sizes(span):
        raise _damaged(path, f"its header does not describe {name!r} as a tensor")
    if len(shape) > MAX_DIMENSIONS or len(span) != 2 or not span[0] <= span[1] <= room:
        raise _damaged(path, f"{name!r} lies outside the file")
    if span[1] - span[0] != math.prod(shape) * dtype.itemsize:
        raise _damaged(path, f"{name!r} has not the bytes of its shape")
    return Entry(dtype, tuple(shape))


def _are_sizes(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _compare(path: Path, found: Mapping[str, Entry], wanted: Mapping[str, Entry]) -> None:
    foreign = [name for name in found if name not in wanted and not name.startswith(EXTRA)]
    differences = [f"lacks {name} ({entry})" for name, entry in wanted.items() if name not in found]
    differences += [
        f"{name} is {found[name]}, the model needs {entry}"
        for name, entry in wanted.items()
        if name in found and found[name] != entry
    ]
    differences += [f"has {name} ({found[name]}), which the model lacks" for name in foreign]
    if differences:
        raise ModelError(
            f"{path} holds another network than spec.json describes",
            facts=_shortened(differences),
            hint=_train_again(path),
        )


def _shortened(facts: list[str]) -> list[str]:
    return facts if len(facts) <= 4 else [*facts[:3], f"and {len(facts) - 3} more"]


def _damaged(path: Path, why: str) -> ModelError:
    return ModelError(f"{path} is damaged: {why}", hint=_train_again(path))


def _train_again(path: Path) -> str:
    return f"aecli train DATA -m {path.parent}, or restore the directory from a copy"
