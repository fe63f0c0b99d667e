"""Parse and judge `--fail-if` conditions such as `accuracy<0.9`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from aecli.errors import UsageError, nearest

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}

CONDITION = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(<=|>=|<|>)\s*(\S+)\s*")

EVALUATE_FIGURES = (
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

SCORE_FIGURES = ("missing_share", "out_of_range_share", "outlier_share", "unseen_share")

NEEDS = {"anomaly": "--anomaly", "probe": "--probe", "knn": "--probe"}
"""The option without which there is no figure of a name that begins so."""


@dataclass(frozen=True)
class Gate:
    """One `--fail-if` condition, its figure, and whether it failed."""

    condition: str
    value: float
    failed: bool


def check_conditions(
    conditions: Sequence[str], known: Sequence[str], options: Collection[str] = ()
) -> None:
    """Refuse a condition that cannot be judged, before any row is read.

    Args:
        conditions: as they were given.
        known: the figures of the command.
        options: those among `NEEDS` that were given.

    Raises:
        UsageError: a condition is not a `FIGURE<NUMBER`, names no figure, or one of an option
            that was not given.
    """
    for condition in conditions:
        name = _parsed(condition)[0]
        if name not in known:
            raise _unknown_figure(condition, name, known)
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
        # A figure that is not a number passes no gate.
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
            f"--fail-if {condition!r} is not a condition",
            hint="a figure, <, <=, > or >=, and a number, in quotes: --fail-if 'FIGURE>0.1'",
        )
    return found[1], OPERATORS[found[2]], bound


def _unknown_figure(condition: str, name: str, known: Sequence[str]) -> UsageError:
    near = nearest(name, known)
    changed = condition.replace(name, near, 1) if near else ""
    return UsageError(
        f"--fail-if {condition!r}: there is no figure {name!r}",
        facts=[f"known: {', '.join(known)}"],
        hint=f"--fail-if '{changed.strip()}'" if near else None,
    )
