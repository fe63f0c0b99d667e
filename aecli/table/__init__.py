"""Read and write tables as Arrow batches, and fit what each column becomes; never torch."""
