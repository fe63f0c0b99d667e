"""Encoder of texts: tf-idf of hashed n-grams, projected on the components of a truncated SVD."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from aecli.array_types import AnyFloats, Float32s, Integers, Mask
from aecli.features.text.ngrams import BUCKETS, Words, ngram_counts, split_words
from aecli.features.text.stored_texts import StoredTexts
from aecli.table.arrow_types import hashable

if TYPE_CHECKING:
    from scipy.sparse import csr_array


BLOCK_BYTES = 1 << 21
"""Size of the texts that are encoded together, which bounds the memory."""

COMPARED_TEXTS = 1_000
"""Number of texts of a batch by which it is decided whether most of them differ."""


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """Map from texts to vectors `(n_texts, size)`, as fitted on training texts.

    A text is the sum of its words, each weighted by 1 + log(its count), and a word the sum of its
    n-grams (Bojanowski et al. 2017, Enriching Word Vectors with Subword Information, §3.2), each
    weighted by its inverse document frequency (Salton and Buckley 1988). The sum is divided by its
    length, for which different words are orthogonal, and projected on the components.

    Attributes:
        features: hash values of the n-grams, ascending `(n_features,)`.
        weights: their inverse document frequencies `(n_features,)`.
        components: of the truncated SVD `(size, n_features)`.
        texts: training texts that vectors are converted back to; None without these.
    """

    features: Integers
    weights: Float32s
    components: Float32s
    texts: StoredTexts | None = None

    @property
    def size(self) -> int:
        """Return the number of elements of a vector."""
        return len(self.components)

    def encode(self, array: pa.Array) -> Float32s:
        """Return the vectors of texts `(n_texts, size)`, NaN for null.

        Where most texts are equal to others, each one is encoded once.
        """
        if not pa.types.is_dictionary(array.type):
            array = hashable(array)
            first = array.slice(0, COMPARED_TEXTS)
            if 2 * len(first.unique()) > len(first):
                vectors = self.encode_all(array.fill_null(""))
                vectors[array.is_null().to_numpy(zero_copy_only=False)] = np.nan
                return vectors
            array = array.dictionary_encode()
        known = np.full((len(array.dictionary) + 1, self.size), np.nan, dtype=np.float32)
        known[:-1] = self.encode_all(array.dictionary.fill_null(""))
        indices = array.indices.cast(pa.int64()).fill_null(len(array.dictionary))
        rows: Float32s = known[indices.to_numpy(zero_copy_only=False)]
        return rows

    def encode_all(self, texts: pa.Array) -> Float32s:
        """Return the vectors of texts `(n_texts, size)`, none of which is null."""
        vectors = np.empty((len(texts), self.size), dtype=np.float32)
        rows = max(1, BLOCK_BYTES * len(texts) // max(1, texts.nbytes))
        for start in range(0, len(texts), rows):
            words = split_words(texts.slice(start, rows))
            ngrams, terms = self.ngrams(words), term_weights(words)
            sums = terms @ (ngrams @ self.components.T)
            vectors[start : start + rows] = sums / text_lengths(terms, ngrams)[:, None]
        return vectors

    def ngrams(self, words: Words) -> csr_array:
        """Return the weighted n-grams of words `(n_words, n_features)`."""
        from scipy.sparse import csr_array

        counts = ngram_counts(words)
        columns = self._position[counts.indices]
        known = columns < len(self.features)
        ends = np.concatenate([[0], np.cumsum(known)])[counts.indptr]
        columns = columns[known]
        data = counts.data[known] * self.weights[columns]
        return csr_array((data, columns, ends), shape=(counts.shape[0], len(self.features)))

    @cached_property
    def _position(self) -> Integers:
        """Return the position of each hash value in `features`; their number if it has none."""
        positions = np.full(BUCKETS, len(self.features))
        positions[self.features] = np.arange(len(self.features))
        return positions

    def decode(self, vectors: AnyFloats, kind: pa.DataType) -> pa.Array:
        """Return the nearest stored text of each vector `(n_rows, size)`; null if none is near."""
        if self.texts is None:
            return pa.nulls(len(vectors), kind)
        return self.texts.nearest(vectors).cast(kind)

    def retrieved(self, actual: AnyFloats, vectors: AnyFloats) -> Mask | None:
        """Return where vectors are converted back to the text of the actual ones `(n_rows,)`.

        None without stored texts.
        """
        return None if self.texts is None else self.texts.same(actual, vectors)


def term_weights(words: Words) -> csr_array:
    """Return the weight of each word in each text `(n_texts, n_words)`."""
    weights = words.counts.copy()
    weights.data = 1 + np.log(weights.data)
    return weights


def text_lengths(terms: csr_array, ngrams: csr_array) -> Float32s:
    """Return the Euclidean length of each text `(n_texts,)`, with words as orthogonal."""
    squares = terms.power(2) @ ngrams.power(2).sum(axis=1)
    lengths: Float32s = np.sqrt(np.maximum(squares, np.float32(1e-12)))
    return lengths
