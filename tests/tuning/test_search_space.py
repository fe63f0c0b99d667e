from __future__ import annotations

from typing import Any

import pytest

from aecli.features.layout import lay_out
from aecli.model.sizes import resolve_network
from aecli.schema.model_spec import Column
from aecli.schema.options import TrainOptions
from aecli.tuning.search_space import Defaults, Space

COLUMNS = [
    Column(name=f"x{i}", kind="number", type="double", center=[0.0], scale=[1.0], reason="numbers")
    for i in range(64)
]
WEIGHTS = {"reconstruction": 2.0, "classification": 1.0}


class Far:
    """Choose the last of the values, and the upper end of every range."""

    def pick(self, name: str, default: Any, values: Any) -> Any:
        return values[-1]

    def number(self, name: str, default: float, low: float, high: float) -> float:
        return high

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        return high


def space(*, restoring: bool = True, weights: Any = WEIGHTS, **given: Any) -> Space:
    options = TrainOptions.from_flat(given)
    network = resolve_network(
        options, columns=COLUMNS, layout=lay_out(COLUMNS), classes=3, latent=None
    )
    return Space(options, network, 64, weights, restoring, 64 * network.window)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"latent": 8},
        {"arch": "conv2d", "shape": "8x8"},
        {"window": 12},
        {"window": 12, "arch": "conv1d"},
        {"window": 12, "arch": "lstm"},
        {"window": 12, "arch": "transformer", "heads": 2},
    ],
)
def test_the_defaults_of_every_architecture_change_nothing(given: dict[str, Any]):
    made = space(**given)
    assert made.texts(Defaults()) == {}
    far = made.train_options(made.texts(Far()))
    assert resolve_network(far, columns=COLUMNS, layout=lay_out(COLUMNS), classes=3).architecture
    assert far.network.shape == made.base.network.shape


def test_what_is_given_stays():
    given = {
        "encoder": [32, 4], "activation": "Tanh", "dropout": 0.0, "noise": "none", "lr": 0.01,
        "batch_size": 16, "optimizer": "SGD", "reconst_weight": 3.0, "l1": 0.5,
    }  # fmt: skip
    assert space(**given).texts(Far()) == {}


def test_a_latent_is_widened_only_where_that_is_no_way_to_win():
    assert space().texts(Far())["encoder"].endswith(",16")
    assert space(restoring=False).texts(Far())["encoder"].endswith(",64")
    assert space(restoring=False, latent=5).texts(Far())["encoder"].endswith(",5")


def test_loss_weights_are_searched_beside_a_classifier_alone():
    weighted = {"reconst_weight", "l1"}
    assert weighted <= space().texts(Far()).keys()
    assert not weighted & space(weights={"reconstruction": 1.0}).texts(Far()).keys()


def test_a_latent_that_auto_chose_goes_into_the_encoder():
    made = space(latent="auto")
    texts = made.texts(Far())
    assert made.train_options(texts).network.encoder[-1] == made.network.latent
