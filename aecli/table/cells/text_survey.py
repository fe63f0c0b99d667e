"""Determine the number, date and boolean formats of text columns from all of their cells."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from aecli.array_types import AnyArray
from aecli.schema.read_options import ReadOptions
from aecli.schema.text_format import ISO_MIXED, TextFormat
from aecli.table.arrow_types import is_plain_number
from aecli.table.cells.conversion import without_nulls
from aecli.table.cells.date_format import date_formats
from aecli.table.cells.number_format import (
    marks_in,
    normalized_texts,
    number_formats,
    plain_numbers,
)
from aecli.table.cells.reading import Reading, parsed, without_texts
from aecli.table.cells.type_inference import infer_text, infer_times
from aecli.table.cells.type_joins import join_types

_SAMPLED_VALUES = 200
_MIN_VALUES_WITH_UNIT = 8  # fewer are names, such as 2WD and 4WD
_MAX_SHOWN_LENGTH = 30
_ADDRESS = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}")
_BOOLEAN_TEXTS = ({"no", "yes"}, {"n", "y"}, {"f", "t"}, {"off", "on"})


@dataclass(frozen=True)
class FormatCount:
    """Possible format of a column's cells, and the number of cells that have it.

    `type` fits their values, `marks` are the separators in them, and `first_other` is the row and
    the text of the first cell that does not fit.
    """

    format: TextFormat
    cells: int = 0
    type: pa.DataType = field(default_factory=pa.null)
    marks: frozenset[str] = frozenset()
    first_other: tuple[int, str] | None = None

    @property
    def is_date(self) -> bool:
        """Return whether it is a format of dates or times."""
        return self.format.date_format is not None


class ColumnSurvey:
    """Possible formats of one text column, updated as its cells are read.

    Args:
        options: the separators and the date format to use.
        known: the format of the column in a saved model.
        plain: whether plain numbers are numbers; in formats with types, text is text on purpose.
    """

    def __init__(
        self, options: ReadOptions, known: TextFormat | None = None, *, plain: bool = True
    ) -> None:
        self.options = options
        self.known = known
        self.plain = plain
        self.counts: list[FormatCount] | None = None
        self.cells = self.rows = 0
        self.times: pa.DataType = pa.null()
        self.values: set[str] = set()

    @property
    def open(self) -> bool:
        """Return whether more cells could change the result."""
        few = len(self.values) <= 2 and self._may_be_boolean()
        return self.counts is None or bool(self.counts) or few

    def add(self, array: pa.Array) -> None:
        """Count the next cells."""
        texts = without_texts(array.cast(pa.string()), frozenset(self.options.null_values))
        texts = without_nulls(texts)
        counted = pc.value_counts(texts.drop_null())
        if len(counted):
            values, numbers = counted.field(0), counted.field(1).to_numpy()
            self._add_values(values, numbers, texts)
        self.rows += len(array)

    @property
    def ambiguous(self) -> bool:
        """Return whether a separator of its numbers may be one of decimals or of thousands."""
        numbers = _numbers(self)
        return len(numbers) > 1 and not _same_values(numbers)

    @property
    def are_codes(self) -> bool:
        """Return whether all cells have the same groups of digits, as phone numbers do."""
        if all(_ADDRESS.fullmatch(value) for value in self.values):
            return bool(self.values)
        groups = {tuple(map(len, re.split("[.,' ]", value))) for value in self.values}
        return len(self.values) > 1 and groups in ({(3, 3, 3)}, {(3, 3, 3, 3)})

    def full(self) -> list[FormatCount]:
        """Return the formats that every cell has."""
        return [count for count in self.counts or [] if count.cells == self.cells]

    def nearest(self) -> FormatCount | None:
        """Return the format that most cells have, None if less than half of them have it."""
        counts = [count for count in self.counts or [] if count.cells * 2 >= self.cells]
        return max(counts, key=lambda count: count.cells, default=None)

    def boolean_texts(self) -> tuple[str, str] | None:
        """Return the texts of false and true if the column has only these two values."""
        if len(self.values) != 2 or not self._may_be_boolean():
            return None
        first, second = sorted(self.values, key=str.casefold)  # no, off and f sort first
        return first, second

    def _may_be_boolean(self) -> bool:
        folded = {value.casefold() for value in self.values}
        return len(folded) == len(self.values) and any(folded <= pair for pair in _BOOLEAN_TEXTS)

    def _add_values(self, values: pa.Array, numbers: AnyArray, texts: pa.Array) -> None:
        plain = normalized_texts(values)
        if self.counts is None:
            self.counts = self._candidates(values[:_SAMPLED_VALUES].to_pylist())
        if len(self.values) < _MIN_VALUES_WITH_UNIT:
            self.values.update(values[:_MIN_VALUES_WITH_UNIT].to_pylist())
        self.cells += int(numbers.sum())
        counts = [
            self._counted(count, values if count.is_date else plain, numbers, texts, values)
            for count in self.counts
        ]
        self.counts = [count for count in counts if count.cells * 2 >= self.cells]
        if any(count.is_date for count in self.counts):
            self.times = join_types(self.times, infer_times(values)) or pa.string()

    def _candidates(self, sample: Sequence[str]) -> list[FormatCount]:
        options = self.options
        decimals = [options.decimal] if options.decimal else [".", ","]
        formats = [self.known] if self.known and self.known.booleans is None else []
        formats += [
            format
            for format in number_formats(sample)
            if format.thousands == options.thousands and format.decimal in decimals
        ]
        if options.date_format is not None:
            formats.append(TextFormat(date_format=options.date_format))
        formats += date_formats(sample)
        return [FormatCount(format) for format in dict.fromkeys(formats)]

    def _counted(
        self,
        count: FormatCount,
        values: pa.Array,
        numbers: AnyArray,
        texts: pa.Array,
        written: pa.Array,
    ) -> FormatCount:
        """Return a count of the cells of distinct `values`, each with its frequency."""
        format, result = count.format, _values_of(values, count.format)
        if result.null_count and not (count.is_date or format.thousands or self.options.thousands):
            # A thousands separator accepts everything that the format without one does.
            others = (mark for mark in marks_in(values, format) if mark != format.decimal)
            formats = [format.model_copy(update={"thousands": mark}) for mark in others]
            results = [(result, format), *((_values_of(values, f), f) for f in formats)]
            result, format = min(results, key=lambda pair: pair[0].null_count)
        fits = result.is_valid()
        first_other = count.first_other
        if first_other is None and result.null_count:
            wrong = pc.is_in(texts, written.filter(pc.invert(fits)))
            row = pc.index(wrong, True).as_py()
            first_other = (self.rows + row, texts[row].as_py())
        marks, kind = count.marks, count.type
        if count.is_date:
            kind = join_types(kind, result.type) or pa.string()
        else:
            marks |= marks_in(values.filter(fits), format)
            kind = infer_text(result, kind)
        cells = count.cells + int(numbers[fits.to_numpy(zero_copy_only=False)].sum())
        return FormatCount(format, cells, kind, frozenset(marks), first_other)


def are_boolean_texts(values: Collection[str]) -> bool:
    """Return whether these are the two texts of a column of booleans, such as yes and no."""
    return {value.casefold() for value in values} in _BOOLEAN_TEXTS


def _values_of(values: pa.Array, format: TextFormat) -> pa.Array:
    """Return dates, or numbers of `normalized_texts`; null for text that does not fit."""
    if format.date_format is not None:
        return parsed(values, format)
    return plain_numbers(values, format)


def decimal_marks(surveys: Iterable[ColumnSurvey]) -> set[str]:
    """Return the decimal separators of columns that are not ambiguous."""
    marks: set[str] = set()
    for survey in surveys:
        numbers = _numbers(survey)
        if len(numbers) == 1 and numbers[0].format.decimal in numbers[0].marks:
            marks.add(numbers[0].format.decimal)
    return marks


def survey_reading(survey: ColumnSurvey, decimals: set[str]) -> Reading | None:
    """Return how a text column is read, None if it stays text.

    Args:
        survey: of all cells.
        decimals: the decimal separators of the table's other columns, which resolve ambiguous
            cells such as 1,234.
    """
    if not survey.cells:
        return None
    dates = [count for count in survey.full() if count.is_date]
    wanted = (survey.known, TextFormat(date_format=survey.options.date_format))
    if pa.types.is_temporal(survey.times) and not any(d.format in wanted for d in dates):
        return Reading(survey.times)
    certain = [date for date in dates if len(dates) == 1 or _is_certain(date, survey)]
    if certain:
        return Reading(certain[0].type, certain[0].format)
    numbers = _numbers(survey)
    if survey.ambiguous:
        decided = [count for count in numbers if {count.format.decimal} == decimals]
        known = [count for count in numbers if count.format == survey.known]
        numbers = decided or known
    if numbers:
        return Reading(numbers[0].type, numbers[0].format)
    texts = survey.boolean_texts()
    return Reading(pa.bool_(), TextFormat(booleans=texts)) if texts else None


def survey_evidence(survey: ColumnSurvey, location: Callable[[int], str]) -> str | None:
    """Return why a column that is nearly numbers or dates is not, None for other text.

    Args:
        survey: of all cells.
        location: returns the location of a row of the table.
    """
    dates = [count.format.date_format for count in survey.full() if count.is_date]
    if len(dates) > 1:
        choices = " or ".join(f"--date-format '{date}'" for date in dates[:2])
        return f"dates with ambiguous day and month: {choices}"
    if survey.ambiguous:
        mark = "," if "," in _numbers(survey)[0].marks else "."
        return (
            f"numbers in which {mark!r} may separate decimals or thousands: --decimal {mark} or "
            f"--thousands {mark}"
        )
    nearest = survey.nearest()
    if nearest is None or nearest.first_other is None:
        return None
    row, text = nearest.first_other
    long = len(text) > _MAX_SHOWN_LENGTH
    shown = text[: _MAX_SHOWN_LENGTH - 1] + "…" if long else text
    # A cell with digits is a value, and the option splits its values at commas.
    listed = not long and not re.search(r"[\d,\n]", text)
    option = f" (--null-values {shlex.quote(text)})" if listed else ""
    noun = "date" if nearest.is_date else "number"
    return (
        f"not a {noun}: {nearest.cells:,} of {survey.cells:,} cells are, the first other one is "
        f"{shown!r} in {location(row)}{option}"
    )


def _numbers(survey: ColumnSurvey) -> list[FormatCount]:
    """Return the formats in which every cell is a number."""
    numbers = [
        count
        for count in survey.full()
        if not count.is_date and is_plain_number(count.type) and not survey.are_codes
    ]
    if not survey.plain and any(count.format == TextFormat() for count in numbers):
        return []
    return [count for count in numbers if not _is_name(count, survey)]


def _is_name(count: FormatCount, survey: ColumnSurvey) -> bool:
    """Return whether a few values, an integer followed by letters, are names."""
    few = len(survey.values) < _MIN_VALUES_WITH_UNIT
    return few and count.format.suffix.strip()[:1].isalpha() and not count.marks


def _is_certain(count: FormatCount, survey: ColumnSurvey) -> bool:
    """Return whether the order of day and month is certain: by a model, or if the year is first."""
    text = count.format.date_format or ""
    known = survey.options.date_format or (survey.known.date_format if survey.known else None)
    same_days = known is not None and _days_of(text) == _days_of(known)
    return same_days or text == ISO_MIXED or text.startswith("%Y")


def _days_of(date_format: str) -> str:
    """Return a date format without its time of day and its century."""
    return re.split("[ T,]+%[HI]", date_format)[0].replace("%Y", "%y")


def _same_values(numbers: Sequence[FormatCount]) -> bool:
    """Return whether all formats parse the same numbers: no cell has a point or comma."""
    return not any(count.marks & {".", ","} for count in numbers)
