"""Collect several models for one page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aecli.errors import UsageError
from aecli.evaluation.compare import compare_results
from aecli.evaluation.results import EvaluateResult
from aecli.formatting import shell_name
from aecli.model_directory import read_spec
from aecli.reporting.collect_saved import collect_saved
from aecli.reporting.data import CollectOptions, ReportData
from aecli.schema.model_spec import ModelSpec
from aecli.table.source import Source

MOST_MODELS_ON_PAGE = 8
"""More colours cannot be told apart."""


HIGHER_IS_BETTER = (
    "accuracy", "balanced_accuracy", "macro_f1", "auroc", "column_r2", "column_accuracy"
)  # fmt: skip
LOWER_IS_BETTER = ("total", "reconstruction", "number_mse", "classification", "log_loss")


@dataclass(frozen=True)
class FigureRow:
    """One figure of several models."""

    name: str
    values: Sequence[float]

    @property
    def best(self) -> float | None:
        """Return the best value; None where more is neither better nor worse."""
        if self.name in HIGHER_IS_BETTER:
            return max(self.values)
        return min(self.values) if self.name in LOWER_IS_BETTER else None


@dataclass(frozen=True)
class ModelComparison:
    """Several models that read the same columns; `figures` mean the same in all of them."""

    names: Sequence[str]
    models: Sequence[ReportData]
    figures: Sequence[FigureRow] = ()
    notes: Sequence[str] = ()


def collect_models(
    directories: Sequence[Path], source: Source | None, options: CollectOptions
) -> ModelComparison:
    """Return models that read the same columns, measured on the same rows where there are any.

    Raises:
        UsageError: they do not read the same columns, or there are too many.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: a model is missing, damaged or too new.
    """
    names = _short_names(directories)
    specs = [read_spec(path) for path in directories]
    _check_columns(directories, specs)
    if source is None:
        models = [collect_saved(path, spec) for path, spec in zip(directories, specs, strict=True)]
        return ModelComparison(names, models)
    from aecli.reporting.collect import collect

    models = [collect(path, source, options) for path in directories]
    results = [model.evaluation for model in models if model.evaluation is not None]
    figures, notes = _common_figures(results, specs)
    return ModelComparison(names, models, figures, notes)


def _common_figures(
    results: Sequence[EvaluateResult], specs: Sequence[ModelSpec]
) -> tuple[list[FigureRow], list[str]]:
    """Return the figures that mean the same in all models, and notes on the others."""
    pairs = [
        compare_results(results[0], result, specs[0], spec)
        for result, spec in zip(results[1:], specs[1:], strict=True)
    ]
    others = [{figure.name: figure.other for figure in pair.figures} for pair in pairs]
    rows = [
        FigureRow(figure.name, [figure.value, *(values[figure.name] for values in others)])
        for figure in pairs[0].figures
        if all(figure.name in values for values in others)
    ]
    return rows, list(dict.fromkeys(note for pair in pairs for note in pair.notes))


def _short_names(directories: Sequence[Path]) -> list[str]:
    """Return what tells the directories apart: a picture has no room for long paths."""
    paths = [os.path.abspath(path) for path in directories]
    parent = os.path.commonpath(paths)
    if parent in paths:
        return [str(path) for path in directories]
    return [os.path.relpath(path, parent) for path in paths]


def _check_columns(directories: Sequence[Path], specs: Sequence[ModelSpec]) -> None:
    names = [str(path) for path in directories]
    if len(names) > MOST_MODELS_ON_PAGE:
        raise UsageError(
            f"{len(names):,} models are too many for one page",
            facts=[f"at most {MOST_MODELS_ON_PAGE} can be told apart"],
            hint="aecli report --side-by-side with fewer models",
        )
    first = {c.name: c.kind for c in specs[0].columns if not c.constant}
    for name, spec in zip(names[1:], specs[1:], strict=True):
        kinds = {c.name: c.kind for c in spec.columns if not c.constant}
        if kinds == first:
            continue
        different = [name for name in {**first, **kinds} if first.get(name) != kinds.get(name)]
        more = f", … ({len(different):,} in all)" if len(different) > 6 else ""
        raise UsageError(
            f"{names[0]} and {name} do not read the same columns",
            facts=[f"they differ in {', '.join(different[:6])}{more}"],
            hint=f"aecli evaluate DATA -m {shell_name(names[0])} --compare {shell_name(name)}",
        )
