"""Define every option of training once: its default, bound and help sentence.

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
        None, description="Column to classify; its empty cells are unlabelled rows."
    )
    columns: Names = Field([], description="Only these columns (names or globs).")
    exclude: Names = Field([], description="Leave these columns out (names or globs).")
    categorical: Names = Field(
        [], description="Integer columns to treat as categories (names or globs)."
    )
    id: Names = Field(
        [], description="Identifier columns: never features, carried into every output."
    )
    scale: Literal["auto", "standard", "minmax", "robust", "none"] = Field(
        "auto",
        description="Scaling of numbers; auto gives bytes and pixels one shared 0..1 scale, and "
        "standardises everything else, or with --output sigmoid and tanh scales it to 0..1.",
    )
    output: Literal["auto", "linear", "sigmoid", "tanh"] = Field(
        "auto",
        description="Output of number columns; auto is linear, and cut to 0..1 where that is the "
        "scale; tanh spans 0..1 there, and -1..1 with --scale none and negative numbers.",
    )
    max_categories: Annotated[int, Field(ge=2, le=10_000)] = Field(
        128, description="Most frequent values a category column keeps; rarer ones share a slot."
    )
    nonfinite: Literal["error", "missing"] = Field(
        "error", description="What an infinite number is: an error, or a missing cell."
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
        "others for windows of rows (--window); mlp or vanilla unless given.",
    )
    encoder: Sizes | Literal["halve"] | None = Field(
        None,
        description="Layer sizes of the encoder, the last one the latent; halve: each half of the "
        "one before, from the inputs down to --latent; default: one or two hidden layers, by the "
        "number of inputs.",
    )
    decoder: Sizes | None = Field(
        None, description="Hidden layer sizes of the decoder; the mirrored encoder unless given."
    )
    classifier: Sizes | None = Field(
        None, description="Hidden layer sizes of the classification head; none unless given."
    )
    latent: Size | Literal["auto"] | None = Field(
        None,
        description="Latent size; auto takes what PCA needs for 95 % of the variance; unless given "
        "a quarter of the inputs, from 2 to 64.",
    )
    activation: ActivationSpec = Field(
        TorchClassSpec(name="SiLU"),
        description="Activation of hidden layers, as in LeakyReLU:negative_slope=0.1.",
    )
    latent_activation: ActivationSpec | None = Field(
        None, description="Activation of the latent; unless given linear, and Sigmoid with --kl."
    )
    norm: NormSpec = Field(
        TorchClassSpec(name="none"), description="Norm layer: none, batch, instance or layer."
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Dropout probability in hidden layers."
    )
    variational: bool = Field(
        False, description="Encode each row as a normal distribution; encode gives its mean."
    )
    topk: Size | None = Field(
        None, description="Only this many latents of a row, the largest by size, survive."
    )
    shape: Shape | None = Field(
        None, description="Shape of the images for conv2d, as in 28x28 or 28x28x3."
    )
    channels: Sizes = Field(
        [16, 32], description="Channels of conv2d and conv1d; each halves the length or the sides."
    )
    hidden: Size = Field(64, description="Width of lstm and of transformer.")
    layers: Annotated[int, Field(ge=1, le=16)] = Field(1, description="LSTM layers.")
    heads: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="Attention heads of transformer; they divide --hidden."
    )
    feedforward: Size = Field(128, description="Width of transformer's feed-forward layers.")
    depth: Annotated[int, Field(ge=1, le=32)] = Field(2, description="Transformer layers.")
    init: Literal[INITIALISERS] = Field(  # type: ignore[valid-type]  # one list of names, not two
        "auto",
        description="Initialisation; pca starts the network as PCA of the training rows, by a "
        "linear path beside it; auto is pca where the latent is linear, without a classifier and "
        "not variational; default is torch's own.",
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
    group: Names = Field([], description="Columns that name a series; windows never cross series.")
    time: str | None = Field(
        None,
        description="Column to order rows by, for windows and for --valid last:0.1; without it "
        "they are in file order.",
    )
    max_gap: Gap | None = Field(
        None, description="Longest step of --time within a window: 90s, 10m, 2h, or a number."
    )
    window_label: Literal["last", "majority"] = Field(
        "last", description="A window's label: its last row's, or that of most of its rows."
    )


class LossOptions(StrictModel):
    """Losses"""

    reconst_weight: Weight | None = Field(
        None,
        description="Weight of the reconstruction loss; unless given 1, and beside a label 1 / the "
        "loss of the column means, so that both tasks start at a like size.",
    )
    class_weight: Weight = Field(1.0, description="Weight of the classification loss.")
    l1: Weight = Field(0.0, description="Weight of mean |z| over the latent.")
    l2: Weight = Field(0.0, description="Weight of mean z² over the latent.")
    kl: Weight = Field(0.0, description="Weight of the KL divergence of mean activations from rho.")
    rho: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.05, description="Mean activation that --kl pulls each latent unit to."
    )
    beta: Weight = Field(
        1.0,
        description="Weight of the KL divergence of --variational, after its warm-up; 1 makes the "
        "evidence lower bound.",
    )
    reduction: Literal["mean", "sum"] = Field(
        "mean",
        description="Losses as means, or as sums over columns and units (mean over rows), for "
        "weights chosen with sums.",
    )
    number_loss: Literal["mse", "mae", "huber"] = Field(
        "mse", description="Reconstruction loss of number columns."
    )
    trimmed_loss: bool = Field(
        False,
        description="Training rows may hold anomalies: the tenth of each batch that is restored "
        "worst does not count.",
    )
    balance: bool = Field(False, description="Weigh classes so that rare ones count as much.")


class TrainingOptions(StrictModel):
    """Training"""

    valid: Valid = Field(
        "0.1",
        description="Validation rows: a share such as 0.1 at random, last:0.1 (the last by --time "
        "or file order), group:COLUMN (whole groups of a column that is then an identifier, "
        "group:COLUMN:0.2 for another share), a FILE, or none.",
    )
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None,
        description="Most passes over the training rows; the schedule spans them; unless given 40, "
        "and fewer, to 5, for more than 12,500 rows, or 7,500 that are wide or have a label.",
    )
    batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | None = Field(
        None,
        description="Rows per training step; unless given from 16 to 1024, by the number of rows.",
    )
    optimizer: OptimizerSpec = Field(
        TorchClassSpec(name="AdamW"), description="Optimizer, as in SGD:momentum=0.9."
    )
    lr: Annotated[float, Field(gt=0, le=10)] = Field(
        4e-3, description="Learning rate at its highest."
    )
    schedule: Literal["cosine", "plateau", "constant"] = Field(
        "cosine", description="How the learning rate falls over the epochs."
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        15, description="Epochs without a better validation loss before stopping; 0 never stops."
    )
    clip: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        1.0, description="Largest gradient norm; 0 does not clip."
    )
    noise: Noise = Field(
        "none",
        description="Corrupt training inputs: gaussian:0.1 (scaled units), mask:0.2 or swap:0.15 "
        "(share of the cells, emptied or taken from another row).",
    )
    log_gradients: bool = Field(
        False, description="Write each layer's mean gradient norm into the history of the epochs."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        0, description="Seed of the split, the weights, the row order and the dropout."
    )
    time_limit: Seconds | None = Field(
        None, description="Stop training after this long (90s, 10m, 2h) with the best model so far."
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None, description="CPU threads; all cores unless given."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Arithmetic; auto is bf16 where the hardware has it and it pays."
    )
    memory: Annotated[str, Field(pattern=r"^\d{1,9}(\.\d+)?[KMGT]B$")] = Field(
        "4GB", description="Largest training matrix held in memory; larger ones are staged on disk."
    )

    @field_validator("optimizer")
    @classmethod
    def _require_momentum_for_nesterov(cls, value: OptimizerSpec) -> OptimizerSpec:
        args = value.args
        if args.get("nesterov") and (not args.get("momentum") or args.get("dampening")):
            raise ValueError("nesterov needs a momentum, and no dampening")
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
