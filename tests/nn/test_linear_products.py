"""Linear layers by convolutions, compared with torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from aecli.nn.layers import MLP
from aecli.nn.linear_products import (
    IMAGES,
    MIN_CONVOLVED_ROWS,
    LinearByConvolution,
    convolved_rows,
    linear,
)

BLOCK = 1_024
"""Rows of a block that a convolution computes."""

GENERATOR = torch.Generator().manual_seed(0)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR)


@pytest.mark.parametrize("rows", [0, 1, MIN_CONVOLVED_ROWS, BLOCK, BLOCK + 1])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (33, 97), (8, 0), (0, 3), (40, 128)])
def test_the_outputs_are_those_of_torch(rows: int, inputs: int, outputs: int) -> None:
    x, weight, bias = random(rows, inputs), random(outputs, inputs), random(outputs)

    torch.testing.assert_close(linear(x, weight, bias), functional.linear(x, weight, bias))
    torch.testing.assert_close(linear(x, weight), functional.linear(x, weight))


def test_views_and_other_dimensions_have_the_outputs_of_torch() -> None:
    x, weight = random(2 * BLOCK, 120), random(50, 120)

    for view in (x[:, ::2], x.view(BLOCK, 2, 120)[:, :, 60:], x[::2, 1:61], x[:, :60].double()):
        part = weight[:, 2:62].to(view.dtype)
        torch.testing.assert_close(linear(view, part), functional.linear(view, part))


def test_a_row_has_the_same_output_at_every_position_of_a_block() -> None:
    row, weight, bias = random(1, 64), random(99, 64), random(99)
    outputs = linear(row.expand(BLOCK + IMAGES, -1), weight, bias)

    assert torch.equal(outputs, outputs[:1].expand_as(outputs))


def test_a_network_in_the_context_has_the_same_outputs() -> None:
    network = MLP(sizes=[64, 200, 3], activation=nn.SiLU)
    x = random(BLOCK, 64)

    with torch.no_grad():
        expected = network(x)
        with LinearByConvolution():
            outputs = network(x)

    torch.testing.assert_close(outputs, expected)


@pytest.mark.parametrize(("rows", "convolved"), [(0, 1), (7, 7), (16, 16), (1_191, 1_184)])
def test_the_rows_of_a_block_are_divided_into_images(rows: int, convolved: int) -> None:
    assert convolved_rows(rows) == convolved
