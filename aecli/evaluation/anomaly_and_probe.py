"""Measure anomaly detection by scores, and predictions of probes from latents."""

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

from aecli.array_types import Codes, Floats, Indices
from aecli.errors import DataError
from aecli.evaluation.accumulator import stored_pca
from aecli.evaluation.results import Detection, Probe, ProbeView
from aecli.features.inputs import Inputs
from aecli.inference.loaded_model import LoadedModel
from aecli.metrics.detection import DETECTION_FIGURES, Interval, detection_figures
from aecli.metrics.probe import MIN_SAMPLES, ProbePredictions, as_target, probe
from aecli.row_sample import RowSample, seeded_keys
from aecli.scoring.threshold import best_threshold
from aecli.table.arrow_types import is_plain_number, number_values, python_values, type_name

MAX_SCORES = 1 << 20
"""Maximum number of scores in memory; of more, a random sample."""

MAX_PROBED = 10_000
"""Maximum number of samples that probes are fitted and measured on; of more, a random sample."""

MAX_PROBED_VALUES = 1 << 25
"""Maximum number of values of these samples: 128 MB, with at least 1,000 samples."""

MAX_PROBED_CLASSES = 100

PROBE_VIEWS: tuple[str, ...] = ("raw", "pca", "latent")


class Detector:
    """Measurement of anomaly detection by scores, with anomalies labelled by `column`."""

    def __init__(self, model: LoadedModel, column: str) -> None:
        self.column = column
        assert model.spec.calibration is not None, "the scorer requires a calibration"
        self._threshold = model.spec.calibration.scales["mean"].threshold
        self._unit = "row" if model.spec.network.window == 1 else "window"
        self._sample, self._keys = RowSample(MAX_SCORES), seeded_keys()

    def add(self, scores: Floats, labels: Codes, groups: Codes) -> None:
        """Add scores; `labels` are 1 for anomalies, 0 for other samples and -1 if unknown."""
        known = np.flatnonzero(labels >= 0)
        scores = scores[known]
        labels, groups = labels[known], groups[known]
        self._sample.add(
            self._keys(len(known)),
            lambda chosen: {
                "score": scores[chosen], "label": labels[chosen], "group": groups[chosen],
            },
        )  # fmt: skip

    @cached_property
    def _sampled(self) -> dict[str, npt.NDArray[Any]]:
        """Return the sampled scores and labels, after all samples were added."""
        none = {"score": np.empty(0), "label": np.empty(0, dtype=np.int64)}
        return self._sample.columns() or none

    def notes(self) -> Iterator[str]:
        """Yield notes on undefined figures, and on figures of a random sample."""
        detection, seen = self._total, self._sample.seen
        if detection.auroc is None:
            what = "no anomaly" if not detection.anomalies else f"no ordinary {self._unit}"
            yield f"{self.column} contains {what}: detection figures are undefined"
        if seen > MAX_SCORES:
            yield f"detection is measured on {MAX_SCORES:,} of {seen:,} samples, drawn at random"

    def result(self, group: int | None = None) -> Detection:
        """Return the figures of all samples, or of those of one group."""
        return self._total if group is None else self._measured(group)

    @cached_property
    def _total(self) -> Detection:
        return self._measured(None)

    def _measured(self, group: int | None) -> Detection:
        sampled = self._sampled
        scores, labels = sampled["score"], sampled["label"]
        if group is not None and len(labels):
            inside = sampled["group"] == group
            scores, labels = scores[inside], labels[inside]
        anomalies = int((labels == 1).sum())
        intervals: dict[str, Interval | None] = dict.fromkeys(DETECTION_FIGURES)
        best = None
        if 0 < anomalies < len(labels):
            best = best_threshold(scores, labels)
            intervals |= detection_figures(scores, labels == 1, self._threshold)
        return Detection(
            column=self.column,
            rows=len(labels),
            anomalies=anomalies,
            best_threshold=best,
            threshold=self._threshold,
            **intervals,
        )


class Prober:
    """Comparison of predictions of `column` from raw columns, PCA and latents."""

    def __init__(self, model: LoadedModel, column: str) -> None:
        self.column = column
        label = model.spec.label
        self._classes = label is not None and label.name == column
        self._inputs = Inputs(model.reader.layout, copies=False).to(model.device)
        self._pca = stored_pca(model)
        self._window = model.spec.network.window
        width = model.reader.layout.inputs * self._window
        self._sample = RowSample(min(MAX_PROBED, max(1_000, MAX_PROBED_VALUES // max(1, width))))
        self._keys = seeded_keys()
        self._probed: ProbePredictions | None = None
        self._sizes: dict[str, int] = {}
        self._groups = np.empty(0, dtype=np.int64)

    def add(self, cells: Tensor, latent: Tensor, values: pa.Array, groups: Codes) -> None:
        """Add the samples whose value in the column is known."""
        known = np.flatnonzero(
            pc.is_valid(values).to_numpy(zero_copy_only=False)
            & ~pc.is_null(values, nan_is_null=True).to_numpy(zero_copy_only=False)
        )

        def take(chosen: Indices) -> dict[str, npt.NDArray[Any]]:
            indices = known[chosen]
            views = self._views(cells, latent, torch.from_numpy(indices).to(cells.device))
            target = _values(values.take(pa.array(indices)), self.column)
            return views | {"target": target, "group": groups[indices]}

        self._sample.add(self._keys(len(known)), take)

    def _views(
        self, cells: Tensor, latent: Tensor, indices: Tensor
    ) -> dict[str, npt.NDArray[np.float32]]:
        chosen = cells.view(len(latent), -1, cells.shape[1])[indices].reshape(-1, cells.shape[1])
        raw = self._inputs(chosen).reshape(len(indices), -1)
        views = {"raw": raw}
        if self._pca is not None:
            views["pca"] = (raw - self._pca.mean) @ self._pca.components.T
        views["latent"] = latent[indices].float()
        return {name: view.nan_to_num().cpu().numpy() for name, view in views.items()}

    def notes(self) -> Iterator[str]:
        """Fit the probes; yield a note if that is impossible."""
        self._fit()
        if self._probed is None:
            yield (
                f"{self.column} cannot be probed: probes need {MIN_SAMPLES} samples with a value, "
                "and at least two values"
            )

    def _fit(self) -> None:
        sampled = self._sample.columns()
        if not sampled:
            return
        target = as_target(sampled["target"], classes=self._classes)
        if target.dtype == np.int64 and target.max() >= MAX_PROBED_CLASSES:
            raise DataError(
                f"--probe {self.column}: {int(target.max()) + 1:,} values are too many classes",
                facts=[f"a probe has at most {MAX_PROBED_CLASSES} classes"],
                hint="a column of classes, or of numbers",
            )
        names = [name for name in PROBE_VIEWS if name in sampled]
        views = {name: sampled[name] for name in names}
        self._probed = probe(views, target)
        self._sizes = {name: view.shape[1] for name, view in views.items()}
        if self._probed is not None:
            self._groups = sampled["group"][self._probed.measured]

    def result(self, group: int | None = None) -> Probe | None:
        """Return the figures of all measured samples, or of those of one group."""
        probed = self._probed
        if probed is None:
            return None
        rows = np.full(len(self._groups), True) if group is None else self._groups == group
        views = {
            name: ProbeView(
                size, *(probed.figure(a, rows) for a in probed.predictions[name].values())
            )
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
