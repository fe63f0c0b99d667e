"""Result of the commands that write a row per row, and its merging over the files of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from aecli.table.readers import merged_notes


@dataclass(frozen=True)
class StreamResult:
    """Result of `encode`, `reconstruct` or `predict`.

    `rows` is the number of rows in the output, which is None if nothing was written; `unit` says
    whether each is a row or a window of the table. Per column, `unseen` counts categories that the
    training rows did not have, `out_of_range` values outside the range of training or different
    from its constant, `missing` missing values in columns that had none. `ignored` are columns
    unknown to the model. `notes` are messages about windows and unusual data; `uncovered` counts
    rows in no window. `filled` and `unfilled` count, per column, the missing values that
    `reconstruct` with `fill` could fill and those it could not. `files` is the number of files in
    an output folder, with those that were finished before; None if the output is one file.
    """

    model: Path
    output: str | None
    rows: int
    columns: Sequence[str]
    seconds: float
    unseen: Mapping[str, int]
    missing: Mapping[str, int]
    ignored: Sequence[str]
    notes: Sequence[str] = ()
    uncovered: int = 0
    filled: Mapping[str, int] = field(default_factory=dict)
    unfilled: Mapping[str, int] = field(default_factory=dict)
    out_of_range: Mapping[str, int] = field(default_factory=dict)
    unit: str = "row"
    files: int | None = None

    @classmethod
    def restored(cls, values: Mapping[str, Any], *, model: Path, output: str) -> Self:
        """Return the result of one file from its fields as JSON, without `model` and `output`."""
        return cls(**{**values, "model": model, "output": output})

    @classmethod
    def merged(cls, results: Sequence[Self], output: str) -> Self:
        """Return the results of files as that of their folder, with the sums of the counts."""
        names = [Path(str(result.output)).name for result in results]
        notes = [
            [f"{name}: {note}" for note in result.notes]
            for name, result in zip(names, results, strict=True)
        ]
        return replace(
            results[0],
            output=output,
            rows=sum(result.rows for result in results),
            uncovered=sum(result.uncovered for result in results),
            notes=list(merged_notes(notes, names)),
            files=len(results),
            unseen=_sums(result.unseen for result in results),
            missing=_sums(result.missing for result in results),
            filled=_sums(result.filled for result in results),
            unfilled=_sums(result.unfilled for result in results),
            out_of_range=_sums(result.out_of_range for result in results),
        )


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for of_file in counts:
        total.update(of_file)
    return dict(total)
