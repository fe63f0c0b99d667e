import subprocess
import sys
from pathlib import Path

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
