"""Sample new rows from a variational model."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor

from aecli.errors import UsageError, nearest
from aecli.features.inverse import InverseColumns, as_type
from aecli.formatting import name_list
from aecli.inference.decode import window_fields, window_numbers
from aecli.inference.loaded_model import LoadedModel, load_model, require_decoder
from aecli.inference.predict import require_label
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

    Latents come from the prior N(0, 1); with a classifier, they come from one normal distribution
    per class, by class frequency, because such latents do not follow the prior (ex-post density
    estimation, Ghosh et al. 2020). Numbers are drawn from a normal distribution around the
    decoder's output, with its residual variance on held-out rows, and clipped to the range of
    training; booleans and categories are drawn from the decoder's probabilities.

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

    def batches() -> Iterator[pa.RecordBatch]:
        progress.stage("drawing", count)
        before = 0
        for latents, codes in _latents(model, count, code, generator):
            numbers = window_numbers(model, before, len(latents))
            rows = _rows(model, latents, codes, label, generator)
            yield pa.RecordBatch.from_arrays([*numbers, *rows], schema=opened.schema)
            before += len(latents)
            progress.rows(len(latents))

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


def _latents(
    model: LoadedModel, count: int, chosen: int | None, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield blocks of latents `(n_samples, latent)` with the class `(n_samples,)` of each."""
    spec = model.spec
    size = max(1, model.batch_rows // spec.network.window)
    for start in range(0, count, size):
        samples = min(size, count - start)
        drawn = torch.randn(samples, spec.network.latent, generator=generator)
        codes = torch.full((samples,), chosen or 0)
        if spec.label is not None and spec.network.classes:
            if chosen is None:
                rows = torch.tensor(spec.label.counts, dtype=torch.float64)
                codes = rows.multinomial(samples, replacement=True, generator=generator)
            mean, scale = (model.baseline[f"baseline.class_{part}"] for part in ("mean", "scale"))
            for code in codes.unique().tolist():
                of_class = codes == code
                drawn[of_class] = mean[code] + drawn[of_class] @ scale[code].T
        yield drawn, codes


@torch.no_grad()
def _rows(
    model: LoadedModel,
    latents: Tensor,
    codes: Tensor,
    label: Label | None,
    generator: torch.Generator,
) -> list[pa.Array]:
    outputs = model.network.decode(latents.to(model.device)).float().cpu()
    numbers, window = model.network.numbers, model.spec.network.window
    spread = model.baseline["baseline.noise_variance"].sqrt()
    outputs[:, :numbers] += torch.randn(len(outputs), numbers, generator=generator) * spread
    logits = outputs[:, numbers:]
    dense = model.reader.layout.booleans
    # The argmax of logits plus Gumbel noise is a sample of their softmax; a logit plus logistic
    # noise is positive with the probability of its sigmoid.
    uniform = torch.rand(logits[:, :dense].shape, generator=generator)
    logits[:, :dense] += torch.logit(uniform, 1e-6)
    logits[:, dense:] += _gumbel(logits[:, dense:], generator)
    arrays = InverseColumns(model.spec.columns, bounded=True).arrays(outputs.numpy())
    if label is not None:
        kind = parse_type(label.type)
        classes = category_values(label.classes, kind).take(pa.array(codes.numpy().repeat(window)))
        arrays.append(as_type(classes, kind))
    return arrays


def _gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(like.shape, generator=generator).clamp(1e-9, 1 - 1e-7)
    return -(-uniform.log()).log()
