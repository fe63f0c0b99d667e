"""Measure how many texts a model returns exactly."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from aecli.array_types import AnyFloats
from aecli.features.inverse import InverseColumns
from aecli.features.layout import Layout
from aecli.features.text.characters import CharacterCodes
from aecli.schema.model_spec import Column


class TextFigures:
    """Accumulator of the share of texts that are returned exactly, by column.

    A text that is decoded as a vector and not stored in the model cannot be returned.
    """

    def __init__(self, layout: Layout) -> None:
        self._inverse = InverseColumns(layout.columns)
        self._cells = dict(zip((c.name for c in layout.columns), layout.cell_slices, strict=True))
        self._columns = [column for column in layout.columns if _is_returned(column)]
        self._observed = dict.fromkeys((column.name for column in self._columns), 0)
        self._retrieved = dict(self._observed)

    def add(self, cells: Tensor, outputs: Tensor) -> None:
        """Add cells `(n_rows, n_cells)` and the network's outputs `(n_rows, n_outputs)`."""
        if not self._columns:
            return
        actual, predicted = cells.cpu().numpy(), outputs.float().cpu().numpy()
        for column in self._columns:
            texts = actual[:, self._cells[column.name]]
            known = ~np.isnan(texts[:, 0])
            predictions = self._inverse.part(column, predicted)[known]
            self._observed[column.name] += int(known.sum())
            self._retrieved[column.name] += _exact(column, texts[known], predictions)

    def shares(self) -> dict[str, float]:
        """Return the share of the observed texts that are returned exactly, by column."""
        return {
            name: self._retrieved[name] / count for name, count in self._observed.items() if count
        }


def _is_returned(column: Column) -> bool:
    """Return whether vectors or characters of a column are converted back to texts."""
    if column.kind == "text":
        return column.encoder.texts is not None
    return column.kind == "characters"


def _exact(column: Column, texts: AnyFloats, predictions: AnyFloats) -> int:
    """Return the number of texts that are returned exactly, of cells and outputs of a column."""
    if column.kind == "characters":
        most_likely = CharacterCodes(column).most_likely(predictions)
        return int(((most_likely == texts) | np.isnan(texts)).all(axis=1).sum())
    center, scale = np.array(column.center), np.array(column.scale)
    same = column.encoder.retrieved(*(part * scale + center for part in (texts, predictions)))
    return 0 if same is None else int(same.sum())
