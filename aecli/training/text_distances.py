"""Fit the distance up to which a decoded vector is converted to a stored text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from aecli.array_types import AnyFloats
from aecli.features.inputs import Inputs
from aecli.features.inverse import InverseColumns
from aecli.features.layout import lay_out
from aecli.features.staging import Staged
from aecli.features.text.stored_texts import EQUAL_DISTANCE
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.schema.model_spec import Column

DECODED_SAMPLES = 4_096
RIGHT_SHARE = 0.99


@torch.no_grad()
def with_text_distances(
    network: AutoencoderNetwork,
    inputs: Inputs,
    columns: Sequence[Column],
    parts: Sequence[Staged],
) -> list[Column]:
    """Return the columns, with fitted distances of those whose texts are stored.

    Args:
        network: the trained network.
        inputs: of the network, on its device.
        columns: of the model.
        parts: training and validation rows.
    """
    stored = [c for c in columns if c.kind == "text" and c.encoder.texts is not None]
    if not stored:
        return list(columns)
    device = next(network.parameters()).device
    inverse = InverseColumns(lay_out(columns).columns)
    decoded: list[tuple[AnyFloats, AnyFloats]] = []
    for part in parts:
        chosen = part.thinned(max(1, DECODED_SAMPLES // part.size))
        for block in chosen.blocks(len(chosen)) if len(chosen) else ():
            outputs = network.decode(network.encode(inputs(block.to(device)))).float()
            decoded.append((block.numpy(), outputs.cpu().numpy()))
    cells, predictions = (np.concatenate(values) for values in zip(*decoded, strict=True))
    fitted = {
        c.name: _fitted(c, inverse.part(c, cells), inverse.part(c, predictions)) for c in stored
    }
    return [fitted.get(column.name, column) for column in columns]


def _fitted(column: Column, cells: AnyFloats, outputs: AnyFloats) -> Column:
    """Return a column with the distance within which nearly all right texts are.

    It stays as fitted on the texts alone where no text is right.
    """
    encoder = column.encoder
    assert encoder.texts is not None, "the column has stored texts"
    known = ~np.isnan(cells[:, 0])
    center, scale = np.array(column.center), np.array(column.scale)
    actual, vectors = (part[known] * scale + center for part in (cells, outputs))
    unlimited = encoder.texts.unlimited()
    right = unlimited.same(actual, vectors)
    if not right.any():
        return column
    _, distances = unlimited.search(vectors[right])
    limit = float(np.quantile(distances, RIGHT_SHARE)) + EQUAL_DISTANCE
    texts = replace(encoder.texts, max_distance=limit)
    return column.with_encoder(replace(encoder, texts=texts))
