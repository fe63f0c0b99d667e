"""Names of the array types that signatures use."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]

Floats = npt.NDArray[np.float64]

Float32s = npt.NDArray[np.float32]

AnyFloats = npt.NDArray[np.floating[Any]]

Integers = npt.NDArray[np.int64]

Mask = npt.NDArray[np.bool_]

Codes = Integers
"""Codes of label classes or of groups `(n_samples,)`; -1 is unknown."""

Indices = Integers
"""Positions of rows or of windows."""
