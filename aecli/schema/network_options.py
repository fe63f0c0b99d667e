"""Define the options of networks and of windows of rows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from aecli.schema.option_types import (
    Gap,
    Names,
    Shape,
    Size,
    Sizes,
    StrictModel,
    initialiser_name,
)
from aecli.schema.torch_classes import (
    ARCHITECTURES,
    INITIALISERS,
    ActivationSpec,
    NormSpec,
    TorchClassSpec,
)


class NetworkOptions(StrictModel):
    """Network"""

    arch: Literal[ARCHITECTURES] | None = Field(  # type: ignore[valid-type]  # one list of names
        None,
        description="Architecture: mlp for rows, conv2d for rows that are images (--shape), the "
        "others for windows of rows (--window).",
        json_schema_extra={"automatic": "mlp; vanilla with --window"},
    )
    encoder: Sizes | Literal["halve"] | None = Field(
        None,
        description="Layer sizes of the encoder; the last is the latent size. halve: each layer is "
        "half of the previous one, from the inputs down to --latent.",
        json_schema_extra={"automatic": "one or two hidden layers, by the number of inputs"},
    )
    decoder: Sizes | None = Field(
        None,
        description="Hidden layer sizes of the decoder.",
        json_schema_extra={"automatic": "mirrors the encoder"},
    )
    classifier: Sizes | None = Field(
        None,
        description="Hidden layer sizes of the classifier.",
        json_schema_extra={"automatic": "no hidden layer"},
    )
    latent: Size | Literal["auto"] | None = Field(
        None,
        description="Latent size; auto: the number of components that PCA needs for 95 % of the "
        "variance.",
        json_schema_extra={"automatic": "a quarter of the inputs, from 2 to 64"},
    )
    activation: ActivationSpec = Field(
        TorchClassSpec(name="SiLU"),
        description="Activation of hidden layers, as in LeakyReLU:negative_slope=0.1.",
    )
    latent_activation: ActivationSpec | None = Field(
        None,
        description="Activation of the latent.",
        json_schema_extra={"automatic": "linear; Sigmoid with --kl"},
    )
    norm: NormSpec | None = Field(
        None,
        description="Normalisation layer: none, batch, instance or layer.",
        json_schema_extra={"automatic": "none; batch for a classifier of images"},
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Dropout probability in hidden layers."
    )
    axes: Literal["uncorrelated", "independent"] = Field(
        "uncorrelated",
        description="Axes of a linear latent after training. uncorrelated: its principal axes; "
        "independent: units as independent of each other as possible (FastICA).",
    )
    variational: bool = Field(
        False,
        description="Variational autoencoder: a row is encoded as a normal distribution; encode "
        "writes its mean.",
    )
    topk: Size | None = Field(
        None, description="Keep the N latent units with the largest |z| per row; others become 0."
    )
    shape: Shape | None = Field(
        None, description="Shape of the images for conv2d, as in 28x28 or 28x28x3."
    )
    channels: Sizes = Field(
        [16, 32],
        description="Channels of conv2d and conv1d; each layer halves the sides, or the length.",
    )
    hidden: Size = Field(64, description="Hidden size of lstm and transformer.")
    layers: Annotated[int, Field(ge=1, le=16)] = Field(1, description="Number of LSTM layers.")
    heads: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="Number of attention heads of transformer; must divide --hidden."
    )
    feedforward: Size = Field(128, description="Size of the feed-forward layers of transformer.")
    depth: Annotated[int, Field(ge=1, le=32)] = Field(
        2, description="Number of transformer layers."
    )
    init: Annotated[Literal[INITIALISERS], BeforeValidator(initialiser_name)] = Field(  # type: ignore[valid-type]  # a list
        "auto",
        description="Initialisation. pca: the network starts as PCA of the training rows, through "
        "linear skip connections; default: that of torch; auto: pca where the latent is"
        " linear, not variational, and large enough for a label and columns of several kinds. "
        "he_normal, glorot_uniform and lecun_normal are names too.",
    )

    @field_validator("encoder", "decoder", "classifier", "channels", mode="before")
    @classmethod
    def _require_no_missing_size(cls, value: Any) -> Any:
        if isinstance(value, str) and "" in (piece.strip() for piece in value.split(",")[:-1]):
            raise ValueError("a size is missing before a comma")
        return value


class WindowOptions(StrictModel):
    """Windows"""

    window: Annotated[int, Field(ge=2, le=65_536)] | None = Field(
        None, description="Rows per window: one latent per window instead of one per row."
    )
    stride: Annotated[int, Field(ge=1, le=65_536)] = Field(
        1, description="Rows from the start of one window to the start of the next."
    )
    group: Names = Field(
        [], description="Columns that identify a series; windows never cross series."
    )
    time: str | None = Field(
        None,
        description="Column to order rows by, for windows and for --valid last:0.1.",
        json_schema_extra={"automatic": "the order of the file"},
    )
    max_gap: Gap | None = Field(
        None, description="Largest step of --time within a window: 90s, 10m, 2h, or a number."
    )
    window_label: Literal["last", "majority"] = Field(
        "last", description="Label of a window: that of its last row, or of the majority."
    )
