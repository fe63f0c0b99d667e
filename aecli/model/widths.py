"""Default sizes of the latent and of layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

LATENT_BOUNDS = (2, 64)
"""Minimum and maximum size of the default latent."""

EXPLAINED = 0.95
"""Share of the variance that `--latent auto` keeps."""

MAX_WIDTH = 65_536
"""Maximum number of units in a layer."""

START_BOUNDS = (128, 512)
"""Minimum and maximum width of the default first layer."""


def auto_latent(shares: Sequence[float], width: int) -> tuple[int, str]:
    """Return the latent size for PCA's descending `shares` of the variance, and the reason.

    It is the number of components that explain 95 %, but at least 2, at most a quarter of the
    sample's `width` numbers (a network needs fewer units than PCA), and less than `width`.
    """
    limit = min(max(2, width // 4), max(1, width - 1))
    explained = list(accumulate(shares))
    needed = next((n for n, share in enumerate(explained, 1) if share >= EXPLAINED), None)
    latent = min(max(needed or limit, 2), limit)
    a_quarter = "a quarter of" if limit == max(2, width // 4) else "one less than the"
    if needed is not None and needed <= limit:
        why = f"{needed} components of PCA explain {explained[needed - 1]:.1%} of the variance"
    else:
        why = f"{a_quarter} {width:,} numbers; PCA needs more for {EXPLAINED:.0%} of the variance"
    return latent, f"latent {latent}: {why}"


def default_latent(inputs: int) -> int:
    """Return a quarter of `inputs`, rounded down to a power of two within `LATENT_BOUNDS`."""
    low, high = LATENT_BOUNDS
    return min(high, max(low, 1 << max(1, inputs // 4).bit_length() - 1))


def default_widths(inputs: int, latent: int) -> list[int]:
    """Return encoder widths that halve down to `latent`: 784 and 64 give 512, 256, 64.

    The first is the power of two above twice the inputs, because narrow tables need wide layers for
    nonlinear relations, within `START_BOUNDS`, or 2 · latent if that is more. Another layer of half
    that width follows if it is at least twice the latent; deeper halving trained worse.
    """
    low, high = START_BOUNDS
    width = max(
        min(max(_power_of_two_above(2 * inputs), low), high), _power_of_two_above(2 * latent)
    )
    hidden = [width, width // 2] if width // 2 >= 2 * latent else [width]
    return [*hidden, latent]


def halved_widths(inputs: int, latent: int) -> list[int]:
    """Return encoder widths that halve from the inputs down to `latent`, rounded down.

    784 and 12 give 392, 196, 98, 49, 24, 12. A layer is wider than the latent and at most
    `MAX_WIDTH` wide; there is none if half of the inputs is not wider than the latent.
    """
    hidden: list[int] = []
    width = inputs // 2
    while width > latent:
        if width <= MAX_WIDTH:
            hidden.append(width)
        width //= 2
    return [*hidden, latent]


def _power_of_two_above(size: int) -> int:
    return 1 << (size - 1).bit_length()
