"""Parts of the benchmarks: their runs, their stored figures and their tables in RESULTS.md."""

from __future__ import annotations

import datetime
import importlib
import json
import math
import os
import platform
import re
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "RESULTS.md"
FIGURES = FOLDER / "figures"
COMMAND = ".venv/bin/python benchmarks/run.py"

Value = str | float | None
Row = dict[str, Value]
"""Cells by column: texts name the row, numbers are its figures, `None` is a missing one."""

Stored = dict[str, Any]
"""A row in a file of figures: its `case`, `names`, and by seed `figures` and `environment`."""


@dataclass(frozen=True)
class Run:
    """One call of a part: a case, a seed, and the folder of tables.

    With `quick` a part takes few rows and one epoch: the figures mean nothing.
    """

    case: str
    seed: int
    data: Path
    quick: bool = False


@dataclass(frozen=True)
class Part:
    """A table of RESULTS.md: the function that yields its rows, its cases and seeds.

    `function` is `module:name` in this folder, imported when the part runs. It takes a `Run` and
    yields rows; figures of the same row are combined over seeds, by their mean or median. `mean` is
    the column in which a last row has the means of all rows.
    """

    group: str
    what: str
    function: str
    cases: tuple[str, ...] = ("",)
    seeds: tuple[int, ...] = (0, 1, 2)
    combine: Callable[[Iterable[float]], float] = statistics.mean
    mean: str = ""

    def rows(self, run: Run) -> Iterable[Row]:
        """Return the rows of one case and one seed."""
        module, _, name = self.function.partition(":")
        rows: Iterable[Row] = getattr(importlib.import_module(module), name)(run)
        return rows


def environment() -> str:
    """Return versions, processor, threads and date, as a note below a table."""
    import torch

    import aecli

    versions = f"aecli {aecli.__version__}, torch {torch.__version__}"
    python = f"Python {platform.python_version()}"
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    else:
        device = f"{os.cpu_count()} cores of {processor()}"
    threads = torch.get_num_threads()
    counted = f"{threads} thread{'s' * (threads != 1)}"
    return f"{versions}, {python}, {device}, {counted}, {datetime.date.today()}"


def processor() -> str:
    """Return the name of the processor, and whether it has bf16 instructions."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    bf16 = "with" if re.search(r"\b(avx512_bf16|amx_bf16)\b", text) else "without"
    return f"{name[1] if name else platform.machine()} ({bf16} bf16)"


def merge(rows: list[Stored], found: Iterable[Row], run: Run, where: str) -> None:
    """Add the rows of a run to stored ones, instead of those of its case and seed."""
    found = list(found)
    for of in rows:
        if of["case"] == run.case:
            of["seeds"].pop(str(run.seed), None)
    for row in found:
        names = {title: value for title, value in row.items() if isinstance(value, str)}
        others = {title: value for title, value in row.items() if title not in names}
        known = {title: value for title, value in others.items() if value is not None}
        figures = {title: float(f"{value:.6g}") for title, value in known.items()}
        key = {"case": run.case, "names": names}
        stored = next((of for of in rows if key.items() <= of.items()), None)
        if stored is None:
            stored = {**key, "columns": [], "seeds": {}}
            rows.append(stored)
        stored["columns"] = [*names, *figures]
        stored["seeds"][str(run.seed)] = {"figures": figures, "environment": where}
    rows[:] = [of for of in rows if of["seeds"]]


def read_figures(name: str) -> list[Stored]:
    """Return the stored rows of a part."""
    path = FIGURES / f"{name}.json"
    rows: list[Stored] = json.loads(path.read_text("utf-8")) if path.exists() else []
    return rows


def write_figures(name: str, rows: list[Stored]) -> None:
    """Store the rows of a part, one per line, so that a comparison of versions shows them."""
    FIGURES.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (FIGURES / f"{name}.json").write_text(f"[\n{lines}\n]\n", "utf-8")


def markdown(name: str, part: Part, rows: list[Stored]) -> str:
    """Return the table of rows, and below it the command, seeds, versions and machine."""
    columns = list(dict.fromkeys(title for row in rows for title in row["columns"]))
    usual = statistics.mode(_seeds(row) for row in rows)
    combined = []
    for row in rows:
        names = dict(row["names"])
        if _seeds(row) != usual:
            first = next(iter(names))
            names[first] += f" ({_listed(_seeds(row))})"
        combined.append(names | _combined(part, row))
    if part.mean:
        combined += list(_means(part.mean, combined))
    cells = {title: _cells([row.get(title) for row in combined]) for title in columns}
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(row)} |" for row in zip(*cells.values(), strict=True)]
    places = dict.fromkeys(of["environment"] for row in rows for of in row["seeds"].values())
    note = f"`{COMMAND} {name}`, {_listed(usual)}: {'; '.join(places)}."
    return "\n".join([*lines, "", note])


def _seeds(row: Stored) -> tuple[str, ...]:
    return tuple(sorted(row["seeds"]))


def _listed(seeds: tuple[str, ...]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"


def _combined(part: Part, row: Stored) -> dict[str, Value]:
    """Return the figures of a row over its seeds."""
    found: dict[str, list[float]] = {}
    for of in row["seeds"].values():
        for title, value in of["figures"].items():
            if not math.isnan(value):
                found.setdefault(title, []).append(value)
    return {title: part.combine(values) for title, values in found.items()}


def _means(over: str, rows: list[Row]) -> Iterator[Row]:
    """Yield a row of means for each combination of the other names."""
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in rows:
        names = {title: value for title, value in row.items() if isinstance(value, str)}
        others = tuple((title, value) for title, value in names.items() if title != over)
        groups.setdefault(others, []).append(row)
    for others, members in groups.items():
        if len(members) == 1:
            continue
        titles = dict.fromkeys(title for row in members for title in row)
        figures: Row = {}
        for title in titles:
            values = [value for row in members if isinstance(value := row.get(title), float | int)]
            if len(values) == len(members):
                figures[title] = statistics.mean(values)
        yield {over: "**mean**", **dict(others), **figures}


def _cells(values: list[Value]) -> list[str]:
    """Return the texts of a column; its numbers have four significant digits at their median."""
    sizes = [abs(value) for value in values if isinstance(value, float | int) and value]
    decimals = 0
    if any(size % 1 for size in sizes):
        decimals = min(max(3 - math.floor(math.log10(statistics.median(sizes))), 0), 6)
    shown = []
    for value in values:
        if isinstance(value, str):
            shown.append(value)
        elif value is None:
            shown.append("")
        elif decimals and 0 < abs(value) < 10.0 ** (1 - decimals):
            shown.append(f"{value:.2g}")
        else:
            shown.append(f"{value:,.{decimals}f}")
    return shown


def block(name: str) -> re.Pattern[str]:
    """Return the pattern of a part's table in RESULTS.md, between its two comments."""
    return re.compile(rf"(<!-- figures: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)


def written(text: str, name: str, part: Part, rows: list[Stored]) -> str:
    """Return the text of RESULTS.md with the table of a part.

    Raises:
        ValueError: There is not exactly one place for it, or a case is not measured.
    """
    missing = [case for case in part.cases if all(row["case"] != case for row in rows)]
    if missing:
        raise ValueError(f"the table of {name} is written when these are measured: {missing}")
    content = f"\n{markdown(name, part, rows)}\n\n"
    text, count = block(name).subn(lambda found: found[1] + content + found[2], text)
    if count != 1:
        raise ValueError(f"{RESULTS.name} has {count} comments '<!-- figures: {name} -->'")
    return text
