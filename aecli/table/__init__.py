"""Tables as Arrow batches: reading, writing and fitting columns, without torch."""
