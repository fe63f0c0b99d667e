"""Application of a saved model to Arrow batches, shared by `encode`, `reconstruct`, `evaluate`."""
