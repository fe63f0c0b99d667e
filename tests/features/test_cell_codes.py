"""Codes of cells, by kind of column."""

import numpy as np
import pytest
import torch

from aecli.features.cell_codes import MIN_SHARED, fit_cell_codes
from aecli.features.layout import lay_out
from aecli.schema.model_spec import Column

RNG = np.random.default_rng(0)


def number(name: str) -> Column:
    return Column(name=name, kind="number", type="double", center=[0], scale=[1], reason="")


def drawn(values: np.ndarray, column: Column) -> tuple[torch.Tensor, torch.Tensor]:
    """Return outputs and missing cells, drawn from the codes of one column's cells."""
    cells = torch.from_numpy(values.astype(np.float32)[:, None])
    latents = torch.empty(len(cells), 0)
    codes = fit_cell_codes(lay_out([column]), latents, cells)
    generator = torch.Generator().manual_seed(0)
    return codes.decode(codes.encode(latents, cells), generator)


SPIKED = np.where(RNG.random(2000) < 0.7, 0.0, RNG.exponential(1, 2000))


@pytest.mark.parametrize(
    "values",
    [SPIKED, RNG.normal(0, 1, 2000), RNG.integers(0, 5, 2000), np.array([1.0, 2.0]), np.full(9, 3)],
    ids=["spiked", "normal", "few values", "two rows", "constant"],
)
def test_numbers_keep_their_repeated_values_and_their_distribution(values: np.ndarray):
    outputs, missing = drawn(values, number("x"))
    found = outputs[:, 0].double().numpy()
    assert not missing.any()
    repeated, counts = np.unique(values.astype(np.float32), return_counts=True)
    for value in repeated[counts >= MIN_SHARED]:
        assert (found == value).mean() == pytest.approx((values == value).mean(), abs=0.001)
    assert values.min() - 1e-6 <= found.min() <= found.max() <= values.max() + 1e-6
    shares = np.linspace(0.05, 0.95, 19)
    spread = max(values.std(), 1e-9)
    found_at, wanted_at = (np.quantile(part, shares) for part in (found, values))
    if len(values) > MIN_SHARED:
        assert np.abs(found_at - wanted_at).max() < 0.05 * spread


def test_a_number_that_is_missing_in_every_row_is_drawn_as_missing():
    outputs, missing = drawn(np.full(30, np.nan), number("x"))
    assert missing.all()
    assert outputs.isfinite().all()


def test_values_of_few_rows_are_not_stored():
    values = np.concatenate([np.zeros(500), RNG.normal(100, 1, 200), [150.25, 151.5]])
    cells = torch.from_numpy(values.astype(np.float32)[:, None])
    codes = fit_cell_codes(lay_out([number("x")]), torch.empty(len(cells), 0), cells)
    assert 0 in codes.points[0]
    assert 150.25 not in codes.points[0]


@pytest.mark.parametrize("kind", ["number", "boolean", "category"])
def test_missing_cells_have_a_code(kind: str):
    values = RNG.integers(0, 2, 300).astype(float)
    values[::5] = np.nan
    column = (
        number("x")
        if kind == "number"
        else Column(name="x", kind=kind, type="string", categories=["a", "b"], reason="")
        if kind == "category"
        else Column(name="x", kind=kind, type="bool", reason="")
    )
    outputs, missing = drawn(values, column)
    assert missing[:, 0].numpy().tolist() == np.isnan(values).tolist()
    known = ~np.isnan(values)
    found = outputs.argmax(1) if kind == "category" else outputs[:, 0] > 0.5
    assert (found.numpy()[known] == values[known]).all()
