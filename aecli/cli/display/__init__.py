"""Draw results for people: rich tables and panels that fit 80 columns."""
