"""Collect what a page shows of several models that read the same columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from aecli.errors import UsageError
from aecli.evaluation.compare import compare_results
from aecli.evaluation.results import EvaluateResult
from aecli.formatting import name_list, shell_name
from aecli.model_directory.read import read_model, read_spec
from aecli.reporting.collect import collect
from aecli.reporting.collect_saved import collect_saved
from aecli.reporting.data import CollectOptions, ModelComparison
from aecli.schema.model_spec import ModelSpec
from aecli.table.source import Source

MAX_MODELS_ON_PAGE = 8
"""Colours of more models are hard to distinguish."""


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
    _check_columns(directories, [read_spec(path) for path in directories])
    if source is None:
        read = [read_model(path, partial(collect_saved, path)) for path in directories]
        return ModelComparison(names, [saved for _, saved in read])
    models = [collect(path, source, options) for path in directories]
    specs = [model.spec for model in models]
    results = [model.evaluation for model in models if model.evaluation is not None]
    figures, notes = _common_figures(results, specs)
    for directory, name in zip(directories, names, strict=True):
        notes = [note.replace(f"only of {directory}:", f"only of {name}:") for note in notes]
    return ModelComparison(names, models, figures, notes)


def _common_figures(
    results: Sequence[EvaluateResult], specs: Sequence[ModelSpec]
) -> tuple[dict[str, list[float]], list[str]]:
    """Return the figures that mean the same in all models, and notes on the others."""
    pairs = [
        compare_results(results[0], result, specs[0], spec)
        for result, spec in zip(results[1:], specs[1:], strict=True)
    ]
    others = [{figure.name: figure.other for figure in pair.figures} for pair in pairs]
    common = {
        figure.name: [figure.value, *(values[figure.name] for values in others)]
        for figure in pairs[0].figures
        if all(figure.name in values for values in others)
    }
    return common, list(dict.fromkeys(note for pair in pairs for note in pair.notes))


def _short_names(directories: Sequence[Path]) -> list[str]:
    """Return the parts of the paths that differ: a picture has no room for long paths."""
    paths = [os.path.abspath(path) for path in directories]
    parent = os.path.commonpath(paths)
    if parent in paths:
        return [str(path) for path in directories]
    return [os.path.relpath(path, parent) for path in paths]


def _check_columns(directories: Sequence[Path], specs: Sequence[ModelSpec]) -> None:
    names = [str(path) for path in directories]
    if len(names) > MAX_MODELS_ON_PAGE:
        raise UsageError(
            f"{len(names):,} models are too many for one page",
            facts=[f"the maximum is {MAX_MODELS_ON_PAGE}"],
            hint="aecli report --side-by-side with fewer models",
        )
    first = {c.name: c.kind for c in specs[0].columns if not c.constant}
    for name, spec in zip(names[1:], specs[1:], strict=True):
        kinds = {c.name: c.kind for c in spec.columns if not c.constant}
        if kinds == first:
            continue
        different = [name for name in {**first, **kinds} if first.get(name) != kinds.get(name)]
        raise UsageError(
            f"{names[0]} and {name} do not read the same columns",
            facts=[f"they differ in {name_list(different, 6)}"],
            hint=f"aecli evaluate DATA -m {shell_name(names[0])} --compare {shell_name(name)}",
        )
