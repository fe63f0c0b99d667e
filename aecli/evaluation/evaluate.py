"""Evaluate a saved model on a table, and compare it with column means, PCA and another model."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from aecli.array_types import Codes
from aecli.device import keep_freed_memory, limited_threads
from aecli.errors import DataError, UsageError
from aecli.evaluation.accumulator import DecodedSamples, SampleFigures
from aecli.evaluation.anomaly_and_probe import Detector, Prober
from aecli.evaluation.compare import compare_results
from aecli.evaluation.groups import group_codes, read_groups
from aecli.evaluation.results import EvaluateResult, Group, model_figures
from aecli.evaluation.scored_batches import Scored, scored_batches
from aecli.inference.batches import EncodedBatch, labels_of_windows
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.inference.run import Pass
from aecli.metrics.gates import check_conditions, evaluate_gates
from aecli.model_directory.location import model_directory
from aecli.progress import SILENT, Progress
from aecli.remote_files.path import location
from aecli.schema.model_spec import UNTRAINED_DECODER, ModelSpec
from aecli.schema.read_options import ReadOptions
from aecli.scoring.calibrate import anomaly_codes, anomaly_codes_of_windows
from aecli.scoring.scorer import ScoredSamples, Scorer
from aecli.table.column_match import require_reference_column
from aecli.table.column_names import require_column
from aecli.table.labels import label_codes, unknown_labels
from aecli.table.source import Data, Source, open_source

Labelled = tuple[Scored, Codes | None, Codes | None]
"""Samples, their label codes and their anomaly codes."""


class Evaluation:
    """Evaluation of one model on one table, in constant memory."""

    def __init__(
        self,
        model: LoadedModel,
        source: Source,
        *,
        anomaly: str | None = None,
        probe: str | None = None,
        by: str | None = None,
        scored: bool = False,
        batch_size: int | None = None,
        progress: Progress = SILENT,
    ) -> None:
        keep_freed_memory()
        named = {"--anomaly": anomaly, "--probe": probe, "--by": by}
        columns = {option: name for option, name in named.items() if name is not None}
        _check_columns(columns, source, model.spec)
        self.model = model
        self.opened = Pass.over(
            model, source, references=list(columns.values()), with_label=True,
            batch_size=batch_size, progress=progress,
        )  # fmt: skip
        self.by = by
        has_label = self.opened.has_label and model.spec.network.classes
        self.label = model.spec.label if has_label else None
        self.detector = Detector(model, anomaly) if anomaly else None
        self.prober = Prober(model, probe) if probe else None
        scored = scored and model.spec.calibration is not None
        self.scorer = Scorer.of(model, ["mean"]) if anomaly or scored else None
        self.groups: dict[str | None, int] = {}
        self.rarer: list[int] = []
        self.figures = self._accumulator()
        self.figures_by_group: dict[int, SampleFigures] = defaultdict(self._accumulator)
        self.unknown_labels = 0
        self.rows = 0

    @property
    def source(self) -> Source:
        """Return the table with only the columns that are read."""
        assert self.opened.source is not None, "an evaluation reads a table"
        return self.opened.source

    def run(self) -> None:
        """Read the table and accumulate the figures.

        Raises:
            DataError: it has no rows, or a column of the evaluation has an unsuitable type.
        """
        for _ in self.samples():
            pass
        self.opened.progress.finish()

    def samples(self, carried: Sequence[str] = ()) -> Iterator[tuple[Scored, Codes | None]]:
        """Yield rows or windows with their label codes, after adding them to the figures.

        Rows have every column that was read, windows the columns `carried` of their last rows.

        Raises:
            DataError: it has no rows, or a column of the evaluation has an unsuitable type.
        """
        if self.by:
            self.groups, self.rarer = read_groups(self.source, self.by)
        needed = [self.prober.column] if self.prober else []
        needed += [self.by] if self.by else []
        columns = list(dict.fromkeys([*carried, *needed]))
        encoded = scored_batches(self.opened, self.scorer, columns)
        windowed = self.opened.windowed is not None
        labelled = self._windows(encoded) if windowed else self._rows(encoded)
        for scored, codes, anomalies in labelled:
            self._add(*scored, codes, anomalies)
            yield scored, codes
        if self.rows == 0:
            raise DataError(f"{self.source.name} has no rows", hint="a table with at least one row")

    def _accumulator(self) -> SampleFigures:
        return SampleFigures(self.model, self.label)

    def _rows(self, encoded: Iterator[Scored]) -> Iterator[Labelled]:
        """Yield encoded rows with their label codes and anomaly codes."""
        for samples, scored in encoded:
            self.rows += len(samples.cells)
            codes = anomalies = None
            if self.label is not None:
                array = samples.batch.column(self.label.name)
                codes = label_codes(array, self.label)
                self.unknown_labels += unknown_labels(array, codes)
            if self.detector is not None:
                column = self.detector.column
                anomalies = anomaly_codes(samples.batch.column(column), column)
            yield (samples, scored), codes, anomalies

    def _windows(self, encoded: Iterator[Scored]) -> Iterator[Labelled]:
        """Yield the same of windows, labelled by the rule of the model's training."""
        table = self.opened.windowed
        assert table is not None, "this is called for windows only"
        self.rows = len(table.staged.cells)
        codes = anomalies = None
        if self.label is not None:
            rule = self.model.spec.options.windows.window_label
            codes, self.unknown_labels = labels_of_windows(table, self.label, rule)
        if self.detector is not None:
            anomalies = anomaly_codes_of_windows(self.model, table, self.detector.column)
        start = 0
        for samples, scored in encoded:
            part = slice(start, start + len(samples.latent))
            start = part.stop
            yield (
                (samples, scored),
                None if codes is None else codes[part],
                None if anomalies is None else anomalies[part],
            )

    @torch.no_grad()
    def _add(
        self,
        samples: EncodedBatch,
        scored: ScoredSamples | None,
        codes: Codes | None,
        anomalies: Codes | None,
    ) -> None:
        network, outputs = self.model.network, samples.outputs
        cells = torch.from_numpy(samples.cells).to(self.model.device)
        if outputs is None:
            outputs = network.decode(samples.latent).float()
        logits = labels = None
        if codes is not None:
            logits = network.classify(samples.latent).float()
            labels = torch.from_numpy(np.ascontiguousarray(codes)).to(logits.device)
        decoded = DecodedSamples(cells, samples.code, outputs, logits, labels)
        self.figures.add(decoded)
        groups = self._add_groups(samples, decoded)
        if self.detector is not None and anomalies is not None and scored is not None:
            self.detector.add(scored.scores["mean"].numpy(), anomalies, groups)
        if self.prober is not None:
            column = samples.batch.column(self.prober.column)
            self.prober.add(cells, samples.latent, column, groups)

    def _add_groups(self, samples: EncodedBatch, decoded: DecodedSamples) -> Codes:
        if not self.by:
            return np.zeros(len(samples.latent), dtype=np.int64)
        groups = group_codes(samples.batch.column(self.by), self.by, list(self.groups))
        for group in np.unique(groups).tolist():
            inside: Tensor = torch.from_numpy(groups == group).to(self.model.device)
            self.figures_by_group[group].add(decoded.where(inside))
        return groups

    def result(self, seconds: float) -> EvaluateResult:
        """Return all figures, without gates."""
        notes = [*self.opened.range_notes(), *self._notes()]
        unseen = self.opened.tallies[0].unseen()
        if self.label is not None and self.unknown_labels:
            unseen[self.label.name] = self.unknown_labels
        measured = self.figures.measured(
            self.rows,
            anomaly=self.detector.result() if self.detector else None,
            probe=self.prober.result() if self.prober else None,
        )
        return EvaluateResult(
            **vars(measured),
            model=self.model.directory,
            unseen=unseen,
            out_of_range=self.opened.out_of_range(),
            gates=[],
            seconds=seconds,
            unit="row" if self.opened.windowed is None else "window",
            by=self.by,
            groups=list(self._group_results()),
            notes=notes,
        )

    def _group_results(self) -> Iterator[Group]:
        groups = [(value, rows, 0) for value, rows in self.groups.items()]
        groups.append((None, sum(self.rarer), len(self.rarer)))
        for index in sorted(self.figures_by_group):
            value, rows, pooled = groups[index]
            measured = self.figures_by_group[index].measured(
                rows,
                anomaly=self.detector.result(index) if self.detector else None,
                probe=self.prober.result(index) if self.prober else None,
            )
            yield Group(**vars(measured), value=value, pooled=pooled)

    def _notes(self) -> Iterator[str]:
        """Fit the probes, and yield notes on figures that could not be measured."""
        if not self.model.spec.decoder_trained:
            yield f"{UNTRAINED_DECODER}: it has no figures"
        if self.detector is not None:
            yield from self.detector.notes()
        if self.prober is not None:
            yield from self.prober.notes()
        if self.rarer:
            yield f"{len(self.rarer):,} rarer values of {self.by} form one group"
        absent = len(self.groups) + bool(self.rarer) - len(self.figures_by_group)
        if absent:
            yield f"{absent:,} groups of {self.by} contain no window"


