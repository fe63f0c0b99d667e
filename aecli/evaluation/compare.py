"""Compare the evaluations of two models on the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aecli.evaluation.results import Compared, Difference, EvaluateResult
from aecli.formatting import name_list
from aecli.metrics.column_scores import mean_accuracy
from aecli.schema.model_spec import Column, ModelSpec

CLASSIFICATION = (
    "accuracy",
    "balanced_accuracy",
    "classification",
    "macro_f1",
    "auroc",
    "log_loss",
    "ece",
)


def compare_results(
    first: EvaluateResult, second: EvaluateResult, spec: ModelSpec, other: ModelSpec
) -> Compared:
    """Return the comparable figures of both evaluations, with their differences.

    The mean accuracy of columns is that of their common columns. R² and errors of scaled numbers,
    and losses, are compared only if both models have the same columns with the same scaling.
    """
    columns = _columns(first, second)
    incomparable = dict(_incomparable(first, second, spec, other))
    figures = {**first.figures(), **_means(first, columns)}
    others = {**second.figures(), **_means(second, columns)}
    shared = [name for name in figures if name in others and name not in incomparable]
    return Compared(
        result=second,
        figures=[_difference(name, figures[name], others[name]) for name in shared],
        columns=columns,
        notes=list(_notes(first, second, spec, other, incomparable)),
    )


def _difference(name: str, value: float, other: float) -> Difference:
    return Difference(name, value, other, value - other)


def _columns(first: EvaluateResult, second: EvaluateResult) -> list[Difference]:
    others = {(c.name, c.metric): c.value for c in second.columns}
    differences = []
    for column in first.columns:
        other = others.get((column.name, column.metric))
        if column.value is not None and other is not None:
            differences.append(_difference(column.name, column.value, other))
    return differences


def _means(result: EvaluateResult, columns: list[Difference]) -> Mapping[str, float]:
    shared = {column.name for column in columns}
    accuracy = mean_accuracy([c for c in result.columns if c.name in shared], "model")
    return {} if accuracy is None else {"column_accuracy": accuracy}


def _incomparable(
    first: EvaluateResult, second: EvaluateResult, spec: ModelSpec, other: ModelSpec
) -> Iterator[tuple[str, str]]:
    """Yield the names of figures that are not comparable, with the reason."""
    scaled = [[_scaling(c) for c in s.columns if not c.constant] for s in (spec, other)]
    same_columns = sorted(scaled[0]) == sorted(scaled[1])
    losses = [(s.options.losses.number_loss, s.options.losses.reduction) for s in (spec, other)]
    weights = [{n: t.weight for n, t in r.losses.items()} for r in (first, second)]
    if not same_columns:
        yield from ((name, "columns, or their scaling") for name in ("number_mse", "number_r2"))
    if not same_columns or losses[0] != losses[1]:
        yield "reconstruction", "losses, columns, or their scaling"
    if not same_columns or losses[0] != losses[1] or weights[0] != weights[1]:
        yield "total", "losses, or their weights"
    labels = [s.label and (s.label.name, s.label.classes) for s in (spec, other)]
    if labels[0] != labels[1]:
        yield from ((name, "labels") for name in CLASSIFICATION)
    elif spec.options.losses.balance != other.options.losses.balance:
        yield "classification", "weights of classes"


def _scaling(column: Column) -> tuple[str, ...]:
    return (
        column.name,
        column.kind,
        repr((column.origin, column.center, column.scale, column.categories)),
    )


def _notes(
    first: EvaluateResult,
    second: EvaluateResult,
    spec: ModelSpec,
    other: ModelSpec,
    incomparable: Mapping[str, str],
) -> Iterator[str]:
    windows = [s.network.window for s in (spec, other)]
    if windows[0] != windows[1]:
        samples = [f"windows of {w} rows" if w > 1 else "rows" for w in windows]
        yield f"the samples differ: {samples[0]} and {samples[1]}"
    present = {*first.figures(), *second.figures()}
    for reason in dict.fromkeys(incomparable.values()):
        names = [name for name, why in incomparable.items() if why == reason and name in present]
        if names:
            yield f"not compared, because the models differ in {reason}: {', '.join(names)}"
    for one, two in ((first, second), (second, first)):
        only = [name for name in one.figures() if name not in {*two.figures(), *incomparable}]
        if only:
            yield f"only in {one.model}: {', '.join(only)}"
        known = {column.name for column in two.columns}
        only = [column.name for column in one.columns if column.name not in known]
        if only:
            yield f"columns only in {one.model}: {name_list(only)}"
