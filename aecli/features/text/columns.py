"""Text columns of a plan: fit their encoders, and leave identifiers out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aecli.features.text.characters import fit_characters
from aecli.features.text.encoder import TextEncoder
from aecli.features.text.fit import fit_encoder, held_out_r2
from aecli.features.text.words import split_words
from aecli.schema.model_spec import Column, LeftOut
from aecli.schema.options import ColumnOptions
from aecli.table.candidate import named_like_identifier
from aecli.table.column_plan import ColumnPlan
from aecli.table.column_roles import NEARLY_DISTINCT_SHARE
from aecli.table.text_sample import MAX_CHARACTERS

MIN_IDENTIFIER_R2 = 0.1
"""R² of held-out tf-idf by its components below which n-grams have nothing in common."""

MIN_DEVIATION = 1e-3
"""Deviation of the vectors of texts, of length 1, below which they differ by rounding only."""

MAX_PATTERN_SHARE = 0.01
"""Share of distinct texts, after replacing digits, up to which they differ only in digits."""


def with_text_columns(plan: ColumnPlan, options: ColumnOptions) -> ColumnPlan:
    """Return the plan with the vectors of its text columns fitted, and without identifiers."""
    columns: list[Column] = []
    left_out = list(plan.left_out)
    named = {*options.columns, *options.text}
    for column in plan.columns:
        if column.name not in plan.texts:
            columns.append(column)
            continue
        fitted = _text_column(column, plan.texts[column.name], options, column.name in named)
        if isinstance(fitted, Column):
            columns.append(fitted)
        else:
            left_out.append(LeftOut(name=column.name, type=column.type, reason=fitted))
    return replace(plan, columns=tuple(columns), left_out=tuple(left_out), texts={})


def _text_column(
    column: Column, texts: pa.Array, options: ColumnOptions, named: bool
) -> Column | str:
    """Return the fitted column, or the reason why it is left out."""
    if not len(split_words(texts).keys):
        return f"{column.reason}, none with words"
    equal = f"{column.reason}, equal in the characters and words that are read"
    if options.text_decoder == "characters":
        reason = None if named else _identifier_reason(column, texts)
        return reason or fit_characters(column, texts) or equal
    encoder = fit_encoder(texts, store=options.text_values)
    reason = None if named else _identifier_reason(column, texts, encoder)
    return reason or _fitted(column, texts, encoder) or equal


def _fitted(column: Column, texts: pa.Array, encoder: TextEncoder) -> Column | None:
    """Return the column with the statistics of its vectors; None if these are all equal.

    They are divided by one number, so that the variances of the elements add up to 1, and a text
    is as important as a standardised number.
    """
    vectors = encoder.encode(texts).astype(np.float64)
    scale = float(np.sqrt(vectors.var(axis=0).sum()))
    if scale <= MIN_DEVIATION:
        return None
    center = vectors.mean(axis=0).tolist()
    longest = pc.max(pc.utf8_length(texts)).as_py() or 0
    cut = f", the first {MAX_CHARACTERS:,} characters" if longest >= MAX_CHARACTERS else ""
    fitted = column.model_copy(
        update={
            "size": encoder.size,
            "center": center,
            "mean": center,
            "scale": [scale] * encoder.size,
            "reason": f"{column.reason}{cut}: {encoder.size} components of its n-grams",
        }
    )
    return fitted.with_encoder(encoder)


def _identifier_reason(
    column: Column, texts: pa.Array, encoder: TextEncoder | None = None
) -> str | None:
    """Return why nearly unique texts of one word are identifiers, or None if they are not.

    The encoder is that of the texts, which is fitted here if there is none.
    """
    distinct = len(texts.unique())
    spaces = pc.match_substring_regex(pc.utf8_trim_whitespace(texts), r"\s")
    one_word = 1 - (pc.mean(spaces).as_py() or 0) >= NEARLY_DISTINCT_SHARE
    if distinct < NEARLY_DISTINCT_SHARE * len(texts) or not one_word:
        return None
    values = column.reason.removeprefix("text with ")
    if named_like_identifier(column.name):
        return f"identifier by its name: {values}"
    patterns = len(pc.replace_substring_regex(texts, r"\d+", "0").unique())
    if patterns <= max(1, MAX_PATTERN_SHARE * len(texts)):
        return f"identifier: {values}, which differ only in digits"
    encoder = encoder or fit_encoder(texts, store=False)
    if held_out_r2(texts, encoder) < MIN_IDENTIFIER_R2:
        return f"identifier: {values} without n-grams in common"
    return None
