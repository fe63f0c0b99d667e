"""Draw the quality of a model, compared with PCA and the trivial prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from aecli.cli.display.widgets import BAD, DIM, GOOD, figures
from aecli.formatting import count, figure, percent
from aecli.schema.model_spec import UNTRAINED_DECODER, ModelSpec

if TYPE_CHECKING:
    from aecli.evaluation.results import EvaluateResult
    from aecli.metrics.column_scores import Predictor

QualityRow = tuple[str, str, Sequence[float | None], str]
"""Title, metric (`r2` or `accuracy`), figures of model, PCA and trivial prediction, and a mark."""

MARK_STYLES = {"▲": GOOD, "▼": BAD, "≈": DIM, " ": ""}

MIN_MARKED_DIFFERENCE = 0.005
"""Difference below which a figure without an interval has no mark."""


def score_text(metric: str, value: float | None) -> str:
    """Write an R² with four decimals, an accuracy as a percentage: 0.9100, 85.6 %."""
    if metric == "accuracy":
        return percent(value)
    if value is None or not math.isfinite(value):
        return "–"
    # Adding 0 makes -0 positive.
    return f"{round(value, 4) + 0.0:.4f}" if abs(value) < 1000 else figure(value)


def training_quality(spec: ModelSpec) -> RenderableType:
    """Draw the quality of a model on its validation rows."""
    summary = spec.summary
    baselines = {baseline.name: baseline for baseline in summary.baselines}
    ranked = [baselines.get(name) for name in ("this model", "PCA", "column means")]
    numbers = [one.r2 if one else None for one in ranked]
    categories = [one.accuracy if one else None for one in ranked]
    characters = [one.characters if one else None for one in ranked]
    label = [summary.metrics.get("accuracy"), None, summary.majority_accuracy]
    rows: list[QualityRow] = [
        ("numbers R²", "r2", numbers, _mark(numbers)),
        ("categories", "accuracy", categories, _mark(categories)),
        ("characters", "accuracy", characters, _mark(characters)),
        ("label", "accuracy", label, _mark(label)),
    ]
    side = "validation" if summary.valid_rows else "training"
    unit = "row" if spec.network.window == 1 else "window"
    measured = count(summary.compared_rows or summary.valid_rows, f"{side} {unit}")
    components = min(
        spec.network.latent, spec.network.inputs * spec.network.window, summary.train_rows
    )
    note = f"on {measured}; PCA with {count(components, 'component')}; trivial: mean or mode"
    return _quality(rows, note, decoder_trained=spec.decoder_trained)


def evaluation_quality(result: EvaluateResult) -> RenderableType:
    """Draw the quality of a model on the rows of an evaluation."""
    from aecli.metrics.column_scores import character_accuracy, mean_accuracy

    numbers = (result.number_r2, result.number_r2_pca, result.number_r2_baseline)
    names: tuple[Predictor, ...] = ("model", "pca", "baseline")
    categories = [mean_accuracy(result.columns, name) for name in names]
    characters = [character_accuracy(result.columns, name) for name in names]
    rows: list[QualityRow] = [
        ("numbers R²", "r2", numbers, _mark_of_gain(result, "numbers", numbers)),
        ("categories", "accuracy", categories, _mark_of_gain(result, "categories", categories)),
        ("characters", "accuracy", characters, _mark(characters)),
    ]
    if (measured := result.classification) is not None:
        label = (measured.accuracy, None, measured.baseline_accuracy)
        rows.append(("label", "accuracy", label, _mark_of_gain(result, "label", label)))
    note = "PCA with as many components as latent units; trivial: mean or mode"
    return _quality(rows, note, decoder_trained=bool(result.columns))


def _quality(rows: Sequence[QualityRow], note: str, *, decoder_trained: bool) -> RenderableType:
    """Draw one line per row that was measured, and what the marks and the other figures are."""
    table = figures("", "model  ", "PCA", "trivial")
    measured = [row for row in rows if row[2][0] is not None]
    for title, metric, values, mark in measured:
        model, pca, trivial = (score_text(metric, value) for value in values)
        table.add_row(title, Text.assemble(model, " ", (mark, MARK_STYLES[mark])), pca, trivial)
    parts: list[RenderableType] = [table] if table.row_count else []
    if not decoder_trained:
        parts.append(Text(UNTRAINED_DECODER, style=DIM))
    parts.append(Text(note, style=DIM))
    if legend := _legend(measured):
        parts.append(Text(legend, style=DIM))
    return Group(*parts)


def _legend(rows: Sequence[QualityRow]) -> str:
    """Return what the marks compare with; nothing without a mark."""
    marks = {mark for *_, mark in rows}
    if not marks & set("▲▼≈"):
        return ""
    others = ["PCA"] if any(title != "label" for title, *_ in rows) else []
    others += ["for the label with trivial"] if any(title == "label" for title, *_ in rows) else []
    text = f"▲▼ compare with {', '.join(others).removeprefix('for the label with ')}"
    return f"{text}; ≈: no clear difference" if "≈" in marks else text


def _mark_of_gain(result: EvaluateResult, kind: str, values: Sequence[float | None]) -> str:
    """Return the mark of a figure; ≈ where the interval of the difference contains 0."""
    from aecli.metrics.intervals import is_clear

    gain = result.intervals.get(f"{kind}_gain")
    if gain is None:
        return _mark(values)
    if not is_clear(gain):
        return "≈"
    return "▲" if gain.value > 0 else "▼"


def _mark(values: Sequence[float | None]) -> str:
    """Return ▲ or ▼: better or worse than PCA, or without it than the trivial prediction."""
    model, pca, trivial = values
    other = trivial if pca is None else pca
    if model is None or other is None or abs(model - other) < MIN_MARKED_DIFFERENCE:
        return " "
    return "▲" if model > other else "▼"
