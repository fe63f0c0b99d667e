"""Move labels of a map apart, and leave out those for which there is no room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

LabelBox = tuple[float, float, float, float]
"""Left end, middle, width and height of a label."""

SHIFTS = (0, 1, -1, 2, -2)
"""Vertical shifts that are tried, in heights of the label."""


def free_middles(boxes: Sequence[LabelBox]) -> Iterator[float | None]:
    """Yield the vertical middle of each label so that none overlaps an earlier one.

    It is None for a label without room near its own position.
    """
    placed: list[LabelBox] = []
    for left, middle, width, height in boxes:
        moved = ((left, middle + shift * height, width, height) for shift in SHIFTS)
        free = next((box for box in moved if not any(_overlap(box, o) for o in placed)), None)
        placed += [free] if free is not None else []
        yield free[1] if free is not None else None


def _overlap(one: LabelBox, other: LabelBox) -> bool:
    apart = one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
    return not apart and abs(one[1] - other[1]) < 0.99 * (one[3] + other[3]) / 2
