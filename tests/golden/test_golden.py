"""Models of every released version are loaded and applied as they were when they were released.

Never make the folder of a version anew to let this test pass: people have models like those in it.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aecli
from aecli.model_directory.read import read_spec
from aecli.model_directory.verify import verify
from aecli.schema.model_spec import SCHEMA
from tests.golden.make import apply

FOLDER = Path(__file__).parent
MODELS = sorted(path.parent for path in FOLDER.glob("*/*/model"))
ARCHITECTURES = {"mlp", "classifier", "conv2d", "vanilla", "conv1d", "lstm", "transformer",
                 "variational"}  # fmt: skip
TOLERANCE = 1e-5


def require_close(name: str, found: pa.ChunkedArray, expected: pa.ChunkedArray) -> None:
    assert found.type == expected.type, name
    assert found.is_null().equals(expected.is_null()), name
    if pa.types.is_floating(expected.type):
        np.testing.assert_allclose(
            found.to_numpy(), expected.to_numpy(), rtol=TOLERANCE, atol=TOLERANCE, err_msg=name
        )
    else:
        assert found.equals(expected), name


@pytest.mark.parametrize("place", MODELS, ids=lambda place: f"{place.parent.name}-{place.name}")
def test_a_released_model_gives_the_values_that_it_gave(place: Path, tmp_path: Path) -> None:
    assert not [file for file in verify(place / "model") if file.problem]
    names = apply(place / "model", str(place / "table.parquet"), tmp_path)
    assert sorted([*names, "table.parquet"]) == sorted(
        path.name for path in place.glob("*.parquet")
    )
    for name in names:
        found, expected = pq.read_table(tmp_path / name), pq.read_table(place / name)
        assert found.column_names == expected.column_names
        for column in expected.column_names:
            require_close(f"{name} {column}", found[column], expected[column])


@pytest.mark.parametrize("place", MODELS[:1], ids=str)
def test_a_released_model_can_be_calibrated(place: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(place / "model", model)
    aecli.calibrate(str(place / "table.parquet"), model=model)
    assert read_spec(model).schema_ == SCHEMA


def test_the_present_version_has_a_model_of_each_architecture() -> None:
    version = ".".join(aecli.__version__.split(".")[:2])
    found = {place.name for place in MODELS if place.parent.name.startswith(f"{version}.")}
    assert found == ARCHITECTURES


def test_a_version_s_models_are_small() -> None:
    for version in {place.parent for place in MODELS}:
        assert sum(path.stat().st_size for path in version.rglob("*") if path.is_file()) < 400_000
