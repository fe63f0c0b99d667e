"""Text columns as vectors: hashed character n-grams, reduced by a truncated SVD."""
