"""Define the options of reading tables: their defaults, bounds and help sentences."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from aecli.schema.option_types import Names, Sign, StrictModel


class ReadOptions(StrictModel):
    """Reading tables"""

    format: Literal["auto", "parquet", "csv", "arrow", "jsonl", "xlsx"] = Field(
        "auto", description="File format; auto looks at the name, then at the first bytes."
    )
    encoding: str = Field("utf-8", description="Character encoding of CSV files.")
    delimiter: Sign | None = Field(
        None, description="CSV delimiter; by default found in the first lines."
    )
    header: Annotated[int, Field(ge=1, le=1_000)] | Literal["auto", "none"] = Field(
        "auto",
        description="Line that holds the column names, counted from 1 after --skip-rows, or none; "
        "auto skips titles and comments above it.",
    )
    skip_rows: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        0, description="Lines at the top of a CSV file or sheet that are not part of the table."
    )
    sheet: str | None = Field(
        None, description="Sheet of an Excel workbook, by name or position; the first by default."
    )
    null_values: Names = Field(
        [],
        description="Texts that mean missing in every column, besides empty cells; in numbers, "
        "booleans and times the usual ones, such as NA, always do.",
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="Decimal mark of numbers in text; by default found in each column."
    )
    thousands: Sign | None = Field(
        None, description="Thousands mark of numbers in text; by default found in each column."
    )
    date_format: str | None = Field(
        None,
        description="Format of dates in text, as in %d/%m/%Y %H:%M; by default found in each "
        "column where day and month are certain.",
    )
