"""Anomaly scores of rows: their fit, the score, its threshold and its reasons."""
