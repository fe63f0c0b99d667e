"""Tables as Arrow batches: reading, writing, and fitting of columns to features; without torch."""
