"""Conversion of tables to tensors and back: cells, network inputs, staging, inverse columns."""
