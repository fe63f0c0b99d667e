"""Shorten the imports of a process that runs only aecli."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from importlib.abc import Loader  # its import takes 6 ms

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


class _WithoutPandas:
    """Finder and loader by which pandas cannot be imported.

    Arrow imports pandas, where it is installed, for the first value of Python or NumPy that it
    converts, and no command uses it. The error is raised by the import, not by the search: torch
    searches for packages that it does not import.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a specification of pandas, without a file."""
        return ModuleSpec(fullname, cast("Loader", self)) if fullname == "pandas" else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Raise ModuleNotFoundError for pandas."""
        raise ModuleNotFoundError("aecli does not use pandas", name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: no module is created."""


def shorten_imports() -> None:
    """Do not import pandas, and collect garbage less often.

    Importing torch creates some 180,000 objects that stay; the garbage collector would examine
    them after every 700 new ones.
    """
    sys.meta_path.insert(0, _WithoutPandas())
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
