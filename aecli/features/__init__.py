"""Turn tables into tensors and back: cells, network inputs, staging, restored columns."""

from aecli.features.layout import Layout, layout

__all__ = ["Layout", "layout"]
