"""Make column names unique, and select columns by name and glob."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from aecli.errors import DataError, UsageError, nearest
from aecli.formatting import name_list, shell_name
from aecli.schema.options import ColumnOptions

MAX_GLOB = 1_000
"""Maximum length of a glob; parsing one takes quadratic time."""

_INDEX = re.compile(r"__index_level_\d+__")


def unique_names(names: Sequence[str], file: str, notes: list[str]) -> list[str]:
    """Return unique names: the second `a` becomes `a_2`, a missing name `column_N`.

    A note in `notes` lists the changes.
    """
    original = set(names)
    used: set[str] = set()
    result = []
    for position, name in enumerate(names, start=1):
        new, count = name or f"column_{position}", 2
        while new in used or (new != name and new in original):
            new, count = f"{name or 'column'}_{count}", count + 1
        used.add(new)
        result.append(new)
    changed = [(a, b) for a, b in zip(names, result, strict=True) if a != b]
    if changed:
        shown = name_list([f"{old!r} → {new!r}" for old, new in changed], 5)
        notes.append(f"{file}: columns renamed, because names must be unique: {shown}")
    return result


def is_pandas_index(name: str) -> bool:
    """Return whether the name is pandas' name of an unnamed index, which is not a column."""
    return _INDEX.fullmatch(name) is not None


@dataclass(frozen=True)
class ColumnSelection:
    """Roles of a table's columns by the options, in table order.

    `exact` are features named without a glob, which are kept in any case; `categorical` are
    treated as categories, `text` as text. `left_out` has the reason why each other column is not a
    feature, and `scales` the scale of each feature.
    """

    ids: tuple[str, ...]
    features: tuple[str, ...]
    left_out: dict[str, str]
    exact: frozenset[str]
    categorical: frozenset[str]
    text: frozenset[str]
    scales: dict[str, str]


def select_columns(table: str, names: Sequence[str], options: ColumnOptions) -> ColumnSelection:
    """Apply the options of columns, such as `--label`, `--exclude` and `--scale`, to names.

    The scale of a name has precedence over that of a glob, and the first glob over later ones.

    Args:
        table: the name of the table in messages.
        names: its columns, in order.
        options: of the user.

    Raises:
        DataError: a name or glob matches no column.
        UsageError: a column has two roles.
    """
    if options.label is not None:
        require_column(table, names, options.label, "--label")
    ids = match_patterns(table, names, options.id, "--id")
    included = match_patterns(table, names, options.columns, "--columns")
    excluded = match_patterns(table, names, options.exclude, "--exclude")
    categorical = match_patterns(table, names, options.categorical, "--categorical")
    text = match_patterns(table, names, options.text, "--text")
    exact = frozenset([*options.columns, *options.categorical, *options.text]) & frozenset(names)
    _require_one_role(options, exact)
    left_out: dict[str, str] = {}
    features = []
    for name in names:
        if name == options.label or name in ids:
            continue
        if name in excluded:
            left_out[name] = f"left out by --exclude {excluded[name]}"
        elif options.columns and name not in included:
            left_out[name] = "not among --columns"
        else:
            features.append(name)
    roles = dict.fromkeys(ids, "an identifier") | left_out
    if options.label is not None:
        roles[options.label] = "the label"
    scales = _scales(table, names, options, roles=roles)
    return ColumnSelection(
        ids=tuple(name for name in names if name in ids and name != options.label),
        features=tuple(features),
        left_out=left_out,
        exact=exact,
        categorical=frozenset(categorical),
        text=frozenset(text),
        scales={name: scales[name] for name in features},
    )


def match_patterns(
    table: str, names: Sequence[str], patterns: Sequence[str], option: str, *, suffix: str = ""
) -> dict[str, str]:
    """Return the columns that `patterns` match, each with the first pattern that matches it.

    A pattern is a name or a case-sensitive glob. The name of a column matches only that column, so
    names such as `speed [rpm]` are not globs.

    Raises:
        DataError: a pattern matches no column.
    """
    pattern_of: dict[str, str] = {}
    known = set(names)
    for pattern in patterns:
        if pattern in known:
            matched = [pattern]
        elif len(pattern) <= MAX_GLOB and any(sign in pattern for sign in "*?["):
            matched = [name for name in names if fnmatchcase(name, pattern)]
        else:
            matched = []
        if not matched:
            require_column(table, names, pattern, option, suffix=suffix)
        for name in matched:
            pattern_of.setdefault(name, pattern)
    return pattern_of


def require_column(
    table: str, names: Sequence[str], name: str, option: str, *, suffix: str = ""
) -> None:
    """Raise DataError, with the nearest name, unless the table has the column `name`.

    The message writes `suffix` after a name, as in `--scale price=robust`.
    """
    if name in names:
        return
    near = nearest(name, names)
    flag = option if option.endswith(":") else f"{option} "
    raise DataError(
        f"{table} has no column {name!r}" + (f"; did you mean {near!r}?" if near else ""),
        facts=[f"{flag}{name}{suffix}", f"its columns: {name_list(names)}"],
        hint=f"{flag}{_quoted(near)}{suffix}" if near else f"aecli inspect {shell_name(table)}",
    )


def _require_one_role(options: ColumnOptions, exact: frozenset[str]) -> None:
    named = "--columns, --categorical or --text"
    clashes = [("--id", "--label", name) for name in options.id if name == options.label]
    clashes += [("--exclude", "--label", name) for name in options.exclude if name == options.label]
    clashes += [("--id", named, name) for name in options.id if name in exact]
    clashes += [("--exclude", named, name) for name in options.exclude if name in exact]
    both = sorted({*options.categorical} & {*options.text})
    clashes += [("--categorical", "--text", name) for name in both]
    for first, second, name in clashes:
        raise UsageError(
            f"column {name!r} is named by {first} and by {second}",
            hint=f"leave {name!r} out of one of them",
        )


def _scales(
    table: str, names: Sequence[str], options: ColumnOptions, *, roles: Mapping[str, str]
) -> dict[str, str]:
    """Return the scale of each column; `roles` are those of columns that are not features.

    Raises:
        UsageError: a name is that of a column with another role.
    """
    of_all, of_columns = options.scales
    scales: dict[str, str] = {}
    known = set(names)
    for pattern in sorted(of_columns, key=lambda pattern: pattern not in known):
        if pattern in roles:
            raise UsageError(
                f"column {pattern!r} is named by --scale, but it is not a feature: "
                f"{roles[pattern]}",
                hint=f"leave {pattern!r} out of one of them",
            )
        suffix = f"={of_columns[pattern]}"
        for name in match_patterns(table, names, [pattern], "--scale", suffix=suffix):
            scales.setdefault(name, of_columns[pattern])
    return dict.fromkeys(names, of_all) | scales


def _quoted(text: str) -> str:
    return text if text.isidentifier() or text.replace(".", "").isalnum() else f"'{text}'"
