"""Hold trained models as Python objects: what is loaded once, and scikit-learn's estimator."""
