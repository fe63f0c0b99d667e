"""Earlier models of a directory: which are kept, listed, pruned, and put back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from aecli.directory_lock import Lock
from aecli.errors import AecliWarning, LockedError, ModelError, OutputError, UsageError
from aecli.model_directory.generations import (
    describe,
    generations,
    keep_model,
    remove_unused,
    replaced_model,
    require_valid_count,
)
from aecli.model_directory.read import read_spec, read_weights
from aecli.model_directory.rollback import roll_back, rollback
from aecli.model_directory.save import save
from aecli.schema.model_spec import ModelSpec

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")


def save_days(directory: Path, spec: ModelSpec, days: int, keep: int) -> list[ModelSpec]:
    return [
        save(
            directory,
            spec.model_copy(update={"created": f"{day}T00:00:00+00:00"}),
            day.encode(),
            [{"epoch": 1, "day": day}],
            keep_generations=keep,
        )[0]
        for day in DAYS[:days]
    ]


def digests(specs: list[ModelSpec]) -> list[str]:
    return [spec.digest for spec in specs]


def files_of(present: ModelSpec, *earlier: ModelSpec) -> list[str]:
    parts = [part.file for spec in (present, *earlier) for part in spec.parts]
    return sorted(["spec.json", *parts, *(f"spec-{s.digest[:12]}.json" for s in earlier)])


@pytest.mark.parametrize("keep", [0, 1, 2, 5])
def test_a_directory_keeps_the_newest_earlier_models(
    tmp_path: Path, model_spec: ModelSpec, keep: int
) -> None:
    saved = save_days(tmp_path, model_spec, 4, keep)
    kept = saved[2::-1][:keep]
    assert digests(generations(tmp_path)) == digests(kept)
    assert sorted(os.listdir(tmp_path)) == files_of(saved[3], *kept)
    assert read_spec(tmp_path) == saved[3]
    assert [read_weights(tmp_path, spec).decode() for spec in kept] == list(DAYS[2::-1][:keep])


def test_models_that_were_copied_in_one_moment_are_in_the_order_of_their_digests(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    for weights in (b"a", b"b", b"c", b"d"):
        save(tmp_path, model_spec, weights, [], keep_generations=9)
    for earlier in tmp_path.glob("spec-*"):
        os.utime(earlier, ns=(1, 1))
    found = digests(generations(tmp_path))
    assert len(found) == 3
    assert found == sorted(found, reverse=True)


def test_a_model_is_not_one_of_its_own_generations(tmp_path: Path, model_spec: ModelSpec) -> None:
    (saved,) = save_days(tmp_path, model_spec, 1, 1)
    keep_model(tmp_path, saved)
    assert generations(tmp_path) == []
    remove_unused(tmp_path)
    assert sorted(os.listdir(tmp_path)) == files_of(saved)


def test_a_directory_without_a_whole_model_keeps_none(tmp_path: Path) -> None:
    assert replaced_model(tmp_path) is None
    (tmp_path / "spec.json").write_text("{}")
    with pytest.warns(AecliWarning, match="not kept: .*spec.json is damaged"):
        assert replaced_model(tmp_path) is None


def test_damaged_and_renamed_generations_are_not_listed(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    _, second, _ = save_days(tmp_path, model_spec, 3, 5)
    _, whole = (tmp_path / f"spec-{s.digest[:12]}.json" for s in (second, generations(tmp_path)[1]))
    shutil.copy(whole, tmp_path / f"spec-{'f' * 12}.json")
    whole.write_bytes(whole.read_bytes().replace(b"0", b"1", 1))
    (tmp_path / f"spec-{'e' * 12}.json").symlink_to("spec.json")
    assert digests(generations(tmp_path)) == [second.digest]


def test_generations_are_listed_without_a_model(tmp_path: Path, model_spec: ModelSpec) -> None:
    first, second = save_days(tmp_path, model_spec, 2, 1)
    (tmp_path / "spec.json").unlink()
    remove_unused(tmp_path)
    assert sorted(os.listdir(tmp_path)) == files_of(second, first)[0:0] + sorted(
        [f"spec-{first.digest[:12]}.json", *(part.file for part in first.parts)]
    )
    assert digests(generations(tmp_path)) == [first.digest]


def test_a_damaged_model_keeps_what_it_may_need(tmp_path: Path, model_spec: ModelSpec) -> None:
    save_days(tmp_path, model_spec, 2, 1)
    (tmp_path / "spec.json").write_text("{}")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ModelError):
        remove_unused(tmp_path, 0)
    assert sorted(os.listdir(tmp_path)) == before


def test_pruning_leaves_what_is_not_ours(tmp_path: Path, model_spec: ModelSpec) -> None:
    (saved,) = save_days(tmp_path, model_spec, 1, 1)
    strangers = ["weights-0123456789ab.bin", "weights-xyz.safetensors", "history.jsonl"]
    for name in strangers:
        (tmp_path / name).touch()
    for name in ("weights-0123456789ab.safetensors", "history-0123456789ab.jsonl",
                 "tuning-0123456789ab.json", "spec-0123456789ab.json"):  # fmt: skip
        (tmp_path / name).touch()
    remove_unused(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*strangers, *files_of(saved)])


def test_rolling_back_swaps_the_two_models(tmp_path: Path, model_spec: ModelSpec) -> None:
    first, second = save_days(tmp_path, model_spec, 2, 1)
    (tmp_path / f"spec-{first.digest[:12]}.json").chmod(0o640)
    assert roll_back(tmp_path) == (first, second, "")
    assert read_spec(tmp_path) == first
    assert read_weights(tmp_path, first) == DAYS[0].encode()
    assert sorted(os.listdir(tmp_path)) == files_of(first, second)
    assert (tmp_path / "spec.json").stat().st_mode & 0o777 == 0o640
    assert roll_back(tmp_path) == (second, first, "")
    assert sorted(os.listdir(tmp_path)) == files_of(second, first)


def test_rolling_back_without_a_model(tmp_path: Path, model_spec: ModelSpec) -> None:
    first, second = save_days(tmp_path, model_spec, 2, 1)
    (tmp_path / "spec.json").unlink()
    assert roll_back(tmp_path) == (first, None, f"{tmp_path}/spec.json is missing")
    assert read_spec(tmp_path) == first
    assert (tmp_path / second.weights.file).exists()


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("digits", [6, 12, 64])
def test_a_generation_is_chosen_by_its_first_digits(
    tmp_path: Path, model_spec: ModelSpec, digits: int, upper: bool
) -> None:
    first, *_ = save_days(tmp_path, model_spec, 4, 5)
    chosen = first.digest[:digits].upper() if upper else first.digest[:digits]
    assert roll_back(tmp_path, chosen)[0] == first


@pytest.mark.parametrize(
    ("chosen", "what"), [("zz", "no earlier models"), ("", "3 earlier models")]
)
def test_digits_of_no_or_several_generations_list_those_that_are_there(
    tmp_path: Path, model_spec: ModelSpec, chosen: str, what: str
) -> None:
    saved = save_days(tmp_path, model_spec, 4, 5)
    with pytest.raises(UsageError) as caught:
        roll_back(tmp_path, chosen)
    assert caught.value.what == f"{what} of {tmp_path} have an id that begins with {chosen!r}"
    assert caught.value.facts == tuple(
        f"{spec.digest[:12]} of {spec.created[:19]}" for spec in saved[2::-1]
    )
    assert caught.value.hint == f"aecli rollback {saved[2].digest[:12]} -m {tmp_path}"


def test_a_directory_without_generations_says_how_they_come_about(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    save_days(tmp_path, model_spec, 2, 0)
    with pytest.raises(UsageError, match="has no earlier model"):
        roll_back(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "flipped", "link"])
def test_a_damaged_generation_does_not_replace_the_model(
    tmp_path: Path, model_spec: ModelSpec, damage: str
) -> None:
    first, second = save_days(tmp_path, model_spec, 2, 1)
    weights = tmp_path / first.weights.file
    content = weights.read_bytes()
    weights.unlink()
    if damage == "flipped":
        weights.write_bytes(b"x" + content[1:])
    if damage == "link":
        weights.symlink_to(second.weights.file)
    with pytest.raises(ModelError, match=f"{first.digest[:12]} .* is damaged") as caught:
        roll_back(tmp_path)
    assert first.weights.file in caught.value.facts[0]
    assert read_spec(tmp_path) == second
    assert f"spec-{second.digest[:12]}.json" not in os.listdir(tmp_path)


def test_a_model_that_cannot_be_read_is_neither_lost_nor_in_the_way(
    open_path: Path, model_spec: ModelSpec, unprivileged
) -> None:
    first, second = save_days(open_path, model_spec, 2, 1)
    (open_path / second.weights.file).chmod(0)
    with unprivileged():
        assert roll_back(open_path) == (first, second, "")
    assert generations(open_path) == [second]


def test_a_retrain_does_not_replace_a_model_that_cannot_be_read(
    open_path: Path, model_spec: ModelSpec, unprivileged
) -> None:
    _, second = save_days(open_path, model_spec, 2, 1)
    (open_path / second.weights.file).chmod(0)
    with unprivileged(), pytest.raises(ModelError, match="Permission denied"):
        save(open_path, model_spec, b"new", [])
    assert read_spec(open_path) == second


def test_a_file_that_cannot_be_read_is_named(
    open_path: Path, model_spec: ModelSpec, unprivileged
) -> None:
    first, _ = save_days(open_path, model_spec, 2, 1)
    (open_path / first.weights.file).chmod(0)
    with (
        unprivileged(),
        pytest.raises(ModelError, match=f"{first.weights.file}: Permission denied"),
    ):
        rollback(model=open_path)


@pytest.mark.parametrize("name", ["spec.json", "spec-*.json"])
def test_a_spec_that_cannot_be_read_is_named(
    open_path: Path, model_spec: ModelSpec, unprivileged, name: str
) -> None:
    save_days(open_path, model_spec, 2, 1)
    (path,) = open_path.glob(name)
    path.chmod(0)
    with unprivileged(), pytest.raises(ModelError, match=f"{path.name}: Permission denied"):
        rollback(model=open_path)


def test_a_rollback_is_one_rename_and_only_then_the_old_name_goes(
    tmp_path: Path, model_spec: ModelSpec, system_calls: list[str]
) -> None:
    first, second = save_days(tmp_path, model_spec, 2, 1)
    system_calls.clear()
    roll_back(tmp_path)
    earlier, kept = (f"spec-{spec.digest[:12]}.json" for spec in (first, second))
    steps = [call for call in system_calls if call.startswith(("replace", "unlink"))]
    assert steps == [
        f"replace TEMPORARY {kept}",
        "replace TEMPORARY spec.json",
        f"unlink {earlier}",
    ]


@pytest.mark.parametrize(("name", "saved"), [("spec.json", False), ("spec-", True)])
def test_a_rollback_that_fails_before_the_commit_changes_nothing(
    tmp_path: Path, model_spec: ModelSpec, failing, name: str, saved: bool
) -> None:
    first, second = save_days(tmp_path, model_spec, 2, 1)
    if saved:
        failing("unlink", 5, f"spec-{first.digest[:12]}.json")
        with pytest.warns(AecliWarning, match="is saved, but a later step failed"):
            assert roll_back(tmp_path)[0] == first
        assert read_spec(tmp_path) == first
    else:
        failing("replace", 5, ".tmp")
        with pytest.raises(OutputError):
            roll_back(tmp_path)
        assert read_spec(tmp_path) == second


def test_a_generation_in_short(tmp_path: Path, model_spec: ModelSpec) -> None:
    spec, _ = save(tmp_path, model_spec, b"w", [])
    short = describe(spec)
    assert (short.id, short.created) == (spec.digest[:12], spec.created)
    assert (short.label, short.columns, short.latent, short.epochs) == ("y", 2, 2, 3)
    assert short.loss == 1.1
    no_rows = spec.summary.model_copy(update={"valid": {}})
    assert describe(spec.model_copy(update={"summary": no_rows, "label": None})).loss == 1.0
    assert describe(spec.model_copy(update={"label": None})).label is None


def test_the_command_rolls_back_under_the_lock(tmp_path: Path, model_spec: ModelSpec) -> None:
    first, second = save_days(tmp_path, model_spec, 2, 1)
    with Lock(tmp_path), pytest.raises(LockedError):
        rollback(model=tmp_path)
    result = rollback(first.digest[:8], model=tmp_path)
    assert (result.model, result.restored) == (tmp_path, describe(first))
    assert result.replaced == describe(second)
    (tmp_path / "spec.json").unlink()
    assert rollback(model=tmp_path).replaced is None
    with pytest.raises(ModelError, match="there is no model directory"):
        rollback(model=tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


def test_the_unfinished_model_of_a_resumed_training_is_not_kept(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    summary = model_spec.summary.model_copy(update={"finished": False})
    unfinished = model_spec.model_copy(update={"summary": summary})
    for spec, resumed, kept in (
        (model_spec, True, 1),
        (unfinished, True, 0),
        (unfinished, False, 1),
    ):
        directory = tmp_path / f"{spec.summary.finished}{resumed}"
        saved, _ = save(directory, spec, b"w", [])
        (directory / "spec.json").chmod(0o640)
        _, replaced = save(directory, model_spec, b"w2", [], resumed=resumed)
        earlier = list(directory.glob("spec-*"))
        assert len(earlier) == kept
        assert (replaced.id if replaced else "") == saved.digest[:12] * kept
        assert all(path.stat().st_mode & 0o777 == 0o640 for path in earlier)


def test_specs_of_unused_models_go_before_their_files(
    tmp_path: Path, model_spec: ModelSpec, system_calls: list[str]
) -> None:
    save_days(tmp_path, model_spec, 3, 5)
    system_calls.clear()
    remove_unused(tmp_path, 0)
    kinds = [call.split()[1].partition("-")[0] for call in system_calls if call[:6] == "unlink"]
    assert kinds[:2] == ["spec", "spec"]
    assert sorted(kinds[2:]) == ["history", "history", "weights", "weights"]


def test_a_name_that_is_not_durable_stops_what_is_kept(
    tmp_path: Path, model_spec: ModelSpec, failing
) -> None:
    saved, _ = save(tmp_path, model_spec, b"w", [])
    failing("fsync", 5, tmp_path.name)
    with pytest.raises((OutputError, ModelError), match="Input/output error"):
        keep_model(tmp_path, saved)
    assert read_spec(tmp_path) == saved


@pytest.mark.parametrize(("keep", "good"), [(0, True), (100, True), (101, False), (-1, False)])
def test_how_many_models_may_be_kept(keep: int, good: bool) -> None:
    if good:
        require_valid_count(keep)
        return
    with pytest.raises(UsageError, match=f"keep_generations={keep}"):
        require_valid_count(keep)


def test_a_copy_of_the_present_spec_is_no_earlier_model(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    saved, _ = save(tmp_path, model_spec, b"w", [])
    keep_model(tmp_path, saved)
    (tmp_path / saved.weights.file).write_bytes(b"x")
    with pytest.raises(UsageError, match="has no earlier model"):
        roll_back(tmp_path)
