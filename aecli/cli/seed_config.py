"""Read config files in sections: translate keys such as `model.loss.l1_weight` into options.

The keys are those of the autoencoder with a classifier from which this project was developed. Its
losses are sums over columns and units, so such a file also sets `reduction`. Its optimizer is one
of torch with torch's own learning rate where the file has none, and it has a norm layer only where
the file names one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aecli.cli.option_sources import OptionValue
from aecli.errors import UsageError, nearest
from aecli.schema.option_docs import format_value
from aecli.schema.torch_classes import COMPUTATION_ARGUMENTS, LEARNING_RATES

# Option of each key, and an example value.
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
_CLASS_SECTIONS = ("model.activation", "model.norm_layer", "model.optimizer")
_OPTIMIZER = "Adam"
# Sources of values that follow from other keys; flat keys of the file override them.
_SUMS = "model.loss, in sums"
_TORCH_DEFAULT = "model.optimizer, default of torch"
_NO_NORM = "model.norm_layer, left out"
_NORMS = {"BatchNorm1d": "batch", "InstanceNorm1d": "instance", "LayerNorm": "layer", None: "none"}
_LEAVES = [
    *(path for path in KEYS if "init_args" not in path),
    *(f"{section}.init_args" for section in _CLASS_SECTIONS),
    ENCODE,
]
_SECTIONS = {path.rpartition(".")[0] for path in _LEAVES}
SEED_SECTIONS = list(dict.fromkeys(path.partition(".")[0] for path in _LEAVES))
_MAX_ROWS = 1_048_576
_KEYS_HINT = "aecli train --print-config (a flat key for each option)"


def section_values(
    sections: Mapping[str, object], file: str
) -> tuple[dict[str, OptionValue], list[str]]:
    """Return the values that the sections of a file set, and the keys that have no effect here.

    Raises:
        UsageError: a key is unknown, a duplicate, or of the wrong type.
    """
    leaves: dict[str, Any] = {}
    for path, value in _leaves(sections, "", file):
        if path in leaves:
            what = f"{file}: duplicate key {path}, with _ and with -"
            raise UsageError(what, hint=f"only one of them: {path}")
        leaves[path] = value
    values = [
        _value(path, value, file)
        for path, value in leaves.items()
        if path in KEYS and path.rpartition(".")[0] not in _CLASS_SECTIONS
    ]
    unused_keys: list[str] = []
    for section in _CLASS_SECTIONS:
        class_values, unused = _class_values(section, leaves, file)
        values += class_values
        unused_keys += unused
    if ENCODE in leaves:
        unused_keys.append(_encode_rows(leaves[ENCODE], file))
    values += _defaults(values, file)
    return {value.name: value for value in values}, unused_keys


def _defaults(values: Sequence[OptionValue], file: str) -> list[OptionValue]:
    """Return the options that follow from the keys: sums, no norm, an optimizer as in torch."""
    defaults = [OptionValue("reduction", "sum", "config", file, _SUMS)]
    by_name = {value.name: value for value in values}
    if not any(value.key.startswith("model.") for value in values):
        return defaults
    if "norm" not in by_name:
        defaults.append(OptionValue("norm", "none", "config", file, _NO_NORM))
    if "optimizer" not in by_name:
        defaults.append(OptionValue("optimizer", _OPTIMIZER, "config", file, _TORCH_DEFAULT))
    name = str(by_name["optimizer"].value) if "optimizer" in by_name else _OPTIMIZER
    rates = {known.casefold(): rate for known, rate in LEARNING_RATES.items()}
    rate = rates.get(name.partition(":")[0].casefold())
    if "lr" not in by_name and rate is not None:
        defaults.append(OptionValue("lr", rate, "config", file, _TORCH_DEFAULT))
    return defaults


def merge_flat(
    in_sections: Mapping[str, OptionValue], flat: Mapping[str, OptionValue]
) -> dict[str, OptionValue]:
    """Return the values of a file's sections and of its flat keys.

    Raises:
        UsageError: a flat key and a key in a section mean the same and have different values.
    """
    for name, value in in_sections.items():
        other = flat.get(name, value)
        is_default = value.key in (_SUMS, _TORCH_DEFAULT, _NO_NORM)
        if not is_default and format_value(other.value) != format_value(value.value):
            raise UsageError(
                f"{value.file}: {name} is {format_value(other.value)} and {value.key} is "
                f"{format_value(value.value)}; both mean --{name.replace('_', '-')}",
                hint=f"only {value.key}",
            )
    return {**in_sections, **flat}


def _value(path: str, value: object, file: str, key: str = "") -> OptionValue:
    return OptionValue(KEYS[path][0], value, "config", file, key or path)


def _class_values(
    section: str, leaves: Mapping[str, Any], file: str
) -> tuple[list[OptionValue], list[str]]:
    """Return the options of a class with its arguments, `lr` separately, and unused keys."""
    path, args_path = f"{section}.name", f"{section}.init_args"
    name, args = leaves.get(path), dict(leaves.get(args_path) or {})
    values: list[OptionValue] = []
    if section == "model.optimizer" and args.get("lr") is not None:
        values.append(_value(f"{args_path}.lr", args["lr"], file))
    args.pop("lr", None)
    if path in leaves:
        name = _NORMS.get(name, name) if section == "model.norm_layer" else name
        if not isinstance(name, str):
            raise _wrong_value(path, name, "a class name", file)
    unused = set(args) if name == "none" else COMPUTATION_ARGUMENTS
    used = {key: value for key, value in args.items() if key not in unused}
    shown = [_argument(f"{args_path}.{key}", value, file) for key, value in used.items()]
    if name is not None:
        text = f"{name}:{','.join(shown)}" if shown else name
        values.append(_value(path, text, file, key=section))
    elif shown:
        what = f"{file}: {args_path} needs {path}"
        raise UsageError(what, hint=_example_line(path, file))
    return values, [f"{args_path}.{key}" for key in args if key in unused]


def _encode_rows(rows: object, file: str) -> str:
    """Return the key of rows per pass with the flag that replaces it."""
    is_integer = isinstance(rows, int) and not isinstance(rows, bool)
    if not is_integer or not 1 <= rows <= _MAX_ROWS:  # type: ignore[operator]  # it is an int
        raise _wrong_value(ENCODE, rows, f"a whole number, 1 to {_MAX_ROWS}", file)
    return f"{ENCODE} (aecli encode --batch-size {rows})"


def is_section(key: str, value: object) -> bool:
    """Return whether a top-level key is a section; `data` and `model` may be paths too."""
    return key in SEED_SECTIONS and (isinstance(value, dict) or key not in ("data", "model"))


def example(value: OptionValue) -> str:
    """Return a line with a valid value of a key in a section."""
    examples = dict(KEYS.values())
    return value.spell(examples[value.name])


def _leaves(section: Mapping[Any, object], parent: str, file: str) -> Iterator[tuple[str, object]]:
    for key, value in section.items():
        path = f"{parent}{str(key).replace('-', '_')}"
        if path in _SECTIONS or path in SEED_SECTIONS:
            if value is not None:
                yield from _leaves(_mapping(path, value, file), f"{path}.", file)
        elif path not in _LEAVES:
            raise _unknown_key(path, file)
        elif path.endswith(".init_args"):
            args = {} if value is None else _mapping(path, value, file)
            yield path, {str(k): v for k, v in args.items() if v is not None}
        elif value is not None or path == "model.norm_layer.name":
            yield path, value


def _mapping(path: str, value: object, file: str) -> Mapping[Any, object]:
    if isinstance(value, dict):
        return value
    inside = [leaf for leaf in _LEAVES if leaf.startswith(f"{path}.")]
    if path.endswith(".init_args"):
        raise _wrong_value(path, value, "arguments and their values", file)
    name = inside[0].removeprefix(f"{path}.")
    raise _wrong_value(
        path, value, f"a section with keys such as {name}", file, _example_line(inside[0], file)
    )


def _argument(path: str, value: object, file: str) -> str:
    parts = tuple(value) if isinstance(value, list) else (value,)
    if not parts or not all(isinstance(part, (bool, int, float, str)) for part in parts):
        raise _wrong_value(
            path, value, "a number, a word, true, false, or a list of two numbers", file
        )
    return f"{path.rpartition('.')[2]}={format_value(parts)}"


def _wrong_value(
    path: str, value: object, need: str, file: str, hint: str | None = None
) -> UsageError:
    shown = OptionValue("", value, "config", file, path).spell(value)
    return UsageError(
        f"{shown}: must be {need}", hint=hint or _example_line(path, file) or _KEYS_HINT
    )


def _example_line(path: str, file: str) -> str | None:
    """Return an example line of a key, where one is known."""
    value = {path: value for path, (_, value) in KEYS.items()} | {ENCODE: 256}
    path = f"{path}.lr" if path == "model.optimizer.init_args" else path
    return OptionValue("", None, "config", file, path).spell(value[path]) if path in value else None


def _unknown_key(path: str, file: str) -> UsageError:
    parent, _, key = path.rpartition(".")
    leaves = [leaf.removeprefix(f"{parent}.") for leaf in _LEAVES if leaf.startswith(f"{parent}.")]
    inside = list(dict.fromkeys(leaf.partition(".")[0] for leaf in leaves))
    elsewhere = {leaf.rpartition(".")[2]: leaf for leaf in KEYS}
    near = nearest(key, inside)
    same = next((path for path, (name, _) in KEYS.items() if name == key), None)
    other = elsewhere.get(nearest(key, list(elsewhere)) or "")
    likely = same or (f"{parent}.{near}" if near else other)
    return UsageError(
        f"{file}: unknown key {path!r}",
        facts=[
            *([f"did you mean {likely}?"] if likely else []),
            f"{parent} contains: {', '.join(inside)}",
        ],
        hint=_example_line(likely or "", file) or _KEYS_HINT,
    )
