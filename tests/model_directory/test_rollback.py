from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import aecli
from aecli.directory_lock import Lock
from aecli.errors import AecliWarning, LockedError, ModelError, UsageError
from aecli.model_directory.generations import describe, generations
from aecli.model_directory.read import read_history, read_spec, read_weights
from aecli.model_directory.rollback import rollback
from aecli.model_directory.save import save
from aecli.model_directory.verify import require_undamaged, verify
from aecli.schema.model_spec import ModelSpec

Save = Callable[..., ModelSpec]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "my model"


@pytest.fixture
def saved(model: Path, model_spec: ModelSpec) -> Save:
    """Save a model whose weights, history and time are made from a number."""

    def one(number: int, **known: object) -> ModelSpec:
        spec = model_spec.model_copy(update={"created": f"2026-01-{number:02}T12:00:00.000+00:00"})
        return save(model, spec, b"w%d" % number, [{"epoch": number}], **known)[0]

    return one


def state(model: Path) -> tuple[bytes, list[dict[str, object]]]:
    spec = read_spec(model)
    return read_weights(model, spec), read_history(model, spec)


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_rollback_puts_all_files_of_the_model_before_back(model: Path, saved: Save) -> None:
    first, second = saved(1), saved(2)
    result = rollback(model=model)
    assert state(model) == (b"w1", [{"epoch": 1}])
    assert read_spec(model) == first
    assert (result.restored, result.replaced) == (describe(first), describe(second))
    assert list(result.notes) == []
    assert generations(model) == [second]


def test_a_second_rollback_undoes_the_first(model: Path, saved: Save) -> None:
    saved(1)
    second = saved(2)
    names = sorted(os.listdir(model))
    rollback(model=model)
    rollback(model=model)
    assert read_spec(model) == second
    assert sorted(os.listdir(model)) == names


@pytest.mark.parametrize("digits", [3, 12, 64])
def test_an_earlier_model_is_chosen_by_the_first_digits_of_its_id(
    model: Path, saved: Save, digits: int
) -> None:
    specs = [saved(number, keep_generations=5) for number in (1, 2, 3)]
    rollback(specs[0].digest[:digits].upper(), model=model)
    assert read_spec(model) == specs[0]
    assert generations(model) == [specs[2], specs[1]]


def test_the_model_that_is_replaced_is_kept_although_another_one_is_newer(
    model: Path, saved: Save
) -> None:
    first, _ = saved(1), saved(2)
    rollback(model=model)
    saved(3)
    assert generations(model) == [first]


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("spec.json", spoil, "spec.json is damaged"),
        ("spec.json", lambda path: path.write_bytes(b"{"), "spec.json is damaged"),
        ("spec.json", Path.unlink, "spec.json is missing"),
        ("weights", spoil, ".safetensors is damaged"),
        ("weights", Path.unlink, ".safetensors is missing"),
        ("history", spoil, ".jsonl is damaged"),
    ],
)
def test_rollback_from_a_damaged_model_says_what_is_not_kept(
    model: Path, saved: Save, name: str, damage: Callable[[Path], object], words: str
) -> None:
    first, second = saved(1), saved(2)
    files = {"weights": second.weights.file, "history": second.history.file}
    damage(model / files.get(name, name))
    result = rollback(model=model)
    assert read_spec(model) == first
    assert result.replaced is None
    assert words in result.notes[0]
    assert generations(model) == []
    require_undamaged(model, verify(model))


@pytest.mark.parametrize("damage", [spoil, Path.unlink])
def test_a_damaged_earlier_model_is_refused_and_a_whole_one_offered(
    model: Path, saved: Save, damage: Callable[[Path], object]
) -> None:
    first, second, third = (saved(number, keep_generations=2) for number in (1, 2, 3))
    damage(model / second.weights.file)
    before = sorted(os.listdir(model))
    with pytest.raises(ModelError) as caught:
        rollback(model=model)
    assert second.weights.file in caught.value.facts[0]
    assert caught.value.hint == f"aecli rollback {first.digest[:12]} -m '{model}'"
    assert (read_spec(model), sorted(os.listdir(model))) == (third, before)
    damage(model / first.weights.file)
    with pytest.raises(ModelError) as caught:
        rollback(model=model)
    assert caught.value.hint == f"aecli train DATA -m '{model}'"


def test_a_damaged_spec_of_the_only_earlier_model_is_named(model: Path, saved: Save) -> None:
    first = saved(1)
    saved(2)
    spoil(model / f"spec-{first.digest[:12]}.json")
    with pytest.raises(ModelError, match="cannot be used") as caught:
        rollback(model=model)
    assert first.digest[:12] in caught.value.facts[0]


def test_without_an_earlier_model(model: Path, saved: Save) -> None:
    saved(1)
    with pytest.raises(UsageError, match="has no earlier model") as caught:
        rollback(model=model)
    assert caught.value.hint == f"aecli inspect -m '{model}'"


