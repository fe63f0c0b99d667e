"""Linear layers without gradients, by oneDNN's convolutions on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

IMAGES = 16
"""Number of images from which torch leaves a convolution of size 1 to oneDNN on one thread, too."""

MIN_CONVOLVED_ROWS, MIN_PRODUCTS = 128, 1 << 21
"""Minimum number of rows, and of multiplications: for fewer a convolution's set-up is too long."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the outputs `(n_rows, n_outputs)` of a linear layer for `x` `(n_rows, n_inputs)`.

    The result is that of `functional.linear`, except for rounding.
    """
    if not _is_convolved(x, weight):
        return functional.linear(x, weight, bias)
    rows, inputs = x.shape
    # A convolution of size 1 of channels-last images is the same product, without a copy. It uses
    # AVX-512 on every processor: it takes half of the time of MKL's product on those of AMD.
    images = x.contiguous().view(IMAGES, rows // IMAGES, 1, inputs).permute(0, 3, 1, 2)
    outputs = functional.conv2d(images, weight[:, :, None, None], bias)
    return outputs.permute(0, 2, 3, 1).reshape(rows, -1)


def convolved_rows(rows: int) -> int:
    """Return the largest number of rows up to `rows`, and at least 1, that `linear` can convolve.

    Fewer rows than `IMAGES` are returned unchanged.
    """
    return max(1, rows if rows < IMAGES else rows - rows % IMAGES)


def _is_convolved(x: Tensor, weight: Tensor) -> bool:
    if x.device.type != "cpu" or x.dtype != torch.float32 or x.dim() != 2:
        return False
    rows = len(x)
    if rows % IMAGES or rows < MIN_CONVOLVED_ROWS or rows * weight.numel() < MIN_PRODUCTS:
        return False
    return bool(torch.backends.mkldnn.is_available())


class LinearByConvolution(TorchFunctionMode):
    """Context in which the linear layers of a network are computed by `linear`."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: Any = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute one function of torch."""
        function = linear if function is functional.linear else function
        return function(*arguments, **(keywords or {}))
