"""Trained models as Python objects: `aecli.load`'s model, and an estimator for scikit-learn."""
