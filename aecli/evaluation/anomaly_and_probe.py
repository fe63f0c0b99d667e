"""Measure how well scores find marked anomalies, and what probes predict from latents."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from aecli.array_types import Codes, Indices
from aecli.errors import DataError
from aecli.evaluation.accumulator import stored_pca
from aecli.evaluation.results import Detection, Probe, ProbeView
from aecli.features.layout import Inputs
from aecli.inference.batches import EncodedBatch
from aecli.inference.loaded_model import LoadedModel
from aecli.metrics.detection import DETECTION_FIGURES, Interval, detection_figures
from aecli.metrics.probe import LEAST, ProbeAnswers, as_target, probe
from aecli.row_sample import RowSample, seeded_keys
from aecli.scoring.scorer import Scorer
from aecli.scoring.threshold import best_threshold
from aecli.table.arrow_types import is_plain_number, number_values, python_values, type_name

SCORES = 1 << 20
"""Samples whose scores are held at most, drawn from all."""

PROBED = 10_000
"""Samples that probes are fitted and measured on at most, drawn from all."""

PROBED_VALUES = 1 << 25
"""Values of the widest view of these samples: 128 MB; at least 1,000 samples all the same."""

MOST_PROBED_CLASSES = 100

PROBE_VIEWS: tuple[str, ...] = ("raw", "pca", "latent")


class Detector:
    """Measurement of how well scores tell the samples that `column` marks."""

    def __init__(self, model: LoadedModel, column: str) -> None:
        self.column = column
        self._scorer = Scorer.of(model)
        assert model.spec.calibration is not None, "the scorer has looked"
        self._threshold = model.spec.calibration.scales["mean"].threshold
        self._unit = "row" if model.spec.network.window == 1 else "window"
        self._sample, self._keys = RowSample(SCORES), seeded_keys()

    def add(self, samples: EncodedBatch, marks: Codes, groups: Codes) -> None:
        """Add samples; `marks` are 1 for anomalies, 0 for other samples and -1 for unknown."""
        known = np.flatnonzero(marks >= 0)
        scored = self._scorer.score(samples.cells, samples.differs)
        scores = scored.scores["mean"].double().numpy()[known]
        marks, groups = marks[known], groups[known]
        self._sample.add(
            self._keys(len(known)),
            lambda chosen: {
                "score": scores[chosen], "mark": marks[chosen], "group": groups[chosen],
            },
        )  # fmt: skip

    @cached_property
    def _sampled(self) -> dict[str, npt.NDArray[Any]]:
        """Return the samples that were drawn, once all are seen."""
        none = {"score": np.empty(0), "mark": np.empty(0, dtype=np.int64)}
        return self._sample.columns() or none

    def notes(self) -> Iterator[str]:
        """Yield why there are no figures, or that they are those of drawn samples."""
        found, seen = self.result(), self._sample.seen
        if found.auroc is None:
            what = "no anomaly" if not found.anomalies else f"no ordinary {self._unit}"
            yield f"{self.column} marks {what}: scores cannot be measured"
        if seen > SCORES:
            yield f"scores are measured on {SCORES:,} of {seen:,} samples, drawn at random"

    def result(self, group: int | None = None) -> Detection:
        """Return the figures of all samples, or of those of one group."""
        held = self._sampled
        scores, marks = held["score"], held["mark"]
        if group is not None and len(marks):
            inside = held["group"] == group
            scores, marks = scores[inside], marks[inside]
        anomalies = int((marks == 1).sum())
        intervals: dict[str, Interval | None] = dict.fromkeys(DETECTION_FIGURES)
        best = None
        if 0 < anomalies < len(marks):
            best = best_threshold(scores, marks)
            intervals |= detection_figures(scores, marks == 1, self._threshold)
        return Detection(
            column=self.column,
            rows=len(marks),
            anomalies=anomalies,
            best_threshold=best,
            threshold=self._threshold,
            **intervals,
        )


class Prober:
    """Comparison of how well `column` is predicted from raw columns, PCA and latents."""

    def __init__(self, model: LoadedModel, column: str) -> None:
        self.column = column
        label = model.spec.label
        self._classes = label is not None and label.name == column
        self._inputs = Inputs(model.reader.layout, compressed=False).to(model.device)
        self._pca = stored_pca(model)
        self._window = model.spec.network.window
        width = model.reader.layout.inputs * self._window
        self._sample = RowSample(min(PROBED, max(1_000, PROBED_VALUES // max(1, width))))
        self._keys = seeded_keys()
        self._probed: ProbeAnswers | None = None
        self._sizes: dict[str, int] = {}
        self._groups = np.empty(0, dtype=np.int64)

    def add(self, cells: Tensor, latent: Tensor, values: pa.Array, groups: Codes) -> None:
        """Add samples with the values of the column, where these are known."""
        known = np.flatnonzero(
            pc.is_valid(values).to_numpy(zero_copy_only=False)
            & ~pc.is_null(values, nan_is_null=True).to_numpy(zero_copy_only=False)
        )

        def take(chosen: Indices) -> dict[str, npt.NDArray[Any]]:
            places = known[chosen]
            found = self._views(cells, latent, torch.from_numpy(places).to(cells.device))
            target = _values(values.take(pa.array(places)), self.column)
            return found | {"target": target, "group": groups[places]}

        self._sample.add(self._keys(len(known)), take)

    def _views(
        self, cells: Tensor, latent: Tensor, places: Tensor
    ) -> dict[str, npt.NDArray[np.float32]]:
        chosen = cells.view(len(latent), -1, cells.shape[1])[places].reshape(-1, cells.shape[1])
        raw = self._inputs(chosen).reshape(len(places), -1)
        views = {"raw": raw}
        if self._pca is not None:
            views["pca"] = (raw - self._pca.mean) @ self._pca.components.T
        views["latent"] = latent[places].float()
        return {name: view.nan_to_num().cpu().numpy() for name, view in views.items()}

    def notes(self) -> Iterator[str]:
        """Fit the probes; yield why there are none."""
        self._fit()
        if self._probed is None:
            yield (
                f"{self.column} cannot be probed: that takes {LEAST} samples with a known value, "
                "and two values at least"
            )

    def _fit(self) -> None:
        held = self._sample.columns()
        if not held:
            return
        target = as_target(held["target"], classes=self._classes)
        if target.dtype == np.int64 and target.max() >= MOST_PROBED_CLASSES:
            raise DataError(
                f"--probe {self.column}: {int(target.max()) + 1:,} values are too many classes",
                facts=[f"a probe tells {MOST_PROBED_CLASSES} classes at most"],
                hint="a column of classes, or of numbers",
            )
        names = [name for name in PROBE_VIEWS if name in held]
        views = {name: held[name] for name in names}
        self._probed = probe(views, target)
        self._sizes = {name: view.shape[1] for name, view in views.items()}
        if self._probed is not None:
            self._groups = held["group"][self._probed.measured]

    def result(self, group: int | None = None) -> Probe | None:
        """Return the figures of all measured samples, or of those of one group."""
        probed = self._probed
        if probed is None:
            return None
        rows = np.full(len(self._groups), True) if group is None else self._groups == group
        views = {
            name: ProbeView(size, *(probed.figure(a, rows) for a in probed.answers[name].values()))
            for name, size in self._sizes.items()
        }
        return Probe(
            column=self.column,
            metric=probed.metric,
            fitted=probed.fitted,
            measured=int(rows.sum()),
            baseline=probed.baseline(rows),
            views=views,
        )


def _values(array: pa.Array, column: str) -> npt.NDArray[Any]:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_nested(kind):
        raise DataError(
            f"--probe {column}: it is {type_name(kind)}",
            hint="a column of classes, or of numbers",
        )
    numeric = is_plain_number(kind) or pa.types.is_temporal(kind)
    values = number_values(array).tolist() if numeric else python_values(array, column)
    return np.fromiter(values, dtype=object, count=len(values))
