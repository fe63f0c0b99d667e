"""Fit a network to staged cells: split, order, step, loop, schedule, checkpoint."""
