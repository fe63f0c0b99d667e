"""Find the width of images whose pixels are the columns, and move training images by one pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
import torch
from torch import Tensor, nn

from aecli.array_types import AnyFloats
from aecli.features.layout import NUMERIC
from aecli.model.build import pixel_positions
from aecli.schema.model_spec import Column

SAMPLED_PIXELS = 1 << 20
"""Pixels of the images from which their width is found."""

MIN_SIDE = 24
"""Minimum width and height of images that are moved: a pixel is too much for a smaller one."""

MAX_CHANNELS = 4
"""Maximum number of channels that may be stored pixel by pixel."""

MIN_CORRELATION = 0.2
"""Minimum mean correlation of adjacent pixels."""

FAR_SHARE = 0.8
"""Share of the correlation of adjacent pixels below which two pixels are far from each other."""


class ImageShift(nn.Module):
    """Random move of each image by at most one pixel in both directions.

    A pixel whose neighbour is outside of the image, or is constant in training and has no cell,
    keeps its value. `positions` are those of the cells in images of `height` and `width`.
    """

    def __init__(self, positions: Sequence[int], height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)
        cell_at = np.full((height + 2, width + 2), -1)
        rows, columns = np.divmod(np.asarray(positions), width)
        own = np.arange(len(positions))
        cell_at[rows + 1, columns + 1] = own
        moves = np.stack([cell_at[rows + y, columns + x] for y in range(3) for x in range(3)])
        self.neighbours: Tensor
        self.register_buffer("neighbours", torch.from_numpy(np.where(moves < 0, own, moves)))

    def forward(self, cells: Tensor) -> Tensor:
        """Return moved copies of images `(n_rows, n_cells)`."""
        moves = torch.randint(len(self.neighbours), (len(cells),), device=cells.device)
        return cells.gather(1, self.neighbours[moves])


def image_shift(cells: Tensor, columns: Sequence[Column]) -> ImageShift | None:
    """Return the moves of images in the columns; None if the cells do not look like images."""
    numbers = [column for column in columns if column.kind in NUMERIC]
    positions, pixels = pixel_positions(numbers), sum(column.size for column in numbers)
    width = image_width(cells, positions, pixels)
    return None if width is None else ImageShift(positions, pixels // width, width)


def image_width(cells: Tensor, positions: Sequence[int], pixels: int) -> int | None:
    """Return the width of images stored line by line; None if the cells do not look like images.

    Vertically adjacent pixels are a width apart in the order of the columns: the mean correlation
    of pixels by their distance has a peak there. Of several peaks, such as one at twice the width,
    the highest counts. Small images, and those whose channels are stored pixel by pixel, are not
    found, nor are series with a period, which continue from each line to the next one or are as
    similar to a line far away. `positions` are those of the cells `(n_rows, n_cells)` among all
    `pixels`.
    """
    if pixels < MIN_SIDE**2:
        return None
    step = -(-len(cells) * pixels // SAMPLED_PIXELS)
    images, varying = _standardised(cells[::step].double().numpy(), positions, pixels)
    found = _correlations(images, varying)
    if _has_channels(found):
        return None
    peaks = [
        width
        for width in range(MIN_SIDE, pixels // MIN_SIDE + 1)
        if pixels % width == 0
        and min(found[1], found[width]) >= MIN_CORRELATION
        and found[width] > np.delete(found[width - 2 : width + 3], 2).max()
    ]
    width = max(peaks, key=lambda width: float(found[width]), default=None)
    if width is None or _across_lines(images, varying, width) > FAR_SHARE * found[1]:
        return None
    far = pixels // width // 4 * width
    return width if found[far] <= FAR_SHARE * found[width] else None


def _has_channels(found: AnyFloats) -> bool:
    """Return whether the correlation rises again within the distance of a pixel's channels."""
    near = found[2 : MAX_CHANNELS + 1]
    return bool(np.any((near > found[1:MAX_CHANNELS]) & (near >= MIN_CORRELATION)))


def _standardised(
    cells: AnyFloats, positions: Sequence[int], pixels: int
) -> tuple[AnyFloats, AnyFloats]:
    """Return images `(n_rows, pixels)` with mean 0 and deviation 1, and 1 where pixels vary."""
    values = np.ma.masked_invalid(cells)
    centred = (values - values.mean(0)).filled(0.0)
    deviations = centred.std(0)
    images, varying = np.zeros((len(cells), pixels)), np.zeros(pixels)
    images[:, positions] = centred / np.where(deviations > 0, deviations, 1.0)
    varying[positions] = deviations > 0
    return images, varying


def _across_lines(images: AnyFloats, varying: AnyFloats, width: int) -> float:
    """Return the mean correlation of the last pixel of a line and the first one of the next."""
    ends = np.arange(width - 1, len(varying) - 1, width)
    pairs = ends[varying[ends] * varying[ends + 1] > 0]
    return float((images[:, pairs] * images[:, pairs + 1]).mean()) if len(pairs) else 0.0


def _correlations(images: AnyFloats, varying: AnyFloats) -> AnyFloats:
    """Return the mean correlation of pixels by the distance of their columns, `(pixels,)`.

    The sums over pairs are autocorrelations, by the Wiener-Khinchin theorem.
    """
    pixels = len(varying)
    size = scipy.fft.next_fast_len(2 * pixels)
    power = np.square(np.abs(scipy.fft.rfft(images, size))).mean(0)
    pairs = scipy.fft.irfft(np.square(np.abs(scipy.fft.rfft(varying, size))), size)
    sums = scipy.fft.irfft(power, size)
    return np.asarray(sums / pairs.round().clip(1))[:pixels]
