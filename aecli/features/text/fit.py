"""Fit text encoders on a sample of the training texts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from aecli.array_types import Float32s
from aecli.features.text.encoder import TextEncoder, word_matrix
from aecli.features.text.ngrams import BUCKETS, ngram_counts
from aecli.features.text.stored_texts import StoredTexts, most_frequent, separation
from aecli.features.text.words import Words, split_words

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MAX_SIZE = 64
"""Maximum number of components of a text column."""

MAX_FEATURES = 1 << 14
"""Maximum number of n-grams: the most frequent ones."""

MIN_TEXTS_PER_COMPONENT = 2

OVERSAMPLING = 8
POWER_ITERATIONS = 3


def fit_encoder(texts: pa.Array, *, store: bool) -> TextEncoder:
    """Fit an encoder on training texts `(n_texts,)` with words.

    With `store` the most frequent texts are stored.
    """
    words = split_words(texts)
    encoder = _weighted_ngrams(words)
    distinct = len(texts.unique())
    size = min(MAX_SIZE, max(1, distinct // MIN_TEXTS_PER_COMPONENT))
    components = truncated_svd(unit_rows(encoder, words), size)
    # The weights file has them in half precision, and training must see the same vectors.
    components = components.astype(np.float16).astype(np.float32)
    encoder = replace(encoder, components=components)
    return with_stored_texts(encoder, most_frequent(texts)) if store else encoder


def with_stored_texts(
    encoder: TextEncoder, texts: pa.Array, max_distance: float | None = None
) -> TextEncoder:
    """Return the encoder with texts that vectors are converted back to.

    The maximum distance is fitted where it is None: half of the texts are further from all others.
    """
    vectors = encoder.encode(texts)
    limit = separation(vectors) if max_distance is None else max_distance
    return replace(encoder, texts=StoredTexts(texts, vectors, limit))


def held_out_r2(texts: pa.Array, encoder: TextEncoder) -> float:
    """Return the R² of the tf-idf of half of the texts, by components fitted on the other half."""
    fitted, held_out = (
        unit_rows(encoder, split_words(texts.take(pa.array(np.arange(first, len(texts), 2)))))
        for first in (0, 1)
    )
    components = truncated_svd(fitted, encoder.size)
    mean: Float32s = np.asarray(fitted.mean(axis=0)).ravel()
    squares = float(held_out.power(2).sum())
    deviations = (
        squares - 2 * float((held_out @ mean).sum()) + held_out.shape[0] * float(mean @ mean)
    )
    errors = squares - float(np.square(held_out @ components.T).sum())
    explained: float = 1 - errors / max(deviations, 1e-12)
    return explained


def unit_rows(encoder: TextEncoder, words: Words) -> csr_array:
    """Return the tf-idf of texts `(n_texts, n_features)`, divided by their lengths."""
    terms, ngrams = encoder.terms(words)
    return terms @ ngrams


def truncated_svd(rows: csr_array, size: int) -> Float32s:
    """Return the first right singular vectors `(size, n_features)`.

    Randomised subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4).
    """
    size = max(1, min(size, *rows.shape))
    width = min(size + OVERSAMPLING, max(1, min(rows.shape)))
    draws = np.random.Generator(np.random.Philox(key=[0, 0]))
    basis = draws.standard_normal((rows.shape[1], width)).astype(np.float32)
    for _ in range(POWER_ITERATIONS):
        basis, _ = np.linalg.qr(rows.T @ (rows @ basis))
    _, _, right = np.linalg.svd(rows @ basis, full_matrices=False)
    components = (basis @ right.T).T[:size]
    # The sign of a singular vector is arbitrary: its largest element is positive.
    largest = np.abs(components).argmax(axis=1)
    signs = np.where(components[np.arange(len(components)), largest] < 0, -1, 1)
    oriented: Float32s = (components * signs[:, None]).astype(np.float32)
    return oriented


def _weighted_ngrams(words: Words) -> TextEncoder:
    """Return an encoder without components: n-grams of at least two texts, if there are some."""
    distinct, codes = words.distinct()
    counts = ngram_counts(distinct, np.arange(BUCKETS))
    present = word_matrix(words, codes, np.ones(len(codes), dtype=np.float32)) @ counts
    frequencies = np.bincount(present.indices, minlength=present.shape[1])
    features = np.flatnonzero(frequencies >= min(2, frequencies.max()))
    features = features[frequencies[features] > 0]
    most = np.argsort(-frequencies[features], kind="stable")[:MAX_FEATURES]
    features = np.sort(features[most])
    # Smoothed, as if one more text had every n-gram.
    weights = np.log((1 + present.shape[0]) / (1 + frequencies[features])) + 1
    components = np.zeros((0, len(features)), dtype=np.float32)
    return TextEncoder(features, weights.astype(np.float32), components)
