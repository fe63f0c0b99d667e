"""Training: split, objective, loop, schedule, checkpoint, and the summary of a model."""
