"""Define every option of training once: its default, bound and help sentence.

Command-line flags, config keys, `AECLI_…` variables, the JSON Schema and the option reference in
`docs/` are all made from these fields. The sections group them in `--help`; names are unique across
sections, so a config file is flat.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from aecli.spec.catalogue import INITIALISERS, Activation, Norm, Optimizer


def _split_names(value: Any) -> Any:
    pieces = [value] if isinstance(value, str) else value
    if not isinstance(pieces, (list, tuple)) or not all(isinstance(p, str) for p in pieces):
        return value
    return [name.strip() for piece in pieces for name in piece.split(",") if name.strip()]


def _split_sizes(value: Any) -> Any:
    if isinstance(value, str):
        return [piece.strip() for piece in value.split(",") if piece.strip()]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|d)?\s*", value)
    if not found:
        raise ValueError(f"{value!r} is no duration; write 90s, 10m or 2h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2] or "s"]


def _share(value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return repr(value) if number else value


Names = Annotated[list[str], BeforeValidator(_split_names)]
Size = Annotated[int, Field(ge=1, le=65_536)]
Sizes = Annotated[list[Size], BeforeValidator(_split_sizes), Field(max_length=64)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Section(BaseModel):
    """Validate one group of options; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ReadOptions(Section):
    """Reading tables"""

    format: Literal["auto", "parquet", "csv", "arrow", "jsonl"] = Field(
        "auto", description="File format; auto looks at the name, then at the first bytes."
    )
    encoding: str = Field("utf-8", description="Character encoding of CSV files.")
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        None, description="CSV delimiter; found in the first lines unless given."
    )


class ColumnOptions(Section):
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
        description="Scaling of numbers; auto gives bytes and pixels one shared 0..1 scale and "
        "standardises everything else.",
    )
    max_categories: Annotated[int, Field(ge=2, le=10_000)] = Field(
        128, description="Most frequent values a category column keeps; rarer ones share a slot."
    )
    nonfinite: Literal["error", "missing"] = Field(
        "error", description="What an infinite number is: an error, or a missing cell."
    )


class NetworkOptions(Section):
    """Network"""

    encoder: Sizes | None = Field(
        None,
        description="Layer sizes of the encoder, the last one the latent; unless given, one or two "
        "hidden layers chosen by the number of inputs.",
    )
    decoder: Sizes | None = Field(
        None, description="Hidden layer sizes of the decoder; the mirrored encoder unless given."
    )
    classifier: Sizes | None = Field(
        None, description="Hidden layer sizes of the classification head; none unless given."
    )
    latent: Size | None = Field(
        None, description="Latent size; unless given a quarter of the inputs, from 2 to 64."
    )
    activation: Activation = Field(
        Activation(name="SiLU"),
        description="Activation of hidden layers, as in LeakyReLU:negative_slope=0.1.",
    )
    latent_activation: Activation = Field(
        Activation(name="Identity"), description="Activation of the latent; linear by default."
    )
    norm: Norm = Field(Norm(name="none"), description="Norm layer: none, batch, instance or layer.")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Dropout probability in hidden layers."
    )
    output: Literal["auto", "linear", "sigmoid", "tanh"] = Field(
        "auto", description="Output of number columns; auto is sigmoid where the scale is 0..1."
    )
    init: Literal[INITIALISERS] = Field(  # type: ignore[valid-type]  # one list of names, not two
        "default", description="Initialisation of linear layers."
    )


class LossOptions(Section):
    """Losses"""

    reconst_weight: Weight | None = Field(
        None,
        description="Weight of the reconstruction loss; unless given 1, and beside a label 1 / the "
        "loss of the column means, so that both tasks start at a like size.",
    )
    class_weight: Weight = Field(1.0, description="Weight of the classification loss.")
    l1: Weight = Field(0.0, description="Weight of mean |z| over the latent.")
    l2: Weight = Field(0.0, description="Weight of mean z² over the latent.")
    number_loss: Literal["mse", "mae", "huber"] = Field(
        "mse", description="Reconstruction loss of number columns."
    )
    balance: bool = Field(False, description="Weigh classes so that rare ones count as much.")


class TrainingOptions(Section):
    """Training"""

    valid: Annotated[str, BeforeValidator(_share)] = Field(
        "0.1", description="Validation rows: a FILE, a share such as 0.1, or none."
    )
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        40, description="Most passes over the training rows; the schedule spans them."
    )
    batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | None = Field(
        None,
        description="Rows per training step; unless given about 1/64 of the rows, from 16 to 256.",
    )
    optimizer: Optimizer = Field(
        Optimizer(name="AdamW"), description="Optimizer, as in SGD:momentum=0.9."
    )
    lr: Annotated[float, Field(gt=0, le=10)] = Field(
        2e-3, description="Learning rate at its highest."
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


SECTIONS: dict[str, type[Section]] = {
    "read": ReadOptions,
    "columns": ColumnOptions,
    "network": NetworkOptions,
    "losses": LossOptions,
    "training": TrainingOptions,
}


class TrainOptions(Section):
    """Hold every option of one training, in sections."""

    read: ReadOptions = ReadOptions()
    columns: ColumnOptions = ColumnOptions()
    network: NetworkOptions = NetworkOptions()
    losses: LossOptions = LossOptions()
    training: TrainingOptions = TrainingOptions()

    @classmethod
    def from_flat(cls, values: dict[str, Any]) -> TrainOptions:
        """Build the options from flat names such as `encoder` or `lr`.

        Raises:
            pydantic.ValidationError: a value is out of bounds or of the wrong type.
            KeyError: a name is no option.
        """
        nested: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            nested.setdefault(section_of(name), {})[name] = value
        return cls.model_validate(nested)

    @model_validator(mode="after")
    def _consistent(self) -> TrainOptions:
        network, losses = self.network, self.losses
        if network.encoder == []:
            raise ValueError("--encoder needs at least one size: its last is the latent")
        if network.encoder and network.latent and network.encoder[-1] != network.latent:
            raise ValueError(
                f"--latent {network.latent} and --encoder {','.join(map(str, network.encoder))} "
                "disagree: the last encoder size is the latent"
            )
        head = self.columns.label is not None and losses.class_weight > 0
        if losses.reconst_weight == 0 and not head:
            why = "and --class-weight 0 leave" if self.columns.label else "without a label leaves"
            raise ValueError(f"--reconst-weight 0 {why} nothing to learn")
        return self


def section_of(name: str) -> str:
    """Return the section that holds the option `name`; raise KeyError where none does."""
    for section, model in SECTIONS.items():
        if name in model.model_fields:
            return section
    raise KeyError(name)


def option_names() -> list[str]:
    """Return every option's flat name, in the order of the sections."""
    return [name for model in SECTIONS.values() for name in model.model_fields]
