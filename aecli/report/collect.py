"""Gather what a report shows of a model and a table, in one pass, in bounded memory."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from aecli.array_types import AnyFloats, Codes
from aecli.evaluation.anomaly_and_probe import EvaluationColumns
from aecli.evaluation.evaluate import Evaluation
from aecli.evaluation.results import EvaluateResult
from aecli.inference.batches import EncodedBatch
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.metrics.histogram import Histogram, Reliability
from aecli.model_directory import read_history
from aecli.progress import SILENT, Progress
from aecli.report.anomalous_window import anomalous_stretch
from aecli.report.curves import training_of
from aecli.report.data import Bin, Classes, ColumnError, Explained, Findings, Latent, Map, Scores
from aecli.report.examples import images_of_rows, odd_rows, pixel_shape, restored_rows, with_carried
from aecli.report.latent_traversal import traversals
from aecli.report.sampled_rows import SampledRows, lowest_keys
from aecli.report.saved import searched
from aecli.report.umap import neighbour_map
from aecli.row_sample import RowSample, seeded_keys
from aecli.schema.model_spec import Label, ModelSpec
from aecli.scoring.scorer import Scorer
from aecli.table.source import Source

SAMPLE_ROWS = 2_000
"""Samples kept for maps and pictures."""

SAMPLE_CELLS = 1 << 22
"""Cells kept for them at most, and at least 64 samples: 16 MB."""

ODD_ROWS = 10
EXAMPLES = 4
GROUPS = 9
"""Classes with a colour of their own on a map; the rest share one."""


class Gathering:
    """Take chunks in one after the other, and keep what a report needs of them."""

    def __init__(self, model: LoadedModel, evaluation: Evaluation, seed: int) -> None:
        network, layout = model.spec.network, model.reader.layout
        calibration = model.spec.calibration
        self.evaluation = evaluation
        self.scorer = Scorer.of(model) if calibration else None
        self.threshold = calibration.scales["mean"].threshold if calibration else math.inf
        limit = max(64, SAMPLE_CELLS // max(1, layout.cells * network.window))
        self.sample = RowSample(min(SAMPLE_ROWS, limit))
        self.odd, self.best, self.worst = map(RowSample, (ODD_ROWS, EXAMPLES, EXAMPLES))
        self.histogram, self.reliability = Histogram(), Reliability()
        self.outliers = self.samples = 0
        self._keys = seeded_keys(seed)

    def add(self, chunk: EncodedBatch, codes: Codes | None) -> None:
        """Take one batch in, with the label codes of its samples where there are any."""
        kept = self._kept(chunk, codes)
        kept.add_to(self.sample, self._keys(len(kept)))
        kept.add_to(self.odd, -kept.scores)
        errors = mean_errors(kept)
        kept.add_to(self.best, errors)
        kept.add_to(self.worst, -errors)
        self.histogram.add(kept.scores)
        self.outliers += int((kept.scores > self.threshold).sum())
        self.samples += len(kept)
        if codes is not None:
            self._classified(chunk, codes)

    def _kept(self, chunk: EncodedBatch, codes: Codes | None) -> SampledRows:
        model, count = self.evaluation.model, len(chunk.latent)
        window = model.spec.network.window
        scores = np.full(count, np.nan)
        errors = reasons = np.full((count, 1), np.nan)
        if self.scorer is not None:
            found = self.scorer.score(chunk.cells)
            scores, errors = found.scores["mean"].numpy(), found.errors.numpy()
            reasons = found.reasons.numpy()
            outputs = found.outputs
        else:
            with torch.no_grad():
                outputs = model.network.decode(chunk.latent).float().cpu()
        numbers = np.arange(self.samples, self.samples + count)
        rows = numbers if chunk.rows is None else chunk.rows.reshape(count, window)[:, -1]
        return SampledRows(
            row=rows,
            batch=with_carried(chunk.batch, rows),
            cells=chunk.cells.reshape(count, window, -1),
            outputs=outputs.numpy().reshape(count, window, -1),
            latent=chunk.latent.cpu().numpy(),
            codes=np.full(count, -1) if codes is None else np.asarray(codes),
            scores=scores,
            errors=errors,
            reasons=reasons,
        )

    @torch.no_grad()
    def _classified(self, chunk: EncodedBatch, codes: Codes) -> None:
        logits = self.evaluation.model.network.classify(chunk.latent).double().cpu()
        sure, answer = logits.softmax(1).max(1)
        known = codes >= 0
        right = answer.numpy()[known] == codes[known]
        self.reliability.add(sure.numpy()[known], right)


def measured(
    directory: Path,
    source: Source,
    *,
    shape: str | None = None,
    seen: bool = False,
    neighbours: bool = False,
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = SILENT,
) -> tuple[Findings, EvaluateResult]:
    """Return what a report shows of a model and a table, and the model's evaluation.

    Args:
        source: the table, opened.
        shape: height, width and channels where rows are images, as in 28x28.
        seen: the model was trained on (most of) these rows.
        neighbours: also map the latent by UMAP, which takes long, where that is installed.

    Raises:
        UsageError: rows are no images of this shape.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: the model is missing, damaged or too new.
    """
    model = load_model(directory, device=device, threads=threads)
    spec = model.spec
    pixels = pixel_shape(spec, shape)
    evaluation = Evaluation(
        model, source, EvaluationColumns(), batch_size=batch_size, progress=progress
    )
    found, label = Gathering(model, evaluation, spec.options.training.seed), evaluation.label
    began, carried = time.perf_counter(), evaluation.opened.carried[:1]
    for chunk, codes in evaluation.samples(carried):
        found.add(chunk, codes)
    sample, table = lowest_keys(found.sample), evaluation.opened.windowed
    assert sample is not None, "a table without rows has been refused"
    progress.stage("drawing")
    result = evaluation.result(time.perf_counter() - began)
    latent = _latent(evaluation, result, sample)
    triples, map = _examples(found, sample), _map(sample, label)
    findings = Findings(
        model=directory,
        spec=spec,
        training=training_of(read_history(directory)),
        search=searched(directory, spec),
        data=source.name,
        rows=evaluation.rows,
        samples=found.samples,
        seen=seen,
        explained=_explained(result),
        columns=_columns(result),
        latent=latent,
        map=map,
        neighbours=_neighbours(map, latent, spec) if neighbours else None,
        classes=_classes(result, found.reliability, label),
        scores=_scores(model, found, carried),
        restored=() if pixels or table else restored_rows(spec.columns, triples),
        images=images_of_rows(spec.columns, triples, pixels) if pixels else None,
        signal=anomalous_stretch(model, found.scorer, table, lowest_keys(found.odd) or sample)
        if table
        else None,
        traversals=traversals(model, latent, sample, pixels),
        notes=[*evaluation.source.notes, *(table.notes if table else [])],
    )
    return findings, result


def mean_errors(kept: SampledRows) -> AnyFloats:
    """Return each sample's mean error over its observed columns `(n_samples,)`, NaN without any."""
    known = ~np.isnan(kept.errors)
    sums = np.where(known, kept.errors, 0.0).sum(1)
    return np.where(known.any(1), sums / np.maximum(1, known.sum(1)), np.nan)


