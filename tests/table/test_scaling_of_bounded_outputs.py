"""A bounded output decides the scale: every training number can be reached."""

import numpy as np
import pyarrow as pa
import pytest

import aecli

GENERATOR = np.random.default_rng(0)
HEIGHT = GENERATOR.normal(size=200)
LINE = pa.table({"a": HEIGHT, "b": 2 * HEIGHT + 10})
DAYS = pa.array(np.arange(200) + 20_000, pa.int32()).cast(pa.date32())


def scaled(table: pa.Table, folder, **options) -> dict[str, tuple[float, float]]:
    """Return the scaled training range of each column."""
    spec = aecli.train(table, model=folder, epochs=1, valid="none", **options).spec
    return {
        column.name: tuple(
            round((bound[0] - column.center[0]) / column.scale[0], 6)
            for bound in (column.low, column.high)
        )
        for column in spec.columns
    }


@pytest.mark.parametrize("output", ["sigmoid", "tanh"])
def test_auto_scales_to_the_unit_interval(tmp_path, output: str):
    assert scaled(LINE, tmp_path, output=output) == {"a": (0, 1), "b": (0, 1)}


@pytest.mark.parametrize("output", ["auto", "linear"])
def test_other_outputs_keep_standardised_numbers(tmp_path, output: str):
    assert scaled(LINE, tmp_path, output=output)["a"][0] < -1


def test_times_are_within_the_output_where_numbers_stay_as_they_are(tmp_path):
    table = pa.table({"day": DAYS, "share": np.linspace(0.2, 0.7, 200)})
    found = scaled(table, tmp_path / "m", output="sigmoid", scale="none")
    assert found == {"day": (0, 1), "share": (0.2, 0.7)}
    assert scaled(table, tmp_path / "n", scale="none")["day"][0] < -1


def test_pixels_keep_their_shared_scale(tmp_path):
    pixels = GENERATOR.integers(0, 255, (50, 20)).astype(np.uint8)
    pixels[0] = 255
    table = pa.table({f"p{i}": column for i, column in enumerate(pixels.T)})
    found = scaled(table, tmp_path, output="tanh", latent=2)
    lows = {name: pixels[:, i].min() / 255 for i, name in enumerate(table.column_names)}
    assert {name: bounds[0] for name, bounds in found.items()} == pytest.approx(lows, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("output", ["sigmoid", "tanh"])
def test_a_bounded_output_reconstructs_as_well_as_a_linear_one(tmp_path, output: str, seed: int):
    """A line through the whole range, ends included: the issue's table 20."""
    trained = aecli.train(LINE, model=tmp_path, latent=1, output=output, seed=seed, epochs=15)
    assert trained.spec.summary.baselines[0].r2 > 0.99
