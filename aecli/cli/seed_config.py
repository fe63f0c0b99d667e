"""Read config files in sections: translate keys such as `model.loss.l1_weight` into options.

The keys are those of the autoencoder with a classification head that this project began with. Its
losses are sums over columns and units, so such a file also sets `reduction`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from aecli.cli.option_sources import Given
from aecli.errors import UsageError, nearest
from aecli.schema.option_docs import format_value

# The option that each key stands for, and a value that it takes.
KEYS: dict[str, tuple[str, object]] = {
    "trainer.max_epochs": ("epochs", 20),
    "model.encoder_layers": ("encoder", [512, 256, 64]),
    "model.decoder_layers": ("decoder", [256, 512]),
    "model.class_layers": ("classifier", [32]),
    "model.activation.name": ("activation", "ReLU"),
    "model.norm_layer.name": ("norm", "batch"),
    "model.dropout": ("dropout", 0.1),
    "model.optimizer.name": ("optimizer", "Adam"),
    "model.optimizer.init_args.lr": ("lr", 0.001),
    "model.loss.class_weight": ("class_weight", 1),
    "model.loss.reconst_weight": ("reconst_weight", 1),
    "model.loss.l1_weight": ("l1", 0.0001),
    "data.train_bsize": ("batch_size", 256),
}
ENCODE = "encode.bsize"
# Constructor arguments of torch that only say how the same numbers are computed.
_MANNERS = {
    "model.activation": {"inplace"},
    "model.norm_layer": set[str](),
    "model.optimizer": {"foreach", "fused", "capturable", "differentiable"},
}
_NORMS = {"BatchNorm1d": "batch", "InstanceNorm1d": "instance", "LayerNorm": "layer", None: "none"}
_LEAVES = [
    *(path for path in KEYS if "init_args" not in path),
    *(f"{section}.init_args" for section in _MANNERS),
    ENCODE,
]
_SECTIONS = {path.rpartition(".")[0] for path in _LEAVES}
SECTIONS = list(dict.fromkeys(path.partition(".")[0] for path in _LEAVES))
_MOST_ROWS = 1_048_576
_LISTED = "aecli train --print-config (a flat key for each option)"


class Nested:
    """Hold what the sections of a config file give, by option name, and what has no effect."""

    def __init__(self, sections: Mapping[str, object], place: str) -> None:
        self.place = place
        self.given: dict[str, Given] = {}
        self.idle: list[str] = []
        leaves: dict[str, Any] = {}
        for path, value in _leaves(sections, "", place):
            if path in leaves:
                what = f"{place}: {path} is there twice, with _ and with -"
                raise UsageError(what, hint=f"{path} alone")
            leaves[path] = value
        for path, value in leaves.items():
            if path in KEYS and path.rpartition(".")[0] not in _MANNERS:
                self._give(path, value)
        for section in _MANNERS:
            self._name(section, leaves)
        if ENCODE in leaves:
            self._encode(leaves[ENCODE])
        self.given["reduction"] = Given("reduction", "sum", "config", place, "model.loss, in sums")

    def beside(self, flat: Mapping[str, Given]) -> dict[str, Given]:
        """Return all that the file gives, its flat keys included.

        Raises:
            UsageError: a flat key and a key in a section mean the same and have different values.
        """
        for name, one in self.given.items():
            other = flat.get(name, one)
            if name != "reduction" and format_value(other.value) != format_value(one.value):
                raise UsageError(
                    f"{self.place}: {name} is {format_value(other.value)} and {one.key} is "
                    f"{format_value(one.value)}; both mean --{name.replace('_', '-')}",
                    hint=f"{one.key} alone",
                )
        return self.given | dict(flat)

    def tell(self) -> None:
        """Say on stderr, in one line, which keys have no meaning here."""
        if not self.idle:
            return
        ctx = click.get_current_context(silent=True)
        from aecli.cli.progress import listening

        with listening(quiet=bool(ctx and ctx.params.get("quiet"))) as progress:
            progress.note(f"{self.place}: without effect here: {', '.join(self.idle)}")

    def _give(self, path: str, value: object, key: str = "") -> None:
        name = KEYS[path][0]
        self.given[name] = Given(name, value, "config", self.place, key or path)

    def _name(self, section: str, leaves: Mapping[str, Any]) -> None:
        """Take in a class name and its constructor arguments as one option, `lr` as its own."""
        path = f"{section}.name"
        name, args = leaves.get(path), dict(leaves.get(f"{section}.init_args") or {})
        if section == "model.optimizer" and args.get("lr") is not None:
            self._give(f"{section}.init_args.lr", args["lr"])
        args.pop("lr", None)
        if path in leaves:
            name = _NORMS.get(name, name) if section == "model.norm_layer" else name
            if not isinstance(name, str):
                raise _wrong(path, name, "a class name", self.place)
        manners = set(args) if name == "none" else _MANNERS[section]
        self.idle += [f"{section}.init_args.{key}" for key in args if key in manners]
        kept = {key: value for key, value in args.items() if key not in manners}
        shown = [_argument(f"{section}.init_args.{k}", v, self.place) for k, v in kept.items()]
        if name is not None:
            self._give(path, f"{name}:{','.join(shown)}" if shown else name, key=section)
        elif shown:
            what = f"{self.place}: {section}.init_args is there without {path}"
            raise UsageError(what, hint=_line(path, self.place))

    def _encode(self, rows: object) -> None:
        whole = isinstance(rows, int) and not isinstance(rows, bool)
        if not whole or not 1 <= rows <= _MOST_ROWS:  # type: ignore[operator]  # it is an int
            raise _wrong(ENCODE, rows, f"a whole number, 1 to {_MOST_ROWS}", self.place)
        self.idle.append(f"{ENCODE} (aecli encode --batch-size {rows})")


def is_section(key: str, value: object) -> bool:
    """Tell whether a top-level key is one of the sections; `data` and `model` may be paths too."""
    return key in SECTIONS and (isinstance(value, dict) or key not in ("data", "model"))


def example(given: Given) -> str:
    """Return a line that a key in a section could be instead."""
    values = dict(KEYS.values())
    return given.spelled(values[given.name])


def _leaves(section: Mapping[Any, object], parent: str, place: str) -> Iterator[tuple[str, object]]:
    for key, value in section.items():
        path = f"{parent}{str(key).replace('-', '_')}"
        if path in _SECTIONS or path in SECTIONS:
            if value is not None:
                yield from _leaves(_mapping(path, value, place), f"{path}.", place)
        elif path not in _LEAVES:
            raise _unknown(path, place)
        elif path.endswith(".init_args"):
            found = {} if value is None else _mapping(path, value, place)
            yield path, {str(k): v for k, v in found.items() if v is not None}
        elif value is not None or path == "model.norm_layer.name":
            yield path, value


def _mapping(path: str, value: object, place: str) -> Mapping[Any, object]:
    if isinstance(value, dict):
        return value
    inside = [leaf for leaf in _LEAVES if leaf.startswith(f"{path}.")]
    if path.endswith(".init_args"):
        raise _wrong(path, value, "arguments and their values", place)
    name = inside[0].removeprefix(f"{path}.")
    raise _wrong(path, value, f"a section with keys such as {name}", place, _line(inside[0], place))


def _argument(path: str, value: object, place: str) -> str:
    parts = tuple(value) if isinstance(value, list) else (value,)
    if not parts or not all(isinstance(part, (bool, int, float, str)) for part in parts):
        raise _wrong(path, value, "a number, a word, true, false, or a list of two numbers", place)
    return f"{path.rpartition('.')[2]}={format_value(parts)}"


def _wrong(path: str, value: object, need: str, place: str, hint: str | None = None) -> UsageError:
    shown = Given("", value, "config", place, path).spelled(value)
    return UsageError(f"{shown}: must be {need}", hint=hint or _line(path, place) or _LISTED)


def _line(path: str, place: str) -> str | None:
    """Return a line that could stand for a key, where one is known."""
    value = {path: value for path, (_, value) in KEYS.items()} | {ENCODE: 256}
    path = f"{path}.lr" if path == "model.optimizer.init_args" else path
    return Given("", None, "config", place, path).spelled(value[path]) if path in value else None


def _unknown(path: str, place: str) -> UsageError:
    parent, _, key = path.rpartition(".")
    leaves = [leaf.removeprefix(f"{parent}.") for leaf in _LEAVES if leaf.startswith(f"{parent}.")]
    inside = list(dict.fromkeys(leaf.partition(".")[0] for leaf in leaves))
    elsewhere = {leaf.rpartition(".")[2]: leaf for leaf in KEYS}
    near = nearest(key, inside)
    same = next((path for path, (name, _) in KEYS.items() if name == key), None)
    other = elsewhere.get(nearest(key, list(elsewhere)) or "")
    likely = same or (f"{parent}.{near}" if near else other)
    return UsageError(
        f"{place}: unknown key {path!r}",
        facts=[
            *([f"did you mean {likely}?"] if likely else []),
            f"{parent} holds: {', '.join(inside)}",
        ],
        hint=_line(likely or "", place) or _LISTED,
    )
