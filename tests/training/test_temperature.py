from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import aecli


def noisy(rows: int, seed: int) -> pa.Table:
    """Return rows of which a quarter have a random label."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 6))
    label = (x[:, 0] > 0) ^ (generator.random(rows) < 0.25)
    return pa.table({f"x{i}": x[:, i] for i in range(6)} | {"y": np.where(label, "yes", "no")})


@pytest.mark.parametrize("options", [{}, {"classifier": [16]}, {"balance": True}])
def test_probabilities_are_calibrated(tmp_path, no_cross_fitting, options):
    held_out = tmp_path / "valid.parquet"
    pa.parquet.write_table(noisy(600, 1), held_out)
    trained = aecli.train(
        noisy(300, 0), model=tmp_path / "m", label="y", latent=6, epochs=40, patience=0,
        valid=str(held_out), reconst_weight=0, **options,
    )  # fmt: skip
    summary = trained.spec.summary
    assert summary.temperature != 1
    found = aecli.evaluate(held_out, model=tmp_path / "m")
    if "balance" not in options:
        assert found.losses["classification"].value == pytest.approx(
            summary.valid["classification"], rel=1e-4
        )
    raw = trained.history[summary.best_epoch - 1].valid["classification"]
    assert summary.valid["classification"] < raw


def test_without_validation_rows_probabilities_are_those_of_the_training(tmp_path):
    summary = aecli.train(
        noisy(100, 0), model=tmp_path / "m", label="y", latent=3, epochs=2, valid="none"
    ).spec.summary
    assert summary.temperature == 1
