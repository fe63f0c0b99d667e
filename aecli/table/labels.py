"""Read the label column: its classes, and the class of each row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import Codes, Mask
from aecli.errors import DataError
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.schema.model_spec import Category, Label
from aecli.schema.network import MAX_CLASSES
from aecli.table.arrow_types import hashable, is_plain_number, is_text, python_values, type_name
from aecli.table.cells.conversion import NULLS
from aecli.table.cells.reading import Reading
from aecli.table.column_names import require_column
from aecli.table.source import Source

MANY_CLASSES = 10
MANY_NUMBERS = 50
FEW_ROWS_PER_CLASS = 5

COUNTED_ROWS = 1 << 18
"""Rows whose labels are counted at once."""


def read_labels(source: Source, label: str, *, ranks: Ranks = ONE_PROCESS) -> tuple[Label, Codes]:
    """Return the label with its counts over all rows, and codes `(n_rows,)`, -1 for null.

    Classes are sorted: numbers by value, text by code point, False before True. Of several ranks
    each has the codes of its rows; the classes and their counts are those of all.

    Raises:
        DataError: the column does not exist; it has no labelled row, only one class, or more than
            `MAX_CLASSES`; or its type or values cannot be classes.
    """
    require_column(source.name, source.names, label, "--label")
    narrowed = with_written_label(source, label).select([label])
    kind = narrowed.schema.field(label).type
    if not _may_be_classes(kind):
        raise DataError(
            f"label column {label!r} is a {type_name(kind)}",
            facts=["a label is text, an integer, a boolean, or a dictionary of these"],
            hint="another column for --label",
        )
    seen: dict[Category, int] = {}
    parts = []
    for batch in narrowed.batches():
        parts.append(_codes(batch.column(0), seen, label).astype(np.int32))
        if len(seen) > MAX_CLASSES:
            break
    rows = sum(ranks.gather(sum(map(len, parts))))
    seen, parts = _with_all_classes(seen, parts, ranks)
    if len(seen) > MAX_CLASSES:
        raise DataError(
            f"label column {label!r} has more than {MAX_CLASSES:,} classes",
            facts=["it looks like an identifier, or like a number to predict"],
            hint="another column for --label, or no --label",
        )
    if not rows:
        raise DataError(f"{source.name} has no rows", hint="a table with at least one row")
    _require_two_classes(seen, label, rows)
    classes = sorted(seen)
    rank = np.empty(len(seen) + 1, dtype=np.int64)
    rank[[seen[value] for value in classes]] = np.arange(len(classes))
    rank[-1] = -1
    codes = _joined(parts, rank)
    uncounted = Label(name=label, type=type_name(kind), classes=classes, counts=[0] * len(classes))
    return with_counts(uncounted, codes, ranks=ranks), codes


def _with_all_classes(
    seen: dict[Category, int], parts: list[npt.NDArray[np.int32]], ranks: Ranks
) -> tuple[dict[Category, int], list[npt.NDArray[np.int32]]]:
    """Return the classes of all ranks in the order of the rows, and this rank's codes of them."""
    if ranks.size == 1:
        return seen, parts
    merged: dict[Category, int] = {}
    for classes in ranks.gather(list(seen)):
        for value in classes:
            merged.setdefault(value, len(merged))
    table = np.array([*(merged[value] for value in seen), -1], dtype=np.int32)
    return merged, [table[part] for part in parts]


def label_notes(label: Label) -> list[str]:
    """Return a note, in a list, if most classes are too rare to be learned.

    `label` has the counts of all rows.
    """
    classes, rows = len(label.classes), sum(label.counts)
    single = sum(count == 1 for count in label.counts)
    numbers = all(isinstance(value, int) and not isinstance(value, bool) for value in label.classes)
    if numbers and classes >= MANY_NUMBERS and rows < FEW_ROWS_PER_CLASS * classes:
        kind = "it looks like a number to predict"
    elif classes >= MANY_CLASSES and 2 * single >= classes:
        kind = "it looks like an identifier" if 10 * single >= 9 * classes else "they are too rare"
    else:
        return []
    fact = f"{single:,} of {classes:,} classes have one row" if single else ""
    fact = fact or f"{classes:,} integers in {rows:,} rows"
    role = f", or --id {label.name}" if kind == "it looks like an identifier" else ""
    return [f"label {label.name!r}: {fact}: {kind}; try another --label{role}"]


