"""Types of options and stored fields, and their parsing: names, sizes, durations, noise, shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

DEFAULT_SHARE = "0.1"
SCALES = ("auto", "standard", "minmax", "robust", "none")
_MAX_WORD = 100
ValidationKind = Literal["none", "random", "last", "group", "file"]


class StrictModel(BaseModel):
    """Frozen fields of a config file or of `spec.json`; unknown ones are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def _split_names(value: Any) -> Any:
    pieces = [value] if isinstance(value, str) else value
    if not isinstance(pieces, (list, tuple)) or not all(isinstance(p, str) for p in pieces):
        return value
    return [name.strip() for piece in pieces for name in piece.split(",") if name.strip()]


def _split_sizes(value: Any) -> Any:
    if isinstance(value, str):
        return [piece.strip() for piece in value.split(",") if piece.strip()]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(?:\s*(s|m|h|d))?", value.strip())
    if not match:
        raise ValueError("must be a duration above 0 such as 90s, 10m or 2h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2] or "s"]


def parse_valid(value: str) -> tuple[ValidationKind, str, float]:
    """Return the kind of validation rows, the file or column that it names, and the share.

    A file whose name is one of the other kinds is written as `./last:0.1`.

    Raises:
        ValueError: a share that is not between 0 and 1, or `group` without a column.
    """
    if value == "none":
        return "none", "", 0.0
    if value == "last" or value.startswith("last:"):
        return "last", "", _validation_share(value[5:] or DEFAULT_SHARE)
    if value == "group" or value.startswith("group:"):
        column, colon, share = value[6:].rpartition(":")
        if not colon or not _is_number(share):
            column, share = value[6:], DEFAULT_SHARE
        if not column:
            raise ValueError("must name a column, as in group:customer")
        return "group", column, _validation_share(share)
    if _is_number(value):
        return "random", "", _validation_share(value)
    return "file", value, 0.0


def _validation_share(text: str) -> float:
    share = float(text) if _is_number(text) else 0.0
    if not 0 < share < 1:
        raise ValueError("must have a share between 0 and 1")
    return share


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _valid(value: Any) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    text = repr(value) if number else value
    if isinstance(text, str):
        parse_valid(text)
    return text


def _noise(value: Any) -> Any:
    match = re.fullmatch(r"(gaussian|mask|swap):((?:\d*\.)?\d+(?:e-?\d+)?)", str(value).strip())
    if value == "none":
        return value
    if not match:
        raise ValueError(
            "must be none, or a kind and an amount such as gaussian:0.1, mask:0.2 or swap:0.15"
        )
    amount, maximum = float(match[2]), 100.0 if match[1] == "gaussian" else 1.0
    if not 0 < amount <= maximum:
        raise ValueError(f"the amount of {match[1]} must be above 0 and at most {maximum:g}")
    return f"{match[1]}:{amount:g}"


def _shape(value: Any) -> Any:
    match = re.fullmatch(r"\s*(\d{1,5})x(\d{1,5})(?:x(\d{1,4}))?\s*", str(value))
    if not match or min(int(match[1]), int(match[2])) < 4 or match[3] == "0":
        raise ValueError("must be HEIGHTxWIDTH[xCHANNELS] of at least 4x4, as in 28x28x3")
    return str(value).strip()


_AUTHORS = {"he": "kaiming", "glorot": "xavier"}
_INITIALISERS = {
    "xavier": "xavier_uniform",
    "kaiming": "kaiming_normal",
    "lecun": "normal",
    "lecun_normal": "normal",
    "lecun_uniform": "uniform",
}


def initialiser_name(value: Any) -> Any:
    """Return the name of an initialiser by a name of Keras or torch, such as `HeNormal`.

    An author without a distribution has that of the paper: uniform for Glorot and Bengio (2010),
    normal for He et al. (2015).
    """
    if not isinstance(value, str) or len(value) > _MAX_WORD:
        return value
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", value.strip()).casefold().replace("-", "_")
    author, underscore, distribution = words.strip("_").partition("_")
    name = f"{_AUTHORS.get(author, author)}{underscore}{distribution}"
    return _INITIALISERS.get(name, name)


def parse_scale(text: str) -> tuple[str, dict[str, str]]:
    """Return the scale of all columns, and those of columns by name or glob.

    Raises:
        ValueError: a part is neither a scale nor COLUMN=SCALE, or two of them contradict.
    """
    of_all, of_columns = "", dict[str, str]()
    for part in map(str.strip, text.split(",")):
        pattern, equals, scale = part.rpartition("=")
        if scale not in SCALES or (equals and not pattern):
            which = f"{part!r} " if equals or part != text.strip() else ""
            raise ValueError(f"{which}must be one of {', '.join(SCALES)}, or COLUMN=SCALE")
        before = of_columns.setdefault(pattern, scale) if equals else of_all or scale
        if before != scale:
            raise ValueError(f"{pattern or 'all columns'!r} cannot be both {before} and {scale}")
        of_all = of_all if equals else scale
    return of_all or "auto", of_columns


def _scale(value: Any) -> Any:
    if isinstance(value, Mapping):
        value = [f"{pattern}={scale}" for pattern, scale in value.items()]
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        return value
    if not parts:
        raise ValueError(f"is empty; it must be one of {', '.join(SCALES)}, or COLUMN=SCALE")
    of_all, of_columns = parse_scale(",".join(map(str, parts)))
    shown = [f"{pattern}={scale}" for pattern, scale in of_columns.items()]
    return ",".join(shown if shown and of_all == "auto" else [of_all, *shown])


def _gap(value: Any) -> Any:
    text = str(value).strip()
    if not re.fullmatch(r"\d+(\.\d+)?(\s*(ms|s|m|h|d))?", text):
        raise ValueError("must be a gap such as 90s, 10m, 2h or 1d, or a number")
    return text


Names = Annotated[list[str], BeforeValidator(_split_names)]
Character = Annotated[str, Field(min_length=1, max_length=1)]
Size = Annotated[int, Field(ge=1, le=65_536)]
Sizes = Annotated[list[Size], BeforeValidator(_split_sizes), Field(max_length=64)]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Valid = Annotated[str, BeforeValidator(_valid)]
Noise = Annotated[str, BeforeValidator(_noise)]
Shape = Annotated[str, BeforeValidator(_shape)]
Scale = Annotated[str, BeforeValidator(_scale)]
Gap = Annotated[str, BeforeValidator(_gap)]
