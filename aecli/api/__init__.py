"""Trained models as Python objects: the model of `aecli.load`, and a scikit-learn estimator."""