def with_written_label(source: Source, label: str) -> Source:
    """Return the same rows with the label's text not converted.

    If the text represents numbers, booleans or times, the usual texts for missing are missing.
    """
    reading = source.select([label]).readings[label]
    if reading.format is None:
        return source.with_texts([label])
    nulls = reading.null_values | frozenset(NULLS)
    return source.select(source.names, {label: Reading(pa.string(), null_values=nulls)})


def with_counts(
    label: Label, codes: Codes, rows: Mask | None = None, *, ranks: Ranks = ONE_PROCESS
) -> Label:
    """Return the label with its classes counted where `rows` is True; in all rows for None.

    The counts are those of the rows of all ranks.
    """
    counts = np.zeros(len(label.classes), dtype=np.int64)
    for start in range(0, len(codes), COUNTED_ROWS):
        block = slice(start, start + COUNTED_ROWS)
        chosen = codes[block] if rows is None else codes[block][rows[block]]
        counts += np.bincount(chosen[chosen >= 0], minlength=len(counts))
    return label.model_copy(update={"counts": np.sum(ranks.gather(counts), axis=0).tolist()})


def label_codes(array: pa.Array, label: Label) -> Codes:
    """Return the codes `(n_rows,)` of a new table's labels; -1 for null and for unknown classes.

    Values of another type are compared as text: `1`, `1.0` and `"1"` are the same class, but two
    texts are the same class only if they are equal.
    """
    code_of: dict[Any, int] = {value: code for code, value in enumerate(label.classes)}
    code_of_text = {_as_text(v): code for v, code in code_of.items() if not isinstance(v, str)}
    values, indices = _encoded(array, label.name)
    code_table = [
        code_of.get(
            value, (code_of_text if isinstance(value, str) else code_of).get(_as_text(value), -1)
        )
        for value in values
    ]
    return np.array([*code_table, -1], dtype=np.int64)[indices]


def unknown_labels(array: pa.Array, codes: Codes) -> int:
    """Return the number of cells with code -1 that are not missing: unknown classes."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    missing = pc.is_null(array, nan_is_null=True).to_numpy(zero_copy_only=False)
    return int(np.count_nonzero((codes < 0) & ~missing))


def _may_be_classes(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    classes = is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    return classes or is_plain_number(kind)


def _codes(array: pa.Array, seen: dict[Category, int], label: str) -> Codes:
    """Return codes in the order of appearance, -1 for null; new classes are added to `seen`."""
    values, indices = _encoded(array, label)
    code_table = []
    for value in values:
        if value is None or value != value:
            code_table.append(-1)
            continue
        if isinstance(value, (float, Decimal)):
            if isinstance(value, Decimal) or not value.is_integer():
                raise DataError(
                    f"label column {label!r} contains {float(value):g}: it looks like a number to "
                    "predict, not classes",
                    hint="a column of classes for --label, or no --label",
                )
            value = int(value)
        code_table.append(seen.setdefault(value, len(seen)))
    return np.array([*code_table, -1], dtype=np.int64)[indices]


def _joined(parts: list[npt.NDArray[np.int32]], rank: Codes) -> Codes:
    """Return the final codes of all parts, which are not joined before: that takes more memory."""
    codes, start = np.empty(sum(map(len, parts)), dtype=np.int64), 0
    for part in parts:
        codes[start : start + len(part)] = rank[part]
        start += len(part)
    return codes


def _encoded(array: pa.Array, column: str) -> tuple[list[Any], Codes]:
    """Return the distinct values, and each row's index into them, -1 for null."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()  # a dictionary may have values that no row has
    if pa.types.is_floating(array.type):
        array = array.cast(pa.float64())
    encoded = hashable(array).dictionary_encode()
    indices = encoded.indices.cast(pa.int64()).fill_null(-1)
    return python_values(encoded.dictionary, column), indices.to_numpy(zero_copy_only=False)


def _require_two_classes(seen: dict[Category, int], label: str, rows: int) -> None:
    if len(seen) > 1:
        return
    if not seen:
        what = f"label column {label!r} has no value in {rows:,} rows"
    else:
        what = f"label column {label!r} has only one class: {next(iter(seen))!r}"
    raise DataError(
        what,
        facts=["a classifier needs at least two classes"],
        hint="another column for --label, or no --label",
    )


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value.strip().lower() if isinstance(value, str) else str(value)
