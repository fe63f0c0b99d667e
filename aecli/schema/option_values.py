"""Types of the options by name, for the keywords of the Python API.

Editors and type checkers read these; values are checked by the fields of `schema.options`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

SizeValues = int | str | Sequence[int]
"""Layer sizes: `16`, `"512,64"` or `[512, 64]`; `encoder` also takes `"halve"`."""

NameValues = str | Sequence[str]
"""Column names or globs: `"age,income"` or `["age", "income"]`."""


ScaleValues = str | Sequence[str] | Mapping[str, str]
"""Scales: `"robust"`, `"standard,price=robust"` or `{"price": "robust"}`."""


class SharedOptionValues(TypedDict, total=False):
    """Options that functions and the scikit-learn estimator take under the same name."""

    columns: NameValues
    exclude: NameValues
    categorical: NameValues
    text: NameValues
    text_decoder: str
    text_values: bool
    id: NameValues
    scale: ScaleValues
    output: str
    max_categories: int | None
    nonfinite: str

    arch: str | None
    encoder: SizeValues | None
    decoder: SizeValues | None
    classifier: SizeValues | None
    latent: int | str | None
    activation: str
    latent_activation: str | None
    norm: str | None
    dropout: float
    axes: str
    variational: bool
    topk: int | None
    shape: str | None
    channels: SizeValues
    hidden: int
    layers: int
    heads: int
    feedforward: int
    depth: int
    init: str

    window: int | None
    stride: int
    group: NameValues
    time: str | None
    max_gap: float | str | None
    window_label: str

    reconst_weight: float | None
    number_weight: float | str
    l0: float
    l1: float
    l2: float
    kl: float
    rho: float
    beta: float
    reduction: str
    number_loss: str
    trimmed_loss: bool
    balance: bool

    valid: float | str
    drop_isolated: float
    store_rows: bool
    epochs: int | None
    batch_size: int | None
    optimizer: str
    lr: float
    lr_warmup: float | None
    schedule: str
    patience: int
    clip: float
    noise: str
    log_gradients: bool
    time_limit: float | str | None
    device: str
    threads: int | None
    precision: str
    cuda_graph: bool
    memory: str


class OptionValues(SharedOptionValues, total=False):
    """Every option of a training, as `train` and `tune` take them by keyword."""

    format: str
    encoding: str
    delimiter: str | None
    header: int | str
    skip_rows: int
    sheet: str | None
    null_values: NameValues
    where: str | None
    decimal: str | None
    thousands: str | None
    date_format: str | None
    label: str | None
    class_weight: float
    seed: int
