"""Turn tables into tensors and back: cells, network inputs, staging, restored columns."""

from aecli.feed.layout import Layout, layout

__all__ = ["Layout", "layout"]
