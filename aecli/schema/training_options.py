"""Define the options of losses and of the training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from aecli.schema.option_types import (
    Noise,
    Seconds,
    StrictModel,
    Valid,
    Weight,
)
from aecli.schema.torch_classes import (
    OptimizerSpec,
    TorchClassSpec,
)

CHANGEABLE = ("time_limit", "threads", "memory", "cuda_graph")
"""Options of the training that may differ when it is resumed."""


class LossOptions(StrictModel):
    """Losses"""

    reconst_weight: Weight | None = Field(
        None,
        description="Weight of the reconstruction loss. With a label the default makes both losses "
        "start at similar magnitude.",
        json_schema_extra={
            "automatic": "1; with a label 1 / the loss of predicting column means, or for columns "
            "of several kinds 0.5 to 2"
        },
    )
    number_weight: Annotated[float, Field(gt=0, le=1e6)] | Literal["auto"] = Field(
        "auto",
        description="Weight of columns of numbers in the reconstruction loss; auto: 1, raised with "
        "a label or few rows until held-out numbers are as good as PCA's.",
    )
    class_weight: Weight = Field(1.0, description="Weight of the classification loss.")
    l0: Weight = Field(
        0.0,
        description="Weight of the share of latents that are not 0; a learned threshold per unit "
        "makes smaller ones 0 (JumpReLU).",
    )
    l1: Weight = Field(
        0.0,
        description="Weight of mean |z| over the latent. A linear latent also gets a learned soft "
        "threshold per unit, so that small values become 0.",
    )
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
        json_schema_extra={
            "automatic": "40, or fewer, down to 5, for many rows; 200 steps for Rprop"
        },
    )
    batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | None = Field(
        None,
        description="Rows per training step.",
        json_schema_extra={
            "automatic": "16 to 1024, by the number of rows; up to 65,536 for Rprop"
        },
    )
    drop_isolated: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0,
        description="Share of the training rows to drop before the training: those that an "
        "isolation forest isolates first, for rows that may include anomalies.",
    )
    store_rows: bool = Field(
        False,
        description="Compare scored rows with at most 10,000 training rows, which are stored in the"
        " model, instead of with cluster means.",
    )
    optimizer: OptimizerSpec = Field(
        TorchClassSpec(name="AdamW"), description="Optimizer, as in SGD:momentum=0.9."
    )
    lr: Annotated[float, Field(gt=0, le=10)] = Field(4e-3, description="Peak learning rate.")
    schedule: Literal["cosine", "plateau", "constant"] = Field(
        "cosine", description="Learning rate schedule."
    )
    lr_warmup: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None,
        description="Share of the training steps in which the learning rate rises from 0 to its "
        "peak; 0: none.",
        json_schema_extra={"automatic": "0.03, at most 500 steps"},
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
        None,
        description="Number of CPU threads.",
        json_schema_extra={"automatic": "up to all cores"},
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Precision; auto is bf16 where the hardware has it and it is faster."
    )
    cuda_graph: bool = Field(
        True,
        description="On a GPU, repeat several training steps at once as a CUDA graph, which is "
        "faster than launching each kernel.",
    )
    memory: Annotated[str, Field(pattern=r"^\d{1,9}(\.\d+)?[KMGT]B$")] = Field(
        "2GB",
        description="Approximate memory of the process; a larger table is staged on disk, in "
        "TMPDIR.",
    )

    @field_validator("optimizer")
    @classmethod
    def _require_momentum_for_nesterov(cls, value: OptimizerSpec) -> OptimizerSpec:
        args = value.args
        if args.get("nesterov") and (not args.get("momentum") or args.get("dampening")):
            raise ValueError("nesterov needs a momentum, without dampening")
        return value
