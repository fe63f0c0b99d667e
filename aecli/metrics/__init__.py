"""Metrics of a model's quality, accumulated over batches: columns, classes, latents, scores."""
