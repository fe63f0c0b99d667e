"""Search space: the options that a search may change, and their ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aecli.model.widths import default_widths
from aecli.schema.network import Network
from aecli.schema.option_docs import explicit_options, format_value
from aecli.schema.options import TrainOptions

T = TypeVar("T", str, int, float)
OptionTexts = dict[str, str]
"""Options by name, as written on a command line."""

SEARCHED_ACTIVATIONS = ("SiLU", "GELU", "ELU", "ReLU")
SEARCHED_DROPOUTS = (0.0, 0.05, 0.1, 0.2, 0.3)
SEARCHED_L1_WEIGHTS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
SEARCHED_NOISE_AMOUNTS = {
    "none": None,
    "gaussian": (0.02, 0.5),
    "mask": (0.02, 0.4),
    "swap": (0.02, 0.4),
}
BATCH_SIZE_FACTORS = (0.25, 0.5, 1, 2, 4)
ADAMW_WEIGHT_DECAY = 0.01
"""Default of AdamW."""

MAX_SEARCHED_WIDTH = 1_024
"""Maximum width of a first layer, or twice the default, so that trials are short."""


class Chooser:
    """Chooser of values of named parameters; this one chooses the defaults, those of `train`.

    `values` are the chosen defaults, `ranges` their alternatives.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.ranges: dict[str, list[Any]] = {}

    def category(self, name: str, default: T, values: Sequence[T]) -> T:
        """Choose one of the values."""
        self.values[name], self.ranges[name] = default, list(values)
        return default

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Choose a number, log-uniformly within the bounds."""
        return self.category(name, default, [low, high])

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Choose an integer within the bounds."""
        return self.category(name, default, [low, high])


