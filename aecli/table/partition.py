"""Files of one table, each with the values that the names of its folders give its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from aecli.errors import DataError
from aecli.formatting import shell_name
from aecli.table.arrow_reader import BinaryFile
from aecli.table.arrow_types import type_name, type_noun
from aecli.table.cells.conversion import convert
from aecli.table.cells.type_inference import infer_text
from aecli.table.cells.type_joins import join_types
from aecli.table.paths import NULL_PARTITION, TableFile
from aecli.table.readers import TableReader
from aecli.table.row_filter import RowCondition


@dataclass(frozen=True)
class Partition:
    """Reader of some rows of a table, and the values that the names of its folders give them.

    `constant_types` are the common types of these values in all folders of the table.
    """

    reader: TableReader
    constants: dict[str, str | None] = field(default_factory=dict)
    constant_types: dict[str, pa.DataType] = field(default_factory=dict)

    def may_have(self, conditions: Sequence[RowCondition]) -> bool:
        """Return whether the names of the folders leave open that rows fulfil the conditions."""
        return all(
            condition.mask(pa.repeat(constant_cell(self, condition.column, kind), 1))[0].as_py()
            for condition in conditions
            if (kind := self.constant_types.get(condition.column)) is not None
        )

    def within(self, conditions: Sequence[RowCondition]) -> Partition:
        """Return the same rows, without row groups of which none fulfils the conditions."""
        if not isinstance(self.reader, BinaryFile):
            return self
        stored = [c for c in conditions if c.column not in self.constants]
        return replace(self, reader=self.reader.within(stored))

    def between(self, start: int, stop: int) -> tuple[Partition, int]:
        """Return the same rows, without row groups that have none from `start` to `stop`.

        The number is that of the rows before the first group that is left.
        """
        if not isinstance(self.reader, BinaryFile):
            return self, 0
        reader, before = self.reader.between(start, stop)
        return replace(self, reader=reader), before


def make_partitions(
    readers: Sequence[TableReader], files: Sequence[TableFile]
) -> tuple[Partition, ...]:
    """Return the partitions of a table, with a common type for each key of the folder names."""
    types: dict[str, pa.DataType] = {}
    for key in dict.fromkeys(key for _, values in files for key in values):
        texts = pa.array([values.get(key) for _, values in files], pa.string())
        types[key] = infer_text(texts, pa.null())
    partitions = []
    for reader, (_, values) in zip(readers, files, strict=True):
        constants = {key: values.get(key) for key in types if key not in reader.names}
        partitions.append(Partition(reader, constants, {key: types[key] for key in constants}))
    return tuple(partitions)


def require_same_columns(partitions: Sequence[Partition]) -> None:
    """Raise DataError if the files differ in format or columns."""
    first = partitions[0]
    columns = {*first.reader.names, *first.constants}
    for partition in partitions[1:]:
        others = {*partition.reader.names, *partition.constants}
        if partition.reader.format != first.reader.format:
            raise DataError(
                f"{partition.reader.name} is {partition.reader.format}, {first.reader.name} is "
                f"{first.reader.format}; a table has one format",
                hint="convert them to one format",
            )
        if others != columns:
            lacks, has = sorted(columns - others), sorted(others - columns)
            facts = [f"it lacks: {', '.join(lacks[:8])}"] if lacks else []
            facts += [f"only this file has: {', '.join(has[:8])}"] if has else []
            raise DataError(
                f"{partition.reader.name} and {first.reader.name} have different columns",
                facts=facts,
                hint=f"aecli inspect {shell_name(partition.reader.name)}",
            )


def common_types(partitions: Sequence[Partition], names: Sequence[str]) -> dict[str, pa.DataType]:
    """Return the type of each column that fits its values in all files."""
    common: dict[str, pa.DataType] = {}
    first_file: dict[str, str] = {}
    for partition in partitions:
        reader = partition.reader
        types = reader.types([name for name in names if name not in partition.constants])
        path_types = partition.constant_types
        types |= {name: kind for name, kind in path_types.items() if name in names}
        for name, kind in types.items():
            joined = join_types(common.get(name, pa.null()), kind)
            if joined is None and reader.text:
                joined = pa.string()
            if joined is None:
                raise DataError(
                    f"column {name!r} has different types: {type_name(kind)} in "
                    f"{reader.name}, {type_name(common[name])} in {first_file[name]}",
                    hint=f"convert {name!r} to one type",
                )
            common[name] = joined
            first_file.setdefault(name, reader.name)
    return common


def constant_cell(partition: Partition, name: str, kind: pa.DataType) -> pa.Scalar:
    """Return the value that the name of a folder gives all rows of a file."""
    text = partition.constants[name]
    try:
        return convert(pa.array([text], pa.string()), kind)[0]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise DataError(
            f"{partition.reader.name}: its folder {name}={text} is not a {type_noun(kind)}",
            facts=[f"column {name!r} is {type_name(kind)}"],
            hint=f"rename the folder, or {name}={NULL_PARTITION} for a missing value",
        ) from error
