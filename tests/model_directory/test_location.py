"""Names of a model's directory and of the files in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aecli.errors import UsageError
from aecli.model_directory.location import (
    checkpoint_name,
    hashed_name,
    is_checkpoint,
    is_earlier_spec,
    is_hashed,
    is_model_file,
    model_directory,
)

SHA = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("weights", "weights-0123456789ab.safetensors"),
        ("history", "history-0123456789ab.jsonl"),
        ("tuning", "tuning-0123456789ab.json"),
        ("spec", "spec-0123456789ab.json"),
    ],
)
def test_a_part_is_named_by_twelve_digits_of_its_hash(kind: str, name: str) -> None:
    assert hashed_name(kind, SHA) == name
    assert is_hashed(name)
    assert is_model_file(name)
    assert is_earlier_spec(name) == (kind == "spec")
    for other in (f"x{name}", f"{name}x", name.replace("-0", "-"), name.replace("0", "G"),
                  name.upper(), f"{name}\n"):  # fmt: skip
        assert not is_hashed(other)
        assert not is_earlier_spec(other)
        assert not is_model_file(other)


def test_a_checkpoint_is_named_by_all_digits_of_its_hash() -> None:
    assert checkpoint_name(SHA) == f"state-{SHA}.safetensors"
    assert is_checkpoint(checkpoint_name(SHA))
    for digits in (SHA[:-1], SHA + "0", SHA[:-1] + "g"):
        assert not is_checkpoint(f"state-{digits}.safetensors")
    assert not is_checkpoint(checkpoint_name(SHA) + "x")


@pytest.mark.parametrize(
    ("name", "ours"),
    [("spec.json", True), ("checkpoint", True), (".lock", True), ("history.jsonl", False),
     (".aecli-0123456789abcdef.tmp", True), ("thesis.tex", False), ("spec.json.bak", False)],
)  # fmt: skip
def test_names_that_aecli_gives(name: str, ours: bool) -> None:
    assert is_model_file(name) is ours


@pytest.mark.parametrize("name", ["spec-", "weights-0123456789ab.json"])
def test_half_names_are_not_ours(name: str) -> None:
    assert not is_hashed(name)


@pytest.mark.parametrize(
    ("model", "tag", "what"),
    [
        ("a", "b", "both name the model directory"),
        ("", "b", "both name the model directory"),
        ("", None, "is not a directory"),
        *((None, tag, "is not a plain name") for tag in ("", ".", "..", "a/b", "/", "a\0b")),
    ],
)
def test_directories_that_make_no_sense_say_why(
    model: str | None, tag: str | None, what: str
) -> None:
    with pytest.raises(UsageError, match=what):
        model_directory(model, tag)


def test_a_tag_may_have_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AECLI_MODEL", "elsewhere")
    assert model_directory(None, "v1..2") == Path("runs/v1..2")
