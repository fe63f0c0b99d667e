"""Write docs/options.md and docs/commands.md from the code: `python docs/generate.py`.

With `--check` nothing is written and the exit code is 1 where a file is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from aecli.cli.main import cli
from aecli.schema.option_docs import Option, options
from aecli.schema.torch_classes import ACTIVATIONS, NORMS, OPTIMIZERS

HERE = Path(__file__).parent
WIDTH = 80


def main() -> int:
    """Write both files, or check them."""
    stale = []
    for name, text in documents().items():
        path = HERE / name
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        print(f"stale: {', '.join(stale)}; try: python docs/generate.py", file=sys.stderr)
    return 1 if stale else 0


def documents() -> dict[str, str]:
    """Return the text of each generated file by its name."""
    return {"options.md": "\n".join(_options()) + "\n", "commands.md": "\n".join(_commands())}


def _options() -> Iterator[str]:
    yield "# Options of `aecli train`"
    yield ""
    yield "Made by `docs/generate.py` from `options.py` and `read_options.py` in `aecli/schema/`."
    yield ""
    yield "An option is a flag, an environment variable or a key of the file that `--config` names;"
    yield "the first of these that is there wins, and `aecli train --print-config` shows which did."
    yield "A key is the flag without its dashes, `-` and `_` being the same: `--batch-size 64`,"
    yield "`AECLI_BATCH_SIZE=64` and `batch_size = 64` say one thing."
    yield ""
    yield "An option that was given and has no effect beside the others, such as `--rho` without"
    yield "`--kl`, is named in a note on stderr and in the model."
    section = ""
    for option in options().values():
        if option.section != section:
            section = option.section
            yield from ("", f"## {section}", "")
            yield "| flag | key | variable | default | takes | what it does |"
            yield "|---|---|---|---|---|---|"
        yield _row(option)
    yield from _names()


def _names() -> Iterator[str]:
    yield from ("", "## Names and their arguments", "")
    yield "Written `NAME:ARG=X,ARG=X`, as in `LeakyReLU:negative_slope=0.1`; a pair is `0.9/0.999`."
    tables = {"Activations": ACTIVATIONS, "Optimizers": OPTIMIZERS, "Norms": NORMS}
    for title, table in tables.items():
        yield from ("", f"### {title}", "", "| name | arguments |", "|---|---|")
        for name, arguments in table.items():
            yield f"| `{name}` | {', '.join(f'`{key}`' for key in arguments) or '–'} |"


def _row(option: Option) -> str:
    variable = f"AECLI_{option.name.upper()}"
    default = f"`{option.default_text}`" if option.default_text else "–"
    flag = f"`{option.flag} {option.metavar}`" if option.metavar else f"`{option.flag}`"
    takes = ", ".join(option.choices) or option.range_text() or "–"
    cells = (flag, f"`{option.name}`", f"`{variable}`", default, takes, option.help)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _commands() -> Iterator[str]:
    yield "# Commands"
    yield ""
    yield "Made by `docs/generate.py`: what `--help` prints."
    # Click keeps two columns free, as it does on a terminal of 80.
    ctx = click.Context(cli, info_name="aecli", terminal_width=WIDTH - 2, **cli.context_settings)
    yield from _help("aecli", cli, ctx)
    for name, command in cli.commands.items():
        yield from _help(f"aecli {name}", command, click.Context(command, ctx, info_name=name))
    yield ""


def _help(name: str, command: click.Command, ctx: click.Context) -> Iterator[str]:
    yield from ("", f"## {name}", "", "```text", command.get_help(ctx), "```")


if __name__ == "__main__":
    raise SystemExit(main())
