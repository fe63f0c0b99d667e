"""Cells: how text spells values, and how cells become Arrow types."""
