"""Evaluate a saved model on a table, beside the column means, PCA and another model."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from aecli.array_types import Codes
from aecli.errors import DataError, UsageError
from aecli.evaluation.accumulator import Answered, Gathered, measures
from aecli.evaluation.anomaly_and_probe import Asked, Detector, Prober
from aecli.evaluation.compare import beside
from aecli.evaluation.gates import check_conditions, judge
from aecli.evaluation.groups import Groups, read_groups
from aecli.evaluation.results import EvaluateResult, Group
from aecli.features.reader import Tally
from aecli.features.series import window_codes
from aecli.inference.batches import Chunk, latents
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.inference.windows import WindowedTable, labels_of_windows, open_windows, window_chunks
from aecli.model_directory import model_directory
from aecli.progress import SILENT, Progress
from aecli.schema.options import ReadOptions
from aecli.scoring.calibrate import anomaly_codes
from aecli.table.column_match import match_columns
from aecli.table.labels import label_codes, unknown_labels
from aecli.table.source import Data, Source, open_source


class Evaluation:
    """Measure one model on one table, in constant memory."""

    def __init__(self, model: LoadedModel, source: Source, asked: Asked) -> None:
        asked.check(source, model.spec)
        self.model = model
        self.asked = asked
        self.source, matched = match_columns(
            source, model.spec, keep=asked.columns, with_label=True
        )
        self.kept = matched.kept
        self.label = model.spec.label if matched.label and model.spec.network.classes else None
        self.detector = Detector(model, asked.anomaly) if asked.anomaly else None
        self.prober = Prober(model, asked.probe) if asked.probe else None
        self.groups: Groups | None = None
        self.tally = Tally(model.reader.layout)
        self.table: WindowedTable | None = None
        self.whole = self._gathered()
        self.parts: dict[int, Gathered] = {}
        self.unknown_labels = 0
        self.rows = 0

    def run(self, batch_size: int | None, progress: Progress) -> None:
        """Read the table and take all of it in.

        Raises:
            DataError: it has no rows, or a column that was asked for is of another kind.
        """
        for _ in self.samples(batch_size, progress):
            pass
        progress.finish()

    def samples(
        self, batch_size: int | None, progress: Progress, carried: Sequence[str] = ()
    ) -> Iterator[tuple[Chunk, Codes | None]]:
        """Yield the table's rows or windows with their label codes, once they are taken in.

        Rows have every column that was read, windows the columns `carried` of their last rows.

        Raises:
            DataError: it has no rows, or a column that was asked for is of another kind.
        """
        if self.asked.by:
            self.groups = read_groups(self.source, self.asked.by)
        windowed = self.model.spec.network.window > 1
        found = (
            self._windows(batch_size, progress, carried)
            if windowed
            else self._rows(batch_size, progress)
        )
        for chunk, codes, marks in found:
            self._add(chunk, codes, marks)
            yield chunk, codes
        if self.rows == 0:
            raise DataError(f"{self.source.name} has no rows", hint="a table with at least one row")

    def _gathered(self) -> Gathered:
        return Gathered(self.model, classified=self.label is not None)

    def _rows(
        self, batch_size: int | None, progress: Progress
    ) -> Iterator[tuple[Chunk, Codes | None, Codes | None]]:
        """Yield encoded rows with their label codes and marks of anomalies."""
        stream = latents(
            self.model, self.source, batch_rows=batch_size, tally=self.tally, progress=progress
        )
        for chunk in stream:
            self.rows += len(chunk.cells)
            codes = marks = None
            if self.label is not None:
                array = chunk.batch.column(self.label.name)
                codes = label_codes(array, self.label)
                self.unknown_labels += unknown_labels(array, codes)
            if self.asked.anomaly:
                marks = anomaly_codes(chunk.batch.column(self.asked.anomaly), self.asked.anomaly)
            yield chunk, codes, marks

    def _windows(
        self, batch_size: int | None, progress: Progress, carried: Sequence[str]
    ) -> Iterator[tuple[Chunk, Codes | None, Codes | None]]:
        """Yield the same of windows, labelled and marked as the model's training windows were."""
        table = open_windows(self.model, self.source, tally=self.tally, progress=progress)
        self.table = table
        self.rows = len(table.staged.cells)
        codes = marks = None
        if self.label is not None:
            how = self.model.spec.options.windows.window_label
            codes, self.unknown_labels = labels_of_windows(table, self.label, how)
        if self.asked.anomaly:
            marks = self._marks_of_windows(table, self.asked.anomaly)
        asked = [name for name in (self.asked.probe, self.asked.by) if name is not None]
        chunks = window_chunks(
            self.model, table, list(dict.fromkeys([*carried, *asked])), batch_windows=batch_size,
            progress=progress,
        )  # fmt: skip
        done = 0
        for chunk in chunks:
            part = slice(done, done + len(chunk.latent))
            done = part.stop
            yield (
                chunk,
                None if codes is None else codes[part],
                None if marks is None else marks[part],
            )

    def _marks_of_windows(self, table: WindowedTable, name: str) -> Codes:
        batches = table.source.select([name]).batches()
        parts = [np.empty(0, dtype=np.int64), *(anomaly_codes(b.column(0), name) for b in batches)]
        how = self.model.spec.options.windows.window_label
        return window_codes(np.concatenate(parts), table.windows, how)

    @torch.no_grad()
    def _add(self, chunk: Chunk, codes: Codes | None, marks: Codes | None) -> None:
        network = self.model.network
        cells = torch.from_numpy(chunk.cells).to(self.model.device)
        outputs = network.decode(chunk.latent).float()
        logits = labels = None
        if codes is not None:
            logits = network.classify(chunk.latent).float()
            labels = torch.from_numpy(np.ascontiguousarray(codes)).to(logits.device)
        answered = Answered(cells, chunk.code, outputs, logits, labels)
        self.whole.add(answered)
        groups = self._add_groups(chunk.batch, answered)
        if self.detector is not None and marks is not None:
            self.detector.add(torch.from_numpy(chunk.cells), marks, groups)
        if self.prober is not None and self.asked.probe:
            self.prober.add(cells, chunk.latent, chunk.batch.column(self.asked.probe), groups)

    def _add_groups(self, batch: pa.RecordBatch, answered: Answered) -> Codes:
        if self.groups is None:
            return np.zeros(len(answered.code.latent), dtype=np.int64)
        groups = self.groups.codes(batch.column(self.groups.column))
        for group in np.unique(groups).tolist():
            inside: Tensor = torch.from_numpy(groups == group).to(answered.cells.device)
            part = self.parts.setdefault(group, self._gathered())
            part.add(answered.where(inside))
        return groups

    def result(self, seconds: float) -> EvaluateResult:
        """Return all figures, without gates."""
        notes = list(self._notes())
        unseen = self.tally.unseen()
        if self.label is not None and self.unknown_labels:
            unseen[self.label.name] = self.unknown_labels
        return EvaluateResult(
            model=self.model.directory,
            rows=self.rows,
            **measures(self.whole, self.model.spec, self.label),
            anomaly=self.detector.result() if self.detector else None,
            probe=self.prober.result() if self.prober else None,
            unseen=unseen,
            gates=[],
            seconds=seconds,
            by=self.asked.by,
            groups=list(self._group_results()),
            notes=notes,
        )

    def _group_results(self) -> Iterator[Group]:
        if self.groups is None:
            return
        for place in sorted(self.parts):
            own = place < len(self.groups.values)
            yield Group(
                value=self.groups.values[place] if own else None,
                pooled=0 if own else self.groups.pooled,
                rows=self.groups.rows[place],
                **measures(self.parts[place], self.model.spec, self.label),
                anomaly=self.detector.result(place) if self.detector else None,
                probe=self.prober.result(place) if self.prober else None,
            )

    def _notes(self) -> Iterator[str]:
        """Yield what could not be measured; fits the probes."""
        if self.detector is not None:
            yield from self.detector.notes()
        if self.prober is not None:
            yield from self.prober.notes()
        if self.groups is None:
            return
        if self.groups.pooled:
            yield f"{self.groups.pooled:,} rarer values of {self.groups.column} are one group"
        absent = len(self.groups.values) + bool(self.groups.pooled) - len(self.parts)
        if absent:
            yield f"{absent:,} groups of {self.groups.column} have no window"


