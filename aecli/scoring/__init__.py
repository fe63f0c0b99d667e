"""Score how anomalous rows are: what is usual, the score, its threshold and its reasons."""
