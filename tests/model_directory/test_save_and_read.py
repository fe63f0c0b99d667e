from __future__ import annotations

import hashlib
import json
import math
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aecli.errors import ModelError, OutputError, UsageError
from aecli.json_lines import parse_json_lines, to_json_lines
from aecli.model_directory.generations import generations
from aecli.model_directory.location import hashed_name, model_directory
from aecli.model_directory.read import (
    read_history,
    read_model,
    read_spec,
    read_tuning,
    read_weights,
)
from aecli.model_directory.save import check_target, save
from aecli.schema.model_spec import SCHEMA, ModelSpec

Unprivileged = Callable[[], AbstractContextManager[None]]

WEIGHTS = b"sixteen weights!"


@pytest.fixture
def model(tmp_path: Path, model_spec: ModelSpec) -> Path:
    save(tmp_path / "model", model_spec, WEIGHTS, [{"epoch": 1, "train": {"total": 0.5}}])
    return tmp_path / "model"


def edit(model: Path, *path: str | int, value: Any) -> None:
    spec = json.loads((model / "spec.json").read_text())
    place = spec
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    (model / "spec.json").write_text(json.dumps(spec))


def refusal(model: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read_spec(model)
    assert caught.value.exit_code == 4
    return caught.value


# Which directory


def test_model_wins_over_the_environment_and_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AECLI_MODEL", raising=False)
    assert model_directory(None, None) == Path("aecli_model")
    monkeypatch.setenv("AECLI_MODEL", "/models/a")
    assert model_directory(None, None) == Path("/models/a")
    assert model_directory("b", None) == Path("b")
    assert model_directory(Path("b"), None) == Path("b")
    assert model_directory(None, "first") == Path("runs/first")


def test_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AECLI_MODEL", "")
    assert model_directory(None, None) == Path("aecli_model")


@pytest.mark.parametrize(
    ("model", "tag"),
    [("a", "b"), (None, ""), (None, ".."), (None, "a/b"), (None, "/a"), ("", None)],
)
def test_directories_that_make_no_sense(model: str | None, tag: str | None) -> None:
    with pytest.raises(UsageError):
        model_directory(model, tag)


# Save and read


def test_what_is_saved_is_read(tmp_path: Path, model_spec: ModelSpec) -> None:
    model = tmp_path / "runs" / "a"
    saved, _ = save(model, model_spec, WEIGHTS, [])
    assert read_spec(model) == saved
    assert saved.weights.size == len(WEIGHTS)
    assert saved.parameters == model_spec.parameters
    assert saved.columns == model_spec.columns
    assert saved.label == model_spec.label
    assert read_weights(model, saved) == WEIGHTS


def test_spec_is_readable_by_people(model: Path) -> None:
    text = (model / "spec.json").read_text()
    assert text.startswith(f'{{\n  "schema": "{SCHEMA}",\n')
    assert '"größe"' in text


def test_files_can_be_read_by_whom_the_umask_lets(tmp_path: Path, model_spec: ModelSpec) -> None:
    before = os.umask(0o022)
    try:
        save(tmp_path / "model", model_spec, WEIGHTS, [])
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "model").iterdir()}
    assert modes == {0o644}


def test_new_generation_replaces_the_old_one_and_nothing_else(
    model: Path, model_spec: ModelSpec
) -> None:
    (model / "notes.txt").write_text("mine")
    saved, _ = save(model, model_spec, b"new", [], keep_generations=0)
    expected = ["notes.txt", "spec.json", saved.weights.file, saved.history.file]
    assert sorted(os.listdir(model)) == sorted(expected)


def test_disk_full_leaves_the_old_model(model: Path, model_spec: ModelSpec) -> None:
    old = read_spec(model)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*/weights-"):
            save(model, model_spec, b"w" * 200_000, [])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read_spec(model) == old
    assert read_weights(model, old) == WEIGHTS
    assert len(os.listdir(model)) == 3


