"""Shorten the imports of a process that runs only aecli."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


class _WithoutPandas:
    """Finder by which pandas is not installed.

    Arrow imports pandas, where it is installed, for the first value of Python or NumPy that it
    converts, and no command uses it. Raising here is how a finder prevents an import
    (https://docs.python.org/3/reference/import.html#replacing-the-standard-import-system).
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise ModuleNotFoundError for pandas."""
        if fullname == "pandas":
            raise ModuleNotFoundError("aecli does not use pandas", name=fullname)
        return None


def shorten_imports() -> None:
    """Do not import pandas, and collect garbage less often.

    Importing torch creates some 180,000 objects that stay; the garbage collector would examine
    them after every 700 new ones.
    """
    sys.meta_path.insert(0, _WithoutPandas())
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
