"""Sample the texts of a column, cut to the characters that are used."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import Indices
from aecli.row_sample import RowSample, position_keys

MAX_CHARACTERS = 1_000
"""Number of characters of a text that are used; the rest is ignored."""

SAMPLED_TEXTS = 20_000


def cut_texts(array: pa.Array) -> pa.Array:
    """Return texts of any type as `large_string`, cut to `MAX_CHARACTERS` characters."""
    array = array.cast(pa.large_string())
    longest = pc.max(pc.binary_length(array)).as_py() or 0
    return pc.utf8_slice_codeunits(array, 0, MAX_CHARACTERS) if longest > MAX_CHARACTERS else array


def add_texts(sample: RowSample, array: pa.Array) -> None:
    """Add the next texts that are not null to a uniform sample by their positions."""
    array = array.drop_null()

    def take(positions: Indices) -> dict[str, pa.RecordBatch]:
        texts = cut_texts(array.take(pa.array(positions)))
        return {"texts": pa.record_batch([texts], ["texts"])}

    sample.add(position_keys(sample.seen, len(array)), take)


def sampled_texts(sample: RowSample) -> pa.Array:
    """Return the texts of a sample in the order of the rows."""
    columns = sample.columns()
    return columns["texts"].column(0) if columns else pa.array([], pa.large_string())
