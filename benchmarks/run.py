"""Run benchmarks, print their tables and write them to RESULTS.md.

    .venv/bin/python benchmarks/run.py --list
    .venv/bin/python benchmarks/run.py training reading         # parts
    .venv/bin/python benchmarks/run.py quality                  # all parts of a group
    .venv/bin/python benchmarks/run.py sparsity:digits --seeds 0 --save

Without `--save` the tables of this run are printed. With it, the figures of each case and seed are
added to `benchmarks/figures/`, so that a long part can be measured case by case, and the table in
RESULTS.md is written with the command, versions, machine and seeds. `--quick` shows in little time
that a part runs: few rows, one epoch, one seed. `--tables` writes the tables of stored figures.
OMP_NUM_THREADS sets the threads; peers that are not installed (peers.txt) are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from harness import (
    RESULTS,
    Part,
    Row,
    Run,
    Stored,
    environment,
    markdown,
    merge,
    read_figures,
    write_figures,
    written,
)
from parts import PARTS


def chosen(names: list[str]) -> Iterator[tuple[str, Part, tuple[str, ...]]]:
    """Yield the named parts, or those of named groups, with the cases to run.

    Raises:
        ValueError: A part, group or case does not exist.
    """
    for text in names or PARTS:
        name, _, case = text.partition(":")
        found = [key for key, part in PARTS.items() if name in (key, part.group)]
        cases = [PARTS[key].cases for key in found]
        if not found or (case and not all(case in known for known in cases)):
            raise ValueError(f"{text} is neither a part nor a group; --list shows them")
        for key in found:
            yield key, PARTS[key], (case,) if case else PARTS[key].cases


def show_list() -> None:
    """Print every group, part and case."""
    for group in dict.fromkeys(part.group for part in PARTS.values()):
        print(f"{group}:")
        for name, part in PARTS.items():
            if part.group == group:
                print(f"  {name:16} {part.what}")
                cases = [f"{name}:{case}" for case in part.cases if case]
                if cases:
                    print(f"{'':19}{' '.join(cases)}")


def measure(name: str, part: Part, cases: tuple[str, ...], given: argparse.Namespace) -> None:
    """Run the cases of a part with each seed, and print or save its table."""
    rows: list[Stored] = read_figures(name) if given.save else []
    seeds = given.seeds or (part.seeds[:1] if given.quick else part.seeds)
    where = environment()
    for case in cases:
        for seed in seeds:
            run = Run(case, seed, given.data, given.quick)
            merge(rows, shown(part.rows(run)), run, where)
            if given.save:
                write_figures(name, rows)
    if given.save:
        write_table(name, part)
    print(f"\n## {name}: {part.what}\n\n{markdown(name, part, rows)}", flush=True)


def shown(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows, and print each one as soon as it is measured."""
    for row in rows:
        print(", ".join(f"{title} {value}" for title, value in row.items()), file=sys.stderr)
        yield row


def write_table(name: str, part: Part) -> None:
    """Write the table of stored figures to RESULTS.md, or print why it is not written."""
    try:
        text = written(RESULTS.read_text("utf-8"), name, part, read_figures(name))
    except ValueError as error:
        print(error, file=sys.stderr)
    else:
        RESULTS.write_text(text, "utf-8")


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="PART[:CASE]|GROUP")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="FOLDER")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--tables", action="store_true")
    given = parser.parse_intermixed_args()
    if given.quick and given.save:
        parser.error("figures of --quick are not saved")
    try:
        parts = list(chosen(given.names))
    except ValueError as error:
        parser.error(str(error))
    if given.list:
        show_list()
        return
    for name, part, cases in parts:
        if given.tables and read_figures(name):
            write_table(name, part)
        elif not given.tables:
            measure(name, part, cases, given)


if __name__ == "__main__":
    main()
