"""Contents of `spec.json`, with a limit on every number that allocates memory."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import ConfigDict, Field, PrivateAttr, field_validator, model_validator

from aecli.schema.calibration import Calibration, Finite
from aecli.schema.network import MAX_CLASSES, MAX_INPUTS, Network
from aecli.schema.option_types import StrictModel
from aecli.schema.options import TrainOptions
from aecli.schema.text_format import TextFormat

if TYPE_CHECKING:
    from aecli.features.text.encoder import TextEncoder

SCHEMA = "aecli.model/1.1"
"""Name and version of the format: a minor version adds keys, a major one changes what they mean."""
MAX_COLUMNS = 100_000
MAX_BIN_EDGES = 257
MAX_ALPHABET = 256
MAX_LENGTH = 64

Kind = Literal["number", "boolean", "category", "time", "vector", "text", "characters"]
Category = str | int | bool
Period = Literal["day", "week", "year"]

LONG_TAIL = 8.0
"""Scaled units that bound a number without a long tail: a normal one in 50 million rows."""


class Column(StrictModel):
    """Feature column as fitted on the training rows.

    `center` and `scale` have one entry per cell: 1 for number and time, `size` for vector and text,
    none for the other kinds. A scaled cell is `(value - center) / scale`, subtracted in
    float64. With an `origin`, these, `low`, `high` and `mean` are those of `value - origin`.
    `categories` are sorted by their count, so that the first is the mode. `trivial_loss` is the
    loss of always predicting the training mean (in scaled units) or the training frequencies. The
    cells of a `characters` column are the first `length` characters of its texts.
    """

    name: str
    kind: Kind
    type: str = Field(description="Arrow type in the source, as `table.types.type_name` spells it.")
    text_format: TextFormat | None = Field(
        None, description="Format of text cells, where it is not the usual one."
    )
    size: Annotated[int, Field(ge=1, le=MAX_INPUTS)] = 1
    origin: Annotated[str, Field(pattern=r"^-?\d{1,100}(\.\d{1,100})?$")] | None = Field(
        None,
        description="Exact value that numbers are relative to, where float64 is too imprecise.",
    )
    center: list[Finite] = []
    scale: list[Finite] = []
    categories: list[Category] = []
    has_other: bool = False
    other_is_mode: bool = Field(
        False, description="The rare values that share a slot are the most frequent together."
    )
    has_missing: bool = False
    masked: bool = Field(
        False,
        description="Noise made cells of it missing in training: which are missing is an input.",
    )
    compressed: bool = Field(
        False, description="Its tail is long: the compressed number is an input, too."
    )
    periods: list[Period] = Field(
        default=[], description="Periods whose sine and cosine are inputs, too, for times."
    )
    bins: Annotated[list[Finite], Field(max_length=MAX_BIN_EDGES)] = Field(
        [],
        description="Ascending edges, in scaled units, of bins whose piecewise-linear encoding the "
        "network has as inputs too.",
    )
    alphabet: Annotated[str, Field(max_length=MAX_ALPHABET)] = Field(
        "", description="Characters of texts, by descending frequency; others share one code."
    )
    modes: Annotated[
        list[Annotated[int, Field(ge=0, le=MAX_ALPHABET + 1)]], Field(max_length=MAX_LENGTH)
    ] = Field([], description="Most frequent code at each position of a text.")
    constant: bool = False
    observed: Annotated[int, Field(ge=0)] = 0
    missing: Annotated[int, Field(ge=0)] = 0
    distinct: int | None = None
    low: list[Finite] = []
    high: list[Finite] = []
    mean: list[Finite] = []
    mode: Category | None = None
    decimals: Annotated[int, Field(ge=0, le=15)] | None = Field(
        None, description="Decimals that write every training value; None if more are needed."
    )
    trivial_loss: Annotated[Finite, Field(gt=0)] = 1.0
    reason: str = Field(description="Reason for the kind, for people.")
    _encoder: TextEncoder | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _require_consistent_sizes(self) -> Column:
        cells = self.size if self.kind in ("number", "time", "vector", "text") else 0
        if len(self.center) != cells or len(self.scale) != cells:
            raise ValueError(f"column {self.name!r}: center and scale must have {cells} entries")
        if any(scale <= 0 for scale in self.scale):
            raise ValueError(f"column {self.name!r}: scale must be positive")
        if any(high <= low for low, high in pairwise(self.bins)):
            raise ValueError(f"column {self.name!r}: bins must be in ascending order")
        if self.bins and self.kind != "number":
            raise ValueError(f"column {self.name!r}: only numbers have bins")
        ordered = [p for p in get_args(Period) if p in self.periods and self.kind == "time"]
        if self.periods != ordered:
            raise ValueError(f"column {self.name!r}: times have each period once, in order")
        if bool(self.modes) != (self.kind == "characters"):
            raise ValueError(f"column {self.name!r}: characters have modes, other kinds do not")
        if len(set(self.alphabet)) < len(self.alphabet):
            raise ValueError(f"column {self.name!r}: a character is twice in the alphabet")
        if any(mode > len(self.alphabet) + 1 for mode in self.modes):
            raise ValueError(f"column {self.name!r}: a mode is not a code of the alphabet")
        return self

    @property
    def length(self) -> int:
        """Return the number of characters of a text that are cells."""
        return len(self.modes)

    @property
    def encoder(self) -> TextEncoder:
        """Return the encoder of a text column, which is in the weights file of its model."""
        assert self._encoder is not None, "encoders are attached before texts are read"
        return self._encoder

    def with_encoder(self, encoder: TextEncoder) -> Column:
        """Return the text column with its encoder."""
        column = self.model_copy()
        column._encoder = encoder
        return column

    @property
    def moves_forward(self) -> bool:
        """Return whether it contains dates or timestamps, which may be later than in training."""
        return self.kind == "time" and bool(self.high)

    @property
    def long_tailed(self) -> bool:
        """Return whether a training value lies beyond `LONG_TAIL` scaled units."""
        if self.kind != "number" or not self.low or not self.high:
            return False
        furthest = max(self.high[0] - self.center[0], self.center[0] - self.low[0])
        return furthest > LONG_TAIL * self.scale[0]


class LeftOut(StrictModel):
    """Column of the training table that is not a feature, and the reason."""

    name: str
    type: str
    reason: str


class Identifier(StrictModel):
    """Identifier column: never a feature, copied into every output."""

    name: str
    type: str
    text_format: TextFormat | None = None


class Label(StrictModel):
    """Label: its classes in the order of the logits, with their numbers of training samples."""

    name: str
    type: str
    classes: Annotated[list[Category], Field(min_length=2, max_length=MAX_CLASSES)]
    counts: list[int]


class StoredFile(StrictModel):
    """File of the saved model: its name, from its hash, and its expected content."""

    file: Annotated[
        str, Field(pattern=r"^(weights|history|tuning)-[0-9a-f]{12}\.(safetensors|jsonl|json)$")
    ]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


UNSAVED = StoredFile(file=f"weights-{'0' * 12}.safetensors", sha256="0" * 64, size=0)
"""Placeholder in the spec of a model that is not saved."""


class Baseline(StrictModel):
    """Reconstruction quality of one predictor on the compared rows; None where undefined.

    `r2` is that of all number cells together, in scaled units and without single outliers
    (`metrics.columns`), `accuracy` the mean over boolean and category columns, `characters` the
    share of right characters over texts, `mse` the mean squared error of numbers in scaled units.
    """

    name: Literal["this model", "PCA", "column means"]
    r2: Finite | None = None
    accuracy: Finite | None = None
    characters: Finite | None = None
    mse: Finite | None = None


class Summary(StrictModel):
    """Outcome of a training."""

    epochs: int
    best_epoch: int
    stopped: str = Field(description="Why the training stopped, for people.")
    finished: bool = Field(True, description="False where `--resume` can continue.")
    seconds: Finite
    device: str = "cpu"
    precision: str = "fp32"
    batch_size: Annotated[int, Field(ge=1)] = 1
    train_rows: int
    valid_rows: int
    dropped_rows: int = Field(
        0, description="Training rows, or windows, that `--drop-isolated` dropped."
    )
    stored_rows: int = Field(
        0, description="Training rows, or windows, that `--store-rows` stored in the weights file."
    )
    train: dict[str, Finite]
    valid: dict[str, Finite]
    temperature: Annotated[float, Field(gt=0)] = Field(
        1.0,
        description="Number that the class logits were divided by after training, on the validation"
        " rows; the stored weights include it.",
    )
    metrics: dict[str, Finite] = {}
    start: dict[str, Finite] = Field(
        default={}, description="Validation losses of the start at PCA, where it was considered."
    )
    shares: dict[str, Finite] = Field(
        default={}, description="Share of each term in the loss of the best epoch, 0 to 1."
    )
    baselines: list[Baseline] = Field(
        default=[],
        description="This model, PCA of the same latent size, and column means; empty where the "
        "decoder was not trained.",
    )
    compared_rows: int = Field(0, description="Rows, or windows, that `baselines` come from.")
    limited: dict[str, int] = Field(
        default={}, description="Outliers that were limited for R², by column."
    )
    majority_accuracy: Finite | None = Field(
        None,
        description="Accuracy of always predicting the most frequent class, on validation rows.",
    )
    dead_units: dict[str, int] = Field(
        default={}, description="Units with a constant output on the checked rows, per layer."
    )
    latent_active: int | None = None
    latent_near_zero: Finite | None = None
    latent_zero: Finite | None = Field(None, description="Share of latents that are exactly 0.")
    latent_mean: Finite | None = Field(
        None, description="Mean activation of all units, in 0..1 where the latent is bounded."
    )
    health: list[str] = Field(
        default=[], description="Problems of the model, each with what to try."
    )
    notes: list[str] = []


UNTRAINED_DECODER = "the decoder was not trained (--reconst-weight 0)"
"""Reason why a model has no figures of its reconstruction."""

NO_DIGEST = "0" * 64


class ModelSpec(StrictModel):
    """Contents of `spec.json` of a model directory: the commit point of a save."""

    schema_: Annotated[str, Field(pattern=r"^aecli\.model/1\.\d{1,9}$")] = Field(
        SCHEMA, alias="schema"
    )
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        NO_DIGEST, description="SHA-256 of this file's content with 64 zeros in this place."
    )
    created: str
    versions: dict[str, str]
    columns: Annotated[list[Column], Field(min_length=1, max_length=MAX_COLUMNS)]
    ids: list[Identifier] = []
    left_out: list[LeftOut] = []
    label: Label | None = None
    network: Network
    loss_weights: dict[str, Finite] = Field(description="Weight of each term that is trained on.")
    number_weight: Annotated[Finite, Field(gt=0)] = Field(
        1.0,
        description="Weight of numbers in the reconstruction that the best epoch was trained with.",
    )
    options: TrainOptions
    parameters: Annotated[int, Field(ge=0)] = Field(description="Of the network.")
    weights: StoredFile
    history: StoredFile
    tuning: StoredFile | None = Field(
        None, description="Search that the options come from, where there was one."
    )
    summary: Summary
    table: str = Field("", description="Name of the training table's file, without its folders.")
    calibration: Calibration | None = Field(
        None, description="None where the decoder was not trained: rows have no scores."
    )

    model_config = ConfigDict(populate_by_name=True)

    @property
    def parts(self) -> list[StoredFile]:
        """Return the other files of the model."""
        return [part for part in (self.weights, self.history, self.tuning) if part is not None]

    @property
    def decoder_trained(self) -> bool:
        """Return whether rows can be reconstructed: not after `--reconst-weight 0`."""
        return "reconstruction" in self.loss_weights

    @property
    def sparsity(self) -> tuple[float, float]:
        """Return rho, and the lower end of the latent's range."""
        return self.options.losses.rho, self.network.latent_floor

    @field_validator("columns")
    @classmethod
    def _require_unique_names(cls, columns: list[Column]) -> list[Column]:
        seen: set[str] = set()
        for column in columns:
            if column.name in seen:
                raise ValueError(f"two columns have the name {column.name!r}")
            seen.add(column.name)
        return columns
