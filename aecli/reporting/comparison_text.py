"""Judge models by rule on the same rows, and list the figures and settings that differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from aecli.formatting import count, duration, figure, percent, safe
from aecli.metrics.detection import Interval
from aecli.metrics.intervals import MIN_JACKKNIFE_GROUPS, is_clear, paired_interval
from aecli.reporting.data import ModelComparison, ReportData
from aecli.reporting.text import layer_sizes, loss_text, training_figures
from aecli.schema.option_docs import format_value, options
from aecli.schema.options import section_of

PAIRED_FIGURES = {"number_r2": "numbers", "column_accuracy": "categories", "accuracy": "label"}
"""Figures that have paired intervals, and the kind of errors that these come from."""

FIGURE_TITLES = {
    "number_r2": "numbers, variance explained",
    "column_accuracy": "categories, accuracy",
    "accuracy": "label, accuracy",
    "balanced_accuracy": "label, balanced accuracy",
    "macro_f1": "label, macro F1",
    "auroc": "label, AUROC",
    "log_loss": "label, log loss",
    "ece": "label, calibration error",
    "number_mse": "numbers, MSE (standardised)",
    "active_share": "latent, active units",
    "effective_rank": "latent, effective rank",
    "total": "loss, total",
    "reconstruction": "loss, reconstruction",
    "classification": "loss, classification",
}
SHARES = (*PAIRED_FIGURES, "balanced_accuracy", "active_share")


def comparison_verdict(comparison: ModelComparison) -> tuple[str, str]:
    """Return the judgement in one short sentence, and the figures that it comes from."""
    if not comparison.models[0].data:
        held_out = "Figures of the trainings are of the rows that each held out."
        return "Not compared on the same rows: there is no table.", held_out
    paired = [name for name in PAIRED_FIGURES if name in comparison.figures]
    if not paired:
        return "No figure of columns or label means the same in all models.", ""
    rows = min(one.samples for one in comparison.models)
    few = f" Intervals need {MIN_JACKKNIFE_GROUPS} {comparison.models[0].unit}s."
    few *= rows < MIN_JACKKNIFE_GROUPS
    if len(comparison.names) > 2:
        return " ".join(_best_at(comparison, name) for name in paired), few.strip()
    details = [_detail(comparison, name) for name in paired]
    return _pair_verdict(comparison, paired), " ".join(details) + few


def _pair_verdict(comparison: ModelComparison, paired: Sequence[str]) -> str:
    """Return at what the one or the other of two models is clearly better."""
    names = [safe(name) for name in comparison.names]
    better: dict[int, list[str]] = {0: [], 1: []}
    equal: list[str] = []
    for name in paired:
        side = _sign(difference(comparison, name, 0, 1))
        (better[0] if side > 0 else better[1] if side < 0 else equal).append(name)
    clauses = [
        f"{names[winner]} {_verbs(comparison, found)} better"
        for winner, found in better.items()
        if found
    ]
    if not clauses:
        same = ", ".join(f"{_subject(comparison, name)} ≈" for name in paired)
        return f"No clear difference between {names[0]} and {names[1]}: {same}."
    clauses[0] += f" than {names[0 if better[1] and not better[0] else 1]}"
    return "; ".join([*clauses, *(f"{_subject(comparison, name)} ≈" for name in equal)]) + "."


def _verbs(comparison: ModelComparison, found: Sequence[str]) -> str:
    columns = [PAIRED_FIGURES[name] for name in found if name != "accuracy"]
    parts = [f"reconstructs {' and '.join(columns)}"] if columns else []
    parts += [f"predicts {_subject(comparison, 'accuracy')}"] if "accuracy" in found else []
    return " and ".join(parts)


def _subject(comparison: ModelComparison, name: str) -> str:
    label = safe(comparison.models[0].label)
    return label if name == "accuracy" else PAIRED_FIGURES[name]


def _best_at(comparison: ModelComparison, name: str) -> str:
    """Return the model with the best value of a figure, and those that are about as good."""
    values = comparison.figures[name]
    best = max(range(len(values)), key=lambda position: values[position])
    others = [position for position in range(len(values)) if position != best]
    equal = [p for p in others if _sign(difference(comparison, name, best, p)) <= 0]
    if len(equal) == len(others):
        return f"{_title(comparison, name)} ≈."
    same = f" (≈ {', '.join(safe(comparison.names[p]) for p in equal)})" if equal else ""
    return f"{_title(comparison, name)}: {safe(comparison.names[best])} is best{same}."


def _title(comparison: ModelComparison, name: str) -> str:
    label = f"Label {safe(comparison.models[0].label)}"
    return label if name == "accuracy" else PAIRED_FIGURES[name].capitalize()


def _detail(comparison: ModelComparison, name: str) -> str:
    values = comparison.figures[name]
    title = "R²" if name == "number_r2" else "accuracy"
    shown = " against ".join(_value_text(name, value, r2=True) for value in values)
    points = name != "number_r2"
    interval = difference(comparison, name, 0, 1)
    margin = _difference_text(values[0] - values[1], interval, points=points)
    unit = " points" * points
    return f"{_title(comparison, name)}: {title} {shown} (difference {margin}{unit})."


def difference(comparison: ModelComparison, name: str, first: int, second: int) -> Interval | None:
    """Return by how much a figure of one model is above that of another, with its interval.

    None where they do not have the same rows or windows, or too few of them.
    """
    kind, (one, other) = PAIRED_FIGURES[name], (comparison.models[at] for at in (first, second))
    samples = {(model.spec.network.window, model.samples) for model in (one, other)}
    if len(samples) > 1 or kind not in one.group_errors or kind not in other.group_errors:
        return None
    values = comparison.figures[name]
    errors = [torch.from_numpy(model.group_errors[kind]) for model in (one, other)]
    return paired_interval(values[first] - values[second], *errors)


def _sign(interval: Interval | None) -> int:
    """Return 1 or -1 where a difference is clearly above or below 0, else 0."""
    if interval is None or not is_clear(interval):
        return 0
    return 1 if interval.value > 0 else -1


def _value_text(name: str, value: float, *, r2: bool = False) -> str:
    if r2 and name == "number_r2":
        return figure(value, 2)
    return percent(value) if name in SHARES else figure(value, 3)


def _difference_text(value: float, interval: Interval | None, *, points: bool) -> str:
    """Write a difference with half the width of its interval, in percentage points or as it is."""
    scale, digits = (100.0, 1) if points else (1.0, 3)
    # Adding 0 turns a negative zero into 0.
    text = f"{round(scale * value, digits) + 0.0:+.{digits}f}".replace("-", "−")
    if interval is None:
        return text
    return f"{text} ± {scale * (interval.high - interval.low) / 2:.{digits}f}"


def figure_rows(comparison: ModelComparison) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield each common figure: a title, and a cell per model, with its lead on the first one."""
    ordered = [name for name in FIGURE_TITLES if name in comparison.figures]
    for name in dict.fromkeys([*ordered, *comparison.figures]):
        cells = [
            {"text": _value_text(name, value)} | _lead(comparison, name, position)
            for position, value in enumerate(comparison.figures[name])
        ]
        yield FIGURE_TITLES.get(name, name), cells