def _check_columns(columns: Mapping[str, str], source: Source, spec: ModelSpec) -> None:
    """Raise if the columns named by options cannot be used, before any row is read.

    Raises:
        DataError: the table lacks one of the columns.
        UsageError: a column to be predicted is a feature of the model.
    """
    for option, name in columns.items():
        if option == "--by":
            require_column(source.name, source.names, name, option)
        else:
            require_reference_column(source, spec, name, option)


@limited_threads()
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
        anomaly: a column that is true or 1 for anomalies, missing if unknown; scores are measured
            against it.
        probe: a column to predict from raw columns, PCA and the latents, for comparison.
        by: a column whose values define groups with separate figures.
        compare: the directory of another model, measured on the same rows.
        fail_if: conditions such as `accuracy<0.9`, which are evaluated in the result.

    Raises:
        UsageError: a condition is invalid or names an unavailable figure, the model reads `anomaly`
            or `probe`, or `by` and `compare` are combined.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: a model is missing, damaged or too new, or has no scoring fit.
    """
    began = time.perf_counter()
    given = {"--anomaly": anomaly, "--probe": probe}
    options = [option for option, name in given.items() if name is not None]
    if by is not None and compare is not None:
        raise UsageError(
            "--by and --compare cannot be combined",
            hint="use one of them, or evaluate each model with --by and --json",
        )
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    check_conditions(fail_if, model_figures(loaded.spec), options)
    other = (
        None if compare is None else load_model(location(compare), device=device, threads=threads)
    )
    source = open_source(data, read or ReadOptions())
    evaluation_of = partial(
        Evaluation, source=source, anomaly=anomaly, probe=probe, by=by, batch_size=batch_size,
        progress=progress,
    )  # fmt: skip
    evaluation = evaluation_of(loaded)
    second = None if other is None else _second(other, evaluation_of)
    evaluation.run()
    result = evaluation.result(time.perf_counter() - began)
    if second is not None:
        second.run()
        compared = second.result(time.perf_counter() - began)
        comparison = compare_results(result, compared, loaded.spec, second.model.spec)
        result = replace(result, compared=comparison, seconds=time.perf_counter() - began)
    return result.with_gates(evaluate_gates(fail_if, result.figures()))


def _second(model: LoadedModel, evaluation_of: Callable[[LoadedModel], Evaluation]) -> Evaluation:
    try:
        return evaluation_of(model)
    except (DataError, UsageError) as error:
        facts = [f"--compare {model.directory}", *error.facts]
        raise type(error)(error.what, facts=facts, hint=error.hint) from error
