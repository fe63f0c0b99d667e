from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import aecli
from aecli.errors import DataError, DivergedError, UsageError
from aecli.model_directory.read import read_history, read_spec, read_tuning
from aecli.schema.option_docs import explicit_options
from aecli.tuning.trial import TuneResult

SHORT: dict[str, Any] = {"latent": 2, "epochs": 2, "device": "cpu", "threads": 1}


def blobs(rows: int = 120, seed: int = 0) -> pa.Table:
    """Rows of two classes that lie apart in four numbers."""
    rng = np.random.default_rng(seed)
    blob = rng.integers(0, 2, rows)
    cells = rng.normal(size=(rows, 4)) + 3 * blob[:, None]
    names = [f"x{index}" for index in range(4)]
    return pa.table([*cells.T, np.where(blob, "a", "b")], [*names, "kind"])


def tuned(path: Path, table: pa.Table | None = None, **settings: Any) -> TuneResult:
    chosen = {"label": "kind", "model": path / "m", **SHORT, **settings}
    return aecli.tune(blobs() if table is None else table, **chosen)


@pytest.mark.parametrize("objective", ["reconstruction", "accuracy", "probe", "auroc"])
def test_each_objective_is_that_of_the_saved_model(objective: str, tmp_path: Path):
    result = tuned(tmp_path, blobs(300), objective=objective, trials=2, valid="0.3")
    values = [t.value for t in result.trials if t.value is not None]
    assert result.value == (min if objective == "reconstruction" else max)(values)
    summary = result.spec.summary
    if objective == "reconstruction":
        assert result.value == summary.valid["reconstruction"]
    if objective == "accuracy":
        assert result.value == summary.metrics["accuracy"]
    if objective in ("auroc", "probe"):
        assert 0.8 < result.value <= 1


def test_the_validation_loss_is_that_of_calibrated_probabilities(tmp_path: Path):
    result = tuned(tmp_path, blobs(300), trials=1, valid="0.3", epochs=10)
    raw = read_history(tmp_path / "m", result.spec)[result.spec.summary.best_epoch - 1]
    assert result.value == pytest.approx(result.spec.summary.valid["total"], rel=1e-4)
    assert result.value < raw["valid"]["total"]


def test_the_same_seed_searches_the_same(tmp_path: Path):
    one, two = (tuned(tmp_path / name, trials=4) for name in "ab")
    assert [(t.options, t.value, t.curve) for t in one.trials] == [
        (t.options, t.value, t.curve) for t in two.trials
    ]
    other = tuned(tmp_path / "c", trials=3, seed=1)
    assert other.trials[1].options != one.trials[1].options


def test_the_options_of_the_best_trial_train_the_same_model_with_binned_inputs(tmp_path: Path):
    x = np.random.default_rng(0).random(800)
    striped = {"x": x, "c": ["a", "b"] * 400, "kind": (12 * x).astype(int) % 2}
    fixed: dict[str, Any] = {"epochs": 15, "encoder": [32, 2], "latent": None, "lr": 4e-3}
    result = tuned(tmp_path, pa.table(striped), trials=2, valid="0.3", **fixed)
    assert any("binned inputs, chosen" in note for note in result.spec.summary.notes)
    chosen = explicit_options(result.spec.options)
    again = aecli.train(pa.table(striped), model=tmp_path / "again", **chosen).spec
    assert again.summary.valid == result.spec.summary.valid


def test_folds_measure_every_row_and_train_the_best_on_the_usual_split(tmp_path: Path):
    result = tuned(tmp_path, folds=3, trials=2)
    assert [t.epochs for t in result.trials] == [6, 6]
    assert result.spec.summary.valid_rows == 12
    assert "values are means over 3 folds" in result.notes[0]


def test_folds_of_windows_are_contiguous(tmp_path: Path):
    table = blobs().drop_columns(["kind"])
    result = tuned(tmp_path, table, label=None, window=6, folds=2, trials=1)
    assert result.trials[0].state == "complete"
    with pytest.raises(DataError, match="too few for 40 folds"):
        tuned(tmp_path / "many", table, label=None, window=6, folds=40, trials=1)


def test_no_time_at_all_still_leaves_a_model(tmp_path: Path):
    result = tuned(tmp_path, budget=0.001, epochs=1000)
    assert [t.state for t in result.trials] == ["cut"]
    assert result.trials[0].options == {}
    assert "no trial was trained completely" in result.notes[0]
    assert read_spec(tmp_path / "m").summary.finished
    assert "--time-limit" not in result.command


def test_no_time_for_any_fold_leaves_a_model_too(tmp_path: Path):
    result = tuned(tmp_path, budget=0.001, folds=3, epochs=1000)
    assert [t.state for t in result.trials] == ["cut"]
    assert read_spec(tmp_path / "m").summary.epochs >= 1


