"""Images of a page as PNG inside the page."""

from __future__ import annotations

import base64
import io

import numpy as np
from markupsafe import Markup, escape
from matplotlib.image import imsave

from aecli.array_types import AnyArray, AnyFloats

COOL, WARM = np.array([33, 102, 172]), np.array([201, 70, 60])
"""Colours of positive and negative differences."""


def image(pixels: AnyFloats, alt: str, *, both_ways: bool = False) -> Markup:
    """Return an image `(height, width[, 3])` from 0 to 1 as a PNG inside the page.

    With `both_ways` values are from -1 to 1: positive ones are blue, negative ones red.
    """
    buffer = io.BytesIO()
    imsave(buffer, _differences(pixels) if both_ways else _bytes(pixels), format="png")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    height, width = pixels.shape[:2]
    return Markup(
        f'<img class="pixels" width="{width}" height="{height}" alt="{escape(alt)}" '
        f'src="data:image/png;base64,{encoded}">'
    )


def heat_image(values: AnyFloats, largest: float, alt: str) -> Markup:
    """Return values `(height, width)` from 0 to `largest` as an image, white to blue."""
    share = np.clip(values / (largest or 1.0), 0, 1)[..., None]
    return image(1 - share * (1 - COOL / 255), alt)


def _bytes(pixels: AnyFloats) -> AnyArray:
    colours = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    whole: AnyArray = np.rint(colours.clip(0, 1) * 255).astype(np.uint8)
    return whole


def _differences(pixels: AnyFloats) -> AnyArray:
    values = (pixels if pixels.ndim == 2 else pixels.mean(-1)).clip(-1, 1)[..., None]
    colours = np.where(values > 0, COOL, WARM)
    whole: AnyArray = np.rint(255 - np.abs(values) * (255 - colours)).astype(np.uint8)
    return whole
