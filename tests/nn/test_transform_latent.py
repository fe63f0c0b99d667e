import pytest
import torch
from torch import nn

from aecli.nn.autoencoder import AutoencoderNetwork, LinearPath
from aecli.nn.convolution import ConvDecoder, ConvEncoder
from aecli.nn.init import transform_latent
from aecli.nn.layers import MLP
from aecli.nn.sequence import LSTMDecoder, LSTMEncoder, TransformerDecoder, TransformerEncoder

LENGTH, WIDTH, LATENT = 5, 2, 3
SHARED = {"length": LENGTH, "latent": LATENT}
LEVELS = {"shape": (LENGTH, WIDTH), "latent": LATENT, "channels": [4, 8], "activation": nn.SiLU}
LSTM = SHARED | {"hidden": 6, "layers": 2}
TRANSFORMER = SHARED | {"hidden": 6, "heads": 2, "feedforward": 8, "depth": 1}
PAIRS = {
    "vanilla": lambda: (
        MLP(sizes=[LENGTH * WIDTH, 7, LATENT], activation=nn.SiLU),
        MLP(sizes=[LATENT, 7, LENGTH * WIDTH], activation=nn.SiLU),
    ),
    "conv1d": lambda: (ConvEncoder(**LEVELS), ConvDecoder(**LEVELS)),
    "lstm": lambda: (LSTMEncoder(inputs=WIDTH, **LSTM), LSTMDecoder(outputs=WIDTH, **LSTM)),
    "transformer": lambda: (
        TransformerEncoder(inputs=WIDTH, **TRANSFORMER),
        TransformerDecoder(outputs=WIDTH, **TRANSFORMER),
    ),
}


def autoencoder(name: str, **changes: object) -> AutoencoderNetwork:
    encoder, decoder = PAIRS[name]()
    path = LinearPath(inputs=LENGTH * WIDTH, latent=LATENT, outputs=LENGTH * WIDTH)
    head = MLP(sizes=[LATENT, 4, 2], activation=nn.SiLU)
    parts = {"encoder": encoder, "decoder": decoder, "head": head, "path": path, "output": None}
    return AutoencoderNetwork(**parts, numbers=WIDTH, window=LENGTH, **changes).eval()


@pytest.mark.parametrize("name", PAIRS)
@torch.no_grad()
def test_a_map_of_the_latent_changes_neither_outputs_nor_logits(name):
    network, x = autoencoder(name), torch.randn(8 * LENGTH, WIDTH)
    latent, outputs = network.encode(x), network(x)
    logits = network.classify(latent)
    rotation = torch.linalg.qr(torch.randn(LATENT, LATENT)).Q
    matrix = (rotation * torch.tensor([1.0, -0.2, 5.0])).double()
    transform_latent(network, matrix)
    changed = network.encode(x)
    torch.testing.assert_close(changed, latent @ matrix.T.float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(network(x), outputs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.classify(changed), logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("change", [{"code": nn.ReLU()}, {"variational": True}])
def test_a_latent_that_is_not_linear_is_not_transformed(change):
    with pytest.raises(ValueError, match="only a linear latent"):
        transform_latent(autoencoder("vanilla", **change), torch.eye(LATENT).double())
