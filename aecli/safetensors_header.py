"""Read the header of a safetensors file: names, types and shapes of its tensors.

Format: 8 bytes little-endian length, that many bytes of JSON, then the tensors
(https://github.com/huggingface/safetensors#format). Neither torch nor numpy is needed.
"""

from __future__ import annotations

import json
import math
import shlex
import struct
from pathlib import Path
from typing import NamedTuple, TypeGuard

from aecli.errors import ModelError

EXTRA_PREFIX = "baseline."
"""Prefix of the tensors in a weights file that are not the network's."""

MAX_HEADER_BYTES = 4 << 20
"""Maximum size of a header; a network of 64 layers needs a hundredth of it."""

MAX_DIMENSIONS = 8

MODEL_IN_MEMORY = Path("the model in memory")
"""Name in messages of a model that is not in a directory."""


DTYPES: dict[str, tuple[str, int]] = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}
"""Element types by the format's name: torch's name and the size of an element in bytes."""


class TensorInfo(NamedTuple):
    """Type (a key of `DTYPES`) and shape of one tensor."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        torch_name, _ = DTYPES[self.dtype]
        return f"{'×'.join(map(str, self.shape)) or 'scalar'} {torch_name}"


def read_header(weights: bytes, path: Path) -> dict[str, TensorInfo]:
    """Return the type and shape of each tensor in the bytes of the weights file `path`, by name.

    Raises:
        ModelError: the header is damaged.
    """
    size = len(weights)
    (length,) = struct.unpack("<Q", weights[:8].ljust(8, b"\xff"))
    if length > min(size - 8, MAX_HEADER_BYTES):
        raise damaged_weights(path, f"its header is longer than its {size:,} bytes")
    try:
        header = json.loads(weights[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise damaged_weights(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise damaged_weights(path, "its header is not a JSON object")
    header.pop("__metadata__", None)
    data_bytes = size - 8 - length
    return {name: _tensor_info(path, name, entry, data_bytes) for name, entry in header.items()}


def _tensor_info(path: Path, name: str, entry: object, data_bytes: int) -> TensorInfo:
    """Return one header entry, checked against the `data_bytes` that follow the header."""
    fields = entry if isinstance(entry, dict) else {}
    code = str(fields.get("dtype"))
    shape, offsets = fields.get("shape"), fields.get("data_offsets")
    if code not in DTYPES or not _are_sizes(shape) or not _are_sizes(offsets):
        raise damaged_weights(path, f"its header does not describe {name!r} as a tensor")
    if (
        len(shape) > MAX_DIMENSIONS
        or len(offsets) != 2
        or not offsets[0] <= offsets[1] <= data_bytes
    ):
        raise damaged_weights(path, f"{name!r} is outside the file")
    _, element_bytes = DTYPES[code]
    if offsets[1] - offsets[0] != math.prod(shape) * element_bytes:
        raise damaged_weights(path, f"the size of {name!r} does not match its shape")
    return TensorInfo(code, tuple(shape))


def _are_sizes(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def damaged_weights(path: Path, reason: str) -> ModelError:
    """Return the error of a damaged weights file."""
    return ModelError(f"{path} is damaged: {reason}", hint=retrain_hint(path))


def retrain_hint(path: Path) -> str:
    """Return the command that trains a model again whose weights cannot be used."""
    return f"aecli train DATA -m {shlex.quote(str(path.parent))}"
