"""Measure: columns against baselines, the label's figures, the latent's health."""
