"""Read texts as vectors, with a cache of words and of texts: most of them are frequent ones."""

from __future__ import annotations

from threading import RLock

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional

from aecli.array_types import AnyArray, Float32s, Indices, Integers
from aecli.features.text.encoder import TextEncoder, whole_squares, word_weights
from aecli.features.text.vector_cache import MAX_VECTORS, VectorCache
from aecli.features.text.words import Words, split_words, text_blocks, text_keys
from aecli.table.arrow_types import hashable

KEPT_TEXTS = 1 << 14
"""Number of texts that are kept before it is decided whether most of them are repeated."""

COMPARED_TEXTS = 200
"""Number of texts of a batch by which it is decided."""

COMPARED_BATCHES = 8
"""Number of batches of texts that are not repeated after which it is decided again."""


class TextReader:
    """Reader of texts as the vectors of an encoder, which several threads may use.

    The vectors of words, and of texts where most of them are repeated, are kept across batches.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._ngrams = torch.from_numpy(np.ascontiguousarray(encoder.components.T))
        self._lock = RLock()
        self._words = VectorCache(encoder.size)
        self._texts = VectorCache(encoder.size)
        self._distinct_batches = 0

    def __reduce__(self) -> tuple[type[TextReader], tuple[TextEncoder]]:
        """Return how a copy is built, which has no words."""
        return TextReader, (self._encoder,)

    def read(self, array: pa.Array) -> Float32s:
        """Return the vectors of texts `(n_texts, size)`, NaN for null."""
        if pa.types.is_dictionary(array.type):
            vectors = self.read(array.dictionary)
            indices = array.indices.cast(pa.int64()).fill_null(len(vectors))
            rows = np.append(vectors, np.full((1, self._encoder.size), np.nan, np.float32), axis=0)
            taken: Float32s = np.take(rows, indices.to_numpy(zero_copy_only=False), axis=0)
            return taken
        array = hashable(array)
        texts = array.fill_null("") if array.null_count else array
        repeated = self._are_repeated(texts)
        vectors = self._read_repeated(texts) if repeated else self._read_distinct(texts)
        if array.null_count:
            vectors[array.is_null().to_numpy(zero_copy_only=False)] = np.nan
        return vectors

    def _are_repeated(self, texts: pa.Array) -> bool:
        """Return whether most texts have been read before, as far as texts are kept."""
        with self._lock:
            if len(self._texts) < KEPT_TEXTS:
                return True
            if self._distinct_batches % COMPARED_BATCHES == 0:
                compared = text_keys(texts.slice(0, COMPARED_TEXTS))
                if 2 * self._texts.share(compared) > 1:
                    return True
            self._distinct_batches += 1
            return False

    def _read_distinct(self, texts: pa.Array) -> Float32s:
        """Return the vectors of texts, of which each is encoded."""
        parts = [self._text_vectors(split_words(block)) for block in text_blocks(texts)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _read_repeated(self, texts: pa.Array) -> Float32s:
        """Return the vectors of texts, of which new ones are encoded once."""
        slices = [texts.slice(first, MAX_VECTORS) for first in range(0, len(texts), MAX_VECTORS)]
        parts = [self._kept_vectors(part) for part in slices or [texts]]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _kept_vectors(self, texts: pa.Array) -> Float32s:
        def vectors_of(new: Indices) -> tuple[Float32s, Integers]:
            vectors = self._read_distinct(texts.take(pa.array(new)))
            return vectors, np.zeros(len(new), dtype=np.int64)

        with self._lock:
            positions = self._texts.positions(text_keys(texts), vectors_of)
            vectors: Float32s = np.take(self._texts.vectors.numpy(), positions, axis=0)
        return vectors

    def _text_vectors(self, words: Words) -> Float32s:
        def vectors_of(new: Indices) -> tuple[Float32s, Integers]:
            ngrams = self._encoder.ngrams(words.strings(new))
            starts = ngrams.indptr[:-1]
            vectors = _weighted_sums(ngrams.indices, starts, ngrams.data, self._ngrams)
            return vectors, whole_squares(ngrams)

        with self._lock:
            positions = self._words.positions(words.keys, vectors_of)
            weights = word_weights(words, positions, self._words.squares)
            return _weighted_sums(positions, words.ends[:-1], weights, self._words.vectors)


def _weighted_sums(
    positions: AnyArray, starts: AnyArray, weights: Float32s, vectors: Tensor
) -> Float32s:
    """Return weighted sums of the vectors at positions `(n_sums, size)`; each sum has its start."""
    # Indices of 32 bits have a vectorised kernel.
    sums = functional.embedding_bag(
        torch.from_numpy(positions.astype(np.int32, copy=False)),
        vectors,
        torch.from_numpy(starts.astype(np.int32)),
        mode="sum",
        per_sample_weights=torch.from_numpy(weights),
    )
    rows: Float32s = sums.numpy()
    return rows