@dataclass(frozen=True)
class SearchSpace:
    """Space of the options that a search may change, around the defaults of `train`.

    Args:
        base: the given options, which are not searched.
        network: the network of these options.
        batch_size: the batch size of these options.
        weights: the weight of each loss term of these options.
        minimizes_loss: whether the objective is a loss. A wider latent always lowers it, so the
            default is then the maximum.
        cells: the number of cells of a sample.
    """

    base: TrainOptions
    network: Network
    batch_size: int
    weights: Mapping[str, float]
    minimizes_loss: bool
    cells: int
    given: Mapping[str, object] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "given", explicit_options(self.base))

    def train_options(self, texts: Mapping[str, str]) -> TrainOptions:
        """Return the given options joined with those of a trial."""
        values: dict[str, Any] = {**self.given, **texts}
        if "encoder" in texts and values.get("latent") == "auto":
            del values["latent"]  # the encoder's last size is the latent size
        return TrainOptions.from_flat(values)

    def option_texts(self, chooser: Chooser) -> OptionTexts:
        """Return the chosen options that differ from the defaults."""
        return {
            **self._sizes(chooser),
            **self._layers(chooser),
            **self._noise(chooser),
            **self._steps(chooser),
            **self._weights(chooser),
        }

    def _is_free(self, name: str) -> bool:
        return name not in self.given

    def _sizes(self, chooser: Chooser) -> OptionTexts:
        match self.network.architecture:
            case "mlp" | "vanilla":
                return self._widths(chooser)
            case "conv1d" | "conv2d":
                return self._latent_only(chooser) | self._channels(chooser)
            case "lstm":
                return self._latent_only(chooser) | self._lstm(chooser)
        return self._latent_only(chooser) | self._transformer(chooser)

    def _latent(self, chooser: Chooser) -> int:
        default = self.network.latent
        if not self._is_free("latent") or isinstance(self.given.get("encoder"), list):
            return default
        low = max(self.network.topk or 1, 2, default // (2 if self.minimizes_loss else 4))
        high = default if self.minimizes_loss else max(default, min(4 * default, self.cells))
        return chooser.integer("latent", default, low, high) if low < high else default

    def _latent_only(self, chooser: Chooser) -> OptionTexts:
        latent = self._latent(chooser)
        return {} if latent == self.network.latent else {"latent": str(latent)}

    def _widths(self, chooser: Chooser) -> OptionTexts:
        if self.given.get("encoder") == "halve":
            return self._latent_only(chooser)
        if not self._is_free("encoder"):
            return {}
        latent, inputs = self._latent(chooser), self.network.inputs * self.network.window
        default_sizes = default_widths(inputs, self.network.latent)
        widest = max(2.0, min(4.0, MAX_SEARCHED_WIDTH / default_sizes[0]))
        width = chooser.number("width", 1.0, 0.5, widest)
        depth = chooser.integer("depth", len(default_sizes) - 1, 1, 3)
        default = default_widths(inputs, latent)
        first = default[0] * width
        hidden = [max(latent, _rounded(first / 2**layer, 8)) for layer in range(depth)]
        if [*hidden, latent] != default:
            return {"encoder": format_value([*(min(size, 65_536) for size in hidden), latent])}
        return {} if latent == self.network.latent else {"latent": str(latent)}

    def _channels(self, chooser: Chooser) -> OptionTexts:
        if not self._is_free("channels"):
            return {}
        sides = self.network.shape[:2] or [self.network.window]
        default = self.network.channels
        deepest = max(len(default), min(3, min(sides).bit_length() - 1))
        width = chooser.number("width", 1.0, 0.5, 2.0)
        depth = chooser.integer("depth", len(default), 1, deepest)
        channels = [_rounded(default[0] * width, 4) << layer for layer in range(depth)]
        return {} if channels == default else {"channels": format_value(channels)}

    def _lstm(self, chooser: Chooser) -> OptionTexts:
        texts: OptionTexts = {}
        if self._is_free("hidden"):
            assert self.network.hidden is not None, "an LSTM has a width"
            default = self.network.hidden
            hidden = _rounded(default * chooser.number("width", 1.0, 0.5, 4.0), 8)
            texts |= _changed("hidden", hidden, default)
        if self._is_free("layers"):
            texts |= _changed("layers", chooser.integer("depth", 1, 1, 2), 1)
        return texts

    def _transformer(self, chooser: Chooser) -> OptionTexts:
        texts: OptionTexts = {}
        network = self.network
        assert network.hidden is not None, "a transformer has widths"
        assert network.feedforward is not None, "a transformer has widths"
        width = chooser.number("width", 1.0, 0.5, 2.0) if self._is_free("hidden") else 1.0
        heads = network.heads
        if self._is_free("heads") and self._is_free("hidden"):
            heads = chooser.category("heads", heads, sorted({2, 4, 8, heads}))
            texts |= _changed("heads", heads, network.heads)
        if self._is_free("hidden"):
            hidden = _rounded(network.hidden * width, math.lcm(8, heads))
            texts |= _changed("hidden", hidden, network.hidden)
        if self._is_free("feedforward"):
            feedforward = _rounded(network.feedforward * width, 8)
            texts |= _changed("feedforward", feedforward, network.feedforward)
        if self._is_free("depth"):
            texts |= _changed("depth", chooser.integer("depth", network.depth, 1, 4), network.depth)
        return texts

    def _layers(self, chooser: Chooser) -> OptionTexts:
        texts: OptionTexts = {}
        network, layers = self.network, self.network.layers
        if self._is_free("activation") and network.architecture not in ("lstm", "transformer"):
            default = network.activation.name
            activation = chooser.category("activation", default, SEARCHED_ACTIVATIONS)
            texts |= _changed("activation", activation, default)
        if self._is_free("dropout") and (network.architecture != "lstm" or layers > 1):
            texts |= _changed("dropout", chooser.category("dropout", 0.0, SEARCHED_DROPOUTS), 0.0)
        return texts

    def _noise(self, chooser: Chooser) -> OptionTexts:
        if not self._is_free("noise"):
            return {}
        kind = chooser.category("noise", "none", tuple(SEARCHED_NOISE_AMOUNTS))
        bounds = SEARCHED_NOISE_AMOUNTS[kind]
        if bounds is None:
            return {}
        amount = chooser.number(kind, bounds[0], *bounds)
        return {"noise": f"{kind}:{_three_digits(amount)}"}

    def _steps(self, chooser: Chooser) -> OptionTexts:
        texts: OptionTexts = {}
        if self._is_free("lr"):
            default_lr = self.base.training.lr
            lr = chooser.number("lr", default_lr, default_lr / 10, default_lr * 5)
            texts |= _changed("lr", _three_digits(lr), _three_digits(default_lr))
        if self._is_free("batch_size"):
            default = self.batch_size
            scaled = (max(8, int(default * factor)) for factor in BATCH_SIZE_FACTORS)
            batch_size = chooser.category("batch_size", default, sorted({default, *scaled}))
            texts |= _changed("batch_size", batch_size, default)
        if self._is_free("optimizer"):
            decay = chooser.number("weight_decay", ADAMW_WEIGHT_DECAY, 1e-4, 0.3)
            if decay != ADAMW_WEIGHT_DECAY:
                texts["optimizer"] = f"AdamW:weight_decay={_three_digits(decay)}"
        return texts

    def _weights(self, chooser: Chooser) -> OptionTexts:
        """Search loss weights only with a classifier; otherwise there are no tasks to balance."""
        if "classification" not in self.weights or self.base.losses.reduction == "sum":
            return {}
        texts: OptionTexts = {}
        if self._is_free("reconst_weight"):
            factor = chooser.number("reconst_weight", 1.0, 0.1, 10.0)
            if factor != 1:
                texts["reconst_weight"] = _three_digits(self.weights["reconstruction"] * factor)
        sparsity = {"l0", "l1", "l2", "kl", "kl_normal"} & self.weights.keys()
        if self._is_free("l1") and not sparsity and self.network.topk is None:
            texts |= _changed("l1", chooser.category("l1", 0.0, SEARCHED_L1_WEIGHTS), 0.0)
        return texts


def _changed(name: str, value: object, default: object) -> OptionTexts:
    return {} if value == default else {name: format_value(value)}


def _rounded(size: float, unit: int) -> int:
    """Return the multiple of `unit` nearest to a size, at least one."""
    return max(unit, round(size / unit) * unit)


def _three_digits(value: float) -> str:
    """Return a number with three significant digits, as on the trial's command line."""
    return format_value(float(f"{value:.3g}"))
