"""Hold the habits that no type checker sees: what is imported when, and how long things get."""

from __future__ import annotations

import ast
import functools
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import aecli
from aecli.cli.main import cli
from aecli.model_directory.save import save
from aecli.schema.model_spec import ModelSpec

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "aecli").rglob("*.py"))
HEAVY = {"torch", "pyarrow", "pandas", "sklearn", "scipy", "matplotlib", "jinja2", "optuna", "ray"}
COMMANDS = ("train", "tune", "encode", "reconstruct", "evaluate", "inspect", "report", "plot")
MOST_FILE_LINES = 350
MOST_FUNCTION_LINES = 40
USUAL_FUNCTION_LINES = 22
"""Lines of code that nine of ten functions keep to."""

MOST_CLASSES = 277
MOST_FRAMES = {"encode": 7, "train": 10}
"""Frames from `main` to the first linear layer of a data batch."""

MEANINGLESS = {"utils", "util", "common", "base", "manager", "helper", "helpers", "misc", "core"}

ONE_MEANING = {
    "--anomaly": "the column that marks anomalies",
    "--fail-if": "a condition on a figure, under which the exit code is 8",
    "--batch-size": "samples that go through the network together",
    "--seed": "of all that is random",
    "--shape": "height, width and channels of rows that are images",
    "-o": "the file to write",
    "--output": "the file to write",
    "--resume": "continue what was interrupted, and keep what is finished",
}
"""Options whose help differs between commands, and what they mean in all of them."""

RUN = """
import sys
from aecli.cli.main import main
code = main(sys.argv[1:])
print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))
sys.exit(code)
"""


def python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(*arguments: str) -> set[str]:
    """Return the top-level modules that a command line has loaded when it ends."""
    output = python(RUN, *arguments)
    return set(output.splitlines()[-1].removeprefix("loaded:").split())


