"""Say which options a search may change, and between which values, for any table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from aecli.model.sizes import default_widths
from aecli.schema.model_spec import Network
from aecli.schema.option_docs import explicit_options, format_value
from aecli.schema.options import TrainOptions

T = TypeVar("T", str, int, float)
Texts = dict[str, str]

ACTIVATIONS = ("SiLU", "GELU", "ELU", "ReLU")
DROPOUTS = (0.0, 0.05, 0.1, 0.2, 0.3)
L1 = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
NOISES = {"none": None, "gaussian": (0.02, 0.5), "mask": (0.02, 0.4), "swap": (0.02, 0.4)}
BATCHES = (0.25, 0.5, 1, 2, 4)
WEIGHT_DECAY = 0.01
"""What AdamW has unless told."""

WIDEST = 1_024
"""First layers are not searched beyond this, or beyond twice the default: trials must be many."""


class Chooser(Protocol):
    """Choose values of named parameters; `default` is what `train` takes by itself."""

    def pick(self, name: str, default: T, values: Sequence[T]) -> T:
        """Choose one of some values."""

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Choose a number, its logarithm evenly between those of the bounds."""

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Choose a whole number."""


class Defaults:
    """Choose every default; `values` are those chosen, `ranges` what they were chosen from."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.ranges: dict[str, list[Any]] = {}

    def pick(self, name: str, default: T, values: Sequence[T]) -> T:
        """Choose the default."""
        self.values[name], self.ranges[name] = default, list(values)
        return default

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Choose the default."""
        return self.pick(name, default, [low, high])

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Choose the default."""
        return self.pick(name, default, [low, high])


