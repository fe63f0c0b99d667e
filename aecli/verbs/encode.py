"""Encode a table's rows into latents."""

from __future__ import annotations

from typing import Any

from aecli.stream.rows import encoded, latent_fields
from aecli.table.source import Data
from aecli.verbs.results import StreamResult
from aecli.verbs.stream import Step, run_stream


def encode(
    data: Data, output: str, *, as_list: bool = False, with_scale: bool = False, **how: Any
) -> StreamResult:
    """Write the latents of `data`'s rows to `output`, in order, in constant memory.

    Args:
        data: paths, globs or folders, `-`, or a table in memory; the label may be absent.
        output: a file whose name says the format, or `-` for standard output.
        as_list: write one fixed-size list column `z` instead of `z0`, `z1`, ….
        with_scale: add the standard deviations of a variational latent, `s0`, `s1`, … or `s`.
        **how: `model`, `tag`, `keep`, `to`, `batch_size`, `device`, `threads`, `read`, `progress`
            as in `aecli.verbs.stream.run_stream`.

    Raises:
        UsageError: `with_scale` is asked of a latent without a spread.
        ModelError: the model is missing, damaged or too new.
        DataError: the table cannot be read or lacks columns.
        OutputError: the output cannot be written.
    """
    return run_stream(data, output, encoding(as_list=as_list, with_scale=with_scale), **how)


def encoding(*, as_list: bool = False, with_scale: bool = False) -> Step:
    """Return the step that makes latents of rows."""
    return Step(
        fields=lambda model: latent_fields(model, as_list=as_list, with_scale=with_scale),
        batches=lambda _model, chunks, schema, _table: encoded(
            chunks, schema, as_list=as_list, with_scale=with_scale
        ),
    )
