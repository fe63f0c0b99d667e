"""Evaluation: figures of columns, label, latent, groups, anomalies and probes."""
