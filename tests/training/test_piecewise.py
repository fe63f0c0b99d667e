from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.training.piecewise import fit_bins

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([], []),
        ([NAN], []),
        ([1, 1, NAN], []),
        ([0, 1, 1], []),
        ([3, 1, 1, 2, NAN], [1, 2, 3]),
        (list(range(9)), [0, 2, 4, 6, 8]),
        ([0] * 91 + list(range(1, 10)), [0, 3, 6, 9]),  # the frequent value has one bin
    ],
)
def test_bins_are_quantiles_in_which_a_frequent_value_counts_once(values, edges):
    assert fit_bins(np.array(values, dtype=np.float32), 4 if len(values) > 5 else 8) == edges


def striped(rows: int, labelled: int) -> pa.Table:
    """Return a number whose label changes 20 times in its range, and its multiple."""
    x = np.random.default_rng(0).random(rows)
    label = np.where((20 * x).astype(int) % 2, "odd", "even").astype(object)
    label[labelled:] = None
    return pa.table({"x": x, "twice": 2 * x, "c": ["a", "b"] * (rows // 2), "y": label})


def trained(folder: Path, labelled: int, **options):
    return aecli.train(
        striped(12_000, labelled), model=folder, label="y", latent=2, batch_size=256,
        **({"epochs": 1} | options),
    )  # fmt: skip


def test_a_classifier_of_many_labelled_rows_has_bins_as_inputs(tmp_path):
    spec = trained(tmp_path / "m", 12_000, init="default").spec
    bins = {column.name: len(column.bins) - 1 for column in spec.columns if column.bins}
    assert bins == {"x": 64, "twice": 64}
    assert spec.network.inputs == spec.network.outputs + 128 == 4 + 128
    assert [column.reason for column in spec.columns] == [
        "number: standardised; 64 bins", "number: standardised; 64 bins", "text with 2 values",
    ]  # fmt: skip
    assert aecli.evaluate(striped(100, 100), model=tmp_path / "m").classification.rows == 100


@pytest.mark.parametrize(
    ("labelled", "options"),
    [
        (9_000, {"valid": "none"}),
        (12_000, {"class_weight": 0}),
        (12_000, {"window": 2, "stride": 2}),
    ],
)
def test_others_have_no_bins(tmp_path, labelled, options):
    spec = trained(tmp_path / "m", labelled, **options).spec
    assert not any(column.bins for column in spec.columns)


def test_held_out_rows_decide_about_bins_of_few_rows(tmp_path):
    result = aecli.train(
        striped(2_000, 2_000),
        model=tmp_path / "m",
        label="y",
        latent=2,
        epochs=8,
        init="default",
        batch_size=64,
        reconst_weight=1,  # eight epochs are too few for these stripes with the default of 2
    )
    assert all(column.bins for column in result.spec.columns if column.kind == "number")
    notes = [note for note in result.spec.summary.notes if "binned" in note]
    assert len(notes) == 1
    assert notes[0].startswith("classifier with binned inputs, chosen on validation rows")