@pytest.mark.parametrize(
    ("digits", "words"),
    [("zz", "no earlier models"), ("", "2 earlier models"), ("present", "already")],
)
def test_an_id_that_names_no_earlier_model_or_several(
    model: Path, saved: Save, digits: str, words: str
) -> None:
    specs = [saved(number, keep_generations=2) for number in (1, 2, 3)]
    with pytest.raises(UsageError, match=words) as caught:
        rollback(specs[2].digest if digits == "present" else digits, model=model)
    assert caught.value.facts[0] == f"{specs[1].digest[:12]} of 2026-01-02T12:00:00"
    assert caught.value.hint == f"aecli rollback {specs[1].digest[:12]} -m '{model}'"


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    before = tmp_path.stat().st_mtime_ns
    with pytest.raises(ModelError, match="is not a model directory"):
        rollback(model=tmp_path)
    with pytest.raises(ModelError, match="there is no model directory"):
        rollback(model=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert tmp_path.stat().st_mtime_ns == before


def test_a_model_of_a_newer_aecli_is_not_lost(model: Path, saved: Save) -> None:
    saved(1)
    saved(2)
    content = (model / "spec.json").read_text().replace("aecli.model/1.", "aecli.model/2.")
    (model / "spec.json").write_text(content)
    with pytest.raises(ModelError, match="newer aecli"):
        rollback(model=model)
    assert (model / "spec.json").read_text() == content


def test_a_locked_directory(model: Path, saved: Save) -> None:
    saved(1)
    second = saved(2)
    with Lock(model), pytest.raises(LockedError):
        rollback(model=model)
    assert read_spec(model) == second


def test_a_link_in_the_place_of_the_spec_is_replaced_and_not_followed(
    model: Path, saved: Save, tmp_path: Path
) -> None:
    first, _ = saved(1), saved(2)
    victim = tmp_path / "victim"
    (model / "spec.json").rename(victim)
    (model / "spec.json").symlink_to(victim)
    content = victim.read_bytes()
    result = rollback(model=model)
    assert read_spec(model) == first
    assert victim.read_bytes() == content
    assert "symbolic link" in result.notes[0]


@pytest.mark.parametrize("keep", [-1, 101, 1.0, True, "1"])
def test_numbers_of_generations_that_make_no_sense(saved: Save, model: Path, keep: object) -> None:
    with pytest.raises(UsageError, match="from 0 to 100"):
        saved(1, keep_generations=keep)
    assert not model.exists()


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_as_many_earlier_models_stay_as_are_asked_for(model: Path, saved: Save, keep: int) -> None:
    specs = [saved(number, keep_generations=keep) for number in (1, 2, 3, 4)]
    kept = specs[3 - keep : 3][::-1]
    assert generations(model) == kept
    files = {part.file for spec in [specs[3], *kept] for part in spec.parts}
    files |= {"spec.json"} | {f"spec-{spec.digest[:12]}.json" for spec in kept}
    assert set(os.listdir(model)) == files


def test_a_damaged_model_does_not_take_the_place_of_an_earlier_one(
    model: Path, saved: Save
) -> None:
    first, second = saved(1), saved(2)
    spoil(model / second.weights.file)
    with pytest.warns(AecliWarning, match="is not kept"):
        saved(3)
    assert generations(model) == [first]


def test_the_package_has_the_function(model: Path, saved: Save) -> None:
    first, _ = saved(1), saved(2)
    assert aecli.rollback(model=model).restored.id == first.digest[:12]


# Verify


def test_verify_names_what_every_file_belongs_to(model: Path, saved: Save) -> None:
    first, second = saved(1), saved(2)
    found = {file.file: (file.belongs_to, file.bytes, file.problem) for file in verify(model)}
    identity = first.digest[:12]
    assert found == {
        "spec.json": ("the model", (model / "spec.json").stat().st_size, None),
        second.weights.file: ("the model", 2, None),
        second.history.file: ("the model", second.history.size, None),
        f"spec-{identity}.json": (identity, (model / f"spec-{identity}.json").stat().st_size, None),
        first.weights.file: (identity, 2, None),
        first.history.file: (identity, first.history.size, None),
    }


@pytest.mark.parametrize("owner", ["model", "earlier"])
def test_the_way_out_of_damage_depends_on_what_is_damaged(
    model: Path, saved: Save, owner: str
) -> None:
    first, second = saved(1), saved(2)
    spoil(model / (second if owner == "model" else first).weights.file)
    with pytest.raises(ModelError, match=r"1 of 6 files of .* damaged") as caught:
        require_undamaged(model, verify(model))
    assert caught.value.facts[0].partition(" ")[2].startswith("is damaged; its SHA-256 ")
    hints = {
        "model": f"aecli rollback -m '{model}'",
        "earlier": f"rm '{model}/spec-{first.digest[:12]}.json'",
    }
    assert caught.value.hint == hints[owner]
    assert ("the model itself is undamaged" in caught.value.facts) == (owner == "earlier")


def test_with_a_damaged_spec_verify_tells_which_earlier_model_is_whole(
    model: Path, saved: Save
) -> None:
    first, _ = saved(1), saved(2)
    spoil(model / "spec.json")
    with pytest.raises(ModelError, match=r"spec\.json is damaged") as caught:
        verify(model)
    assert caught.value.facts[-1] == f"{first.digest[:12]}: undamaged"
    spoil(model / first.history.file)
    with pytest.raises(ModelError) as caught:
        verify(model)
    assert f"{first.history.file} is damaged" in caught.value.facts[-1]
