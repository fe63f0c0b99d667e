"""Run a saved model over Arrow batches: what `encode`, `reconstruct` and `evaluate` share."""
