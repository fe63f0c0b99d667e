"""Write docs/options.md, docs/commands.md and the manual page: `python docs/generate.py`.

With `--check` nothing is written and the exit code is 1 where a file is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from aecli.cli.main import cli
from aecli.cli.section_command import EVERY_OPTION
from aecli.schema.option_docs import Option, options
from aecli.schema.torch_classes import ACTIVATIONS, NORMS, OPTIMIZERS

sys.path.insert(0, str(Path(__file__).parent))
from man_page import man_page  # a module beside this script

HERE = Path(__file__).parent
WIDTH = 80


def main() -> int:
    """Write the files, or check them."""
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
    return {
        "options.md": "\n".join(_options()) + "\n",
        "commands.md": "\n".join(_commands()),
        "man/aecli.1": man_page(cli),
    }


def _options() -> Iterator[str]:
    yield "# Options of `aecli train`"
    yield ""
    yield "Made by `docs/generate.py` from `options.py` and `read_options.py` in `aecli/schema/`."
    yield ""
    yield "An option is a flag, an environment variable or a key of the file that `--config` names;"
    yield "the first of these that is set wins, and `aecli train --print-config` shows which did."
    yield "A key is the flag without its dashes, with `-` or `_`: `--batch-size 64`,"
    yield "`AECLI_BATCH_SIZE=64` and `batch_size = 64` mean the same."
    yield ""
    yield "An option that is set but has no effect with the other options, such as `--rho` without"
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
    default = f"`{option.default_text}`" if option.default_text else option.automatic or "–"
    flag = f"`{option.flag} {option.metavar}`" if option.metavar else f"`{option.flag}`"
    takes = ", ".join(option.choices) or option.range_text() or "–"
    cells = (flag, f"`{option.name}`", f"`{variable}`", default, takes, option.help)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _commands() -> Iterator[str]:
    yield "# Commands"
    yield ""
    yield "Made by `docs/generate.py`: what `--help-all` prints, and `--help` in part."
    # Click keeps two columns free, as it does on a terminal of 80.
    ctx = click.Context(cli, info_name="aecli", terminal_width=WIDTH - 2, **cli.context_settings)
    ctx.meta[EVERY_OPTION] = True
    yield from _help("aecli", cli, ctx)
    for name, command in cli.commands.items():
        yield from _help(f"aecli {name}", command, click.Context(command, ctx, info_name=name))
    yield ""


def _help(name: str, command: click.Command, ctx: click.Context) -> Iterator[str]:
    yield from ("", f"## {name}", "", "```text", command.get_help(ctx), "```")


if __name__ == "__main__":
    raise SystemExit(main())
