"""Parameters of the estimator: names, types, defaults and help, from the training options."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Any

import numpy as np

from aecli.schema.option_docs import format_value, options
from aecli.schema.option_values import SharedOptionValues
from aecli.schema.options import TrainOptions, section_of
from aecli.schema.read_options import ReadOptions
from aecli.schema.torch_classes import TorchClassSpec

NO_PARAMETERS = {"label", "seed", *ReadOptions.model_fields}
"""Options that are not parameters: `fit` gets the label, `random_state` is the seed, and no file is
read."""

RENAMED_OPTIONS = {"class_weight": "classification_weight"}
"""Options whose names have another meaning in scikit-learn."""

ESTIMATOR_ONLY: dict[str, tuple[Any, str]] = {
    "threshold": (
        "auto",
        "Score above which a row is an outlier: auto, a percentile of held-out rows such as p99, "
        "fpr:0.01, or a score.",
    ),
    "aggregate": ("mean", "Combination of the columns' errors in a score: mean, max or top3."),
    "random_state": (
        0,
        "Seed of the split, the weights, the row order and the dropout; None uses another seed in "
        "every fit.",
    ),
}
"""Parameters that are not training options: default and help."""

PARAMETER_OPTIONS = {
    RENAMED_OPTIONS.get(name, name): option
    for name, option in options().items()
    if name not in NO_PARAMETERS
}


class EstimatorParameters(SharedOptionValues, total=False):
    """Every parameter of `aecli.Autoencoder`."""

    classification_weight: float
    threshold: float | str
    aggregate: str
    random_state: int | np.random.RandomState | None


def immutable(value: object) -> object:
    """Return an option's value as text, a number or a tuple."""
    if isinstance(value, TorchClassSpec):
        return format_value(value)
    return tuple(value) if isinstance(value, list) else value


PARAMETER_DEFAULTS: dict[str, Any] = {
    **{name: immutable(option.default) for name, option in PARAMETER_OPTIONS.items()},
    **{name: default for name, (default, _) in ESTIMATOR_ONLY.items()},
}


def parameters_of(trained: TrainOptions) -> dict[str, Any]:
    """Return the parameters of an estimator from the options of a training."""
    parameters = {
        name: immutable(getattr(getattr(trained, section_of(option.name)), option.name))
        for name, option in PARAMETER_OPTIONS.items()
    }
    return parameters | {"random_state": trained.training.seed}


def signature() -> Signature:
    """Return the constructor's signature: every parameter by keyword."""
    self_parameter = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    keywords = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default)
        for name, default in PARAMETER_DEFAULTS.items()
    ]
    return Signature([self_parameter, *keywords])


def parameter_docs() -> str:
    """Return the parameters with their help, as a section of a docstring."""
    helps = {name: option.help for name, option in PARAMETER_OPTIONS.items()}
    helps |= {name: text for name, (_, text) in ESTIMATOR_ONLY.items()}
    defaults = PARAMETER_DEFAULTS
    lines = [f"    {name} (default {defaults[name]!r}): {text}" for name, text in helps.items()]
    return "\n".join(["Parameters:", *lines])
