"""The verdict of a report, its tiles and its alerts follow from the figures by rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aecli.metrics.column_scores import ColumnScore
from aecli.metrics.detection import Interval
from aecli.reporting.anomaly_text import marked, reasons, row_groups
from aecli.reporting.data import ReportData, ReportRow
from aecli.reporting.label_positions import free_middles
from aecli.reporting.tiles import Tile, column_comparison, margin_text, share_text, tiles
from aecli.reporting.verdict import alerts, verdict
from aecli.schema.model_spec import Baseline, ModelSpec
from aecli.scoring.explanation import ScoreReason

NAMES = ("this model", "PCA", "column means")


def saved(spec: ModelSpec, r2: Any = None, accuracy: Any = None, **summary: Any) -> ReportData:
    """Return a report without a table, from R² and accuracies of the model, PCA and the means."""
    r2, accuracy = r2 or (None,) * 3, accuracy or (None,) * 3
    rows = zip(NAMES, r2, accuracy, strict=True)
    baselines = [Baseline(name=name, r2=one, accuracy=other) for name, one, other in rows]
    known = spec.summary.model_copy(update={"baselines": baselines, **summary})
    return ReportData(Path("m"), spec.model_copy(update={"summary": known, "label": None}))


@pytest.mark.parametrize(
    ("r2", "accuracy", "sentence"),
    [
        ((0.9, 0.8, 0.0), None, "Reconstructs numbers better than PCA."),
        ((0.8, 0.9, 0.0), None, "Reconstructs numbers worse than PCA."),
        ((0.8, 0.8001, 0.0), None, "Reconstructs numbers as well as PCA."),
        ((-3.0, 0.9, 0.0), None, "Reconstructs no better than the column means."),
        (None, (0.5, 0.6, 0.5), "Reconstructs no better than the most frequent values."),
        (
            (0.9, 0.8, 0.0),
            (0.9, 0.8, 0.5),
            "Reconstructs numbers and categories better than PCA.",
        ),
        (
            (0.8, 0.9, 0.0),
            (0.9, 0.8, 0.5),
            "Reconstructs categories better than PCA, numbers worse.",
        ),
        (
            (0.9, 0.8, 0.0),
            (0.8, 0.8, 0.5),
            "Reconstructs numbers better than PCA, categories as well.",
        ),
    ],
)
def test_a_verdict_compares_with_pca_and_the_trivial_answer(r2, accuracy, sentence, model_spec):
    assert verdict(saved(model_spec, r2, accuracy))[0] == sentence


def test_an_interval_that_contains_zero_is_no_difference():
    lead = Interval(0.02, -0.01, 0.05)
    assert Tile("numbers", "", 0.9, "", pca=0.88, gain=lead).comparison == "equal"
    assert Tile("numbers", "", 0.9, "", pca=0.88, gain=Interval(0.02, 0.01, 0.03)).comparison == (
        "better"
    )


def test_tiles_that_do_not_apply_are_absent(model_spec):
    assert [tile.key for tile in tiles(saved(model_spec, (0.9, 0.8, 0.0)))] == ["numbers"]
    assert tiles(saved(model_spec)) == []


def test_alerts_link_to_their_sections(model_spec):
    health = [
        "the latent has collapsed: 1 of 8 units are active; try --lr 0.1",
        "reconstruction is no better than predicting column means on held-out rows; try --epochs 9",
        "overfitting: the total loss is 3.0 times as high; try --dropout 0.1",
    ]
    found = alerts(saved(model_spec, health=health, finished=False))
    assert [alert.section for alert in found] == ["units", "columns", "training", "training"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "50.0 %"), (-0.5, "−50.0 %"), (-1e-5, "0.0 %"), (-1e9, "< −100 %"), (None, "–")],
)
def test_a_share_far_below_zero_is_a_bound(value, text):
    assert share_text(value) == text


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(0.5, 0.48, 0.52), "± 2.0"),
        (Interval(0.5, 0.4999, 0.5001), "± < 0.1"),
        (Interval(1.0, 0.604, 1.0), "60–100 %"),
        (Interval(0.97, 0.95, 0.98), "95.0–98.0 %"),
        (Interval(0.05, -0.1, 0.2), "−10 to 20 %"),
        (None, ""),
    ],
)
def test_an_interval_is_half_its_width_or_both_ends_where_it_is_asymmetric(interval, text):
    assert margin_text(interval) == text


@pytest.mark.parametrize(
    ("metric", "value", "pca", "observed", "comparison"),
    [
        ("r2", 0.91, 0.9, 100, "better"),
        ("r2", 0.9, 0.91, 100, "worse"),
        ("r2", 0.903, 0.9, 100, "equal"),
        ("r2", 0.9, 0.1, 1, "equal"),
        ("accuracy", 0.55, 0.5, 100, "equal"),
        ("accuracy", 0.55, 0.5, 10_000, "better"),
        ("accuracy", None, 0.5, 100, "equal"),
    ],
)
def test_a_column_is_better_only_where_the_difference_is_clear(
    metric, value, pca, observed, comparison
):
    column = ColumnScore("x", "number", metric, value, None, pca, None, observed)
    assert column_comparison(column) == comparison


def reason(number, contribution):
    return ScoreReason(f"x{number}", 5.0, "1", "2", contribution=contribution)


def test_only_large_reasons_follow_the_first_one():
    errors = [0.5, 0.4] + [0.3] * 9
    small = ReportRow(0, 1.0, [reason(n, e) for n, e in enumerate(errors)])
    assert [reason.column for reason in reasons(small)] == ["x0"]
    large = ReportRow(0, 9.0, [reason(n, 9.0 - n) for n in range(9)])
    assert [reason.column for reason in reasons(large)] == ["x0", "x1", "x2"]


def test_rows_with_the_same_value_of_their_leading_column_stand_together():
    rows = [
        ReportRow(n, 9.0 - n, [ScoreReason("x", 5, value, "1")]) for n, value in enumerate("aba")
    ]
    assert [[row.number for row in group] for group in row_groups(rows)] == [[0, 2], [1]]


@pytest.mark.parametrize(
    ("cell", "is_marked"),
    [
        (ScoreReason("number", 5.0, "1", "1"), False),
        (ScoreReason("number", 5.0, "1", "2"), True),
        (ScoreReason("number", 3.0, "1", "2"), False),
        (ScoreReason("number", np.nan, "missing", "2"), False),
        (ScoreReason("category", 0.5, "a", "b"), True),
        (ScoreReason("category", 5.0, "a", "a"), False),
        (ScoreReason("category", 9.0, None, "a", constant=True), True),
        (ScoreReason("number", 9.0), False),
    ],
)
def test_other_categories_and_numbers_with_a_large_error_are_marked(cell, is_marked, model_spec):
    columns = [
        model_spec.columns[0].model_copy(update={"name": kind, "kind": kind})
        for kind in ("number", "category")
    ]
    assert marked(cell, model_spec.model_copy(update={"columns": columns})) == is_marked


def test_labels_of_a_map_are_moved_apart_or_left_out():
    boxes = [(0.0, 50.0, 40.0, 10.0)] * 6 + [(100.0, 50.0, 40.0, 10.0)]
    assert list(free_middles(boxes)) == [50, 60, 40, 70, 30, None, 50]
