"""Calibration of anomaly scores in `spec.json`: quantiles and thresholds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from aecli.schema.option_types import StrictModel

Finite = Annotated[float, Field(allow_inf_nan=False)]

AGGREGATES = ("mean", "max", "top3")
"""Ways to combine the errors of columns in a score: top3 is the mean of the largest 3."""

LEVELS = (
    *(float(level) for level in range(100)),
    *(99 + n / 10 for n in range(1, 10)),
    99.95,
    100.0,
)
"""Percentiles of scores that are stored: finer in the range of thresholds."""

MIN_CALIBRATION_ROWS = 100
"""Minimum number of samples for a threshold by quartiles; with fewer there is a note."""


class ScoreScale(StrictModel):
    """Quantiles of scores at `LEVELS`, and the score above which a row is an outlier."""

    quantiles: Annotated[list[Finite], Field(min_length=len(LEVELS), max_length=len(LEVELS))]
    threshold: Finite


class Calibration(StrictModel):
    """Scores of rows that the weights were not fitted on, by aggregate."""

    source: str = Field(
        description="The rows: `validation rows`, `cross-fitted rows`, or a chosen table."
    )
    rows: Annotated[int, Field(ge=1)]
    rule: str = Field(description="Rule of the thresholds, for people.")
    scales: dict[Literal[AGGREGATES], ScoreScale]  # type: ignore[valid-type]  # one list of names

    @model_validator(mode="after")
    def _require_every_aggregate(self) -> Calibration:
        if set(self.scales) != set(AGGREGATES):
            raise ValueError(f"a calibration has the aggregates {', '.join(AGGREGATES)}")
        return self