def test_failure_just_before_the_commit_leaves_the_old_model(
    model: Path, model_spec: ModelSpec
) -> None:
    old = read_spec(model)
    (model / ".aecli-0123456789abcdef.tmp").mkdir()
    history = to_json_lines([{"epoch": 2}])
    (model / hashed_name("history", hashlib.sha256(history).hexdigest())).mkdir()
    with pytest.raises(ModelError, match="is a directory"):
        save(model, model_spec, b"new", [{"epoch": 2}])
    assert read_weights(model, read_spec(model)) == WEIGHTS
    assert read_spec(model) == old


def test_spec_that_could_not_be_read_is_not_committed(model: Path, model_spec: ModelSpec) -> None:
    summary = model_spec.summary.model_copy(update={"seconds": math.nan})
    with pytest.raises(ValueError, match="seconds"):
        save(model, model_spec.model_copy(update={"summary": summary}), b"new", [])
    assert read_weights(model, read_spec(model)) == WEIGHTS


# Where a model may not go


def test_foreign_directory_is_left_alone(tmp_path: Path, model_spec: ModelSpec) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError) as caught:
        save(tmp_path, model_spec, WEIGHTS, [])
    assert caught.value.what.startswith(f"{tmp_path} contains other files and no model")
    assert caught.value.facts == ("it has: thesis.tex",)
    assert os.listdir(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("content", ['{"openapi": "3.1"}', "not JSON", "[]"])
def test_foreign_spec_is_not_overwritten(tmp_path: Path, content: str) -> None:
    (tmp_path / "spec.json").write_text(content)
    with pytest.raises(UsageError, match="contains other files"):
        check_target(tmp_path)


def test_unfinished_first_training_may_be_done_again(tmp_path: Path, model_spec: ModelSpec) -> None:
    (tmp_path / "weights-0123456789ab.safetensors").write_bytes(b"left behind")
    (tmp_path / ".aecli-0123456789abcdef.tmp").write_bytes(b"left behind")
    (tmp_path / "history-0123456789ab.jsonl").write_text("")
    saved, _ = save(tmp_path, model_spec, WEIGHTS, [])
    expected = [saved.history.file, "spec.json", saved.weights.file]
    assert sorted(os.listdir(tmp_path)) == expected


def test_file_in_place_of_the_directory(tmp_path: Path, model_spec: ModelSpec) -> None:
    (tmp_path / "model").write_text("a file")
    for model in (tmp_path / "model", tmp_path / "model" / "deeper"):
        with pytest.raises(OutputError, match="/model is a file"):
            save(model, model_spec, WEIGHTS, [])
    assert (tmp_path / "model").read_text() == "a file"


def test_read_only_directory(
    model_spec: ModelSpec, open_path: Path, unprivileged: Unprivileged
) -> None:
    save(open_path, model_spec, WEIGHTS, [])
    open_path.chmod(0o555)
    with unprivileged(), pytest.raises(OutputError, match=f"no permission in {open_path}"):
        save(open_path, model_spec, b"new", [])
    assert read_weights(open_path, read_spec(open_path)) == WEIGHTS


def test_model_that_may_not_be_read(
    model_spec: ModelSpec, open_path: Path, unprivileged: Unprivileged
) -> None:
    spec, _ = save(open_path / "model", model_spec, WEIGHTS, [])
    (open_path / "model" / spec.weights.file).chmod(0)
    (open_path / "model" / "spec.json").chmod(0)
    with unprivileged(), pytest.raises(ModelError, match=r"spec\.json: Permission denied"):
        read_spec(open_path / "model")
    with unprivileged(), pytest.raises(ModelError, match="safetensors: Permission denied"):
        read_weights(open_path / "model", spec)
    open_path.chmod(0)
    with unprivileged(), pytest.raises(ModelError, match=r"spec\.json: Permission denied"):
        read_spec(open_path / "model")


# What is no model


def test_missing_directory_says_how_to_train_one(tmp_path: Path) -> None:
    error = refusal(tmp_path / "my model")
    assert error.what == f"there is no model directory {tmp_path}/my model"
    assert error.hint == f"aecli train DATA -m '{tmp_path}/my model'"


def test_directory_of_something_else_says_what_it_has(tmp_path: Path) -> None:
    for name in "abcdefg":
        (tmp_path / f"{name}.csv").write_text("")
    error = refusal(tmp_path)
    assert error.what == f"{tmp_path} is not a model directory: it has no spec.json"
    assert error.facts == ("it has: a.csv, b.csv, c.csv, d.csv, e.csv and 2 more",)


def test_directory_of_models_names_them(model: Path) -> None:
    error = refusal(model.parent)
    assert "contains some: model" in error.what
    assert error.hint == f"-m {model}"


def test_unfinished_training_is_said(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    assert refusal(tmp_path).facts == ("a training in it has not saved a model yet",)


def test_file_of_a_model_leads_to_its_directory(model: Path) -> None:
    error = refusal(model / "spec.json")
    assert "is a file; a model is a directory" in error.what
    assert error.hint == f"-m {model}"


# What is damaged


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b'{"schema": "aecli.model/1.0", ',
        b"[" * 100_000,
        b"[]",
        b"null",
        b"{}",
    ],
)
def test_garbage_is_damage(model: Path, content: bytes) -> None:
    (model / "spec.json").write_bytes(content)
    assert refusal(model).what == f"{model}/spec.json is damaged"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_cut_or_flipped_byte_brings_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("damaged")
    text = bytearray(FULL)
    place = data.draw(st.integers(0, len(text) - 1))
    if data.draw(st.booleans()):
        del text[place:]
    else:
        text[place] ^= 1 << data.draw(st.integers(0, 7))
    (directory / "spec.json").write_bytes(text)
    with pytest.raises(ModelError, match=r"is damaged|by a newer aecli|before 0\.2\.0"):
        read_spec(directory)


