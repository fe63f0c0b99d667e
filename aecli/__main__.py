"""Run the command line as `python -m aecli`."""

from aecli.cli.main import main

raise SystemExit(main())
