"""Parse and evaluate `--fail-if` conditions such as `accuracy<0.9`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

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
    "character_accuracy",
    "classification",
    "column_accuracy",
    "ece",
    "effective_rank",
    "kl",
    "kl_normal",
    "knn_latent",
    "knn_pca",
    "knn_raw",
    "l0",
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
    "text_retrieved",
    "total",
)

SCORE_FIGURES = ("missing_share", "out_of_range_share", "outlier_share", "unseen_share")

NEEDS = {"anomaly": "--anomaly", "probe": "--probe", "knn": "--probe"}
"""Option required for figures whose names begin with the key."""


@dataclass(frozen=True)
class Gate:
    """One `--fail-if` condition, its figure, and whether it failed."""

    condition: str
    value: float
    failed: bool


def check_conditions(
    conditions: Sequence[str], known: Sequence[str], options: Collection[str] = ()
) -> None:
    """Raise for a condition that cannot be evaluated, before any row is read.

    Args:
        conditions: of the user.
        known: the figures of the command.
        options: the given options among `NEEDS`.

    Raises:
        UsageError: a condition is not of the form `FIGURE<NUMBER`, or its figure is unknown or
            needs another option.
    """
    for condition in conditions:
        name = _parsed(condition)[0]
        needed = _needed_option(name)
        if name not in known:
            has = [figure for figure in known if _needed_option(figure) in (None, *options)]
            raise _unknown_figure(condition, name, has)
        if needed is not None and needed not in options:
            raise UsageError(
                f"--fail-if {condition!r}: there is no {name} without {needed}",
                hint=f"{needed} COLUMN",
            )


def _needed_option(figure: str) -> str | None:
    return NEEDS.get(figure.partition("_")[0])


def evaluate_gates(conditions: Sequence[str], figures: Mapping[str, float]) -> list[Gate]:
    """Return one gate per condition.

    Raises:
        UsageError: this model and table do not have the figure of a condition.
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
        # A NaN fails every gate.
        gates.append(Gate(condition, value, failed=compare(value, bound) or value != value))
    return gates


def _parsed(condition: str) -> tuple[str, Callable[[float, float], bool], float]:
    match = CONDITION.fullmatch(condition)
    try:
        bound = float(match[3]) if match else float("nan")
    except ValueError:
        bound = float("nan")
    if match is None or bound != bound:
        raise UsageError(
            f"--fail-if {condition!r} is not a condition",
            hint="a figure, <, <=, > or >=, and a number, in quotes: --fail-if 'FIGURE>0.1'",
        )
    return match[1], OPERATORS[match[2]], bound


def _unknown_figure(condition: str, name: str, known: Sequence[str]) -> UsageError:
    of_scores = set(known) <= set(SCORE_FIGURES)
    facts = [f"{'score' if of_scores else 'this model'} has: {', '.join(known)}"]
    elsewhere = name in (*EVALUATE_FIGURES, *SCORE_FIGURES)
    if name in EVALUATE_FIGURES and of_scores:
        facts.append(f"{name} is a figure of aecli evaluate")
    elif name in EVALUATE_FIGURES:
        facts.append(f"{name} is a figure that aecli evaluate has for other models")
    elif name in SCORE_FIGURES:
        facts.append(f"{name} is a figure of aecli score")
    near = [] if elsewhere else _near_figures(name, known)
    changed = condition.strip().replace(name, near[0], 1) if near else ""
    return UsageError(
        f"--fail-if {condition!r}: there is no figure {name!r}",
        facts=facts,
        hint=f"--fail-if '{changed}'" if near else None,
    )


def _near_figures(name: str, known: Sequence[str]) -> list[str]:
    """Return the figures that a name may stand for, the most similar first."""
    near = nearest(name, known)
    if near is not None:
        return [near]
    words = set(name.split("_"))
    parts = [figure for figure in known if words <= set(figure.split("_"))]
    return parts or get_close_matches(name, known, n=1, cutoff=0.6)