def _examples(found: Gathering, sample: SampledRows) -> list[tuple[str, SampledRows, AnyFloats]]:
    """Return the best samples, those in the middle of the kept ones, and the worst."""
    best, worst = lowest_keys(found.best), lowest_keys(found.worst)
    if best is None or worst is None:
        return []
    errors = mean_errors(sample)
    order = np.argsort(errors)[: int((~np.isnan(errors)).sum())]
    start = max(0, (len(order) - EXAMPLES) // 2)
    middle = sample.take(order[start : start + EXAMPLES])
    parts = (("best", best), ("median", middle), ("worst", worst))
    return [(rank, kept, mean_errors(kept)) for rank, kept in parts]


def _explained(result: EvaluateResult) -> Explained | None:
    """Return what is explained of all numbers together: one column of zeros cannot spoil it."""
    mse, trivial, pca = result.number_mse, result.number_mse_baseline, result.number_mse_pca
    if mse is None or not trivial:
        return None
    return Explained(1 - mse / trivial, None if pca is None else 1 - pca / trivial)


def _columns(result: EvaluateResult) -> list[ColumnError]:
    """Return the columns' errors, worst first, those that are undefined last."""
    found = [
        ColumnError(
            c.name,
            c.kind,
            *(None if value is None else 1 - value for value in (c.value, c.baseline, c.pca)),
        )
        for c in result.columns
    ]
    return sorted(found, key=lambda c: (c.error is None, -(c.error or 0.0)))


def _latent(evaluation: Evaluation, result: EvaluateResult, sample: SampledRows) -> Latent:
    covariance = evaluation.figures.latent.covariance().numpy()
    deviations = np.sqrt(covariance.diagonal().clip(0))
    scale = np.where(deviations > 0, deviations, 1.0)
    correlation = covariance / np.outer(scale, scale)
    dead, health = list(result.latent.dead), result.latent
    correlation[dead, :] = correlation[:, dead] = np.nan
    return Latent(
        dead=dead,
        effective_rank=health.effective_rank,
        near_zero_share=health.near_zero_share,
        means=np.array(health.means),
        deviations=deviations,
        correlation=correlation.clip(-1, 1),
        rho=health.rho,
        values=sample.latent.astype(np.float64),
    )


def _map(sample: SampledRows, label: Label | None) -> Map:
    latent = sample.latent.astype(np.float64)
    centred = latent - latent.mean(0)
    points, shares = np.zeros((len(latent), 2)), (1.0, 0.0)
    if centred.shape[1] > 1 and len(latent) > 1:
        _, values, axes = np.linalg.svd(centred, full_matrices=False)
        points = centred @ axes[:2].T
        total = max(float((values**2).sum()), 1e-300)
        shares = (float(values[0] ** 2 / total), float(values[1] ** 2 / total))
    else:
        points[:, 0] = centred[:, 0]
    if label is not None and (sample.codes >= 0).any():
        names, codes = _groups(label, sample.codes)
        return Map(points, shares, label.name, names, codes)
    return Map(points, shares, "score", scores=sample.scores)


def _neighbours(map: Map, latent: Latent, spec: ModelSpec) -> Map | None:
    points = neighbour_map(latent.values, spec.options.training.seed)
    return None if points is None else replace(map, points=points, shares=None)


def _groups(label: Label, codes: Codes) -> tuple[list[str], Codes]:
    """Return the names and codes of the most frequent classes; the rest are one group."""
    order = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(label.classes)), kind="stable")
    # One class is not "the rest": it has a place of its own.
    own = np.sort(order[: GROUPS + (len(order) == GROUPS + 1)])
    names = [str(label.classes[code]) for code in own]
    if len(own) < len(order):
        names.append(f"{len(order) - len(own)} other classes")
    places = np.full(len(order), len(own))
    places[own] = np.arange(len(own))
    return names, np.where(codes >= 0, places[codes.clip(0)], -1)


def _classes(
    result: EvaluateResult, reliability: Reliability, label: Label | None
) -> Classes | None:
    found = result.classification
    if found is None or label is None:
        return None
    return Classes(
        label=label.name,
        names=found.classes,
        rows=found.rows,
        accuracy=found.accuracy,
        baseline_accuracy=found.baseline_accuracy,
        confusion=np.array(found.confusion),
        bins=[Bin(*values) for values in reliability.bins()],
        calibration_error=reliability.error(),
    )


def _scores(model: LoadedModel, found: Gathering, carried: Sequence[str]) -> Scores | None:
    calibration, odd = model.spec.calibration, lowest_keys(found.odd)
    if calibration is None or odd is None:
        return None
    edges, counts = found.histogram.shown()
    return Scores(
        edges=edges,
        counts=counts,
        threshold=found.threshold,
        outliers=found.outliers,
        samples=found.samples,
        calibrated_on=calibration.source,
        odd=odd_rows(model.spec, odd, calibration.scales["mean"], carried),
    )
