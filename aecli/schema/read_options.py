"""Define the options of reading tables: their defaults, bounds and help sentences."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from aecli.schema.option_types import Character, Names, StrictModel


class ReadOptions(StrictModel):
    """Reading tables"""

    format: Literal["auto", "parquet", "csv", "arrow", "jsonl", "xlsx"] = Field(
        "auto", description="File format; auto decides by the name, then by the first bytes."
    )
    encoding: str = Field("utf-8", description="Character encoding of CSV files.")
    delimiter: Character | None = Field(
        None, description="CSV delimiter.", json_schema_extra={"automatic": "from the first lines"}
    )
    header: Annotated[int, Field(ge=1, le=1_000)] | Literal["auto", "none"] = Field(
        "auto",
        description="Line of the column names, counted from 1 after --skip-rows, or none; auto "
        "skips titles and comments above it.",
    )
    skip_rows: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0, description="Lines at the top of a CSV file or sheet that are not part of the table."
    )
    sheet: str | None = Field(
        None,
        description="Sheet of an Excel workbook, by name or position.",
        json_schema_extra={"automatic": "the first"},
    )
    null_values: Names = Field(
        [],
        description="Texts that mean a missing value in every column. Empty cells always do, and "
        "so do NA and similar texts in numbers, booleans and times.",
    )
    decimal: Literal[".", ","] | None = Field(
        None,
        description="Decimal mark of numbers in text.",
        json_schema_extra={"automatic": "from each column"},
    )
    thousands: Character | None = Field(
        None,
        description="Thousands mark of numbers in text.",
        json_schema_extra={"automatic": "from each column"},
    )
    date_format: str | None = Field(
        None,
        description="Format of dates in text, as in %d/%m/%Y %H:%M.",
        json_schema_extra={"automatic": "from each column where it is unambiguous"},
    )
    where: str | None = Field(
        None,
        description="Rows to read, as in 'day>=2026-01-01 and country=DE'; Parquet row groups and "
        "folders without such rows are not opened.",
        json_schema_extra={"automatic": "all"},
    )
