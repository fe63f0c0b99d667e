"""Define every option of training once: its default, bounds and help sentence.

Command-line flags, config keys, `AECLI_…` variables, the JSON Schema and the option reference in
`docs/` are all made from these fields. The sections group them in `--help`; names are unique across
sections, so a config file is flat.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from aecli.schema.consistency import require_consistent
from aecli.schema.network_options import NetworkOptions, WindowOptions
from aecli.schema.option_types import (
    Names,
    Scale,
    StrictModel,
    parse_scale,
)
from aecli.schema.read_options import ReadOptions
from aecli.schema.training_options import LossOptions, TrainingOptions


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
    text: Names = Field(
        [], description="Text columns to treat as text, whatever their values (names or globs)."
    )
    text_decoder: Literal["nearest", "characters"] = Field(
        "nearest",
        description="How text columns are encoded and reconstructed. nearest: n-grams, and the "
        "nearest training text; characters: character by character, for short texts.",
    )
    text_values: bool = Field(
        True,
        description="Store at most 10,000 training texts of each text column, so that texts can be "
        "reconstructed.",
    )
    id: Names = Field([], description="Identifier columns: not features, copied to outputs.")
    scale: Scale = Field(
        "auto",
        description="Scaling of numbers, or of columns (names or globs), as in "
        "standard,price=robust; auto scales bytes and pixels together to 0..1 and "
        "standardises other numbers, or scales them to 0..1 with --output sigmoid or "
        "tanh.",
    )
    output: Literal["auto", "linear", "sigmoid", "tanh"] = Field(
        "auto",
        description="Output of number columns; auto is linear, and limited to 0..1 where that is "
        "the scale; tanh spans 0..1 there, and -1..1 with --scale none and negative "
        "numbers.",
    )
    max_categories: Annotated[int, Field(ge=2, le=10_000)] | None = Field(
        None,
        description="Maximum number of categories of a column; rarer values share one.",
        json_schema_extra={"automatic": "128, and text with more values is a text column"},
    )
    nonfinite: Literal["error", "missing"] = Field(
        "error", description="How to treat infinite numbers: as an error or as missing."
    )

    @property
    def scales(self) -> tuple[str, dict[str, str]]:
        """Return the scale of all columns, and those of columns by name or glob."""
        return parse_scale(self.scale)

    @property
    def bounded_output(self) -> bool:
        """Return whether numbers have an output with bounds, which their scale must keep."""
        return self.output in ("sigmoid", "tanh")


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

    read: ReadOptions = Field(default_factory=ReadOptions)
    columns: ColumnOptions = Field(default_factory=ColumnOptions)
    network: NetworkOptions = Field(default_factory=NetworkOptions)
    windows: WindowOptions = Field(default_factory=WindowOptions)
    losses: LossOptions = Field(default_factory=LossOptions)
    training: TrainingOptions = Field(default_factory=TrainingOptions)

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
