"""Cells: text formats of values, and conversion of cells to Arrow types."""
