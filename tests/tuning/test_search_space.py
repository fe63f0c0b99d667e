from __future__ import annotations

from typing import Any

import pytest

from aecli.features.layout import lay_out
from aecli.model.sizes import resolve_network
from aecli.schema.model_spec import Column
from aecli.schema.options import TrainOptions
from aecli.tuning.search_space import Chooser, SearchSpace

COLUMNS = [
    Column(name=f"x{i}", kind="number", type="double", center=[0.0], scale=[1.0], reason="numbers")
    for i in range(64)
]
WEIGHTS = {"reconstruction": 2.0, "classification": 1.0}


class LastChooser(Chooser):
    """Chooser of the last of the values and the upper end of every range."""

    def category(self, name: str, default: Any, values: Any) -> Any:
        return values[-1]

    def number(self, name: str, default: float, low: float, high: float) -> float:
        return high

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        return high


def space(*, minimizes_loss: bool = True, weights: Any = WEIGHTS, **given: Any) -> SearchSpace:
    options = TrainOptions.from_flat(given)
    network = resolve_network(
        options, columns=COLUMNS, layout=lay_out(COLUMNS), classes=3, latent=None
    )
    return SearchSpace(options, network, 64, weights, minimizes_loss, 64 * network.window)


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
    search_space = space(**given)
    assert search_space.option_texts(Chooser()) == {}
    last = search_space.train_options(search_space.option_texts(LastChooser()))
    assert resolve_network(last, columns=COLUMNS, layout=lay_out(COLUMNS), classes=3).architecture
    assert last.network.shape == search_space.base.network.shape


def test_what_is_given_stays():
    given = {
        "encoder": [32, 4], "activation": "Tanh", "dropout": 0.0, "noise": "none", "lr": 0.01,
        "batch_size": 16, "optimizer": "SGD", "reconst_weight": 3.0, "l1": 0.5,
    }  # fmt: skip
    assert space(**given).option_texts(LastChooser()) == {}


def test_a_latent_is_widened_only_where_that_is_no_way_to_win():
    assert space().option_texts(LastChooser())["encoder"].endswith(",16")
    assert space(minimizes_loss=False).option_texts(LastChooser())["encoder"].endswith(",64")
    assert (
        space(minimizes_loss=False, latent=5).option_texts(LastChooser())["encoder"].endswith(",5")
    )


def test_loss_weights_are_searched_beside_a_classifier_alone():
    weighted = {"reconst_weight", "l1"}
    assert weighted <= space().option_texts(LastChooser()).keys()
    assert not weighted & space(weights={"reconstruction": 1.0}).option_texts(LastChooser()).keys()


def test_a_latent_that_auto_chose_goes_into_the_encoder():
    search_space = space(latent="auto")
    texts = search_space.option_texts(LastChooser())
    assert search_space.train_options(texts).network.encoder[-1] == search_space.network.latent