# Damaged or not it is no whole spec, so every change must end in the same kind of refusal.
FULL = (
    b'{"schema": "aecli.model/1.0", "created": "today", "versions": {}, "columns": [{"name": "a"}]}'
)


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("network", "encoder"), [10**9], "network.encoder.0"),
        (("network", "encoder"), [4] * 65, "network.encoder"),
        (("network", "inputs"), 10**12, "network.inputs"),
        (("network", "activation"), {"name": "__class__", "args": {}}, "network.activation"),
        (("columns", 0, "scale"), [0.0], "columns.0"),
        (("columns", 0, "center"), [1.0, 2.0], "columns.0"),
        (("columns",), [], "columns"),
        (("weights", "file"), "../../etc/passwd", "weights.file"),
    ],
)
def test_field_beyond_its_limit_is_named(
    model: Path, path: tuple[str | int, ...], value: Any, place: str
) -> None:
    edit(model, *path, value=value)
    error = refusal(model)
    assert error.what == f"{model}/spec.json is damaged"
    assert any(fact.startswith(f"{place}: ") for fact in error.facts)


def test_changed_content_differs_from_the_digest(model: Path) -> None:
    edit(model, "columns", 0, "extra", value=1)
    assert "its digest differs" in refusal(model).facts[0]


def test_number_that_json_lacks_is_damage(model: Path) -> None:
    edit(model, "columns", 0, "center", value=[math.inf])
    assert refusal(model).facts[0].startswith("columns.0.center.0: ")


