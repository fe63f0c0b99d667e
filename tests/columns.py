"""Columns as the planner would fit them, for tests of rooms that start from columns."""

from __future__ import annotations

from typing import Any

from aecli.schema.model_spec import Category, Column


def number(name: str, *, center: float = 0.0, scale: float = 1.0, **more: Any) -> Column:
    fields = {"type": "double", "mean": [center], "low": [center], "high": [center + scale]} | more
    return Column(name=name, kind="number", center=[center], scale=[scale], reason="", **fields)


def boolean(name: str, **more: Any) -> Column:
    return Column(name=name, kind="boolean", type="bool", reason="", **{"mode": False} | more)


def category(name: str, *values: Category, **more: Any) -> Column:
    fields = {"type": "string", "mode": values[0]} | more
    return Column(name=name, kind="category", categories=list(values), reason="", **fields)


def time(name: str, *, scale: float, **more: Any) -> Column:
    """Return a column of timestamps whose centre is the beginning of 1970; `scale` is in hours."""
    seconds = 3600 * scale
    fields = {"type": "timestamp[s]", "low": [0.0], "high": [seconds], "mean": [0.0]} | more
    return Column(name=name, kind="time", center=[0.0], scale=[seconds], reason="", **fields)


def vector(name: str, *, center: list[float], scale: list[float], **more: Any) -> Column:
    size = len(center)
    fields = {"type": f"fixed_size_list<float>[{size}]", "mean": center} | more
    return Column(
        name=name, kind="vector", size=size, center=center, scale=scale, reason="", **fields
    )
