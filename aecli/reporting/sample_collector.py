"""Sample the rows or windows of a table in bounded memory, and count over all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from aecli.array_types import AnyFloats, Codes
from aecli.inference.batches import EncodedBatch
from aecli.inference.loaded_model import LoadedModel
from aecli.metrics.histogram import Histogram
from aecli.metrics.intervals import RowGroups
from aecli.reporting.data import ReportRow
from aecli.reporting.examples import SampledRows, anomalous_rows, lowest_keys, with_any_column
from aecli.row_sample import RowSample, seeded_keys
from aecli.schema.model_spec import Column
from aecli.scoring.scorer import ScoredSamples

MAX_REPORT_SAMPLES = 2_000
"""Samples for maps and pictures."""

MAX_REPORT_CELLS = 1 << 22
"""Cells of these samples, of which there are 64 at least: 16 MB."""

MIN_ANOMALOUS_ROWS, ANOMALOUS_ROWS = 10, 30
"""Rows that are listed for their scores: at least and at most; more than 10 above the threshold."""

EXAMPLES_PER_RANK = 4


class SampleCollector:
    """Bounded samples of the rows or windows of a table, and distributions over all of them."""

    def __init__(self, model: LoadedModel) -> None:
        spec, cells = model.spec, model.reader.layout.cells
        self.model = model
        limit = max(64, MAX_REPORT_CELLS // max(1, cells * spec.network.window))
        self.sample = RowSample(min(MAX_REPORT_SAMPLES, limit))
        self.anomalous = RowSample(ANOMALOUS_ROWS)
        self.best, self.worst = RowSample(EXAMPLES_PER_RANK), RowSample(EXAMPLES_PER_RANK)
        self.histogram = Histogram()
        self.outliers = self.samples = 0
        self.window_scores: list[AnyFloats] = []
        self.label_groups = RowGroups(2)
        self._keys = seeded_keys(spec.options.training.seed)

    def add(self, batch: EncodedBatch, scored: ScoredSamples | None, codes: Codes | None) -> None:
        """Add one batch with its scores, and with label codes where there is a label."""
        rows = self._sampled_rows(batch, scored, codes)
        rows.add_to(self.sample, self._keys(len(rows)))
        rows.add_to(self.anomalous, -rows.scores)
        rows.add_to(self.best, rows.mean_errors)
        rows.add_to(self.worst, -rows.mean_errors)
        self.histogram.add(rows.scores)
        if self.model.spec.network.window > 1:
            self.window_scores.append(rows.scores)
        calibration = self.model.spec.calibration
        if calibration is not None:
            self.outliers += int((rows.scores > calibration.scales["mean"].threshold).sum())
        self.samples += len(rows)
        if codes is not None:
            self._add_predictions(batch, codes)

    def _sampled_rows(
        self, batch: EncodedBatch, scored: ScoredSamples | None, codes: Codes | None
    ) -> SampledRows:
        count, window = len(batch.latent), self.model.spec.network.window
        scores = np.full(count, np.nan)
        errors = reasons = np.full((count, 1), np.nan)
        if scored is not None:
            scores, outputs = scored.scores["mean"].numpy(), scored.outputs
            errors, reasons = scored.errors.cpu().numpy(), scored.reasons.cpu().numpy()
        else:
            with torch.no_grad():
                outputs = self.model.network.decode(batch.latent).float()
        positions = np.arange(self.samples, self.samples + count)
        numbers = positions if batch.rows is None else batch.rows.reshape(count, window)[:, -1]
        return SampledRows(
            row=numbers,
            batch=with_any_column(batch.batch, numbers),
            cells=batch.cells.reshape(count, window, -1),
            outputs=outputs.cpu().numpy().reshape(count, window, -1),
            latent=batch.latent.cpu().numpy(),
            codes=np.full(count, -1) if codes is None else np.asarray(codes),
            scores=scores,
            errors=errors,
            reasons=reasons,
        )

    @torch.no_grad()
    def _add_predictions(self, batch: EncodedBatch, codes: Codes) -> None:
        predicted = self.model.network.classify(batch.latent).argmax(1).cpu()
        known = codes >= 0
        right = predicted.numpy() == codes
        self.label_groups.add(torch.from_numpy(np.stack([known & ~right, known], 1)))

    def examples(self, sample: SampledRows) -> dict[str, SampledRows]:
        """Return by rank the worst rows, those in the middle of the sample, and the best.

        A row has one rank: in a small table some ranks have fewer rows, or none.
        """
        best, worst = lowest_keys(self.best), lowest_keys(self.worst)
        if best is None or worst is None:
            return {}
        errors = sample.mean_errors
        order = np.argsort(errors)[: int((~np.isnan(errors)).sum())]
        start = max(0, (len(order) - EXAMPLES_PER_RANK) // 2)
        median = sample.take(order[start : start + EXAMPLES_PER_RANK])
        ranked = {"median": median}
        for rank, rows in (("best", best), ("worst", worst)):
            known = np.concatenate([other.row for other in ranked.values()])
            ranked[rank] = rows.take(np.flatnonzero(~np.isin(rows.row, known)))
        return {rank: rows for rank in ("worst", "median", "best") if len(rows := ranked[rank])}

    def anomalous_rows(
        self, identifiers: Sequence[str], constants: Sequence[Column]
    ) -> list[ReportRow]:
        """Return the samples with the highest scores; none without calibration."""
        spec, anomalous = self.model.spec, lowest_keys(self.anomalous)
        if spec.calibration is None or anomalous is None:
            return []
        identifier = identifiers[0] if identifiers else None
        shown = min(len(anomalous), max(MIN_ANOMALOUS_ROWS, self.outliers))
        anomalous = anomalous.take(np.arange(shown))
        return anomalous_rows(spec, anomalous, identifier, constants)