@dataclass(frozen=True)
class Space:
    """Turn chosen values into options, around what `train` would do by itself.

    Args:
        base: the options that were given; these stay.
        network: the network that they make.
        batch_size: the one that they make.
        weights: the weight of each loss term that they make.
        restoring: whether the objective is a loss of restored cells. A wider latent always lowers
            it, so that the default is then the widest that is tried.
        cells: of a sample.
    """

    base: TrainOptions
    network: Network
    batch_size: int
    weights: Mapping[str, float]
    restoring: bool
    cells: int
    given: Mapping[str, object] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "given", explicit_options(self.base))

    def train_options(self, texts: Mapping[str, str]) -> TrainOptions:
        """Return the given options with those of a trial."""
        values: dict[str, Any] = {**self.given, **texts}
        if "encoder" in texts and values.get("latent") == "auto":
            del values["latent"]  # the encoder ends with what it came to
        return TrainOptions.from_flat(values)

    def texts(self, choose: Chooser) -> Texts:
        """Return the options that differ from the defaults, as they stand on a command line."""
        found: Texts = {}
        for part in (self._sizes, self._layers, self._noise, self._steps, self._weights):
            found |= part(choose)
        return found

    def _free(self, name: str) -> bool:
        return name not in self.given

    def _sizes(self, choose: Chooser) -> Texts:
        match self.network.architecture:
            case "mlp" | "vanilla":
                return self._widths(choose)
            case "conv1d" | "conv2d":
                return self._latent_alone(choose) | self._channels(choose)
            case "lstm":
                return self._latent_alone(choose) | self._lstm(choose)
        return self._latent_alone(choose) | self._transformer(choose)

    def _latent(self, choose: Chooser) -> int:
        now = self.network.latent
        if not (self._free("latent") and self._free("encoder")):
            return now
        low = max(self.network.topk or 1, 2, now // (2 if self.restoring else 4))
        high = now if self.restoring else max(now, min(4 * now, self.cells))
        return choose.whole("latent", now, low, high) if low < high else now

    def _latent_alone(self, choose: Chooser) -> Texts:
        latent = self._latent(choose)
        return {} if latent == self.network.latent else {"latent": str(latent)}

    def _widths(self, choose: Chooser) -> Texts:
        if not self._free("encoder"):
            return {}
        latent, inputs = self._latent(choose), self.network.inputs * self.network.window
        usual = default_widths(inputs, self.network.latent)
        width = choose.number("width", 1.0, 0.5, max(2.0, min(4.0, WIDEST / usual[0])))
        depth = choose.whole("depth", len(usual) - 1, 1, 3)
        default = default_widths(inputs, latent)
        first = default[0] * width
        hidden = [max(latent, _rounded(first / 2**place, 8)) for place in range(depth)]
        if [*hidden, latent] != default:
            return {"encoder": format_value([*(min(size, 65_536) for size in hidden), latent])}
        return {} if latent == self.network.latent else {"latent": str(latent)}

    def _channels(self, choose: Chooser) -> Texts:
        if not self._free("channels"):
            return {}
        sides = self.network.shape[:2] or [self.network.window]
        usual = self.network.channels
        deepest = max(len(usual), min(3, min(sides).bit_length() - 1))
        width = choose.number("width", 1.0, 0.5, 2.0)
        depth = choose.whole("depth", len(usual), 1, deepest)
        channels = [_rounded(usual[0] * width, 4) << place for place in range(depth)]
        return {} if channels == usual else {"channels": format_value(channels)}

    def _lstm(self, choose: Chooser) -> Texts:
        found: Texts = {}
        if self._free("hidden"):
            assert self.network.hidden is not None, "an LSTM has a width"
            usual = self.network.hidden
            hidden = _rounded(usual * choose.number("width", 1.0, 0.5, 4.0), 8)
            found |= _changed("hidden", hidden, usual)
        if self._free("layers"):
            found |= _changed("layers", choose.whole("depth", 1, 1, 2), 1)
        return found

    def _transformer(self, choose: Chooser) -> Texts:
        network, found = self.network, Texts()
        assert network.hidden is not None, "a transformer has widths"
        assert network.feedforward is not None, "a transformer has widths"
        width = choose.number("width", 1.0, 0.5, 2.0) if self._free("hidden") else 1.0
        heads = network.heads
        if self._free("heads") and self._free("hidden"):
            heads = choose.pick("heads", heads, sorted({2, 4, 8, heads}))
            found |= _changed("heads", heads, network.heads)
        if self._free("hidden"):
            hidden = _rounded(network.hidden * width, math.lcm(8, heads))
            found |= _changed("hidden", hidden, network.hidden)
        if self._free("feedforward"):
            wide = _rounded(network.feedforward * width, 8)
            found |= _changed("feedforward", wide, network.feedforward)
        if self._free("depth"):
            found |= _changed("depth", choose.whole("depth", network.depth, 1, 4), network.depth)
        return found

    def _layers(self, choose: Chooser) -> Texts:
        found: Texts = {}
        network, layers = self.network, self.network.layers
        if self._free("activation") and network.architecture not in ("lstm", "transformer"):
            usual = network.activation.name
            found |= _changed("activation", choose.pick("activation", usual, ACTIVATIONS), usual)
        if self._free("dropout") and (network.architecture != "lstm" or layers > 1):
            found |= _changed("dropout", choose.pick("dropout", 0.0, DROPOUTS), 0.0)
        return found

    def _noise(self, choose: Chooser) -> Texts:
        if not self._free("noise"):
            return {}
        kind = choose.pick("noise", "none", tuple(NOISES))
        bounds = NOISES[kind]
        if bounds is None:
            return {}
        amount = choose.number(kind, bounds[0], *bounds)
        return {"noise": f"{kind}:{_short(amount)}"}

    def _steps(self, choose: Chooser) -> Texts:
        found: Texts = {}
        if self._free("lr"):
            usual = self.base.training.lr
            rate = choose.number("lr", usual, usual / 10, usual * 5)
            found |= _changed("lr", _short(rate), _short(usual))
        if self._free("batch_size"):
            now = self.batch_size
            sizes = sorted({now, *(max(8, int(now * share)) for share in BATCHES)})
            found |= _changed("batch_size", choose.pick("batch_size", now, sizes), now)
        if self._free("optimizer"):
            decay = choose.number("weight_decay", WEIGHT_DECAY, 1e-4, 0.3)
            if decay != WEIGHT_DECAY:
                found["optimizer"] = f"AdamW:weight_decay={_short(decay)}"
        return found

    def _weights(self, choose: Chooser) -> Texts:
        """Search loss weights beside a classifier alone: without one there is nothing to weigh."""
        if "classification" not in self.weights or self.base.losses.reduction == "sum":
            return {}
        found: Texts = {}
        if self._free("reconst_weight"):
            factor = choose.number("reconst_weight", 1.0, 0.1, 10.0)
            if factor != 1:
                found["reconst_weight"] = _short(self.weights["reconstruction"] * factor)
        other = {"l1", "l2", "kl", "kl_normal"} & self.weights.keys()
        if self._free("l1") and not other and self.network.topk is None:
            found |= _changed("l1", choose.pick("l1", 0.0, L1), 0.0)
        return found


def _changed(name: str, value: object, usual: object) -> Texts:
    return {} if value == usual else {name: format_value(value)}


def _rounded(size: float, unit: int) -> int:
    """Return the multiple of `unit` nearest to a size, at least one."""
    return max(unit, round(size / unit) * unit)


def _short(value: float) -> str:
    """Write a number with three digits: what a command line shows is what was tried."""
    return format_value(float(f"{value:.3g}"))
