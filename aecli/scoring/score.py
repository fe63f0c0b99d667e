"""Write an anomaly score for each row of a table, and the columns that are the reasons."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from aecli.device import limited_threads
from aecli.errors import UsageError
from aecli.inference.batches import SampleBatch
from aecli.inference.folder.write import output_folder, write_folder
from aecli.inference.loaded_model import LoadedModel, load_model
from aecli.inference.run import Pass
from aecli.inference.stream_result import StreamResult
from aecli.metrics.gates import SCORE_FIGURES, Gate, check_conditions, evaluate_gates
from aecli.model_directory.location import model_directory
from aecli.progress import SILENT, Progress
from aecli.schema.calibration import AGGREGATES, Calibration
from aecli.schema.model_spec import ModelSpec
from aecli.schema.read_options import ReadOptions
from aecli.scoring.explanation import (
    ANOMALIES_SHOWN,
    AnomalousSample,
    add_samples,
    anomalous_samples,
)
from aecli.scoring.output_columns import ReducedSamples, ScoreColumns, scores_of_rows
from aecli.scoring.scorer import Scorer
from aecli.scoring.threshold import check_threshold, threshold_value
from aecli.table.source import Data


@dataclass(frozen=True)
class ScoreResult(StreamResult):
    """Result of `score`, with the number of rows or windows above the threshold.

    `cells` is the number of cells that shares of cells are of. `calibrated_on` names the rows
    that percentiles and the threshold were fitted on, and `calibrated_rows` their number.
    `shares` are those of the rows or windows above the threshold, and of the cells that are
    missing, unseen, and out of range or different from the constant; `gates` are conditions on
    them. `anomalous` are the ten samples with the highest scores: of windows that overlap, only
    the highest.
    """

    outliers: int = 0
    threshold: float = 0.0
    calibrated_on: str = ""
    calibrated_rows: int = 0
    shares: Mapping[str, float] = field(default_factory=dict)
    gates: Sequence[Gate] = ()
    anomalous: Sequence[AnomalousSample] = ()
    cells: int = 0

    @classmethod
    def restored(cls, values: Mapping[str, Any], *, model: Path, output: str) -> Self:
        """Return the result of one file from its fields as JSON."""
        samples = [AnomalousSample.restored(sample) for sample in values["anomalous"]]
        return super().restored({**values, "anomalous": samples}, model=model, output=output)

    @classmethod
    def merged(cls, results: Sequence[Self], output: str) -> Self:
        """Return the results of files as that of their folder; shares are those of all its rows.

        Gates are not evaluated. The file of an anomalous sample is one of its identifiers.
        """

        def relative(result: Self) -> str:
            return str(Path(str(result.output)).relative_to(output))

        merged = super().merged(results, output)
        cells = sum(result.cells for result in results)
        outliers = sum(result.outliers for result in results)
        shares = {
            name: sum(result.shares[name] * result.cells for result in results) / max(1, cells)
            for name in results[0].shares
        }
        shares["outlier_share"] = outliers / max(1, merged.rows)
        anomalous = [
            replace(sample, identifiers={"file": relative(result), **sample.identifiers})
            for result in results
            for sample in result.anomalous
        ]
        highest = sorted(anomalous, key=lambda sample: -sample.score)[:ANOMALIES_SHOWN]
        return replace(merged, shares=shares, outliers=outliers, cells=cells, anomalous=highest)


@limited_threads()
def score(
    data: Data,
    output: str | None = None,
    *,
    explain: int = 3,
    detail: bool = False,
    threshold: str | float = "auto",
    aggregate: str = "mean",
    score_unit: str = "window",
    fail_if: Sequence[str] = (),
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    keep: Sequence[str] = (),
    to: str | None = None,
    resume: bool = False,
    shard: str | None = None,
    engine: str = "local",
    batch_size: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> ScoreResult:
    """Score the rows of `data`, and write the scores to `output`, in order, in constant memory.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label may be absent.
        output: a file whose suffix is the format, `-` for standard output, or a folder, `out/`,
            for one file per file of `data`; None: no file.
        explain: number of columns to name as reasons for a score.
        detail: whether to write every column's value, reconstruction and error as well.
        threshold: `auto`, a percentile such as `p99`, `fpr:0.01`, or a score.
        aggregate: aggregate of the columns' errors in the score: `mean`, `max` or `top3`.
        score_unit: `window` or `row`, for a model of windows; the score of a row is the mean over
            its windows.
        resume: keep the finished files of a folder.
        shard: score every Nth file of a folder only, from the Kth: `K/N`.
        engine: `ray` scores the files of a folder as tasks on a Ray cluster.
        fail_if: conditions such as `outlier_share>0.05`, which are evaluated in the result.

    Raises:
        UsageError: an argument is unknown or out of bounds, or does not fit the model.
        ModelError: the model is missing, damaged, too new, or was saved without scores.
        DataError: the table cannot be read or lacks columns.
        OutputError: the output cannot be written.
    """
    began = time.perf_counter()
    check_conditions(fail_if, SCORE_FIGURES)
    _check(explain, aggregate, score_unit, threshold)
    folder = output_folder(output, to=to, resume=resume, shard=shard, engine=engine)
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    open_pass = partial(
        score_pass, explain=explain, detail=detail, threshold=threshold, aggregate=aggregate,
        score_unit=score_unit, keep=list(keep), batch_size=batch_size, read=read,
    )  # fmt: skip
    if folder is None:
        result = _write(open_pass(loaded, data, progress=progress), output, to, began=began)
    else:
        result = write_folder(
            "score", loaded, data, folder, open_pass, _write, ScoreResult, threads=threads,
            began=began, progress=progress,
        )  # fmt: skip
    gates = evaluate_gates(fail_if, result.shares) if result.shares else []
    return replace(result, gates=gates)


def _write(
    opened: tuple[Pass, ScoreColumns], path: str | None, to: str | None, *, began: float
) -> ScoreResult:
    table, columns = opened
    written = table.write(path, to, began=began)
    calibration = _calibration(table.model.spec)
    shares = {"outlier_share": columns.outliers / max(1, written.rows), **table.cell_shares()}
    return ScoreResult(
        **vars(written),
        shares=shares,
        cells=table.cells,
        outliers=columns.outliers,
        threshold=columns.threshold,
        calibrated_on=calibration.source,
        calibrated_rows=calibration.rows,
        anomalous=_anomalous(table, columns),
    )


def _anomalous(opened: Pass, columns: ScoreColumns) -> list[AnomalousSample]:
    """Return the samples with the highest scores, with their identifiers and the kept columns."""
    spec = opened.model.spec
    features = _varying(spec) if columns.detail else []
    titles = {name: title for name, title in opened.titles().items() if title not in features}
    constants = opened.constants.layout.columns
    table = None if opened.by_row else opened.windowed
    return anomalous_samples(
        columns.highest, spec.columns, constants, identifiers=titles, reasons=columns.explain,
        starts=None if table is None else table.windows.starts,
        window=1 if table is None else table.windows.size,
    )  # fmt: skip


def score_pass(
    model: LoadedModel,
    data: Data,
    *,
    explain: int = 3,
    detail: bool = False,
    threshold: str | float = "auto",
    aggregate: str = "mean",
    score_unit: str = "window",
    keep: Sequence[str] = (),
    batch_size: int | None = None,
    read: ReadOptions | None = None,
    progress: Progress = SILENT,
) -> tuple[Pass, ScoreColumns]:
    """Open a pass that scores rows; arguments and errors are those of `score`.

    The columns count the outliers as the batches are made.
    """
    _check(explain, aggregate, score_unit, threshold)
    scorer, spec = Scorer.of(model, [aggregate]), model.spec
    by_row = spec.network.window == 1 or score_unit == "row"
    if detail and not by_row:
        hint = "--score-unit row"
        raise UsageError("--detail shows rows, and this model scores windows", hint=hint)
    opened = Pass.over(
        model, data, keep=[*keep, *(_varying(spec) if detail else [])], batch_size=batch_size,
        read=read, progress=progress,
    )  # fmt: skip
    opened.by_row = by_row
    scale = _calibration(spec).scales[aggregate]
    columns = ScoreColumns(
        spec.columns, scale, threshold=threshold_value(threshold, scale), explain=explain,
        detail=detail, constants=[column.name for column in opened.constants.layout.columns],
        window=1 if by_row else spec.network.window,
    )  # fmt: skip
    fields = columns.fields()
    if detail:
        _check_details(spec, [field.name for field in fields])
    # With a score per row, columns are copied from the rows, not from the windows.
    every_row = spec.network.window > 1 and by_row
    samples = opened.samples("scoring", carried=[] if every_row else None)
    if every_row:
        batches = _row_scores(opened, samples, scorer, columns, aggregate)
    else:
        batches = _sample_scores(opened, samples, scorer, columns, aggregate)
    return opened.output(fields, batches), columns


def _sample_scores(
    opened: Pass,
    samples: Iterator[SampleBatch],
    scorer: Scorer,
    columns: ScoreColumns,
    aggregate: str,
) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch, cells, differs, rows in samples:
        numbers = np.arange(start, start + len(cells)) if rows is None else rows
        start += len(cells)
        of_samples = numbers.reshape(-1, scorer.window)
        blocks: list[ReducedSamples] = []
        scored = 0
        # Errors and reasons of a block are in the processor's cache, those of a batch are not.
        for block in scorer.blocks(cells, differs):
            stop = scored + len(block.errors)
            part, numbers_of_block = batch.slice(scored, stop - scored), of_samples[scored:stop]
            scored = stop
            scores = block.scores[aggregate].numpy()
            add_samples(
                columns.highest, part, scores, block.errors, block.reasons,
                outputs=block.outputs if rows is None else None,
                first_rows=numbers_of_block[:, 0], last_rows=numbers_of_block[:, -1],
            )  # fmt: skip
            blocks.append(columns.reduced(scores, block.errors, block.reasons, block.outputs))
        yield opened.joined(batch, columns.arrays(blocks))
        opened.progress.rows(batch.num_rows)


def _row_scores(
    opened: Pass,
    samples: Iterator[SampleBatch],
    scorer: Scorer,
    columns: ScoreColumns,
    aggregate: str,
) -> Iterator[pa.RecordBatch]:
    assert opened.windowed is not None, "only windows are scored by row"
    counted = _counted(samples, opened.progress)
    scores, errors, reasons, outputs = scores_of_rows(scorer, opened.windowed, counted, aggregate)
    start = 0
    for batch in opened.windowed.source.batches():
        rows = slice(start, start + batch.num_rows)
        numbers = np.arange(start, start + batch.num_rows)
        start += batch.num_rows
        add_samples(
            columns.highest, batch, scores[rows], errors[rows], reasons[rows],
            outputs=outputs[rows], first_rows=numbers, last_rows=numbers,
        )  # fmt: skip
        block = columns.reduced(scores[rows], errors[rows], reasons[rows], outputs[rows])
        yield opened.joined(batch, columns.arrays([block]))


def _counted(batches: Iterator[SampleBatch], progress: Progress) -> Iterator[SampleBatch]:
    for samples in batches:
        yield samples
        progress.rows(samples.batch.num_rows)


def _calibration(spec: ModelSpec) -> Calibration:
    assert spec.calibration is not None, "a scorer requires a calibration"
    return spec.calibration


def _varying(spec: ModelSpec) -> list[str]:
    return [column.name for column in spec.columns if not column.constant]


def _check_details(spec: ModelSpec, names: Sequence[str]) -> None:
    twice = next((name for name in _varying(spec) if name in names), None)
    if twice is not None:
        raise UsageError(
            f"--detail would write two columns called {twice!r}",
            facts=["one is the feature of that name, the other is an output"],
            hint=f"leave --detail out, or rename {twice!r} in the table and train again",
        )


def _check(explain: int, aggregate: str, score_unit: str, threshold: str | float) -> None:
    if explain < 0:
        raise UsageError(f"explain={explain}: must be 0 or more", hint="explain=3")
    if aggregate not in AGGREGATES:
        known = ", ".join(AGGREGATES)
        raise UsageError(f"aggregate={aggregate!r} must be one of {known}", hint="aggregate='mean'")
    if score_unit not in ("window", "row"):
        raise UsageError(
            f"score_unit={score_unit!r} must be window or row", hint="score_unit='row'"
        )
    check_threshold(threshold)
