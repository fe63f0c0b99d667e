"""Evaluate a saved model on a table, beside the column means and PCA."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from aecli.bundle import model_directory
from aecli.errors import DataError
from aecli.evaluation.classification import ClassificationFigures
from aecli.evaluation.figures import ColumnFigure, number_mse
from aecli.evaluation.latent import LatentFigures
from aecli.evaluation.pca import PCA
from aecli.evaluation.summary import Comparison
from aecli.evaluation.terms import TermFigures
from aecli.feed.cells import Tally
from aecli.progress import SILENT, Progress
from aecli.spec.model import Label, ModelSpec
from aecli.spec.options import ReadOptions
from aecli.stream.model import LoadedModel, load_model
from aecli.stream.rows import Chunk, latents
from aecli.stream.windows import (
    WindowedTable,
    labels_of_windows,
    open_windows,
    window_chunks,
)
from aecli.table.labels import label_codes, unknown_labels
from aecli.table.match import match_columns
from aecli.table.source import Data, Source, open_source
from aecli.verbs.gates import check_conditions, judge
from aecli.verbs.results import (
    Classification,
    ColumnScore,
    EvaluateResult,
    LatentHealth,
    LossShare,
)

Codes = npt.NDArray[np.int64]


class Evaluation:
    """Accumulate every figure of one model over a stream of rows, in constant memory."""

    def __init__(self, model: LoadedModel, label: Label | None) -> None:
        self.model = model
        self.label = label
        layout = model.reader.layout
        self.tally = Tally(layout)
        self.terms = TermFigures(model.network, model.spec)
        self.comparison = Comparison(model.inputs, layout, _pca(model))
        self.latent = LatentFigures(model.spec.network.latent)
        classes = model.spec.network.classes
        self.classification = ClassificationFigures(classes) if classes and label else None
        self.unknown_labels = 0
        self.rows = 0

    @torch.no_grad()
    def add(self, chunk: Chunk, codes: Codes | None) -> None:
        """Take one batch in, with the label codes of its samples where there are any."""
        cells = torch.from_numpy(chunk.cells).to(self.model.device)
        outputs = self.model.network.decode(chunk.latent).float()
        logits, labels = self._classified(chunk, codes)
        self.terms.add(cells, chunk.code, outputs, logits, labels)
        self.comparison.add(cells, outputs)
        self.latent.add(chunk.latent)
        self.rows += len(cells)

    def unseen(self) -> dict[str, int]:
        """Return, by column and for the label, the cells whose value training did not have."""
        found = self.tally.unseen()
        if self.label is not None and self.unknown_labels:
            found[self.label.name] = self.unknown_labels
        return found

    def codes_of(self, batch: pa.RecordBatch) -> Codes | None:
        """Return the label codes of rows as they were read, None without label or classifier."""
        if self.classification is None or self.label is None:
            return None
        array = batch.column(self.label.name)
        codes = label_codes(array, self.label)
        self.unknown_labels += unknown_labels(array, codes)
        return codes

    def _classified(self, chunk: Chunk, codes: Codes | None) -> tuple[Tensor | None, Tensor | None]:
        if self.classification is None or codes is None:
            return None, None
        logits = self.model.network.classify(chunk.latent).float()
        labels = torch.from_numpy(np.ascontiguousarray(codes)).to(logits.device)
        self.classification.add(logits, labels)
        return logits, labels


def evaluate(
    data: Data,
    *,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
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
        fail_if: conditions such as `accuracy<0.9`; the result says which failed.

    Raises:
        UsageError: a condition cannot be understood, or names a figure that is not here.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: the model is missing, damaged or too new.
    """
    began = time.perf_counter()
    check_conditions(fail_if)
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    spec = loaded.spec
    source = open_source(data, read or ReadOptions())
    source, matched = match_columns(source, spec, with_label=True)
    evaluation = Evaluation(loaded, spec.label if matched.label else None)
    table = None
    if spec.network.window > 1:
        table = open_windows(loaded, source, tally=evaluation.tally, progress=progress)
    for chunk, codes in labelled_chunks(evaluation, source, table, [], batch_size, progress):
        evaluation.add(chunk, codes)
    progress.finish()
    if evaluation.rows == 0:
        raise DataError(f"{source.name} has no rows", hint="a table with at least one row")
    result = measured(evaluation, time.perf_counter() - began)
    return result.with_gates(judge(fail_if, result.figures()))


