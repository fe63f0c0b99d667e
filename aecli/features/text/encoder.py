"""Encoder of texts: tf-idf of hashed n-grams, projected on the components of a truncated SVD."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from aecli.array_types import AnyArray, AnyFloats, Float32s, Indices, Integers, Mask
from aecli.features.text.multibyte import set_positions
from aecli.features.text.ngrams import BUCKETS, ngram_counts
from aecli.features.text.stored_texts import StoredTexts
from aecli.features.text.words import Words, split_words, text_blocks

if TYPE_CHECKING:
    from scipy.sparse import csr_array


MIN_SQUARES = 1e-12
"""Minimum squared length of a text, for texts without known n-grams."""

SQUARE_UNIT = 2.0**-24
"""Unit of the squared lengths of words, of which the smallest is 1: the precision of float32."""


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

    def encode(self, texts: pa.Array) -> Float32s:
        """Return the vectors of texts `(n_texts, size)`, none of which is null.

        `TextReader` does the same for many batches.
        """
        vectors = np.empty((len(texts), self.size), dtype=np.float32)
        first = 0
        for block in text_blocks(texts):
            terms, ngrams = self.terms(split_words(block))
            vectors[first : first + len(block)] = terms @ (ngrams @ self.components.T)
            first += len(block)
        return vectors

    def terms(self, words: Words) -> tuple[csr_array, csr_array]:
        """Return the weights of distinct words in texts, and the n-grams of these words."""
        distinct, codes = words.distinct()
        ngrams = self.ngrams(distinct)
        weights = word_weights(words, codes, whole_squares(ngrams))
        return word_matrix(words, codes, weights), ngrams

    def ngrams(self, words: pa.Array) -> csr_array:
        """Return the weighted n-grams of words `(n_words, n_features)`."""
        ngrams = ngram_counts(words, self._columns)
        ngrams.data *= self.weights[ngrams.indices]
        return ngrams

    @cached_property
    def _columns(self) -> AnyArray:
        """Return the position of each hash value in `features`; -1 if it has none."""
        columns = np.full(BUCKETS, -1, dtype=np.int32)
        columns[self.features] = np.arange(len(self.features))
        return columns

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


def word_matrix(words: Words, codes: Indices, values: Float32s) -> csr_array:
    """Return the sum of the values of each distinct word in each text `(n_texts, n_words)`."""
    from scipy.sparse import csr_array

    shape = (len(words.ends) - 1, int(codes.max(initial=-1)) + 1)
    matrix = csr_array((values, codes, words.ends), shape=shape, copy=True)
    matrix.sum_duplicates()
    return matrix


def whole_squares(ngrams: csr_array) -> Integers:
    """Return the squared length of each row, in units of `SQUARE_UNIT`."""
    squares: Integers = np.rint(ngrams.power(2).sum(axis=1) / SQUARE_UNIT).astype(np.int64)
    return squares


def word_weights(words: Words, codes: Indices, squares: Integers) -> Float32s:
    """Return the weight of each word in the vector of its text `(n_words,)`.

    A word that is in a text n times has the weight 1 + log(n), of which each time has its share.
    The weights are divided by the length of the text, for which different words are orthogonal.

    Args:
        words: of texts.
        codes: positions of words among the distinct ones `(n_words,)`.
        squares: squared length of each distinct word, as returned by `whole_squares`.
    """
    counts = words.counts(codes)
    repeated = set_positions(counts > 1)
    numbers = counts[repeated].astype(np.float64)
    shares = (1 + np.log(numbers)) / numbers
    values = squares.take(codes)
    values[repeated] = np.rint(values[repeated] * (shares * shares * numbers))
    sums = (words.sums(values) * SQUARE_UNIT).astype(np.float32)
    scales = 1 / np.sqrt(np.maximum(sums, np.float32(MIN_SQUARES)))
    weights: Float32s = words.spread(scales)
    weights[repeated] *= shares
    return weights
