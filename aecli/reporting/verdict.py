"""Judge a model by rule: a sentence against PCA and the trivial prediction, and alerts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from aecli.formatting import STANDARD_INPUT, TABLE_IN_MEMORY, count, name_list, percent, safe
from aecli.reporting.data import ReportData
from aecli.reporting.text import short
from aecli.reporting.tiles import Tile, TileKey, column_comparison, share_text, tiles, too_few
from aecli.schema.calibration import LEVELS
from aecli.schema.model_spec import UNTRAINED_DECODER

COMPARED = {"better": "better than PCA", "equal": "as well as PCA", "worse": "worse than PCA"}

MANY_ANOMALIES = 3.0
"""Anomalies are many from this multiple of their share among the rows of the calibration on."""

MIN_ANOMALIES = 5
POOR_CALIBRATION = 0.1


class Alert(NamedTuple):
    """Sentence with the section that it links to; a `note` does not question the figures."""

    sentence: str
    section: str
    note: bool = False


SECTION_WORDS = (
    ("units", ("latent has collapsed", "latent unit", "dead")),
    ("label", ("classifier", "classification loss")),
    ("columns", ("reconstruct", "column", "categories", "cells")),
)
"""Section that an alert of the training belongs to, by words of it; else it is the training's."""


def verdict(data: ReportData) -> tuple[str, str]:
    """Return the judgement in one short sentence, and the figures that it comes from."""
    found = {tile.key: tile for tile in tiles(data)}
    parts: dict[TileKey, Tile] = {
        key: tile for key, tile in found.items() if key in ("numbers", "categories")
    }
    return _judgement(data, parts, found.get("label")), " ".join(_figures(data, found))


def _judgement(data: ReportData, parts: Mapping[TileKey, Tile], label: Tile | None) -> str:
    if too_few(data) and (parts or label is not None):
        verb = "is" if data.samples == 1 else "are"
        return f"{count(data.samples, data.unit)} {verb} too few to compare models."
    if not parts:
        if label is not None:
            return f"{_label_words(data, label)}."
        untrained = not data.spec.decoder_trained
        return "Encodes only: the decoder was not trained." if untrained else "Nothing to compare."
    useless = [name for name, tile in parts.items() if tile.useless]
    if len(useless) == len(parts):
        trivial = {"numbers": "the column means", "categories": "the most frequent values"}
        return f"Reconstructs no better than {' and '.join(trivial[name] for name in parts)}."
    found = {name: tile.comparison for name, tile in parts.items() if tile.pca is not None}
    if not found:
        return f"Reconstructs {' and '.join(parts)} better than the trivial prediction."
    if len(set(found.values())) == 1:
        return f"Reconstructs {' and '.join(found)} {COMPARED[next(iter(found.values()))]}."
    # The better of the two stands first.
    order = ("better", "equal", "worse")
    first, second = sorted(found, key=lambda name: order.index(found[name]))
    rest = {"worse": "worse", "equal": "as well"}[found[second]]
    return f"Reconstructs {first} {COMPARED[found[first]]}, {second} {rest}."


def _label_words(data: ReportData, label: Tile) -> str:
    name = short(data.label)
    lead = 0.0 if label.trivial is None else 100 * (label.value - label.trivial)
    if label.comparison == "equal":
        return f"Predicts {name} no better than the most frequent class of training"
    side = "better" if lead > 0 else "worse"
    return f"Predicts {name} {abs(lead):.1f} points {side} than the most frequent class of training"


def _figures(data: ReportData, found: Mapping[TileKey, Tile]) -> Iterator[str]:
    size = count(data.spec.network.latent, "number")
    clauses = []
    if "numbers" in found:
        clauses.append(_clause(found["numbers"], "variance of the numbers", data))
    if "categories" in found:
        clauses.append(_clause(found["categories"], "categories", data))
    if clauses:
        per = f"{size} per {data.unit} {'keeps' if data.spec.network.latent == 1 else 'keep'}"
        yield f"{per} {' and '.join(clauses)}{'' if data.data else _training_rows(data)}."
    if "label" in found and clauses and not too_few(data):
        yield f"{_label_words(data, found['label'])}."
    if not data.spec.decoder_trained and not clauses:
        yield f"It encodes a {data.unit} in {size}; {UNTRAINED_DECODER}."
    if data.seen:
        yield "These are rows of the training; on new rows the figures are lower."


def _clause(tile: Tile, what: str, data: ReportData) -> str:
    metric = "r2" if tile.key == "numbers" else "accuracy"
    compared = [c for c in data.columns if c.metric == metric and c.pca is not None]
    sides = [column_comparison(column) for column in compared]
    shown = [] if tile.pca is None else [f"PCA {share_text(tile.pca)}"]
    if len(sides) > 1 and any(side != "equal" for side in sides):
        beaten = sides.count("better")
        shown.append(
            f"{count(beaten)} of {count(len(sides))} {'beats' if beaten == 1 else 'beat'} PCA"
        )
    share = share_text(tile.value) if tile.value > 0 else "none"
    return f"{share} of the {what}" + (f" ({'; '.join(shown)})" if shown else "")


