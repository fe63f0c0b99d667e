"""Collect what a report shows of a model and a table, in one pass, in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from aecli.array_types import Floats
from aecli.device import limited_threads
from aecli.evaluation.evaluate import Evaluation
from aecli.inference.loaded_model import load_with
from aecli.reporting.collect_saved import collect_saved
from aecli.reporting.data import (
    CollectOptions,
    LatentDistribution,
    ReportData,
)
from aecli.reporting.distributions import column_histograms, pixel_means
from aecli.reporting.episodes import episodes, score_timeline, signal_excerpt
from aecli.reporting.examples import (
    ImageShape,
    SampledRows,
    example_images,
    example_rows,
    lowest_keys,
    shape_of_rows,
)
from aecli.reporting.latent import latent_traversals, pca_map, umap_map
from aecli.reporting.sample_collector import SampleCollector
from aecli.reporting.window_examples import episode_latents, example_windows
from aecli.schema.model_spec import Column
from aecli.table.source import Source


@limited_threads()
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
    evaluation = Evaluation(
        model, source, scored=True, batch_size=options.batch_size, progress=options.progress
    )
    collector = SampleCollector(model)
    start, identifiers = time.perf_counter(), evaluation.opened.carried[:1]
    for (batch, scored), codes in evaluation.samples(identifiers):
        collector.add(batch, scored, codes)
    options.progress.stage("drawing")
    result = evaluation.result(time.perf_counter() - start)
    covariance = evaluation.figures.latent.covariance().numpy()
    sample = lowest_keys(collector.sample)
    assert sample is not None, "a table without rows has been refused"
    latent = _latent_distribution(covariance, result.latent.dead, sample)
    opened = evaluation.opened
    constants, table = opened.constants.layout.columns, opened.windowed
    anomalous = collector.anomalous_rows(identifiers, constants)
    data = replace(
        saved,
        spec=model.spec,  # with the encoders of text columns
        data=source.name,
        samples=collector.samples,
        seen=options.seen,
        evaluation=result,
        group_errors=_group_errors(evaluation, collector),
        latent=latent,
        scores=collector.histogram if anomalous else None,
        outliers=collector.outliers,
        anomalous=anomalous,
        identified_by=identifiers[0] if identifiers else "",
        histograms=column_histograms(model.reader.layout, sample.cells),
        notes=[*evaluation.source.notes, *(table.notes if table else [])],
    )
    if table is None:
        data = _with_rows(data, collector, sample, shape)
    else:
        data = _with_windows(data, collector, sample, evaluation, constants)
    return _with_maps(data, collector, sample, evaluation, umap=options.umap)


def _group_errors(evaluation: Evaluation, collector: SampleCollector) -> dict[str, Floats]:
    """Return the errors and their bases of groups of rows `(n_groups, 2)`, by kind of figure."""
    found = evaluation.figures.columns.group_errors()
    if collector.label_groups.rows:
        found["label"] = collector.label_groups.sums()
    return {name: errors.numpy() for name, errors in found.items()}


def _with_rows(
    data: ReportData, collector: SampleCollector, sample: SampledRows, shape: ImageShape | None
) -> ReportData:
    """Return the data with what the decoder makes of rows, images and latent units."""
    if not data.spec.decoder_trained:
        return data
    data = _with_traversals(data, collector, sample, shape)
    columns, examples = data.spec.columns, collector.examples(sample)
    if shape is None:
        return replace(data, examples=example_rows(columns, examples))
    anomalous = data.anomalous
    highest = lowest_keys(collector.anomalous)
    if anomalous and highest is not None:
        highest = highest.take(np.arange(len(anomalous)))
        inputs, outputs = example_images(columns, {"": highest}, shape)[""]
        pairs = zip(anomalous, inputs, outputs, strict=True)
        anomalous = [replace(row, images=(one, other)) for row, one, other in pairs]
    return replace(
        data,
        anomalous=anomalous,
        images=example_images(columns, examples, shape),
        pixels=pixel_means(collector.model, sample, shape),
    )


def _with_windows(
    data: ReportData,
    collector: SampleCollector,
    sample: SampledRows,
    evaluation: Evaluation,
    constants: Sequence[Column],
) -> ReportData:
    """Return the data with the anomalous episodes, and what the decoder makes of latent units."""
    if not data.spec.decoder_trained:
        return data
    data = _with_traversals(data, collector, sample, None)
    model, scorer, table = collector.model, evaluation.scorer, evaluation.opened.windowed
    assert table is not None, "it is called for windows only"
    if scorer is None:
        excerpt = signal_excerpt(model, None, table, int(sample.row[0]))
        return replace(data, signal=excerpt)
    scores = np.concatenate(collector.window_scores)
    found = episodes(model, scorer, table, scores, constants)
    timeline = score_timeline(table, scores, data.spec.options.windows)
    examples = example_windows(model, table, collector.examples(sample))
    return replace(
        data, anomalous=found, timeline=timeline, signal=found[0].signal, examples=examples
    )


def _with_maps(
    data: ReportData,
    collector: SampleCollector,
    sample: SampledRows,
    evaluation: Evaluation,
    *,
    umap: bool,
) -> ReportData:
    """Return the data with maps of the latents, and on them the anomalous rows or episodes."""
    table, highest = evaluation.opened.windowed, lowest_keys(collector.anomalous)
    anomalous = None if highest is None else highest.latent.astype(np.float64)
    if table is not None and evaluation.scorer is not None:
        anomalous = episode_latents(evaluation.scorer, table, data.anomalous)
    latents = sample.latent.astype(np.float64)
    maps = [pca_map(latents, evaluation.label, sample.codes, sample.scores, anomalous)]
    second = umap_map(latents, maps[0], data.spec.options.training.seed) if umap else None
    return replace(data, maps=maps if second is None else [*maps, second])


def _with_traversals(
    data: ReportData, collector: SampleCollector, sample: SampledRows, shape: ImageShape | None
) -> ReportData:
    assert data.latent is not None, "a table was read"
    assert data.evaluation is not None, "a table was read"
    dead = data.evaluation.latent.dead
    deviations = data.latent.deviations
    traversals = latent_traversals(collector.model, deviations, dead, sample, shape)
    return replace(data, traversals=traversals)


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
