"""Parse and judge `--fail-if` conditions such as `accuracy<0.9`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence

from aecli.errors import UsageError, nearest
from aecli.evaluation.results import Gate

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}

CONDITION = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(<=|>=|<|>)\s*(\S+)\s*")

GATE_FIGURES = (
    "accuracy",
    "active_share",
    "anomaly_auroc",
    "anomaly_average_precision",
    "anomaly_best_f1",
    "anomaly_f1",
    "auroc",
    "balanced_accuracy",
    "classification",
    "column_accuracy",
    "effective_rank",
    "kl",
    "kl_normal",
    "knn_latent",
    "knn_pca",
    "knn_raw",
    "l1",
    "l2",
    "log_loss",
    "macro_f1",
    "number_mse",
    "number_r2",
    "probe_latent",
    "probe_pca",
    "probe_raw",
    "reconstruction",
    "total",
)

NEEDS = {"anomaly": "--anomaly", "probe": "--probe", "knn": "--probe"}
"""The option without which there is no figure of a name that begins so."""


def check_conditions(conditions: Sequence[str], options: Collection[str]) -> None:
    """Refuse a condition that cannot be judged, before any row is read.

    Args:
        conditions: as they were given.
        options: those among `NEEDS` that were given.

    Raises:
        UsageError: a condition is no `FIGURE<NUMBER`, or names no figure, or one of an option that
            was not given.
    """
    for condition in conditions:
        name, _, _ = _parsed(condition)
        needed = NEEDS.get(name.partition("_")[0])
        if needed is not None and needed not in options:
            raise UsageError(
                f"--fail-if {condition!r}: there is no {name} without {needed}",
                hint=f"{needed} COLUMN",
            )


def judge(conditions: Sequence[str], figures: Mapping[str, float]) -> list[Gate]:
    """Return one gate per condition.

    Raises:
        UsageError: a condition names a figure that this model and table do not have.
    """
    gates = []
    for condition in conditions:
        name, compare, bound = _parsed(condition)
        if name not in figures:
            raise UsageError(
                f"--fail-if {condition!r}: this evaluation has no {name}",
                facts=[f"it has: {', '.join(sorted(figures))}"],
            )
        value = figures[name]
        # A figure that is no number passes no gate.
        gates.append(Gate(condition, value, failed=compare(value, bound) or value != value))
    return gates


def _parsed(condition: str) -> tuple[str, Callable[[float, float], bool], float]:
    found = CONDITION.fullmatch(condition)
    try:
        bound = float(found[3]) if found else float("nan")
    except ValueError:
        bound = float("nan")
    if found is None or bound != bound:
        raise UsageError(
            f"--fail-if {condition!r} is no condition", hint="--fail-if 'accuracy<0.9'"
        )
    name = found[1]
    if name not in GATE_FIGURES:
        near = nearest(name, GATE_FIGURES)
        raise UsageError(
            f"--fail-if {condition!r}: there is no figure {name!r}",
            facts=[f"known: {', '.join(GATE_FIGURES)}"],
            hint=f"--fail-if '{near}{found[2]}{found[3]}'" if near else None,
        )
    return name, OPERATORS[found[2]], bound
