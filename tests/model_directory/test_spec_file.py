"""Digest, limits and versions of `spec.json`: what is newer or old is never said to be damaged."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aecli.errors import AecliWarning, ModelError
from aecli.model_directory.read import read_model, read_spec, read_weights
from aecli.model_directory.save import check_target, replace_spec, save
from aecli.model_directory.spec_file import decode_spec, digest_of, encode_spec, is_model_spec
from aecli.schema.model_spec import SCHEMA, ModelSpec

Spec = dict[str, Any]
Edit = Callable[[Spec], object]


@pytest.fixture
def model(tmp_path: Path, model_spec: ModelSpec) -> Path:
    save(tmp_path / "model", model_spec, b"weights", [])
    return tmp_path / "model"


def rewrite(model: Path, edit: Edit) -> bytes:
    """Write an edited spec with its right digest, as a newer aecli would."""
    value = json.loads((model / "spec.json").read_bytes())
    edit(value)
    value["digest"] = "0" * 64
    content = json.dumps(value, indent=2, ensure_ascii=False).encode()
    content = content.replace(b"0" * 64, digest_of(content).encode(), 1)
    (model / "spec.json").write_bytes(content)
    return content


def newer(value: Spec, version: str = "1.7") -> None:
    value["schema"] = f"aecli.model/{version}"


def with_unknown_keys(value: Spec) -> None:
    newer(value)
    value["fairness"] = {"groups": [1, 2]}
    for column in value["columns"]:
        column["unit"] = "cm"
    value["options"]["training"]["momentum_of_momentum"] = 0.5
    value["summary"]["watts"] = 12.5


def problems_of(content: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        decode_spec(content, Path("m/spec.json"))
    return "\n".join(caught.value.facts)


def refusal(use: Callable[[Path], object], model: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        use(model)
    text = "\n".join(caught.value.lines())
    assert "Extra inputs" not in text
    assert "copy" not in text
    assert caught.value.exit_code == 4
    return caught.value


def test_the_digest_is_that_of_the_lines_with_zeros_in_its_place(model: Path) -> None:
    content = (model / "spec.json").read_bytes()
    digest = read_spec(model).digest
    assert content.count(digest.encode()) == 1
    blank = content.replace(digest.encode(), b"0" * 64)
    lines = b"".join(line.strip() for line in blank.splitlines())
    assert digest == hashlib.sha256(lines).hexdigest()


def test_line_ends_and_indents_do_not_count_and_all_else_does(model: Path) -> None:
    content = (model / "spec.json").read_bytes()
    spec = read_spec(model)
    windows = content.replace(b"\n", b"\r\n").replace(b"  ", b"\t")
    assert decode_spec(windows, model / "spec.json") == (spec, [])
    for old, new in ((b"0.5", b"0.6"), (b": ", b":"), (b"today", b"toda"), (b"1.5", b"1.50")):
        if old in content:
            assert "its digest differs" in problems_of(content.replace(old, new, 1))


def test_every_digit_of_the_digest_counts(model: Path) -> None:
    content, digest = (model / "spec.json").read_bytes(), read_spec(model).digest
    for place in range(64):
        wrong = digest[:place] + ("1" if digest[place] == "0" else "0") + digest[place + 1 :]
        changed = content.replace(digest.encode(), wrong.encode())
        assert "its digest differs" in problems_of(changed)


def test_a_table_named_like_the_place_of_the_digest_changes_nothing(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    spec = model_spec.model_copy(update={"table": "0" * 64})
    content, encoded = encode_spec(spec)
    assert encoded.table == "0" * 64
    assert decode_spec(content, tmp_path / "spec.json") == (encoded, [])


def test_saving_a_spec_of_another_version_writes_ours(model_spec: ModelSpec) -> None:
    content, spec = encode_spec(model_spec.model_copy(update={"schema_": "aecli.model/1.9"}))
    assert spec.schema_ == SCHEMA
    assert content.endswith(b"}\n")


# Keys of a later version


def test_unknown_keys_of_a_newer_aecli_are_said_in_one_line_and_ignored(model: Path) -> None:
    before = read_spec(model)
    rewrite(model, with_unknown_keys)
    with pytest.warns(AecliWarning) as seen:
        spec, weights = read_model(model, lambda spec: read_weights(model, spec))
    assert len(seen) == 1
    what, _, keys = str(seen[0].message).partition("; ignored: ")
    assert what == f"{model} is of a newer aecli (aecli.model/1.7)"
    assert sorted(keys.split(", ")) == [
        "columns.unit",
        "fairness",
        "options.training.momentum_of_momentum",
        "summary.watts",
    ]
    assert weights == b"weights"
    update = {"schema_": spec.schema_, "digest": spec.digest}
    assert spec == before.model_copy(update=update)


def test_a_newer_version_without_unknown_keys_is_not_mentioned(model: Path) -> None:
    rewrite(model, newer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_spec(model).schema_ == "aecli.model/1.7"


def test_many_unknown_keys_are_counted(model: Path) -> None:
    rewrite(model, lambda value: value.update({f"new{i}": i for i in range(9)}))
    with pytest.warns(AecliWarning, match=r"ignored: new0, new1, .* and 4 more$"):
        read_spec(model)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["columns"][0].update(kind="graph"),
        lambda value: value["network"].pop("inputs"),
        lambda value: value.update(parameters="many", extra=1),
    ],
)
def test_a_newer_spec_that_does_not_fit_is_newer_and_not_damaged(model: Path, change: Edit) -> None:
    rewrite(model, change)
    assert refusal(read_spec, model).what == f"{model}/spec.json is damaged"
    rewrite(model, newer)
    error = refusal(read_spec, model)
    assert error.what == f"{model} was saved by a newer aecli"
    assert error.facts == (f"its schema is aecli.model/1.7; this aecli knows {SCHEMA}",)
    assert error.hint == "pip install --upgrade aecli"


def replace(model: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AecliWarning)
        spec = read_spec(model)
        replace_spec(model, spec, spec.model_copy(update={"table": "other"}))


@pytest.mark.parametrize("edit", [newer, with_unknown_keys])
def test_a_newer_spec_is_not_replaced_because_its_keys_would_be_lost(
    model: Path, edit: Edit
) -> None:
    content = rewrite(model, edit)
    assert refusal(replace, model).hint == "pip install --upgrade aecli"
    assert (model / "spec.json").read_bytes() == content


@pytest.mark.parametrize("version", ["2", "2.0", "2.7", "10.0", "999999999"])
@pytest.mark.parametrize("use", [read_spec, check_target, replace])
def test_another_major_version_asks_for_an_upgrade_and_stays(
    model: Path, use: Callable[[Path], object], version: str
) -> None:
    content = rewrite(model, lambda value: newer(value, version))
    error = refusal(use, model)
    assert error.what == f"{model} was saved by a newer aecli"
    assert error.hint == "pip install --upgrade aecli"
    assert (model / "spec.json").read_bytes() == content


@pytest.mark.parametrize("version", ["1", "0"])
def test_a_model_of_an_aecli_before_0_2_0_is_told_so(model: Path, version: str) -> None:
    rewrite(model, lambda value: newer(value, version))
    error = refusal(read_spec, model)
    assert error.what == f"{model} was saved by an aecli before 0.2.0, which this one cannot read"
    assert error.hint == f"aecli train DATA -m {model}"
    check_target(model)  # it may be trained anew


@pytest.mark.parametrize(
    "schema", [None, 1, "", "aecli.model", "aecli.model/", "aecli.model/x", "aeclixmodel/1.0",
               "aecli.model/1.0.0", "aecli.model/1.0 ", "other/1.0", "aecli.model/1234567890"]
)  # fmt: skip
def test_what_does_not_say_that_it_is_a_model_is_damaged(model: Path, schema: object) -> None:
    rewrite(model, lambda value: value.update(schema=schema))
    error = refusal(read_spec, model)
    assert error.what == f"{model}/spec.json is damaged"
    assert error.facts == ("it is not an aecli.model",)


def test_the_first_three_problems_of_a_spec_are_named(model: Path) -> None:
    rewrite(model, lambda value: [value.update({key: 1}) for key in ("columns", "network", "label",
                                                                     "options")])  # fmt: skip
    facts = refusal(read_spec, model).facts
    assert [fact.partition(":")[0] for fact in facts] == ["columns", "label", "network"]


@pytest.mark.parametrize(("size", "whole"), [(0, True), (1, False)])
def test_a_spec_beyond_the_limit_is_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch, size: int, whole: bool
) -> None:
    content = (model / "spec.json").read_bytes()
    monkeypatch.setattr("aecli.model_directory.spec_file.MAX_SPEC_BYTES", len(content) - size)
    if whole:
        decode_spec(content, model / "spec.json")
        return
    with pytest.raises(ModelError) as caught:
        decode_spec(content, model / "spec.json")
    assert caught.value.facts == (f"it has more than {len(content) - 1:,} bytes",)


@pytest.mark.parametrize(
    "content", [b'{"schema": "aecli.model/1.0"}', b'{"schema": "aecli.model/x"}']
)
def test_a_damaged_model_may_be_trained_anew(model: Path, content: bytes) -> None:
    (model / "spec.json").write_bytes(content)
    check_target(model)


def test_a_million_columns_fit_into_the_limit() -> None:
    from aecli.model_directory.spec_file import MAX_SPEC_BYTES

    assert MAX_SPEC_BYTES == 512 * 1024 * 1024


def test_a_megabyte_of_blanks_is_refused_before_it_is_parsed(
    tmp_path: Path, model_spec: ModelSpec
) -> None:
    content, _ = encode_spec(model_spec)
    path = tmp_path / "spec.json"
    assert decode_spec(content + b" " * ((1 << 20) - 1), path)[0].columns == model_spec.columns
    with pytest.raises(ModelError, match="is damaged") as caught:
        decode_spec(content + b" " * (1 << 20), path)
    assert caught.value.facts == ("it has 1,048,576 blanks in a row",)


@pytest.mark.parametrize("more", [0, 1])
def test_columns_are_counted_before_each_is_validated(
    tmp_path: Path, model_spec: ModelSpec, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    limit = len(model_spec.columns) - more
    monkeypatch.setattr("aecli.model_directory.spec_file.MAX_COLUMNS", limit)
    content, _ = encode_spec(model_spec)
    if not more:
        assert decode_spec(content, tmp_path / "spec.json")[0].columns == model_spec.columns
        return
    with pytest.raises(ModelError) as caught:
        decode_spec(content, tmp_path / "spec.json")
    assert f"the limit is {limit}" in caught.value.facts[0]


def test_whose_spec_a_directory_holds(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    assert not is_model_spec(tmp_path)
    for content, ours in (
        ("{", False),
        ("[]", False),
        ("{}", False),
        ('{"schema": 3}', False),
        ('{"schema": "openapi/1.0"}', False),
        ('{"schema": "aecli.model/1.0"}', True),
        ('{"schema": "aecli.model/none"}', True),
        ('{"schema": "aecli.model/0"}', True),
    ):
        path.write_text(content)
        assert bool(is_model_spec(tmp_path)) is ours, content
    path.write_text('{"schema": "aecli.model/2.0"}')
    with pytest.raises(ModelError, match="saved by a newer aecli"):
        is_model_spec(tmp_path)


def test_a_spec_that_cannot_be_read_is_not_somebody_else_s(
    open_path: Path, model_spec: ModelSpec, unprivileged
) -> None:
    (open_path / "spec.json").write_text("{}")
    (open_path / "spec.json").chmod(0)
    with unprivileged(), pytest.raises(ModelError, match="Permission denied"):
        is_model_spec(open_path)
