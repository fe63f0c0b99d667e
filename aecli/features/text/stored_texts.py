"""Training texts that vectors are converted back to."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import AnyFloats, Float32s, Floats, Indices, Mask
from aecli.schema.model_spec import Column

MAX_STORED_TEXTS = 10_000

BLOCK_DISTANCES = 1 << 22
"""Number of distances that are computed together: 16 MB."""

MAX_COMPARED_TEXTS = 1_000
"""Number of texts that `max_distance` is fitted on."""

EQUAL_DISTANCE = 1e-3
"""Distance of a vector to that of its own text, by the precision of cells."""


@dataclass(frozen=True, eq=False)
class StoredTexts:
    """Distinct training texts with their vectors `(n_texts, size)`.

    A vector further than `max_distance` from all of them has no text.
    """

    texts: pa.Array
    vectors: Float32s
    max_distance: float

    def unlimited(self) -> StoredTexts:
        """Return the same texts for vectors at any distance."""
        return replace(self, max_distance=math.inf)

    def nearest(self, vectors: AnyFloats) -> pa.Array:
        """Return the text nearest to each vector `(n_rows, size)`; null if none is near."""
        indices, distances = self.search(vectors)
        return self.texts.take(pa.array(indices, mask=~(distances <= self.max_distance)))

    def same(self, actual: AnyFloats, vectors: AnyFloats) -> Mask:
        """Return where a vector's nearest text is the one of the actual vector `(n_rows,)`."""
        known, exact = self.search(actual)
        indices, distances = self.search(vectors)
        near = (exact <= EQUAL_DISTANCE) & (distances <= self.max_distance)
        same: Mask = near & (indices == known)
        return same

    def search(self, vectors: AnyFloats) -> tuple[Indices, Floats]:
        """Return the position of the nearest text of each vector, and the distance to it."""
        vectors = vectors.astype(np.float32, copy=False)
        offsets = np.square(self.vectors).sum(axis=1) / 2
        indices = np.empty(len(vectors), dtype=np.int64)
        step = max(1, BLOCK_DISTANCES // len(self.vectors))
        for start in range(0, len(vectors), step):
            products = vectors[start : start + step] @ self.vectors.T
            indices[start : start + step] = (products - offsets).argmax(axis=1)
        differences = vectors.astype(np.float64) - self.vectors[indices]
        distances: Floats = np.sqrt(np.square(differences).sum(axis=1))
        return indices, distances


def most_frequent(texts: pa.Array) -> pa.Array:
    """Return at most `MAX_STORED_TEXTS` distinct texts, the most frequent ones."""
    counted = pc.value_counts(texts)
    order = np.argsort(-counted.field("counts").to_numpy(), kind="stable")[:MAX_STORED_TEXTS]
    return counted.field("values").take(pa.array(order))


def separation(vectors: Float32s) -> float:
    """Return the median distance of a text to the nearest other one; of one text infinity."""
    if len(vectors) < 2:
        return float("inf")
    compared = vectors[:: -(-len(vectors) // MAX_COMPARED_TEXTS)]
    products = compared @ vectors.T
    squares = np.square(vectors).sum(axis=1) - 2 * products
    squares += np.square(compared).sum(axis=1)[:, None]
    two = np.partition(np.maximum(squares, 0), 1, axis=1)[:, 1]
    return float(np.median(np.sqrt(two)))


def with_any_distance(column: Column) -> Column:
    """Return a column whose vectors are converted to the nearest stored text at any distance."""
    if column.kind != "text" or column.encoder.texts is None:
        return column
    return column.with_encoder(replace(column.encoder, texts=column.encoder.texts.unlimited()))
