"""Define every option of training once: its default, bounds and help sentence.

Command-line flags, config keys, `AECLI_…` variables, the JSON Schema and the option reference in
`docs/` are all made from these fields. The sections group them in `--help`; names are unique across
sections, so a config file is flat.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from aecli.schema.consistency import require_consistent
from aecli.schema.option_types import (
    Gap,
    Names,
    Noise,
    Seconds,
    Shape,
    Size,
    Sizes,
    StrictModel,
    Valid,
    Weight,
)
from aecli.schema.read_options import ReadOptions
from aecli.schema.torch_classes import (
    ARCHITECTURES,
    INITIALISERS,
    ActivationSpec,
    NormSpec,
    OptimizerSpec,
    TorchClassSpec,
)


class ColumnOptions(StrictModel):
    """Columns"""

    label: str | None = Field(
        None, description="Column to classify; rows without it are unlabelled."
    )
    columns: Names = Field(
        [],
        description="Use only these columns (names or globs).",
        json_schema_extra={"automatic": "all columns"},
    )
    exclude: Names = Field([], description="Leave these columns out (names or globs).")
    categorical: Names = Field(
        [], description="Integer columns to treat as categories (names or globs)."
    )
    id: Names = Field([], description="Identifier columns: not features, copied to outputs.")
    scale: Literal["auto", "standard", "minmax", "robust", "none"] = Field(
        "auto",
        description="Scaling of numbers; auto scales bytes and pixels together to 0..1 and "
        "standardises other numbers, or scales them to 0..1 with --output sigmoid or "
        "tanh.",
    )
    output: Literal["auto", "linear", "sigmoid", "tanh"] = Field(
        "auto",
        description="Output of number columns; auto is linear, and limited to 0..1 where that is "
        "the scale; tanh spans 0..1 there, and -1..1 with --scale none and negative "
        "numbers.",
    )
    max_categories: Annotated[int, Field(ge=2, le=10_000)] = Field(
        128, description="Maximum number of categories of a column; rarer values share one."
    )
    nonfinite: Literal["error", "missing"] = Field(
        "error", description="How to treat infinite numbers: as an error or as missing."
    )

    @property
    def bounded_output(self) -> bool:
        """Return whether numbers have an output with bounds, which their scale must keep."""
        return self.output in ("sigmoid", "tanh")


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
    norm: NormSpec = Field(
        TorchClassSpec(name="none"),
        description="Normalisation layer: none, batch, instance or layer.",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Dropout probability in hidden layers."
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
    init: Literal[INITIALISERS] = Field(  # type: ignore[valid-type]  # one list of names
        "auto",
        description="Initialisation. pca: the network starts as PCA of the training rows, through "
        "linear skip connections; default: that of torch; auto: pca where the latent is"
        " linear, without a classifier and not variational, else that of torch.",
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


class LossOptions(StrictModel):
    """Losses"""

    reconst_weight: Weight | None = Field(
        None,
        description="Weight of the reconstruction loss. With a label the default makes both losses "
        "start at similar magnitude.",
        json_schema_extra={"automatic": "1; with a label 1 / the loss of predicting column means"},
    )
    class_weight: Weight = Field(1.0, description="Weight of the classification loss.")
    l1: Weight = Field(0.0, description="Weight of mean |z| over the latent.")
    l2: Weight = Field(0.0, description="Weight of mean z² over the latent.")
    kl: Weight = Field(
        0.0, description="Weight of the KL divergence of mean activations from --rho."
    )
    rho: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="Target mean activation of each latent unit, for --kl."
    )
    beta: Weight = Field(
        1.0,
        description="Weight of the KL divergence of --variational, after its warm-up; 1 gives the "
        "evidence lower bound.",
    )
    reduction: Literal["mean", "sum"] = Field(
        "mean", description="Losses as means, or as sums over columns and units (mean over rows)."
    )
    number_loss: Literal["mse", "mae", "huber"] = Field(
        "mse", description="Reconstruction loss of number columns."
    )
    trimmed_loss: bool = Field(
        False,
        description="Trimmed loss: ignore the worst 10 % of each batch, for training rows that may "
        "include anomalies.",
    )
    balance: bool = Field(False, description="Weigh classes inversely to their frequency.")


class TrainingOptions(StrictModel):
    """Training"""

    valid: Valid = Field(
        "0.1",
        description="Validation rows: a random share such as 0.1, last:0.1 (the last by --time or "
        "file order), group:COLUMN (whole groups of a column, which is then an "
        "identifier; group:COLUMN:0.2 for another share), a FILE, or none.",
    )
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None,
        description="Maximum number of epochs; the schedule spans them.",
        json_schema_extra={"automatic": "40, or fewer, down to 5, for many rows"},
    )
    batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | None = Field(
        None,
        description="Rows per training step.",
        json_schema_extra={"automatic": "16 to 1024, by the number of rows"},
    )
    optimizer: OptimizerSpec = Field(
        TorchClassSpec(name="AdamW"), description="Optimizer, as in SGD:momentum=0.9."
    )
    lr: Annotated[float, Field(gt=0, le=10)] = Field(4e-3, description="Peak learning rate.")
    schedule: Literal["cosine", "plateau", "constant"] = Field(
        "cosine", description="Learning rate schedule."
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        15,
        description="Early stopping: maximum number of epochs without improvement of the validation"
        " loss; 0 never stops.",
    )
    clip: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        1.0, description="Maximum gradient norm; 0 does not clip."
    )
    noise: Noise = Field(
        "none",
        description="Noise on the training inputs: gaussian:0.1 (in scaled units), mask:0.2 or "
        "swap:0.15 (share of the cells that become missing, or take the value of "
        "another row).",
    )
    log_gradients: bool = Field(
        False, description="Add the mean gradient norm of each layer to the history."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        0, description="Seed of the split, the weights, the row order and dropout."
    )
    time_limit: Seconds | None = Field(
        None, description="Maximum training time (90s, 10m, 2h); the best model so far is saved."
    )
    device: str = Field("auto", description="Device: auto, cpu, cuda, cuda:N or mps.")
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None, description="Number of CPU threads.", json_schema_extra={"automatic": "all cores"}
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Precision; auto is bf16 where the hardware has it and it is faster."
    )
    memory: Annotated[str, Field(pattern=r"^\d{1,9}(\.\d+)?[KMGT]B$")] = Field(
        "4GB", description="Maximum size of the training matrix in memory; a larger one is on disk."
    )

    @field_validator("optimizer")
    @classmethod
    def _require_momentum_for_nesterov(cls, value: OptimizerSpec) -> OptimizerSpec:
        args = value.args
        if args.get("nesterov") and (not args.get("momentum") or args.get("dampening")):
            raise ValueError("nesterov needs a momentum, without dampening")
        return value


OPTION_SECTIONS: dict[str, type[StrictModel]] = {
    "read": ReadOptions,
    "columns": ColumnOptions,
    "network": NetworkOptions,
    "windows": WindowOptions,
    "losses": LossOptions,
    "training": TrainingOptions,
}


class TrainOptions(StrictModel):
    """All options of one training, in sections."""

    read: ReadOptions = ReadOptions()
    columns: ColumnOptions = ColumnOptions()
    network: NetworkOptions = NetworkOptions()
    windows: WindowOptions = WindowOptions()
    losses: LossOptions = LossOptions()
    training: TrainingOptions = TrainingOptions()

    @classmethod
    def from_flat(cls, values: dict[str, Any]) -> TrainOptions:
        """Build the options from flat names such as `encoder` or `lr`.

        Raises:
            pydantic.ValidationError: a value is out of bounds or of the wrong type.
            KeyError: a name is not an option.
        """
        nested: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            nested.setdefault(section_of(name), {})[name] = value
        return cls.model_validate(nested)

    @property
    def classifies(self) -> bool:
        """Return whether a classifier is trained: there is a label, and its loss has a weight."""
        return self.columns.label is not None and self.losses.class_weight > 0

    @model_validator(mode="after")
    def _require_consistent(self) -> TrainOptions:
        require_consistent(self)
        return self


def section_of(name: str) -> str:
    """Return the section that holds the option `name`; raise KeyError where none does."""
    for section, model in OPTION_SECTIONS.items():
        if name in model.model_fields:
            return section
    raise KeyError(name)


def option_names() -> list[str]:
    """Return every option's flat name, in the order of the sections."""
    return [name for model in OPTION_SECTIONS.values() for name in model.model_fields]
