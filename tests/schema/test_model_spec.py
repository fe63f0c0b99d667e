"""How much memory a network takes for a sample decides how many samples run at a time."""

import pytest

from aecli.schema.network import Network


def network(architecture: str, window: int = 1, **sizes: object) -> Network:
    return Network(
        architecture=architecture, inputs=9, outputs=9, classes=0, window=window, encoder=[4],
        decoder=[], classifier=[], activation="ReLU", latent_activation="Identity", norm="none",
        dropout=0.0, output="linear", **sizes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "numbers"),
    [
        (network("mlp"), 9),
        (network("vanilla", 12), 12 * 9),
        (network("lstm", 12, hidden=4096), 12 * 4 * 4096),
        (network("transformer", 12, hidden=64, heads=4, feedforward=2048), 12 * 2048),
        (network("transformer", 500, hidden=64, heads=4, feedforward=8), 500 * 4 * 500),
        (network("conv1d", 12, channels=[16, 512]), 6 * 512),
        (network("conv2d", shape=[28, 28, 1], channels=[16, 32]), 28 * 28 * 16),
    ],
    ids=lambda v: v.architecture if isinstance(v, Network) else "",
)
def test_the_widest_layer_of_each_architecture_bounds_its_batches(found: Network, numbers: int):
    assert found.widest == numbers
    assert found.samples_within(10 * numbers + 1) == 10
    assert found.samples_within(1) == 1
