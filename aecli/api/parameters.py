"""Make the estimator's parameters of the training options: names, defaults and help as they are."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Any

from aecli.schema.option_docs import format_value, options
from aecli.schema.options import ReadOptions
from aecli.schema.torch_classes import TorchClassSpec

OTHERS = {"label", "seed", *ReadOptions.model_fields}
"""Options that are no parameters: `fit` gets the label, `random_state` is the seed, and no file is
read."""

RENAMED = {"class_weight": "classification_weight"}
"""Options that scikit-learn means something else by."""

OWN: dict[str, tuple[Any, str]] = {
    "threshold": (
        "auto",
        "Score above which a row is an outlier: auto, a percentile of held-out rows such as p99, "
        "fpr:0.01, or a score.",
    ),
    "aggregate": ("mean", "How the columns' errors count in a row's score: mean, max or top3."),
    "random_state": (
        0,
        "Seed of the split, the weights, the row order and the dropout; None takes another seed in "
        "every fit.",
    ),
}
"""Parameters that are no training options: default and help."""

OPTIONS = {
    RENAMED.get(name, name): option for name, option in options().items() if name not in OTHERS
}


def plain(value: object) -> object:
    """Return an option's value as a plain value that nobody can change."""
    if isinstance(value, TorchClassSpec):
        return format_value(value)
    return tuple(value) if isinstance(value, list) else value


DEFAULTS: dict[str, Any] = {
    **{name: plain(option.default) for name, option in OPTIONS.items()},
    **{name: default for name, (default, _) in OWN.items()},
}


def signature() -> Signature:
    """Return the constructor's signature: every parameter by keyword."""
    own = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    named = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default)
        for name, default in DEFAULTS.items()
    ]
    return Signature([own, *named])


def described() -> str:
    """Return the parameters with their help, as the docstring of a class lists them."""
    helps = {name: option.help for name, option in OPTIONS.items()}
    helps |= {name: text for name, (_, text) in OWN.items()}
    lines = [f"    {name} (default {DEFAULTS[name]!r}): {text}" for name, text in helps.items()]
    return "\n".join(["Parameters:", *lines])