def _training_rows(data: ReportData) -> str:
    held_out = data.spec.summary.valid_rows
    return " on held-out rows" if held_out else " on the rows of the training"


def alerts(data: ReportData) -> list[Alert]:
    """Return what a reader should know first: each a sentence and the section to look at."""
    health = [Alert(safe(sentence), _section(sentence)) for sentence in data.spec.summary.health]
    return [*health, *_table_alerts(data), *_training_alerts(data)]


def _section(sentence: str) -> str:
    for section, words in SECTION_WORDS:
        if any(word in sentence for word in words):
            return section
    return "training"


def _training_alerts(data: ReportData) -> Iterator[Alert]:
    if not data.spec.summary.finished:
        yield Alert("the training was stopped before its end; --resume continues it", "training")
    for layer, units in data.spec.summary.dead_units.items():
        yield Alert(f"{count(units, 'unit')} of {short(layer)} never fire", "training")


def _table_alerts(data: ReportData) -> Iterator[Alert]:
    evaluation = data.evaluation
    if evaluation is None:
        return
    table = Path(data.data or "").name
    named = table not in ("", STANDARD_INPUT, TABLE_IN_MEMORY)
    if named and table == data.spec.table and not data.seen:
        name = short(data.spec.table)
        what = f"{name} is the name of the training table"
        yield Alert(f"{what}; on new rows the figures are lower", "columns", note=True)
    yield from _anomaly_alerts(data)
    if not too_few(data):
        yield from _column_alerts(data)
        yield from _label_alerts(data)
    notes = [note for note in evaluation.notes if not note.startswith(UNTRAINED_DECODER)]
    yield from (Alert(safe(note), "columns", note=True) for note in notes)
    if evaluation.limited:
        cells = ", ".join(f"{short(n)} {count(k)}" for n, k in list(evaluation.limited.items())[:3])
        what = f"outliers are limited for the variance explained: {cells}"
        yield Alert(what, "columns", note=True)


def _column_alerts(data: ReportData) -> Iterator[Alert]:
    poor = [short(c.name) for c in data.columns if _below_trivial(c.value, c.baseline)]
    if poor and len(poor) < len(data.columns):
        verb = "is" if len(poor) == 1 else "are"
        what = f"{count(len(poor), 'column')} {verb} worse than the trivial prediction"
        yield Alert(f"{what}: {name_list(poor, 3)}", "columns")
    latent = data.evaluation.latent if data.evaluation else None
    if latent is not None and latent.dead:
        dead, size = len(latent.dead), count(latent.size, "latent unit")
        verb = "varies" if dead == 1 else "vary"
        yield Alert(f"{count(dead)} of {size} hardly {verb}", "units")


def _below_trivial(value: float | None, trivial: float | None) -> bool:
    return value is not None and trivial is not None and value < trivial - 0.01


def _anomaly_alerts(data: ReportData) -> Iterator[Alert]:
    calibration = data.spec.calibration
    if calibration is None or data.scores is None or data.outliers < MIN_ANOMALIES:
        return
    usual = _share_above(calibration.scales["mean"].quantiles, data.threshold or 0.0)
    share = data.outliers / data.samples
    if share > MANY_ANOMALIES * max(usual, 1 / calibration.rows):
        what = f"{percent(share)} of the {data.unit}s are anomalous"
        usually = f"against {percent(usual)} of the {calibration.source}"
        sentence = f"{what}, {usually}: they may differ from the training rows"
        yield Alert(sentence, "anomalies")


def _share_above(quantiles: Sequence[float], threshold: float) -> float:
    below = [level for level, value in zip(LEVELS, quantiles, strict=True) if value <= threshold]
    return 1 - max(below, default=0.0) / 100


def _label_alerts(data: ReportData) -> Iterator[Alert]:
    classification = data.classification
    if classification is None:
        return
    confusion = classification.confusion
    missed = [
        short(name)
        for code, name in enumerate(classification.classes)
        if sum(confusion[code]) and not confusion[code][code]
    ]
    if missed:
        verb = "is" if len(missed) == 1 else "are"
        what = f"{count(len(missed), 'class', 'classes')} {verb} never predicted correctly"
        yield Alert(f"{what}: {name_list(missed, 3)}", "label")
    if classification.ece > POOR_CALIBRATION:
        error = percent(classification.ece)
        yield Alert(f"confidence and accuracy differ by {error} on average", "label")
