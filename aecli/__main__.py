"""Run the command line as `python -m aecli`."""

from aecli.cli.main import run

run()
