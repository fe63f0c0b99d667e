import json
from dataclasses import replace

import pytest
from rich.console import Group
from rich.text import Text

from aecli.cli.output import as_object, show, show_on_stderr
from aecli.schema.model_spec import SCHEMA
from tests.cli.results import PIXELS, evaluation, model_inspection, score, train_result


@pytest.mark.parametrize(
    ("result", "schema", "path", "value"),
    [
        (train_result(), "aecli.train/1", ("spec", "summary", "best_epoch"), 25),
        (train_result(), "aecli.train/1", ("history", 0, "number"), 1),
        (train_result(), "aecli.train/1", ("model",), "aecli_model"),
        (train_result(), "aecli.train/1", ("spec", "schema"), SCHEMA),
        (evaluation([score("[x]", 0.5)]), "aecli.evaluate/1", ("columns", 0, "name"), "[x]"),
        (evaluation([]), "aecli.evaluate/1", ("classification", "confusion", 0, 0), 980),
        (model_inspection(PIXELS), "aecli.inspect/1", ("layers", 0, "parameters"), 401_920),
    ],
)
def test_a_result_is_one_versioned_object_on_one_line(result, schema, path, value):
    text = as_object(result, schema)
    assert "\n" not in text
    content = json.loads(text)
    assert content["schema"] == schema
    for key in path:
        content = content[key]
    assert content == value


def test_figures_that_are_no_number_are_null():
    result = evaluation([score("x", float("nan"), pca=float("inf"), mse=None)])
    column = json.loads(as_object(replace(result, total=float("nan")), "s"))
    assert column["total"] is None
    assert [column["columns"][0][key] for key in ("value", "pca", "mse")] == [None, None, None]


def test_names_in_any_script_come_through(capsys):
    show(evaluation([score("größe 体重\x1b", 0.5)]), "s", str, as_json=True)
    printed = capsys.readouterr().out
    assert "größe 体重\\u001b" in printed
    assert json.loads(printed)["columns"][0]["name"] == "größe 体重\x1b"


def test_quiet_hides_the_drawing_but_not_the_json(capsys):
    show(evaluation([]), "s", str, as_json=False, quiet=True)
    assert capsys.readouterr().out == ""
    show(evaluation([]), "s", str, as_json=True, quiet=True)
    assert json.loads(capsys.readouterr().out)["schema"] == "s"


def test_a_sentence_in_a_file_is_one_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    sentence = "note: 3 [rows] of the table are left out"
    drawing = Group(Text("a"), Group(Text(sentence, overflow="fold")))
    show("result", "s", lambda _: drawing, as_json=False)
    show_on_stderr("result", "s", lambda _: drawing, as_json=False, quiet=False)
    assert list(capsys.readouterr()) == [f"a\n{sentence}\n"] * 2


def test_lines_for_a_file_end_without_spaces(capsys):
    show("result", "s", lambda _: "a   \nb ", as_json=False)
    assert capsys.readouterr().out == "a\nb\n"