def test_spec_too_large_to_read_is_refused_unread(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aecli.model_directory.spec_file.MAX_SPEC_BYTES", 100)
    assert "more than 100 bytes" in refusal(model).facts[0]


def test_newer_schema_asks_for_a_newer_aecli(model: Path) -> None:
    edit(model, "schema", value="aecli.model/2")
    error = refusal(model)
    assert error.what == f"{model} was saved by a newer aecli"
    assert error.facts == (f"its schema is aecli.model/2; this aecli knows {SCHEMA}",)
    assert error.hint == "pip install --upgrade aecli"


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (WEIGHTS[:-1], "it has 15 of the 16 bytes saved"),
        (WEIGHTS + b"!", "it has more than the 16 bytes that were saved"),
        (WEIGHTS.replace(b"s", b"S"), "its SHA-256 is "),
    ],
)
def test_damaged_weights(model: Path, content: bytes, fact: str) -> None:
    spec = read_spec(model)
    (model / spec.weights.file).write_bytes(content)
    with pytest.raises(ModelError, match="is damaged") as caught:
        read_weights(model, spec)
    assert caught.value.facts[0].startswith(fact)


def test_missing_weights(model: Path) -> None:
    spec = read_spec(model)
    (model / spec.weights.file).unlink()
    with pytest.raises(ModelError, match=f"{spec.weights.file} is missing"):
        read_model(model, partial(read_weights, model))


def test_a_model_that_is_replaced_while_it_is_read_is_read_anew(
    model: Path, model_spec: ModelSpec
) -> None:
    newer = [b"newer", b"newest", b"last"]

    def read(spec: ModelSpec) -> bytes:
        if newer:
            save(model, model_spec, newer.pop(0), [], keep_generations=0)
        return read_weights(model, spec)

    spec, weights = read_model(model, read)
    assert weights == b"last"
    assert spec == read_spec(model)


# History

FIGURES = st.floats() | st.integers(-(2**53), 2**53) | st.text(max_size=3) | st.none()
TERMS = st.dictionaries(st.text(max_size=2), FIGURES, max_size=2)
EPOCHS = st.lists(
    st.dictionaries(st.text(max_size=2), FIGURES | TERMS, max_size=3), min_size=1, max_size=3
)


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=EPOCHS)
def test_history_comes_back_with_null_for_no_number(
    tmp_path_factory: pytest.TempPathFactory, model_spec: ModelSpec, history: list[dict[str, Any]]
) -> None:
    directory = tmp_path_factory.mktemp("history")
    spec, _ = save(directory, model_spec, WEIGHTS, history)
    assert read_history(directory, spec) == [finite(epoch) for epoch in history]


def finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def test_a_search_belongs_to_the_model_that_it_was_saved_with(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    first, _ = save(tmp_path, model_spec, WEIGHTS, [], {"best": 3, "value": math.inf})
    assert read_tuning(tmp_path, first) == {"best": 3, "value": None}
    second, _ = save(tmp_path, model_spec, WEIGHTS + b" ", [])
    assert read_tuning(tmp_path, second) is None
    assert read_tuning(tmp_path, first) == {"best": 3, "value": None}


def test_history_of_a_saved_model(model: Path) -> None:
    assert read_history(model, read_spec(model)) == [{"epoch": 1, "train": {"total": 0.5}}]


@pytest.mark.parametrize("line", ["{", "[1]"])
def test_damaged_line_of_history_is_numbered(line: str) -> None:
    with pytest.raises(ModelError, match=r"history\.jsonl, line 2, is not .*JSON"):
        parse_json_lines(f'{{"epoch": 1}}\n{line}\n'.encode(), Path("m/history.jsonl"))


def test_reading_a_model_directory_loads_neither_torch_nor_pyarrow(model: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from aecli.model_directory.read import *\n"
        "m = Path(sys.argv[1]); read_weights(m, read_spec(m))\n"
        "print({'torch', 'pyarrow', 'numpy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_a_resumed_training_replaces_its_unfinished_model_and_keeps_the_one_before(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    unfinished = model_spec.summary.model_copy(update={"finished": False})
    first, _ = save(tmp_path, model_spec, b"first", [])
    save(tmp_path, model_spec.model_copy(update={"summary": unfinished}), b"half", [])
    save(tmp_path, model_spec, b"whole", [], resumed=True)
    assert [spec.digest for spec in generations(tmp_path)] == [first.digest]