def evaluate(
    data: Data,
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    anomaly: str | None = None,
    probe: str | None = None,
    by: str | None = None,
    compare: str | os.PathLike[str] | None = None,
    fail_if: Sequence[str] = (),
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> EvaluateResult:
    """Measure a model on `data`; without the label column there is no classification.

    Args:
        data: paths, globs or folders, `-`, or a table in memory.
        anomaly: a column that is true or 1 for anomalies, empty where nobody knows; scores are
            measured by it.
        probe: a column to predict from raw columns, PCA and the latents, side by side.
        by: a column whose values split every figure.
        compare: the directory of another model, measured on the same rows.
        fail_if: conditions such as `accuracy<0.9`; the result says which failed.

    Raises:
        UsageError: a condition cannot be understood, or names a figure that is not here; the model
            reads `anomaly` or `probe`; `by` goes with `compare`.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: a model is missing, damaged or too new, or cannot score.
    """
    began = time.perf_counter()
    asked = Asked(anomaly, probe, by)
    check_conditions(fail_if, asked.options)
    if by is not None and compare is not None:
        raise UsageError(
            "--by and --compare would make a table of two models per group",
            hint="one of them, or evaluate each model with --by and --json",
        )
    directories = [model_directory(model, tag), *([] if compare is None else [Path(compare)])]
    loaded = [load_model(path, device=device, threads=threads) for path in directories]
    source = open_source(data, read or ReadOptions())
    runs = [Evaluation(loaded[0], source, asked)]
    runs += [_second(each, source, asked) for each in loaded[1:]]
    results = []
    for run in runs:
        run.run(batch_size, progress)
        results.append(run.result(time.perf_counter() - began))
    result = results[0]
    if compare is not None:
        other = beside(result, results[1], loaded[0].spec, loaded[1].spec)
        result = replace(result, compared=other, seconds=time.perf_counter() - began)
    return result.with_gates(judge(fail_if, result.figures()))


def _second(model: LoadedModel, source: Source, asked: Asked) -> Evaluation:
    try:
        return Evaluation(model, source, asked)
    except (DataError, UsageError) as error:
        facts = [f"--compare {model.directory}", *error.facts]
        raise type(error)(error.what, facts=facts, hint=error.hint) from error
