"""Refit the percentiles and thresholds of scores on a table, without changing the weights."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from aecli.array_types import Codes, Floats, Indices, Mask
from aecli.device import limited_threads
from aecli.directory_lock import Lock
from aecli.errors import DataError, UsageError
from aecli.features.reader import Cells
from aecli.features.windows import window_codes
from aecli.inference.batches import WindowedTable
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.inference.run import Pass
from aecli.model_directory.location import model_directory
from aecli.model_directory.save import check_target, replace_spec
from aecli.model_directory.staging import StagedDirectory, require_writable
from aecli.progress import SILENT, Progress
from aecli.remote_files.path import RemotePath
from aecli.row_sample import RowSample, position_keys
from aecli.schema.calibration import AGGREGATES, Calibration
from aecli.schema.read_options import ReadOptions
from aecli.scoring.scorer import Scorer
from aecli.scoring.threshold import fit_labelled_thresholds
from aecli.table.column_match import require_reference_column
from aecli.table.source import Data, open_source


@dataclass(frozen=True)
class CalibrateResult:
    """Result of `calibrate`: the new calibration, and the previous one.

    With labels, the figures are those of the mean aggregate's threshold on the labelled rows.
    """

    model: Path
    calibration: Calibration
    before: Calibration
    rows: int
    anomalies: int | None
    precision: float | None
    recall: float | None
    f1: float | None
    false_positive_rate: float | None
    seconds: float


Scores = dict[str, Floats]

MAX_CALIBRATION_ROWS = 1 << 22
"""Maximum number of scores in memory; of more, a uniform sample."""


@limited_threads()
def calibrate(
    data: Data,
    *,
    anomaly: str | None = None,
    fpr: float | None = None,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> CalibrateResult:
    """Fit percentiles and thresholds on the scores of `data`, and store them in the model.

    Args:
        data: paths, globs or folders, `-`, or a table in memory.
        anomaly: a column that is true or 1 for anomalies, missing if unknown. Percentiles are then
            those of the ordinary rows, and the threshold is the one with the best F1.
        fpr: the share of (ordinary) rows that may score above the threshold.

    Raises:
        UsageError: `fpr` is out of bounds, or the model reads `anomaly` as a feature.
        DataError: the table has no rows, or the anomaly column is not boolean or constant.
        ModelError: the model is missing, damaged or too new, or was saved without scores.
        LockedError: another run is writing this model directory.
        OutputError: the model cannot be written; it is unchanged.
    """
    if fpr is not None and not 0 < fpr < 1:
        raise UsageError(f"fpr={fpr} must be between 0 and 1", hint="fpr=0.01")
    began = time.perf_counter()
    directory = model_directory(model, tag)
    require_writable(directory)
    loaded = load_model(directory, device=device, threads=threads)
    _require_replaceable(directory)
    scorer = Scorer.of(loaded)
    source = open_source(data, read or ReadOptions())
    if anomaly is not None:
        require_reference_column(source, loaded.spec, anomaly, "--anomaly")
    opened = Pass.over(
        loaded, source, references=[anomaly] if anomaly else [], batch_size=batch_size,
        progress=progress,
    )  # fmt: skip
    scores, codes = _scored(opened, scorer, anomaly)
    progress.finish()
    before = loaded.spec.calibration
    assert before is not None, "the scorer requires a calibration"
    unit = "rows" if loaded.spec.network.window == 1 else "windows"
    calibration = fit_labelled_thresholds(scores, codes, fpr, f"{unit} of {source.name}", anomaly)
    with StagedDirectory(directory) as staged, Lock(staged.local):
        replace_spec(
            staged.local, loaded.spec, loaded.spec.model_copy(update={"calibration": calibration})
        )
    return CalibrateResult(
        model=directory,
        calibration=calibration,
        before=before,
        rows=calibration.rows,
        anomalies=None if codes is None else int((codes == 1).sum()),
        **_figures(scores, codes, calibration),
        seconds=time.perf_counter() - began,
    )


def _require_replaceable(directory: Path) -> None:
    """Raise before the table is scored if the model could not be replaced."""
    check_target(directory)
    if not isinstance(directory, RemotePath):
        with Lock(directory):  # not held while scoring: a training may begin
            pass


def _scored(opened: Pass, scorer: Scorer, anomaly: str | None) -> tuple[Scores, Codes | None]:
    """Return scores by aggregate, and labels: 1 for anomalies, 0 for others, -1 if unknown."""
    sample = RowSample(MAX_CALIBRATION_ROWS)
    for cells, differs, codes in _samples(opened, anomaly):
        scores = scorer.scores(cells, differs)
        rows = np.stack([*(scores[name].numpy() for name in AGGREGATES), codes], axis=1)
        _add(sample, rows)
        opened.progress.rows(len(codes))
    assert opened.source is not None, "calibration reads a table"
    rows = sample.columns().get("rows", np.empty((0, len(AGGREGATES) + 1)))
    if not len(rows):
        raise DataError(f"{opened.source.name} has no rows", hint="a table with at least one row")
    by_aggregate = {name: rows[:, index] for index, name in enumerate(AGGREGATES)}
    if anomaly is None:
        return by_aggregate, None
    labels = rows[:, -1].astype(np.int64)
    for code, what in ((0, "ordinary row"), (1, "anomaly")):
        if not (labels == code).any():
            raise DataError(
                f"the column {anomaly!r} of {opened.source.name} contains no {what}",
                hint="a table with both, or no --anomaly",
            )
    return by_aggregate, labels


def _add(sample: RowSample, rows: Floats) -> None:
    def take(chosen: Indices) -> dict[str, Floats]:
        return {"rows": rows[chosen]}

    sample.add(position_keys(sample.seen, len(rows)), take)


def _samples(opened: Pass, anomaly: str | None) -> Iterator[tuple[Cells, Mask, Codes]]:
    """Yield cells of samples, a mask of constants that differ, and labels of anomalies."""
    samples = opened.samples("scoring", carried=[])
    labels = None
    if opened.windowed is not None:
        labels = _unknown(len(opened.windowed.windows))
        if anomaly:
            labels = anomaly_codes_of_windows(opened.model, opened.windowed, anomaly)
    start = 0
    for batch, cells, differs, _ in samples:
        if labels is not None:
            end = start + batch.num_rows
            yield cells, differs, labels[start:end]
            start = end
        elif anomaly:
            yield cells, differs, anomaly_codes(batch.column(anomaly), anomaly)
        else:
            yield cells, differs, _unknown(len(cells))


def anomaly_codes_of_windows(model: LoadedModel, table: WindowedTable, anomaly: str) -> Codes:
    """Return 1 for anomalous windows, 0 for others and -1 for unknown ones `(n_windows,)`."""
    batches = table.source.select([anomaly]).batches()
    parts = [np.empty(0, np.int64), *(anomaly_codes(b.column(0), anomaly) for b in batches)]
    rule = model.spec.options.windows.window_label
    return window_codes(np.concatenate(parts), table.windows, rule)


def anomaly_codes(array: pa.Array, anomaly: str) -> Codes:
    """Return 1 for anomalies, 0 for ordinary rows and -1 for unknown ones `(n_rows,)`.

    Raises:
        DataError: the column has values other than true and false, or 1 and 0.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        if pa.types.is_boolean(array.type):
            array = array.cast(pa.int8())
        elif not pa.types.is_floating(array.type) and not pa.types.is_integer(array.type):
            array = array.cast(pa.bool_()).cast(pa.int8())
        values = array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException as error:
        raise _invalid_labels(anomaly, str(error)) from error
    known = ~np.isnan(values)
    invalid = values[known & ~np.isin(values, (0.0, 1.0))]
    if len(invalid):
        raise _invalid_labels(anomaly, f"it contains {invalid[0]:g}")
    return np.where(known, values, -1.0).astype(np.int64)


def _invalid_labels(anomaly: str, fact: str) -> DataError:
    return DataError(
        f"the column {anomaly!r} does not label anomalies",
        facts=[fact.splitlines()[0]],
        hint="a column of true and false, or 1 and 0; missing cells mean unknown",
    )


def _unknown(count: int) -> Codes:
    return np.full(count, -1, dtype=np.int64)


def _figures(
    scores: Scores, codes: Codes | None, calibration: Calibration
) -> dict[str, float | None]:
    names = ("precision", "recall", "f1", "false_positive_rate")
    if codes is None:
        return dict.fromkeys(names)
    above = scores["mean"] > calibration.scales["mean"].threshold
    hits, false = int((above & (codes == 1)).sum()), int((above & (codes == 0)).sum())
    missed, passed = int((~above & (codes == 1)).sum()), int((~above & (codes == 0)).sum())
    precision = hits / (hits + false) if hits + false else 0.0
    values = (precision, hits / (hits + missed), 2 * hits / (2 * hits + false + missed))
    return dict(zip(names, (*values, false / (false + passed)), strict=True))
