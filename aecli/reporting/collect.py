"""Collect what a report shows of models and a table, in one pass of each, in bounded memory."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from aecli.array_types import Codes, Floats
from aecli.errors import UsageError
from aecli.evaluation.compare import compare_results
from aecli.evaluation.evaluate import Evaluation
from aecli.evaluation.results import EvaluateResult
from aecli.formatting import name_list, shell_name
from aecli.inference.batches import EncodedBatch, WindowedTable
from aecli.inference.loaded_model import LoadedModel, load_with
from aecli.metrics.histogram import Histogram, Reliability
from aecli.model_directory.read import read_model, read_spec
from aecli.reporting.anomalous_window import signal_excerpt
from aecli.reporting.collect_saved import collect_saved
from aecli.reporting.data import (
    CollectOptions,
    LatentDistribution,
    LatentMap,
    ModelComparison,
    ReportData,
    ReportRow,
)
from aecli.reporting.examples import (
    ImageShape,
    SampledRows,
    anomalous_rows,
    example_images,
    example_rows,
    lowest_keys,
    shape_of_rows,
    with_any_column,
)
from aecli.reporting.latent import latent_traversals, pca_map, umap_map
from aecli.row_sample import RowSample, seeded_keys
from aecli.schema.model_spec import Column, Label, ModelSpec
from aecli.scoring.scorer import Scorer
from aecli.table.source import Source

MOST_REPORT_SAMPLES = 2_000
"""Samples for maps and pictures."""

MOST_REPORT_CELLS = 1 << 22
"""Cells of these samples, of which there are 64 at least: 16 MB."""

ANOMALOUS_ROWS = 10
EXAMPLES_PER_RANK = 4

MOST_MODELS_ON_PAGE = 8
"""More colours cannot be told apart."""


class SampleCollector:
    """Bounded samples of the rows or windows of a table, and distributions over all of them."""

    def __init__(self, model: LoadedModel) -> None:
        spec, cells = model.spec, model.reader.layout.cells
        self.model = model
        self.scorer = Scorer.of(model) if spec.calibration else None
        limit = max(64, MOST_REPORT_CELLS // max(1, cells * spec.network.window))
        self.sample = RowSample(min(MOST_REPORT_SAMPLES, limit))
        self.anomalous = RowSample(ANOMALOUS_ROWS)
        self.best, self.worst = RowSample(EXAMPLES_PER_RANK), RowSample(EXAMPLES_PER_RANK)
        self.histogram, self.reliability = Histogram(), Reliability()
        self.outliers = self.samples = 0
        self._keys = seeded_keys(spec.options.training.seed)

    def add(self, batch: EncodedBatch, codes: Codes | None) -> None:
        """Add one batch, with the label codes of its samples where there is a label."""
        rows = self._sampled_rows(batch, codes)
        rows.add_to(self.sample, self._keys(len(rows)))
        rows.add_to(self.anomalous, -rows.scores)
        rows.add_to(self.best, rows.mean_errors)
        rows.add_to(self.worst, -rows.mean_errors)
        self.histogram.add(rows.scores)
        calibration = self.model.spec.calibration
        if calibration is not None:
            self.outliers += int((rows.scores > calibration.scales["mean"].threshold).sum())
        self.samples += len(rows)
        if codes is not None:
            self._add_predictions(batch, codes)

    def _sampled_rows(self, batch: EncodedBatch, codes: Codes | None) -> SampledRows:
        count, window = len(batch.latent), self.model.spec.network.window
        scores = np.full(count, np.nan)
        errors = reasons = np.full((count, 1), np.nan)
        if self.scorer is not None:
            scored = self.scorer.score(batch.cells, batch.differs)
            scores, outputs = scored.scores["mean"].numpy(), scored.outputs
            errors, reasons = scored.errors.numpy(), scored.reasons.numpy()
        else:
            with torch.no_grad():
                outputs = self.model.network.decode(batch.latent).float().cpu()
        positions = np.arange(self.samples, self.samples + count)
        numbers = positions if batch.rows is None else batch.rows.reshape(count, window)[:, -1]
        return SampledRows(
            row=numbers,
            batch=with_any_column(batch.batch, numbers),
            cells=batch.cells.reshape(count, window, -1),
            outputs=outputs.numpy().reshape(count, window, -1),
            latent=batch.latent.cpu().numpy(),
            codes=np.full(count, -1) if codes is None else np.asarray(codes),
            scores=scores,
            errors=errors,
            reasons=reasons,
        )

    @torch.no_grad()
    def _add_predictions(self, batch: EncodedBatch, codes: Codes) -> None:
        logits = self.model.network.classify(batch.latent).double().cpu()
        confidence, predicted = logits.softmax(1).max(1)
        known = codes >= 0
        right = predicted.numpy()[known] == codes[known]
        self.reliability.add(confidence.numpy()[known], right)

    def examples(self, sample: SampledRows) -> dict[str, SampledRows]:
        """Return by rank the worst rows, those in the middle of the sample, and the best."""
        best, worst = lowest_keys(self.best), lowest_keys(self.worst)
        if best is None or worst is None:
            return {}
        errors = sample.mean_errors
        order = np.argsort(errors)[: int((~np.isnan(errors)).sum())]
        start = max(0, (len(order) - EXAMPLES_PER_RANK) // 2)
        median = sample.take(order[start : start + EXAMPLES_PER_RANK])
        return {"worst": worst, "median": median, "best": best}

    def anomalous_rows(
        self, identifiers: Sequence[str], constants: Sequence[Column]
    ) -> list[ReportRow]:
        """Return the samples with the highest scores; none without calibration."""
        spec, anomalous = self.model.spec, lowest_keys(self.anomalous)
        if spec.calibration is None or anomalous is None:
            return []
        identifier = identifiers[0] if identifiers else None
        return anomalous_rows(spec, anomalous, identifier, constants)


def collect(directory: Path, source: Source, options: CollectOptions) -> ReportData:
    """Return what a report shows of a model and an open table.

    Raises:
        UsageError: rows are not images of the shape.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: the model is missing, damaged or too new.
    """
    saved_of = partial(collect_saved, directory)
    model, saved = load_with(directory, saved_of, device=options.device, threads=options.threads)
    shape = shape_of_rows(model.spec, options.shape)
    evaluation = Evaluation(model, source, batch_size=options.batch_size, progress=options.progress)
    collector = SampleCollector(model)
    start, identifiers = time.perf_counter(), evaluation.opened.carried[:1]
    for batch, codes in evaluation.samples(identifiers):
        collector.add(batch, codes)
    options.progress.stage("drawing")
    result = evaluation.result(time.perf_counter() - start)
    covariance = evaluation.figures.latent.covariance().numpy()
    sample = lowest_keys(collector.sample)
    assert sample is not None, "a table without rows has been refused"
    latent = _latent_distribution(covariance, result.latent.dead, sample)
    opened = evaluation.opened
    anomalous = collector.anomalous_rows(identifiers, opened.constants.layout.columns)
    table = opened.windowed
    data = replace(
        saved,
        data=source.name,
        samples=collector.samples,
        seen=options.seen,
        evaluation=result,
        latent=latent,
        maps=_maps(latent, sample, evaluation.label, model.spec, umap=options.umap),
        reliability=collector.reliability if result.classification else None,
        scores=collector.histogram if anomalous else None,
        outliers=collector.outliers,
        anomalous=anomalous,
        notes=[*evaluation.source.notes, *(table.notes if table else [])],
    )
    return _with_rows(data, collector, sample, shape, table)


def _with_rows(
    data: ReportData,
    collector: SampleCollector,
    sample: SampledRows,
    shape: ImageShape | None,
    table: WindowedTable | None,
) -> ReportData:
    """Return the data with what the decoder makes of rows, images, a window and latent units."""
    model, columns = collector.model, data.spec.columns
    if not model.spec.decoder_trained:
        return data
    assert data.latent is not None, "a table was read"
    assert data.evaluation is not None, "a table was read"
    dead = data.evaluation.latent.dead
    traversals = latent_traversals(model, data.latent.deviations, dead, sample, shape)
    data = replace(data, traversals=traversals)
    if table is not None:
        anomalous = lowest_keys(collector.anomalous) or sample
        last_row = int(anomalous.row[0])
        excerpt = signal_excerpt(model, collector.scorer, table, last_row)
        return replace(data, signal=excerpt)
    examples = collector.examples(sample)
    if shape is not None:
        return replace(data, images=example_images(columns, examples, shape))
    return replace(data, examples=example_rows(columns, examples))


def _maps(
    latent: LatentDistribution,
    sample: SampledRows,
    label: Label | None,
    spec: ModelSpec,
    *,
    umap: bool,
) -> list[LatentMap]:
    maps = [pca_map(latent.values, label, sample.codes, sample.scores)]
    second = umap_map(latent.values, maps[0], spec.options.training.seed) if umap else None
    return maps if second is None else [*maps, second]


def _latent_distribution(
    covariance: Floats, dead: Sequence[int], sample: SampledRows
) -> LatentDistribution:
    deviations = np.sqrt(covariance.diagonal().clip(0))
    scale = np.where(deviations > 0, deviations, 1.0)
    correlation = covariance / np.outer(scale, scale)
    units = list(dead)
    correlation[units, :] = correlation[:, units] = np.nan
    values = sample.latent.astype(np.float64)
    return LatentDistribution(deviations, correlation.clip(-1, 1), values)


def collect_models(
    directories: Sequence[Path], source: Source | None, options: CollectOptions
) -> ModelComparison:
    """Return models that read the same columns, measured on the same rows where there are any.

    Raises:
        UsageError: they do not read the same columns, or there are too many.
        DataError: the table has no rows, cannot be read or lacks columns.
        ModelError: a model is missing, damaged or too new.
    """
    names = _short_names(directories)
    _check_columns(directories, [read_spec(path) for path in directories])
    if source is None:
        read = [read_model(path, partial(collect_saved, path)) for path in directories]
        return ModelComparison(names, [saved for _, saved in read])
    models = [collect(path, source, options) for path in directories]
    specs = [model.spec for model in models]
    results = [model.evaluation for model in models if model.evaluation is not None]
    figures, notes = _common_figures(results, specs)
    return ModelComparison(names, models, figures, notes)


def _common_figures(
    results: Sequence[EvaluateResult], specs: Sequence[ModelSpec]
) -> tuple[dict[str, list[float]], list[str]]:
    """Return the figures that mean the same in all models, and notes on the others."""
    pairs = [
        compare_results(results[0], result, specs[0], spec)
        for result, spec in zip(results[1:], specs[1:], strict=True)
    ]
    others = [{figure.name: figure.other for figure in pair.figures} for pair in pairs]
    common = {
        figure.name: [figure.value, *(values[figure.name] for values in others)]
        for figure in pairs[0].figures
        if all(figure.name in values for values in others)
    }
    return common, list(dict.fromkeys(note for pair in pairs for note in pair.notes))


def _short_names(directories: Sequence[Path]) -> list[str]:
    """Return what tells the directories apart: a picture has no room for long paths."""
    paths = [os.path.abspath(path) for path in directories]
    parent = os.path.commonpath(paths)
    if parent in paths:
        return [str(path) for path in directories]
    return [os.path.relpath(path, parent) for path in paths]


def _check_columns(directories: Sequence[Path], specs: Sequence[ModelSpec]) -> None:
    names = [str(path) for path in directories]
    if len(names) > MOST_MODELS_ON_PAGE:
        raise UsageError(
            f"{len(names):,} models are too many for one page",
            facts=[f"at most {MOST_MODELS_ON_PAGE} can be told apart"],
            hint="aecli report --side-by-side with fewer models",
        )
    first = {c.name: c.kind for c in specs[0].columns if not c.constant}
    for name, spec in zip(names[1:], specs[1:], strict=True):
        kinds = {c.name: c.kind for c in spec.columns if not c.constant}
        if kinds == first:
            continue
        different = [name for name in {**first, **kinds} if first.get(name) != kinds.get(name)]
        raise UsageError(
            f"{names[0]} and {name} do not read the same columns",
            facts=[f"they differ in {name_list(different, 6)}"],
            hint=f"aecli evaluate DATA -m {shell_name(names[0])} --compare {shell_name(name)}",
        )
