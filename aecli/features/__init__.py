"""Turn tables into tensors and back: cells, network inputs, staging, inverse columns."""
