"""CSV files: their dialect, header and rows."""
