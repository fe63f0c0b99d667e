"""A table is the same table as a workbook, in training and after it."""

from __future__ import annotations

import csv
from pathlib import Path

import openpyxl
import pyarrow.csv as pacsv
import pytest

from aecli.cli.main import main
from tests.cli.conftest import QUICK


def as_workbook(table: Path, path: Path) -> None:
    """Write a CSV file as a workbook with a title, numbers as numbers."""
    book = openpyxl.Workbook()
    book.active.append(["Measurements"])
    with open(table, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    book.active.append(header)
    for row in rows:
        book.active.append([*map(float, row[:3]), row[3] or None, *row[4:]])
    book.save(path)


@pytest.mark.parametrize("trained_on", ["data.csv", "book.xlsx"])
def test_a_model_reads_a_workbook_as_the_csv_file_of_its_cells(
    trained: str, trained_on: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    as_workbook(tmp_path / trained, tmp_path / "book.xlsx")
    assert main(["train", trained_on, "--label", "kind", *QUICK, "-q", "--model", "m"]) == 0
    for name in ("data.csv", "book.xlsx"):
        done = main(
            ["encode", name, "--model", "m", "--keep", "kind", "-o", f"{name}.out.csv", "-q"]
        )
        assert done == 0
        rows = ["reconstruct", name, "--model", "m", "-o", f"{name}.rows.csv", "-q"]
        assert main(rows) == 0
    for kind in ("out", "rows"):
        tables = [pacsv.read_csv(f"{name}.{kind}.csv") for name in ("data.csv", "book.xlsx")]
        assert tables[0].num_rows == 200
        assert tables[0].equals(tables[1])


def test_a_workbook_is_not_written(
    trained: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["encode", trained, "-o", "latents.xlsx"]) == 2
    error = capsys.readouterr().err
    assert "cannot write latents.xlsx: unknown format .xlsx" in error
    assert "formats: .parquet, .csv" in error