def labelled_chunks(
    evaluation: Evaluation,
    source: Source,
    table: WindowedTable | None,
    carried: Sequence[str],
    batch_size: int | None,
    progress: Progress,
) -> Iterator[tuple[Chunk, Codes | None]]:
    """Yield a table's rows, or windows where `table` has them, with their label codes.

    Windows have the columns `carried` of their last rows; rows have every column that was read.
    """
    model = evaluation.model
    if table is None:
        stream = latents(
            model, source, batch_rows=batch_size, tally=evaluation.tally, progress=progress
        )
        for chunk in stream:
            yield chunk, evaluation.codes_of(chunk.batch)
        return
    codes = None
    if evaluation.classification is not None and evaluation.label is not None:
        how = model.spec.options.windows.window_label
        codes, evaluation.unknown_labels = labels_of_windows(table, evaluation.label, how)
    done = 0
    for chunk in window_chunks(model, table, carried, batch_windows=batch_size, progress=progress):
        end = done + len(chunk.latent)
        yield chunk, None if codes is None else codes[done:end]
        done = end
    # Windows overlap, and every row counts once.
    evaluation.rows = len(table.staged.cells)


def measured(evaluation: Evaluation, seconds: float) -> EvaluateResult:
    """Return what an evaluation has found, with no gate judged."""
    figures = evaluation.comparison.columns()
    losses = evaluation.terms.means()
    total = sum(value * weight for value, weight in losses.values())
    return EvaluateResult(
        model=evaluation.model.directory,
        rows=evaluation.rows,
        losses={
            name: LossShare(value, weight, value * weight / total if total else 0.0)
            for name, (value, weight) in losses.items()
        },
        total=total,
        number_mse=number_mse(figures, "model"),
        number_mse_baseline=number_mse(figures, "baseline"),
        number_mse_pca=number_mse(figures, "pca"),
        columns=[_column_score(figure) for figure in figures],
        classification=_classification(evaluation),
        latent=_latent_health(evaluation.latent, evaluation.model.spec),
        unseen=evaluation.unseen(),
        gates=[],
        seconds=seconds,
    )


def _column_score(figure: ColumnFigure) -> ColumnScore:
    return ColumnScore(
        name=figure.name,
        kind=figure.kind,
        metric=figure.metric,
        value=figure.values["model"],
        baseline=figure.values["baseline"],
        pca=figure.values.get("pca"),
        mse=figure.mse["model"],
        observed=figure.observed,
    )


def _classification(evaluation: Evaluation) -> Classification | None:
    found, label = evaluation.classification, evaluation.label
    if found is None or label is None or found.rows == 0:
        return None
    most_frequent = label.counts.index(max(label.counts))
    return Classification(
        rows=found.rows,
        classes=[str(value) for value in label.classes],
        accuracy=found.accuracy(),
        balanced_accuracy=found.balanced_accuracy(),
        macro_f1=found.macro_f1(),
        auroc=found.auroc(),
        log_loss=found.log_loss(),
        baseline_accuracy=float(found.confusion[most_frequent].sum()) / found.rows,
        confusion=found.confusion.tolist(),
    )


def _latent_health(figures: LatentFigures, spec: ModelSpec) -> LatentHealth:
    dead, low = figures.dead(), spec.network.latent_floor
    active = figures.size - len(dead)
    return LatentHealth(
        size=figures.size,
        active=active,
        active_share=active / figures.size,
        dead=dead,
        effective_rank=figures.effective_rank(),
        mean_abs=figures.mean_abs(),
        near_zero_share=figures.near_zero_share(),
        means=((figures.means() - low) / (1 - low)).tolist(),
        rho=spec.options.losses.rho if "kl" in spec.loss_weights else None,
    )


def _pca(model: LoadedModel) -> PCA | None:
    if "baseline.mean" not in model.baseline:
        return None
    mean, components = (model.baseline[f"baseline.{part}"] for part in ("mean", "components"))
    return PCA(mean, components, torch.zeros(len(components))).to(model.device)
