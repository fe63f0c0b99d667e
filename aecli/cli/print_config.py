"""Print the options in force as TOML that `--config` reads back."""

from __future__ import annotations

from aecli.cli.option_decorators import Settings
from aecli.cli.option_sources import Given
from aecli.formatting import safe
from aecli.schema.option_docs import Option, format_value, options
from aecli.schema.torch_classes import TorchClassSpec

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def printed_config(settings: Settings) -> str:
    """Return every option, its value and its source, as TOML; those not set are comments."""
    lines: list[tuple[str, str]] = [
        _line(name, settings.given[name].value, settings.given[name])
        for name in ("data", "model", "tag")
        if name in settings.given
    ]
    values = settings.values(options())
    section = ""
    for name, option in options().items():
        if option.section != section:
            section = option.section
            lines += [("", ""), (f"# {section}", "")]
        lines.append(_line(name, values[name], settings.given.get(name), option))
    width = min(max((len(text) for text, source in lines if source), default=0), 40)
    drawn = (f"{text:<{width}}  # {source}" if source else text for text, source in lines)
    return "\n".join(drawn).strip("\n") + "\n"


def _line(
    name: str, value: object, given: Given | None, option: Option | None = None
) -> tuple[str, str]:
    source = safe(given.source) if given else "default"
    if value is None:
        return f"# {name} =", f"{source}, not set"
    return f"{name} = {_toml(value)}", source


def _toml(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(part) for part in value)}]"
    if isinstance(value, (bool, int, float)):
        return format_value(value) if not isinstance(value, float) else repr(value)
    text = format_value(value) if isinstance(value, TorchClassSpec) else str(value)
    return '"' + "".join(_ESCAPES.get(c, c if c.isprintable() else _escaped(c)) for c in text) + '"'


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
