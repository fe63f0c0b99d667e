"""The harness of benchmarks/: figures of several seeds and cases become one table in RESULTS.md."""

from __future__ import annotations

import ast
import importlib
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
WHERE = "aecli 0.2.0, 1 thread"


@pytest.fixture(scope="module")
def benchmarks() -> Iterator[SimpleNamespace]:
    known = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    names = ("harness", "parts", "run")
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    sys.path.remove(str(FOLDER))
    for name in set(sys.modules) - known:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def stored(benchmarks: SimpleNamespace, runs: list[tuple[str, int, Any]]) -> list[Any]:
    rows: list[Any] = []
    for case, seed, found in runs:
        benchmarks.harness.merge(rows, found, benchmarks.harness.Run(case, seed, Path()), WHERE)
    return rows


def part(benchmarks: SimpleNamespace, **options: Any) -> Any:
    return benchmarks.harness.Part("group", "what", "module:function", **options)


def test_a_table_has_the_means_of_the_seeds(benchmarks: SimpleNamespace) -> None:
    rows = stored(
        benchmarks,
        [
            ("a", 0, [{"table": "a", "AUROC": 0.9, "CPU s": 11.1}, {"table": "PCA", "AUROC": 0.8}]),
            ("a", 1, [{"table": "a", "AUROC": 0.7, "CPU s": 13.3, "MSE": None}]),
            ("b", 0, [{"table": "b", "AUROC": 0.7123, "CPU s": 1_234.5}]),
            ("b", 1, [{"table": "b", "AUROC": 0.7125, "CPU s": 1_236.5}]),
        ],
    )
    assert benchmarks.harness.markdown("toy", part(benchmarks), rows).splitlines() == [
        "| table | AUROC | CPU s |",
        "|---|---|---|",
        "| a | 0.8000 | 12.2 |",
        "| PCA (seed 0) | 0.8000 |  |",
        "| b | 0.7124 | 1,235.5 |",
        "",
        f"`.venv/bin/python benchmarks/run.py toy`, seeds 0, 1: {WHERE}.",
    ]


def test_a_median_leaves_out_a_disturbed_round(benchmarks: SimpleNamespace) -> None:
    runs = [("", seed, [{"loop": "lean", "s": s}]) for seed, s in enumerate((1.5, 9.5, 2.5))]
    chosen = part(benchmarks, combine=statistics.median)
    table = benchmarks.harness.markdown("toy", chosen, stored(benchmarks, runs))
    assert "| lean | 2.500 |" in table


def test_a_row_of_means_is_over_the_rows_with_the_same_other_names(
    benchmarks: SimpleNamespace,
) -> None:
    found = [
        {"table": table, "scores": who, "AUROC": area}
        for table, who, area in (
            ("a", "aecli", 0.8),
            ("b", "aecli", 0.9),
            ("a", "forest", 0.7),
            ("b", "forest", 0.6),
            ("c", "PCA", 0.5),
        )
    ]
    rows = stored(benchmarks, [("", 0, found)])
    table = benchmarks.harness.markdown("toy", part(benchmarks, mean="table"), rows)
    assert table.count("**mean**") == 2  # one table of PCA has no mean
    assert "| **mean** | aecli | 0.8500 |\n| **mean** | forest | 0.6500 |" in table


def test_a_second_measurement_replaces_the_first(benchmarks: SimpleNamespace) -> None:
    runs = [("", 0, [{"loop": "lean", "s": 1.0}]), ("", 0, [{"loop": "lean", "s": 3.5}])]
    table = benchmarks.harness.markdown("toy", part(benchmarks), stored(benchmarks, runs))
    assert "| lean | 3.500 |" in table


def test_a_row_that_a_second_measurement_lacks_is_removed_with_its_seed(
    benchmarks: SimpleNamespace,
) -> None:
    both = [{"peer": "forest", "s": 1.0}, {"peer": "PCA", "s": 2.0}]
    runs = [("", 0, both), ("", 1, both), ("", 1, both[:1])]
    rows = stored(benchmarks, runs)
    assert [(of["names"]["peer"], list(of["seeds"])) for of in rows] == [
        ("forest", ["0", "1"]),
        ("PCA", ["0"]),
    ]
    again = benchmarks.harness.Run("", 0, Path())
    benchmarks.harness.merge(rows, both[:1], again, WHERE)
    assert [of["names"]["peer"] for of in rows] == ["forest"]


