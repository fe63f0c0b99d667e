"""Names and first cells of the CSV and TSV files that aecli writes are read back as they are."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from aecli.table.cells.reading import Reading
from aecli.table.source import open_source
from aecli.table.writers import open_writer
from tests.troubles import columns_of

NAMES = [
    *(" a", "b ", "#x", "# y", "5.5", "7", "2024-01-31", "10:00", "sep=;", "a\nb", 'q"q', "\r"),
    *("a,b", "a;b", "a|b", "\t", " ", "NA", "-", "\ufeffm", "\u200b", "a b", "x~y", "a:b", "'q'"),
    *("m/s", "[s]", "Unit: m", "\\", '\\"', "it's"),
]


def written(path: Path, table: pa.Table) -> Path:
    with open_writer(str(path), table.schema) as write:
        for batch in table.to_batches():
            write(batch)
    return path


def as_texts(path: Path) -> dict[str, list[object]]:
    """Return the cells of a table as text."""
    source = open_source(path)
    texts = dict.fromkeys(source.names, Reading(pa.string()))
    return columns_of(source.select(source.names, texts))


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cells", [["x", "y", "w"], ["a b", "c d", "e"], [1, 2, 3], [0.5, 1, 0]])
@pytest.mark.parametrize("others", [{}, {"t": ["p", "q", "r"]}, {"n": [4, 5, 9], "#": [1, 2, 3]}])
def test_names_come_back(
    tmp_path: Path, name: str, cells: list[object], others: dict[str, list[object]], suffix: str
) -> None:
    for columns in ({name: cells, **others}, {**others, name: cells}):
        path = written(tmp_path / f"t.{suffix}", pa.table(columns))
        assert columns_of(open_source(path)) == columns


@pytest.mark.parametrize("name", ["5.5", "2024-01-31", " ", "#x"])
def test_names_come_back_above_texts_that_are_numbers(tmp_path: Path, name: str) -> None:
    columns = {name: ["5", "6", "2"], "t": ["1", "2", "3"]}
    assert as_texts(written(tmp_path / "t.csv", pa.table(columns))) == columns


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_all_such_names_come_back_together(tmp_path: Path, suffix: str) -> None:
    for columns in ({name: ["x", "y"] for name in NAMES}, {name: [1, 2] for name in NAMES}):
        path = written(tmp_path / f"t.{suffix}", pa.table(columns))
        assert columns_of(open_source(path)) == columns


@pytest.mark.parametrize("cell", ["m/s", "[degC]", "# x", "kg", "(s)", "#", "Avg", "%"])
@pytest.mark.parametrize("below", [["1", "2.5"], ["2024-01-31", "2024-02-01"], ["x", "y"]])
@pytest.mark.parametrize("names", [["a"], ["a", "b"], [" a", "b"], [" a"]])
def test_a_first_text_is_not_taken_for_a_unit_or_comment(
    tmp_path: Path, cell: str, below: list[str], names: list[str]
) -> None:
    columns = {name: [cell, *below * 4] for name in names}
    assert as_texts(written(tmp_path / "t.csv", pa.table(columns))) == columns