def _lead(comparison: ModelComparison, name: str, position: int) -> dict[str, str]:
    """Return the mark and the text of a figure's difference from the first model's."""
    paired = position and name in PAIRED_FIGURES
    interval = difference(comparison, name, position, 0) if paired else None
    if interval is None:
        return {"mark": ""}
    mark, side = {0: ("≈", ""), 1: ("▲", "better"), -1: ("▼", "worse")}[_sign(interval)]
    lead = _difference_text(interval.value, interval, points=True)
    return {"mark": mark, "side": side, "lead": lead}


def setting_rows(models: Sequence[ReportData]) -> Iterator[tuple[str, list[str]]]:
    """Yield the options and sizes that differ between the models."""
    for name, option in options().items():
        values = [getattr(getattr(m.spec.options, section_of(name)), name) for m in models]
        yield from _if_different(option.flag, [_setting_text(value) for value in values])
    for title, texts in _facts(models):
        yield from _if_different(title, texts)


def _if_different(title: str, texts: list[str]) -> Iterator[tuple[str, list[str]]]:
    if len(set(texts)) > 1:
        yield title, texts


def _setting_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "default" if value is None else format_value(value) or "–"


def _facts(models: Sequence[ReportData]) -> Iterator[tuple[str, list[str]]]:
    specs = [one.spec for one in models]
    yield "network", [layer_sizes(one) for one in models]
    yield "parameters", [count(spec.parameters) for spec in specs]
    yield "loss", [loss_text(one) for one in models]
    yield "training table", [safe(spec.table) for spec in specs]
    yield "training rows", [count(spec.summary.train_rows) for spec in specs]
    yield "best epoch", [f"{s.summary.best_epoch} of {s.summary.epochs}" for s in specs]
    yield "training time", [duration(spec.summary.seconds) for spec in specs]
    if not models[0].data:
        pairs = list(zip(*map(training_figures, models), strict=True))
        for title, values in zip(("variance explained", "category accuracy"), pairs, strict=True):
            yield f"{title} in training", [percent(value) for value in values]
