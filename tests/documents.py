"""Run the commands of a Markdown page as a reader would, and hold what they print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fork_server import bin_directory

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(sh|console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(,\d{3})*(\.\d+)?(e-?\d+)?")
ELISION = "…"


@dataclass
class Command:
    """Hold one command of a page and the lines that the page shows under it."""

    language: str
    text: str
    shown: list[str] = field(default_factory=list)


def commands(page: str) -> Iterator[Command]:
    """Yield a page's commands: each `$` line of a console block, each other block as a whole."""
    for language, body in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        if language != "console":
            yield Command(language, body)
            continue
        found: list[Command] = []
        for line in body.splitlines():
            if line.startswith("$ "):
                found.append(Command(language, line[2:]))
            else:
                found[-1].shown.append(line)
        yield from found


@dataclass
class Reader:
    """Type commands one after the other in one directory, and remember the last exit code."""

    directory: Path
    code: int = 0

    def type(self, command: Command) -> str:
        """Run a command and return what it printed on both streams."""
        path = f"{bin_directory()}{os.pathsep}{os.environ['PATH']}"
        known = {key: value for key, value in os.environ.items() if not key.startswith("AECLI_")}
        line = [bin_directory() / "python", "-c", command.text]
        if command.language != "python":
            line = ["bash", "-c", f"(exit {self.code})\n{command.text}"]
        done = subprocess.run(
            line, cwd=self.directory, env=known | {"PATH": path, "COLUMNS": "80"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        self.code = done.returncode
        return done.stdout


def runnable(command: Command) -> bool:
    """Say whether this machine has what the command pipes into."""
    return "| jq" not in command.text or shutil.which("jq") is not None


def missing_lines(shown: list[str], printed: str) -> list[str]:
    """Return the shown lines that were not printed, in order; numbers and spacing may differ."""
    rest = iter([_shape(line) for line in printed.splitlines()])
    return [line for line in shown if line != ELISION and _shape(line) not in rest]


def _shape(line: str) -> str:
    return " ".join(NUMBER.sub("#", line).split())
