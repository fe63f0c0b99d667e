from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import aecli

WINDOW = {"window": 4, "group": ["g"], "latent": 2}
KINDS = {
    "mlp": {"latent": 2},
    "variational": {"latent": 2, "variational": True, "norm": "batch"},
    "conv2d": {"arch": "conv2d", "shape": "4x4", "exclude": ["g"]},
    "vanilla": WINDOW,
    "conv1d": WINDOW | {"arch": "conv1d"},
    "lstm": WINDOW | {"arch": "lstm", "hidden": 8, "layers": 2},
    "transformer": WINDOW | {"arch": "transformer", "hidden": 8, "init": "default"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_listed_layers_hold_every_parameter(kind: str, tmp_path: Path):
    generator = np.random.default_rng(0)
    table = pa.table(
        {f"x{i}": generator.normal(size=40) for i in range(16)} | {"g": ["a", "b"] * 20}
    )
    spec = aecli.train(table, model=tmp_path / "m", epochs=1, **KINDS[kind]).spec
    layers = aecli.inspect(tmp_path / "m").layers
    assert sum(layer.parameters for layer in layers) == spec.parameters
    assert {layer.part for layer in layers} <= {"linear path", "encoder", "decoder"}
    assert ("linear path" in {layer.part for layer in layers}) == spec.network.linear_path
