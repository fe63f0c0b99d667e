"""Number of CPU threads of an object that computes: a model or an estimator."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from aecli.device import limited_threads

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


def with_own_threads(
    method: Callable[Concatenate[Any, Arguments], Returned],
) -> Callable[Concatenate[Any, Arguments], Returned]:
    """Run a method with as many threads as `threads` of its object, and restore the number."""

    @wraps(method)
    def limited(owner: Any, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
        with limited_threads(owner.threads):
            return method(owner, *args, **kwargs)

    return limited
