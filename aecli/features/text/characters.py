"""Convert texts to the codes of their characters, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import AnyFloats, Mask
from aecli.formatting import percent
from aecli.schema.model_spec import MAX_ALPHABET, MAX_LENGTH, Column

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""Character for the code of characters outside of the alphabet."""

COVERED = 0.99
"""Share of the training texts that are not cut, unless they are longer than `MAX_LENGTH`."""

MIN_COUNT = 2
MIN_SHARE = 1e-5
"""Share of all characters below which a character is not in the alphabet."""

Points = npt.NDArray[np.uint32]


def code_points(texts: pa.Array, size: int) -> tuple[Points, Mask]:
    """Return the first `size` code points of texts `(n_texts, size)`, and where there is one.

    A null has none. What is behind the first `size` characters is not read.
    """
    first = pc.utf8_slice_codeunits(texts, 0, size)
    lengths = pc.utf8_length(first).fill_null(0).to_numpy(zero_copy_only=False)
    values = np.array(first.fill_null("").to_pylist(), dtype=f"U{size}")
    points = values.view(np.uint32).reshape(len(texts), size)
    return points, np.arange(size) < lengths[:, None]


class CharacterCodes:
    """Map between the texts of a column and codes `(n_rows, size)` of their characters.

    The codes are those of the alphabet, then one for all other characters, then one for the end of
    a text of less than `size` characters. Cells behind the end, and of a missing text, are NaN.
    """

    def __init__(self, column: Column) -> None:
        self.size = column.length
        points = np.array([ord(character) for character in column.alphabet], dtype=np.uint32)
        self._order = np.argsort(points)
        self._sorted = points[self._order]
        self.other = len(points)
        self.end = len(points) + 1
        self._points = np.append(points, [ord(REPLACEMENT), 0]).astype(np.uint32)

    def read(self, array: pa.Array) -> npt.NDArray[np.float32]:
        """Return the cells of texts `(n_rows, size)`; equal texts are read once."""
        if not pa.types.is_dictionary(array.type):
            array = array.dictionary_encode()
        distinct = array.dictionary
        table = np.full((len(distinct) + 1, self.size), np.nan, dtype=np.float32)
        points, inside = code_points(distinct, self.size)
        table[:-1][inside] = self._codes(points[inside])
        rows, lengths = np.arange(len(distinct)), inside.sum(axis=1)
        ended = (lengths < self.size) & distinct.is_valid().to_numpy(zero_copy_only=False)
        table[rows[ended], lengths[ended]] = self.end
        indices = array.indices.cast(pa.int64()).fill_null(len(distinct))
        cells: npt.NDArray[np.float32] = table[indices.to_numpy(zero_copy_only=False)]
        return cells

    def _codes(self, points: Points) -> npt.NDArray[Any]:
        """Return the codes of code points `(n,)`."""
        if not len(self._sorted):
            return np.full(len(points), self.other)
        nearest = np.searchsorted(self._sorted, points).clip(max=len(self._sorted) - 1)
        return np.where(self._sorted[nearest] == points, self._order[nearest], self.other)

    def most_likely(self, outputs: AnyFloats) -> npt.NDArray[np.int64]:
        """Return the most likely codes `(n_rows, size)` of outputs `(n_rows, size * n_codes)`."""
        logits = outputs.reshape(len(outputs), self.size, self.end + 1)
        codes: npt.NDArray[np.int64] = logits.argmax(axis=2)
        return codes

    def texts(self, codes: npt.NDArray[np.int64]) -> pa.Array:
        """Return the texts of codes `(n_rows, size)`: the characters before the first end."""
        before_end = np.logical_and.accumulate(codes != self.end, axis=1)
        points = np.ascontiguousarray(np.where(before_end, self._points[codes], np.uint32(0)))
        return pa.array(points.view(f"U{self.size}")[:, 0].tolist(), pa.string())


def fit_characters(column: Column, texts: pa.Array) -> Column | None:
    """Return a text column as characters, with the alphabet and the length of training texts.

    None if the characters that are read are equal in all texts.

    Args:
        column: of kind `text`, not constant.
        texts: a sample of its training texts, without nulls.
    """
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
    size = int(min(MAX_LENGTH, max(1, np.quantile(lengths, COVERED, method="inverted_cdf"))))
    points, inside = code_points(texts, size)
    found, counts = np.unique(points[inside], return_counts=True)
    frequent = counts >= max(MIN_COUNT, MIN_SHARE * counts.sum())
    found, counts = found[frequent & (found > 0)], counts[frequent & (found > 0)]
    order = np.argsort(-counts, kind="stable")[:MAX_ALPHABET]
    fitted = column.model_copy(
        update={
            "kind": "characters",
            "size": 1,
            "center": [],
            "scale": [],
            "alphabet": "".join(map(chr, found[order].tolist())),
            "modes": [0] * size,
            "reason": f"{column.reason}{_cut(lengths, size)}: decoded by character",
        }
    )
    codes = CharacterCodes(fitted).read(texts)
    if np.array_equal(codes, np.broadcast_to(codes[0], codes.shape), equal_nan=True):
        return None
    modes = [_most_frequent(codes[:, position]) for position in range(size)]
    return fitted.model_copy(update={"modes": modes})


def _cut(lengths: npt.NDArray[Any], size: int) -> str:
    """Return how much of the training texts is read, if some are longer than `size`."""
    longer = float((lengths > size).mean())
    return f", the first {size} characters ({percent(longer)} are longer)" if longer else ""


def _most_frequent(codes: npt.NDArray[np.float32]) -> int:
    observed = codes[~np.isnan(codes)].astype(np.int64)
    return int(np.bincount(observed).argmax()) if len(observed) else 0
