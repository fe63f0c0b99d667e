import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from aecli.cli.main import cli
from aecli.schema.options import option_names

DOCS = Path(__file__).parents[2] / "docs"


def test_generated_documents_are_fresh():
    command = [sys.executable, str(DOCS / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=DOCS.parent, check=False)
    assert done.returncode == 0, done.stderr


def test_the_reference_has_every_option():
    text = (DOCS / "options.md").read_text()
    assert all(f"| `{name}` | `AECLI_{name.upper()}` |" in text for name in option_names())


def test_help_in_the_documents_fits_80_columns():
    lines = (DOCS / "commands.md").read_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.startswith("  ") and line.endswith("...")]


def test_the_manual_page_has_every_command_with_its_options():
    text = (DOCS / "man" / "aecli.1").read_text(encoding="utf-8").replace("\\", "")
    text = text.replace("[no-]", "")
    for name, command in cli.commands.items():
        assert f'.SS "aecli {name} ' in text
        flags = [
            param.opts[-1]
            for param in command.params
            if isinstance(param, click.Option) and not param.hidden
        ]
        assert all(flag in text for flag in flags)


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_the_manual_page_is_drawn_without_warnings():
    command = ["groff", "-man", "-ww", "-Tutf8", "-K", "utf8", str(DOCS / "man" / "aecli.1")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "train leaves a valid model" in done.stdout
