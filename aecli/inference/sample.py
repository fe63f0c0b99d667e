"""Sample new rows from a variational model."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from aecli.device import limited_threads
from aecli.errors import UsageError, nearest
from aecli.features.inverse import InverseColumns, as_type
from aecli.features.text.stored_texts import with_any_distance
from aecli.formatting import name_list
from aecli.inference.decode import window_fields, window_numbers
from aecli.inference.loaded_model import LoadedModel, load_model, require_decoder
from aecli.inference.predict import require_label
from aecli.inference.row_distribution import stored_row_distribution
from aecli.inference.run import Pass
from aecli.model_directory.location import model_directory
from aecli.progress import SILENT, Progress
from aecli.schema.model_spec import Label
from aecli.table.arrow_types import category_values, parse_type


@dataclass(frozen=True)
class SampleResult:
    """Result of `sample`."""

    model: Path
    output: str
    rows: int
    columns: Sequence[str]
    of_class: str | None
    seconds: float


@limited_threads()
def sample(
    output: str,
    *,
    count: int = 1000,
    of_class: str | None = None,
    seed: int = 0,
    model: str | os.PathLike[str] | None = None,
    tag: str | None = None,
    to: str | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = SILENT,
) -> SampleResult:
    """Draw latents, decode them, and write the rows in the units of the training table.

    With a classifier a class is drawn by class frequency, then the latents and the cells of a row,
    each given those before it (`RowDistribution`). For windows and rows of many cells, latents come
    from the prior N(0, 1), or from one normal distribution per class, because such latents do not
    follow the prior (ex-post density estimation, Ghosh et al. 2020), and each cell is drawn alone:
    numbers from a normal distribution around the decoder's output, with its residual variance on
    held-out rows, and booleans and categories from the decoder's probabilities; texts by character
    have the most likely ones. Texts as vectors are the nearest stored ones, at any distance.

    Args:
        output: a file whose suffix is the format, or `-` for standard output.
        count: the number of rows, or of windows for a model of windows.
        of_class: a class of the label, whose latent distribution is used.
        seed: of the random numbers; on one machine the same seed gives the same rows.

    Raises:
        UsageError: the model is not variational, it has no classifier or no such class, its decoder
            was not trained, `count` is below 1, or `seed` below 0.
        ModelError: the model is missing, damaged or too new.
        OutputError: the output cannot be written.
    """
    if count < 1 or seed < 0:
        raise UsageError(f"count={count}, seed={seed}: no rows to sample", hint="count=1000")
    began = time.perf_counter()
    loaded = load_model(model_directory(model, tag), device=device, threads=threads)
    opened = sample_pass(loaded, count=count, of_class=of_class, seed=seed, progress=progress)
    result = opened.write(output, to, began=began)
    return SampleResult(
        model=result.model,
        output=output,
        rows=result.rows,
        columns=result.columns,
        of_class=of_class,
        seconds=result.seconds,
    )


def sample_pass(
    model: LoadedModel,
    *,
    count: int = 1000,
    of_class: str | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Pass:
    """Prepare a pass that samples rows; arguments and errors are those of `sample`."""
    _require_variational(model)
    require_decoder(model)
    code = None if of_class is None else _class_code(model, of_class)
    label = model.spec.label if model.spec.network.classes else None
    fields = list(InverseColumns(model.spec.columns).schema)
    if label is not None:
        fields.append(pa.field(label.name, parse_type(label.type)))
    opened = Pass(model, progress=progress)
    generator = torch.Generator().manual_seed(seed)
    rows = stored_row_distribution(model)

    def batches() -> Iterator[pa.RecordBatch]:
        progress.stage("drawing", count)
        window = model.spec.network.window
        size = max(1, model.batch_rows // window)
        for start in range(0, count, size):
            samples = min(size, count - start)
            if rows is None:
                latents, classes = _latents(model, samples, code, generator)
                outputs, missing = _noisy_outputs(model, latents, generator), None
            else:
                classes = _classes(model, samples, code, generator)
                outputs, missing = rows.draw(samples, classes, generator)
            arrays = window_numbers(model, start, samples) + _arrays(model, outputs, missing)
            if label is not None and classes is not None:
                arrays.append(_label_values(label, classes.repeat_interleave(window)))
            yield pa.RecordBatch.from_arrays(arrays, schema=opened.schema)
            progress.rows(samples)

    return opened.output([*window_fields(model, fields), *fields], batches())


def _require_variational(model: LoadedModel) -> None:
    if not model.spec.network.variational:
        raise UsageError(
            f"{model.directory} is not variational: its latents have no distribution to sample",
            hint="aecli train DATA --variational",
        )


def _class_code(model: LoadedModel, name: str) -> int:
    label = require_label(model)
    names = [str(value) for value in label.classes]
    if name in names and label.counts[names.index(name)]:
        return names.index(name)
    names = [name for name, rows in zip(names, label.counts, strict=True) if rows]
    near = nearest(name, names)
    raise UsageError(
        f"the label {label.name!r} has no class {name!r}",
        facts=[f"its classes: {name_list(names)}"],
        hint=f"--class {near}" if near else "one of its classes",
    )


def _classes(
    model: LoadedModel, count: int, chosen: int | None, generator: torch.Generator
) -> Tensor | None:
    """Return codes of classes `(count,)`, by class frequency; None without a classifier."""
    label = model.spec.label
    if label is None or not model.spec.network.classes:
        return None
    if chosen is not None:
        return torch.full((count,), chosen)
    rows = torch.tensor(label.counts, dtype=torch.float64)
    return rows.multinomial(count, replacement=True, generator=generator)


def _latents(
    model: LoadedModel, count: int, chosen: int | None, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """Return latents `(count, latent)`, and with a classifier the class of each."""
    drawn = torch.randn(count, model.spec.network.latent, generator=generator)
    classes = _classes(model, count, chosen, generator)
    if classes is not None:
        mean, scale = (model.baseline[f"baseline.class_{part}"] for part in ("mean", "scale"))
        for code in classes.unique().tolist():
            of_class = classes == code
            drawn[of_class] = mean[code] + drawn[of_class] @ scale[code].T
    return drawn, classes


@torch.no_grad()
def _noisy_outputs(model: LoadedModel, latents: Tensor, generator: torch.Generator) -> Tensor:
    """Return the decoder's outputs `(n_rows, n_outputs)` with noise, so that they are samples."""
    outputs = model.network.decode(latents.to(model.device)).float().cpu()
    layout = model.reader.layout
    numbers, dense = model.network.numbers, layout.booleans
    spread = model.baseline["baseline.noise_variance"].sqrt()
    outputs[:, :numbers] += torch.randn(len(outputs), numbers, generator=generator) * spread
    logits = outputs[:, numbers:]
    # The argmax of logits plus Gumbel noise is a sample of their softmax; a logit plus logistic
    # noise is positive with the probability of its sigmoid.
    uniform = torch.rand(logits[:, :dense].shape, generator=generator)
    logits[:, :dense] += torch.logit(uniform, 1e-6)
    # Characters that are drawn independently of each other are not words.
    categories = slice(dense, dense + sum(layout.cardinalities[: len(layout.category)]))
    logits[:, categories] += _gumbel(logits[:, categories], generator)
    return outputs


def _arrays(model: LoadedModel, outputs: Tensor, missing: Tensor | None) -> list[pa.Array]:
    """Return one array per column; a vector with a missing element is missing."""
    columns = [with_any_distance(column) for column in model.spec.columns]
    inverse = InverseColumns(columns, bounded=True)
    arrays = dict(zip(inverse.schema.names, inverse.arrays(outputs.numpy()), strict=True))
    if missing is None:
        return list(arrays.values())
    layout = model.reader.layout
    of_columns = missing.split(layout.widths, dim=1)
    for column, of_column in zip(layout.columns, of_columns, strict=True):
        rows = pa.array(np.arange(len(missing)), mask=of_column.any(1).numpy())
        arrays[column.name] = arrays[column.name].take(rows)
    return list(arrays.values())


def _label_values(label: Label, classes: Tensor) -> pa.Array:
    kind = parse_type(label.type)
    return as_type(category_values(label.classes, kind).take(pa.array(classes.numpy())), kind)


def _gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(like.shape, generator=generator).clamp(1e-9, 1 - 1e-7)
    return -(-uniform.log()).log()