def test_cases_with_the_same_names_have_rows_of_their_own(benchmarks: SimpleNamespace) -> None:
    runs = [(case, 0, [{"loop": "lean", "s": s}]) for case, s in (("a", 1.5), ("b", 3.5))]
    rows = stored(benchmarks, runs)
    assert [(of["case"], of["seeds"]["0"]["figures"]["s"]) for of in rows] == [
        ("a", 1.5),
        ("b", 3.5),
    ]


def test_a_table_is_written_between_its_comments_when_all_cases_are_measured(
    benchmarks: SimpleNamespace,
) -> None:
    text = "before\n<!-- figures: toy -->\nold\n<!-- end -->\nafter\n"
    chosen = part(benchmarks, cases=("a", "b"))
    rows = stored(benchmarks, [("a", 0, [{"table": "a", "s": 1.0}])])
    with pytest.raises(ValueError, match=r"measured: \['b'\]"):
        benchmarks.harness.written(text, "toy", chosen, rows)
    rows += stored(benchmarks, [("b", 0, [{"table": "b", "s": 2.0}])])
    written = benchmarks.harness.written(text, "toy", chosen, rows)
    assert written.startswith("before\n<!-- figures: toy -->\n\n| table | s |")
    assert written.endswith("1 thread.\n\n<!-- end -->\nafter\n")
    with pytest.raises(ValueError, match="0 comments"):
        benchmarks.harness.written(text, "other", chosen, rows)


def test_every_part_has_one_place_in_the_results_and_a_function(
    benchmarks: SimpleNamespace,
) -> None:
    places = re.findall(r"<!-- figures: (\S+) -->", (FOLDER / "RESULTS.md").read_text("utf-8"))
    assert sorted(places) == sorted(benchmarks.parts.PARTS)
    for name, chosen in benchmarks.parts.PARTS.items():
        module, _, function = chosen.function.partition(":")
        statements = ast.parse((FOLDER / f"{module}.py").read_text("utf-8")).body
        functions = {s.name for s in statements if isinstance(s, ast.FunctionDef)}
        assigned = {ast.unparse(s.targets[0]) for s in statements if isinstance(s, ast.Assign)}
        assert function in functions | assigned, name


def test_the_tables_in_the_results_are_those_of_the_stored_figures(
    benchmarks: SimpleNamespace,
) -> None:
    text = (FOLDER / "RESULTS.md").read_text("utf-8")
    for path in (FOLDER / "figures").glob("*.json"):
        rows = benchmarks.harness.read_figures(path.stem)
        chosen = benchmarks.parts.PARTS[path.stem]
        if {row["case"] for row in rows} == set(chosen.cases):
            assert benchmarks.harness.written(text, path.stem, chosen, rows) == text, path.stem


def test_groups_and_cases_are_chosen_by_name(benchmarks: SimpleNamespace) -> None:
    speed = [name for name, of in benchmarks.parts.PARTS.items() if of.group == "speed"]
    assert [name for name, _, _ in benchmarks.run.chosen(["speed"])] == speed
    ((name, _, cases),) = benchmarks.run.chosen(["sparsity:digits"])
    assert (name, cases) == ("sparsity", ("digits",))
    for text in ("sped", "sparsity:adult"):
        with pytest.raises(ValueError, match=text):
            list(benchmarks.run.chosen([text]))


def test_a_quick_run_prints_its_table_and_stores_nothing(
    benchmarks: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(benchmarks.harness, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(sys, "argv", ["run.py", "cell-checks", "--quick"])
    benchmarks.run.main()
    table = capsys.readouterr().out
    for start in ("## cell-checks", "| file | CPU s alone | checked | ratio |", "| Parquet |"):
        assert start in table
    assert not (tmp_path / "figures").exists()
    monkeypatch.setattr(sys, "argv", ["run.py", "cell-checks", "--quick", "--save"])
    with pytest.raises(SystemExit) as ended:
        benchmarks.run.main()
    assert ended.value.code == 2
