"""Determine how the cells of each column of a table are read."""

from __future__ import annotations

import re
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice

import pyarrow as pa

from aecli.formatting import name_list
from aecli.ranks import ONE_PROCESS, Ranks
from aecli.schema.read_options import ReadOptions
from aecli.schema.text_format import TextFormat
from aecli.table.arrow_types import decoded_type, is_plain_number, is_text
from aecli.table.cells.reading import Reading, read_cells
from aecli.table.cells.text_survey import (
    ColumnSurvey,
    decimal_marks,
    survey_evidence,
    survey_reading,
)
from aecli.table.partition import Partition, common_types
from aecli.table.readers import TableReader

_SURVEY_ROWS = 65_536
_PLAIN = TextFormat()


class ColumnReadings:
    """Readings of a table's columns, each determined once, when it is first needed.

    Attributes:
        options: used to open the table.
        ranks: divide the columns to survey among themselves.
        evidence: by column, why a text column that is nearly numbers or dates is not.
    """

    def __init__(
        self,
        partitions: Sequence[Partition],
        options: ReadOptions,
        notes: list[str],
        *,
        evidence: dict[str, str] | None = None,
    ) -> None:
        self.evidence: dict[str, str] = {} if evidence is None else evidence
        self.options = options
        self.ranks: Ranks = ONE_PROCESS
        self._partitions = partitions
        self._notes = notes
        self._readings: dict[tuple[str, Reading | None], Reading | None] = {}
        self._nulls = frozenset(options.null_values)
        self._decimals: set[str] = set()

    def find(
        self, names: Sequence[str], given: Mapping[str, Reading], as_written: Collection[str]
    ) -> dict[str, Reading]:
        """Return the reading of each column.

        Args:
            names: of the columns.
            given: the readings of a saved model, of which only the format may change.
            as_written: columns whose text is never converted.

        Raises:
            DataError: the files do not agree on a column's type.
        """
        readings = dict(given)
        inferred = [name for name in names if name not in given]
        types = common_types(self._partitions, inferred)
        readings |= {name: Reading(kind, null_values=self._nulls) for name, kind in types.items()}
        texts = [name for name in inferred if name not in as_written and self._holds_text(name)]
        wanted: dict[str, Reading | None] = {
            name: None for name in texts if self._may_be_formatted(types[name])
        }
        wanted |= {name: given[name] for name in self._with_other_formats(given)}
        surveyed = self._surveyed(wanted)
        if self._is_decimal_comma():
            # Then 1.234 may mean 1234.
            plain: dict[str, Reading | None] = {
                name: None for name in texts if pa.types.is_floating(types[name])
            }
            plain |= {n: r for n, r in given.items() if self._holds_text(n)}
            plain = {n: r for n, r in plain.items() if n not in wanted and _is_plain(r)}
            others = {n: r for n, r in self._surveyed(plain).items() if r and r.format != _PLAIN}
            for name in plain.keys() - others.keys():
                self.evidence.pop(name, None)
            self._report_points([n for n in plain if n not in others])
            surveyed |= others
        readings |= {name: reading for name, reading in surveyed.items() if reading is not None}
        return {name: readings[name] for name in names}

    def ambiguity(self, name: str) -> tuple[str, str]:
        """Return what is ambiguous in a column's cells, and the options that resolve it.

        Both are empty without an ambiguity, and the options if none resolves it.
        """
        statement, _, options = self.evidence.get(name, "").partition(": ")
        is_open = options.startswith("--") or statement.startswith(("in ", "of "))
        return (statement, options) if is_open else ("", "")

    def _surveyed(self, wanted: Mapping[str, Reading | None]) -> dict[str, Reading | None]:
        """Return the readings that surveys determine, None for text."""
        self._survey({n: r for n, r in wanted.items() if (n, r) not in self._readings})
        return {name: self._readings[name, reading] for name, reading in wanted.items()}

    def _is_decimal_comma(self) -> bool:
        options = self.options
        if options.decimal == "," or options.thousands == ".":
            return True
        # In comma-separated files decimal commas need quotes, and are rare.
        readers = (partition.reader for partition in self._partitions)
        return "," in self._decimals and all(getattr(r, "delimiter", "") != "," for r in readers)

    def _may_be_formatted(self, kind: pa.DataType) -> bool:
        """Return whether text of a type may represent other values."""
        # A date format without separators, such as %Y%m%d, consists of digits only.
        digits = re.fullmatch("(?:%[YmdHMSyj])+", self.options.date_format or "")
        return is_text(decoded_type(kind)) or bool(digits and pa.types.is_integer(kind))

    def _holds_text(self, name: str) -> bool:
        return any(name not in p.constants and holds_text(p.reader, name) for p in self._partitions)

    def _with_other_formats(self, given: Mapping[str, Reading]) -> list[str]:
        """Return the columns whose text may have a format that differs from their readings."""
        checked = {
            name: reading
            for name, reading in given.items()
            if _is_number_or_date(reading.type) and self._holds_text(name)
        }
        plain = {
            n: r for n, r in checked.items() if r.format is None and (n, r) not in self._readings
        }
        unfit = self._unfit_columns(plain)
        self._readings |= {(n, reading): None for n, reading in plain.items() if n not in unfit}
        return [name for name in checked if name not in plain or name in unfit]

    def _unfit_columns(self, readings: Mapping[str, Reading]) -> list[str]:
        """Return the columns whose first cells cannot be read."""
        with closing(self._batches(list(readings))) as batches:
            head = next(batches, None)
        if head is None:
            return []
        unfit = []
        for name, reading in readings.items():
            try:
                read_cells(head.column(name), reading)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
                unfit.append(name)
        return unfit

    def _survey(self, wanted: Mapping[str, Reading | None]) -> None:
        """Survey columns, and store their readings, None for plain text."""
        if not wanted:
            return
        own = dict(list(wanted.items())[self.ranks.rank :: self.ranks.size])
        parts = self.ranks.gather(self._read_surveys(own) if own else {})
        surveys = {name: next(part[name] for part in parts if name in part) for name in wanted}
        self._decimals |= decimal_marks(surveys.values())
        decimals = self._decimals
        if not decimals and any(survey.ambiguous for survey in surveys.values()):
            decimals = self._decimals_of_plain_columns()
        for name, survey in surveys.items():
            self._readings[name, wanted[name]] = self._reading(name, survey, wanted[name], decimals)
        self._report([name for name in wanted if wanted[name] is None])

    def _read_surveys(self, wanted: Mapping[str, Reading | None]) -> dict[str, ColumnSurvey]:
        """Return the surveys of columns, of all cells that could change the result."""
        surveys = self._surveys(wanted)
        with closing(self._batches(list(wanted))) as batches:
            for head in islice(batches, 1):
                self._add(surveys, head)
            names = [name for name, survey in surveys.items() if survey.open]
            more = bool(names) and next(batches, None) is not None
        if more:  # from the beginning, only the columns that are still open
            surveys |= self._surveys({name: wanted[name] for name in names})
            for batch in self._batches(names):
                self._add({name: surveys[name] for name in names}, batch)
        return surveys

    def _reading(
        self, name: str, survey: ColumnSurvey, given: Reading | None, decimals: set[str]
    ) -> Reading | None:
        """Return how a surveyed column is read, None for text; a contradiction is evidence."""
        surveyed = survey_reading(survey, decimals)
        if surveyed is None:
            evidence = survey_evidence(survey, self._location)
            self.evidence |= {name: evidence} if evidence else {}
            return None
        if given is None:
            return Reading(surveyed.type, surveyed.format, self._nulls)
        difference = _difference(given, surveyed)
        self.evidence |= {name: difference} if difference else {}
        return None if difference is not None else replace(given, format=surveyed.format)

    def _surveys(self, wanted: Mapping[str, Reading | None]) -> dict[str, ColumnSurvey]:
        return {
            name: ColumnSurvey(
                self.options,
                reading.format if reading else None,
                plain=reading is not None
                or any(name in partition.reader.untyped for partition in self._partitions),
            )
            for name, reading in wanted.items()
        }

    def _add(self, surveys: Mapping[str, ColumnSurvey], batch: pa.RecordBatch) -> None:
        for name, survey in surveys.items():
            if survey.open:
                survey.add(batch.column(name))

    def _batches(self, names: Sequence[str]) -> Generator[pa.RecordBatch, None, None]:
        """Yield columns as they are in the files; a partition's constant is missing."""
        for partition in self._partitions:
            present = [name for name in names if name not in partition.constants]
            types = dict.fromkeys(present, pa.string())
            for batch in partition.reader.batches(types, _SURVEY_ROWS) if present else ():
                arrays = dict(zip(present, batch.columns, strict=True))
                absent = pa.nulls(batch.num_rows, pa.string())
                yield pa.RecordBatch.from_arrays([arrays.get(n, absent) for n in names], names)

    def _decimals_of_plain_columns(self) -> set[str]:
        """Return a point if a text column contains plain numbers with one."""
        readers = [p.reader for p in self._partitions if p.reader.format == "csv"]
        kinds = (kind for reader in readers for kind in reader.types(reader.names).values())
        return {"."} if any(pa.types.is_floating(kind) for kind in kinds) else set()

    def _location(self, row: int) -> str:
        """Return the location of a row of the table, counted from 0, for messages."""
        for partition in self._partitions:
            count = partition.reader.n_rows
            if count is None or row < count:
                break
            row -= count
        where = partition.reader.row_location(row)
        line = re.search(r"\((line .+)\)", where)
        where = line[1] if line else where
        return where if len(self._partitions) == 1 else f"{partition.reader.name}, {where}"

    def _report_points(self, names: Sequence[str]) -> None:
        note = f"numbers with a decimal point, read as such: {name_list(names)}"
        if names and self.options.decimal == "," and note not in self._notes:
            self._notes.append(note)

    def _report(self, names: Sequence[str]) -> None:
        columns: dict[str, list[str]] = {}
        for name in names:
            reading = self._readings.get((name, None))
            text = reading.format.describe() if reading and reading.format else ""
            if text and reading and not pa.types.is_boolean(reading.type):
                columns.setdefault(text, []).append(name)
        if columns:
            formats = (f"{name_list(same)} ({text})" for text, same in columns.items())
            self._notes.append(f"text read as numbers and dates: {', '.join(formats)}")


def holds_text(reader: TableReader, name: str) -> bool:
    """Return whether a file's column is text, which may represent other values."""
    if reader.format == "csv":
        return True
    return is_text(decoded_type(reader.types([name])[name]))


def _is_number_or_date(kind: pa.DataType) -> bool:
    return is_plain_number(kind) or bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _is_plain(reading: Reading | None) -> bool:
    return reading is None or (reading.format is None and is_plain_number(reading.type))


def _difference(given: Reading, surveyed: Reading) -> str | None:
    """Return how cells differ from those of a saved model, None if both can be read."""
    if is_plain_number(given.type) != is_plain_number(surveyed.type):
        return "not of the training table's kind"
    unit, known = (_unit(reading.format) for reading in (surveyed, given))
    if unit and unit != known and (known or unit in "%‰"):
        return f"in {unit}, those of the training table {f'in {known}' if known else 'without it'}"
    return None


def _unit(format: TextFormat | None) -> str:
    return (format.prefix + format.suffix).strip() if format else ""
