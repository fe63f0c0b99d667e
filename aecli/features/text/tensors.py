"""Text encoders as tensors of a weights file, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from aecli.errors import ModelError
from aecli.features.text.encoder import TextEncoder
from aecli.features.text.fit import with_stored_texts
from aecli.features.text.ngrams import BUCKETS
from aecli.features.text.stored_texts import MAX_STORED_TEXTS
from aecli.safetensors_header import EXTRA_PREFIX, retrain_hint
from aecli.schema.model_spec import Column

ENCODER_PARTS = ("features", "weights", "components")
TEXT_PARTS = ("characters", "ends", "max_distance")


def text_tensors(columns: Sequence[Column]) -> dict[str, Tensor]:
    """Return the tensors of the encoders of text columns, named by the columns' positions."""
    tensors: dict[str, Tensor] = {}
    for position, column in enumerate(columns):
        if column.kind == "text":
            prefix = _prefix(position)
            tensors |= {prefix + name: part for name, part in _of_encoder(column.encoder).items()}
    return tensors


def with_text_encoders(
    columns: Sequence[Column], tensors: Mapping[str, Tensor], path: Path
) -> list[Column]:
    """Return the columns, those of text with their encoders from the weights file `path`.

    Raises:
        ModelError: the tensors of an encoder are missing or damaged.
    """
    return [
        column.with_encoder(_encoder(column, _prefix(position), tensors, path))
        if column.kind == "text"
        else column
        for position, column in enumerate(columns)
    ]


def _prefix(position: int) -> str:
    return f"{EXTRA_PREFIX}text.{position}."


def _of_encoder(encoder: TextEncoder) -> dict[str, Tensor]:
    tensors = {
        "features": torch.from_numpy(encoder.features.astype(np.int32)),
        "weights": torch.from_numpy(encoder.weights),
        "components": torch.from_numpy(encoder.components).half(),
    }
    if encoder.texts is None:
        return tensors
    encoded = [text.encode() for text in encoder.texts.texts.to_pylist()]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return tensors | {
        "characters": torch.frombuffer(
            bytearray(b"".join(encoded)) or bytearray(1), dtype=torch.uint8
        ),
        "ends": torch.from_numpy(ends),
        "max_distance": torch.tensor(encoder.texts.max_distance, dtype=torch.float64),
    }


def _encoder(column: Column, prefix: str, tensors: Mapping[str, Tensor], path: Path) -> TextEncoder:
    parts = {
        name: tensors[prefix + name]
        for name in (*ENCODER_PARTS, *TEXT_PARTS)
        if prefix + name in tensors
    }
    problem = _problem(column, parts)
    if problem is None:
        features, weights, components = (parts[name] for name in ENCODER_PARTS)
        encoder = TextEncoder(
            features.numpy().astype(np.int64),
            weights.float().numpy(),
            components.float().numpy(),
        )
        if "ends" not in parts:
            return encoder
        try:
            texts = _texts(parts)
        except (UnicodeDecodeError, pa.ArrowInvalid):
            problem = "stored texts that are not UTF-8"
        else:
            return with_stored_texts(encoder, texts, float(parts["max_distance"]))
    raise ModelError(
        f"{path} is damaged: the text column {column.name!r} has {problem}",
        hint=retrain_hint(path),
    )


def _problem(column: Column, parts: Mapping[str, Tensor]) -> str | None:
    """Return what is wrong with the tensors of an encoder, None if they are valid."""
    if any(name not in parts for name in ENCODER_PARTS):
        return "no encoder"
    features, weights, components = (parts[name] for name in ENCODER_PARTS)
    known = features.dim() == 1 and len(features) > 0 and not features.is_floating_point()
    if not known or weights.shape != features.shape:
        return "weights that do not match its n-grams"
    if components.shape != (column.size, len(features)):
        return f"components that are not {column.size:,} × {len(features):,}"
    if bool((features < 0).any()) or bool((features >= BUCKETS).any()):
        return "n-grams out of range"
    if bool((features.diff() <= 0).any()):
        return "n-grams that are not in order"
    return _stored_problem(parts)


def _stored_problem(parts: Mapping[str, Tensor]) -> str | None:
    present = [name for name in TEXT_PARTS if name in parts]
    if not present:
        return None
    if len(present) < len(TEXT_PARTS) or parts["max_distance"].dim():
        return "incomplete stored texts"
    characters, ends = parts["characters"], parts["ends"]
    whole = characters.dtype == torch.uint8 and ends.dtype == torch.int64
    if not whole or characters.dim() != 1 or ends.dim() != 1:
        return "stored texts of a wrong type"
    if not 0 < len(ends) <= MAX_STORED_TEXTS:
        return f"{len(ends):,} stored texts"
    edges = torch.cat([ends.new_zeros(1), ends])
    if bool((edges.diff() < 0).any()) or int(ends[-1]) > len(characters):
        return "stored texts out of range"
    return None


def _texts(parts: Mapping[str, Tensor]) -> pa.Array:
    ends = [0, *parts["ends"].tolist()]
    data = parts["characters"].numpy().tobytes()
    texts = [data[a:b].decode() for a, b in pairwise(ends)]
    return pa.array(texts, pa.large_string())