def test_a_search_of_enough_trials_trains_its_best_again(tmp_path: Path):
    result = tuned(tmp_path, trials=3)
    again = tuned(tmp_path, trials=2)
    assert (again.value, len(again.trials)) == (result.value, 3)
    assert again.spec.weights.sha256 == result.spec.weights.sha256


def test_a_search_that_diverges_everywhere_leaves_nothing(tmp_path: Path):
    with pytest.raises(DivergedError):
        tuned(tmp_path, trials=2, lr=10.0, clip=0.0, optimizer="SGD:momentum=0.99", epochs=30,
              reconst_weight=1e9)  # fmt: skip
    assert not (tmp_path / "m").exists()


def test_the_model_keeps_its_trials_until_another_replaces_it(tmp_path: Path):
    result = tuned(tmp_path, trials=9)
    saved = read_tuning(tmp_path / "m", result.spec)
    assert saved is not None
    assert saved["trials"] == json.loads(json.dumps([vars(t) for t in result.trials]))
    assert saved["command"] == result.command
    spec = aecli.train(blobs(), label="kind", model=tmp_path / "m", **SHORT).spec
    assert read_tuning(tmp_path / "m", spec) is None


def test_importance_comes_with_eight_complete_trials(tmp_path: Path):
    few = tuned(tmp_path, trials=1)
    assert few.importance == {}
    assert "importance needs 8 complete trials; there are 1" in few.notes
    free = {"lr", "batch_size"}
    fixed = {"encoder": [4, 2], "latent": None, "activation": "ReLU", "dropout": 0.0,
             "noise": "none", "optimizer": "AdamW", "reconst_weight": 1.0, "l1": 0.0}  # fmt: skip
    many = tuned(tmp_path / "many", trials=24, **fixed, epochs=1)
    assert set(many.importance) == free
    assert sum(many.importance.values()) == pytest.approx(1)


def test_too_few_rows_for_the_objective_are_named(tmp_path: Path):
    with pytest.raises(DataError, match="--objective probe is not defined"):
        tuned(tmp_path, objective="probe", trials=1)
    with pytest.raises(DataError, match="leave no validation rows"):
        tuned(tmp_path, blobs(3), label=None, exclude=["kind"], trials=1)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "tune needs --budget or --trials"),
        ({"budget": -1}, "--budget -1: must be a duration above 0"),
        ({"budget": "soon"}, "--budget soon: must be a duration above 0 such as 90s, 10m or 2h"),
        ({"trials": 0}, "--trials 0: must be at least 1"),
        ({"trials": 1, "folds": 0}, "--folds 0: must be at least 1"),
        ({"trials": 1, "objective": "auroch"}, "--objective auroch: must be one of val_loss"),
        ({"trials": 1, "time_limit": "5s"}, "--budget instead of --time-limit"),
        ({"trials": 1, "valid": "none"}, "--valid none leaves no rows"),
        ({"trials": 1, "label": None, "objective": "accuracy"}, "accuracy needs a label"),
        ({"trials": 1, "label": None, "objective": "probe"}, "probe needs a label"),
        ({"trials": 1, "label": None, "objective": "auroc"}, "auroc needs a label"),
        ({"trials": 1, "class_weight": 0, "objective": "auroc"}, "needs a classifier"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], said: str, tmp_path: Path):
    with pytest.raises(UsageError, match=said) as raised:
        tuned(tmp_path, **settings)
    assert raised.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lr": 0.1}, "options: was"),
        ({"folds": 2}, "folds: was 1, is 2"),
        ({"objective": "reconstruction"}, "objective: was val_loss"),
        ({"table": blobs(seed=1)}, "table: was"),
    ],
)
def test_a_journal_of_another_search_is_refused(
    settings: dict[str, Any], said: str, tmp_path: Path
):
    tuned(tmp_path, trials=1, epochs=1)
    with pytest.raises(UsageError, match="belongs to a different search") as raised:
        tuned(tmp_path, trials=2, epochs=1, **settings)
    assert said in raised.value.facts[0]


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="is not the journal of a search"):
        tuned(tmp_path, trials=1, journal=tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "a,b\n1,2\n"


def test_half_a_line_of_a_killed_process_is_cut(tmp_path: Path):
    result = tuned(tmp_path, trials=1)
    with result.journal.open("ab") as file:
        file.write(b'{"op_code":6,"wor')
    assert [t.number for t in tuned(tmp_path, trials=2).trials] == [1, 2]


def test_processes_that_open_a_journal_at_once_try_the_defaults_once(tmp_path: Path):
    result = tuned(tmp_path, trials=1)
    lines = result.journal.read_bytes().splitlines(keepends=True)
    opened = next(index for index, line in enumerate(lines) if b'"fixed_params"' in line)
    # Another process has opened the journal, and has not begun its first trial.
    result.journal.write_bytes(b"".join(lines[: opened + 1]))
    trials = tuned(tmp_path, trials=2).trials
    assert [trial.number for trial in trials if not trial.options] == [1]