def test_help_loads_nothing_heavy() -> None:
    assert not loaded("--help") & {*HEAVY, "numpy", "pydantic", "rich", "yaml"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_loads_nothing_heavy(command: str) -> None:
    assert not loaded(command, "--help") & {*HEAVY, "numpy", "rich", "yaml"}


@pytest.mark.parametrize("flags", [[], ["--json"], ["--history"]])
def test_inspecting_a_model_loads_nothing_heavy(
    tmp_path: Path, model_spec: ModelSpec, flags: list[str]
) -> None:
    no_tensors = b"{}"
    weights = len(no_tensors).to_bytes(8, "little") + no_tensors
    save(tmp_path / "model", model_spec, weights, [])
    assert not loaded("inspect", str(tmp_path / "model"), *flags) & {*HEAVY, "numpy", "yaml"}


def test_arrow_converts_values_without_importing_pandas() -> None:
    arrays = "pa.array(np.zeros(2)); pa.array(['a']); pa.scalar(1)"
    code = "from aecli.start_up import shorten_imports; shorten_imports(); import sys; "
    found = python(f"{code}import numpy as np, pyarrow as pa; {arrays}; print(*sys.modules)")
    assert "pyarrow" in found.split()
    assert "pandas" not in found.split()


def test_packages_that_search_for_pandas_without_importing_it_find_no_file() -> None:
    code = "from aecli.start_up import shorten_imports; shorten_imports(); "
    code += "from importlib.util import find_spec; found = find_spec('pandas'); "
    assert python(f"{code}print(found.origin)").strip() == "None"


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = python("import sys, aecli; print(*{n.partition('.')[0] for n in sys.modules})")
    assert not set(heavy.split()) & {*HEAVY, "click", "rich", "pydantic"}


def test_the_kinds_of_pictures_are_completed_without_anything_heavy() -> None:
    code = "import sys, aecli.reporting.picture_kinds; "
    heavy = python(f"{code}print(*{{n.partition('.')[0] for n in sys.modules}})")
    assert not set(heavy.split()) & {*HEAVY, "numpy"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_a_function_of_the_package(command: str) -> None:
    assert getattr(aecli, command).__name__ == command
    assert command in dir(aecli)


def test_loading_a_model_needs_no_scikit_learn() -> None:
    found = python(
        "import sys, aecli; aecli.load; print(*{n.partition('.')[0] for n in sys.modules})"
    )
    assert "torch" in found.split()
    assert "sklearn" not in found.split()


def test_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        aecli.trian  # noqa: B018  # looking it up is the point


def test_imports_point_down_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_short_and_so_are_its_functions(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_FILE_LINES
    long = {name: n for name, n in function_lengths(path) if n > MOST_FUNCTION_LINES}
    assert long == {}


def test_nine_of_ten_functions_are_short() -> None:
    lengths = sorted(n for path in MODULES for _, n in function_lengths(path))
    assert lengths[int(0.9 * len(lengths))] <= USUAL_FUNCTION_LINES


@pytest.mark.parametrize("command", MOST_FRAMES)
def test_few_frames_lie_between_a_command_and_its_network(command: str) -> None:
    script = ROOT / "tests" / "stack_depth.py"
    done = subprocess.run(
        [sys.executable, script, command], capture_output=True, text=True, check=True, cwd=ROOT
    )
    frames = done.stdout.splitlines()[1:]
    assert frames[0].strip() == "cli/main.py:main"
    assert len(frames) <= MOST_FRAMES[command], done.stdout


def classes() -> list[str]:
    trees = map(parsed, MODULES)
    return [
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_no_two_classes_share_a_name() -> None:
    names = classes()
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert len(names) <= MOST_CLASSES


def test_a_name_in_capitals_has_one_value() -> None:
    values: dict[str, set[str]] = {}
    for path in MODULES:
        for name, value in constants(parsed(path)):
            values.setdefault(name, set()).add(value)
    assert {name: found for name, found in values.items() if len(found) > 1} == {}


def constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names that a module gives values to at its top, constants and types alike."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
            yield node.target.id, ast.unparse(node.value)
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(target, ast.Name):
                yield target.id, ast.unparse(node.value)
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=True)
                yield from ((ast.unparse(name), ast.unparse(value)) for name, value in pairs)


def test_an_option_means_the_same_in_every_command() -> None:
    helps: dict[str, set[str]] = {}
    for command in cli.commands.values():
        for option in command.params:
            for flag in option.opts if isinstance(option, click.Option) else ():
                helps.setdefault(flag, set()).add(option.help or "")
    several = {flag for flag, found in helps.items() if len(found) > 1}
    assert several - ONE_MEANING.keys() == set()
    assert ONE_MEANING.keys() - several == set()


@functools.cache
def function_lengths(path: Path) -> list[tuple[str, int]]:
    """Return the lines of code in each function of a module, docstrings aside."""
    lines = lines_of_code(path.read_text(encoding="utf-8"))
    return [
        (node.name, sum(body_start(node) <= line <= (node.end_lineno or 0) for line in lines))
        for node in ast.walk(parsed(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def lines_of_code(source: str) -> set[int]:
    """Return the numbers of the lines that hold more than space and comments."""
    nothing = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        line
        for token in tokens
        if token.type not in nothing
        for line in range(token.start[0], token.end[0] + 1)
    }


def body_start(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first, *rest = function.body
    if ast.get_docstring(function) is None:
        return first.lineno
    return rest[0].lineno if rest else (first.end_lineno or first.lineno) + 1


def test_every_file_is_named_for_what_it_holds() -> None:
    names = {path.stem for path in MODULES} | {path.parent.name for path in MODULES}
    assert not names & MEANINGLESS


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    pinned = {normalised(pin) for pin in pins}
    assert {normalised(requirement) for requirement in wanted} <= pinned


def normalised(requirement: str) -> str:
    """Return the name of a requirement as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>~\[]", requirement)[0]).lower()


def test_every_sample_table_names_its_licence_and_origin() -> None:
    readme = (ROOT / "sample_data" / "README.md").read_text()
    tables = [path for path in (ROOT / "sample_data").iterdir() if path.suffix != ".md"]
    assert tables
    for table in tables:
        assert re.search(rf"`{re.escape(table.name)}` \|.*\| (CC0 1\.0|CC BY 4\.0) \|", readme)
        assert len(re.findall(re.escape(table.name), readme)) >= 2
