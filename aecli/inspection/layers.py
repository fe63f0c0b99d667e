"""List the layers of a saved network, without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path

from aecli.model_directory import weights_path
from aecli.schema.model_spec import ModelSpec


@dataclass(frozen=True)
class Layer:
    """Describe one layer of the network: the part it belongs to, its shape and parameter count."""

    part: str
    name: str
    inputs: int
    outputs: int
    parameters: int


PARTS = {"head": "classifier", "path": "linear path"}
"""How people call a part of the network, where that is not its name in the weights file."""


def layers_of(directory: Path, spec: ModelSpec) -> list[Layer]:
    """Return the layers: of an MLP from its sizes alone, of the others from the weights' header.

    Raises:
        ModelError: the weights of another architecture are missing or damaged.
    """
    if spec.network.architecture in ("mlp", "vanilla"):
        return _of_sizes(spec)
    return _of_tensors(_shapes(weights_path(directory, spec)))


def _shapes(path: Path) -> dict[str, list[int]]:
    """Return the tensors' shapes from the header of a safetensors file: a length, then JSON."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {
        name: entry["shape"]
        for name, entry in header.items()
        if name.partition(".")[0] not in ("__metadata__", "baseline", "code")
    }


def _of_tensors(shapes: dict[str, list[int]]) -> list[Layer]:
    modules: dict[str, list[list[int]]] = {}
    for name, shape in shapes.items():
        modules.setdefault(name.rpartition(".")[0], []).append(shape)
    layers = []
    for module, tensors in sorted(modules.items()):
        part, _, name = module.partition(".")
        widest = max(tensors, key=prod)
        before, after = (widest[1], widest[0]) if len(widest) > 1 else (widest[0], widest[0])
        size = sum(prod(shape) for shape in tensors)
        layers.append(Layer(PARTS.get(part, part), name or "own", before, after, size))
    order = ["linear path", "encoder", "decoder", "classifier"]
    return sorted(layers, key=lambda layer: order.index(layer.part))


def _of_sizes(spec: ModelSpec) -> list[Layer]:
    network = spec.network
    inputs, outputs = network.window * network.inputs, network.window * network.outputs
    code = network.latent * (2 if network.variational else 1)
    parts = {
        "encoder": [inputs, *network.encoder[:-1], code],
        "decoder": [network.latent, *network.decoder, outputs],
    }
    if network.classes:
        parts["classifier"] = [network.latent, *network.classifier, network.classes]
    layers = []
    if network.linear_path:
        ends = [(inputs, network.latent), (network.latent, outputs)]
        layers = [Layer("linear path", "Linear", a, b, (a + 1) * b) for a, b in ends]
    for part, sizes in parts.items():
        pairs = list(pairwise(sizes))
        for index, (before, after) in enumerate(pairs):
            last = index == len(pairs) - 1
            extra = 0 if last else _norm_parameters(spec, after)
            layers.append(
                Layer(
                    part,
                    _layer_name(spec, part, last),
                    before,
                    after,
                    (before + 1) * after + extra,
                )
            )
    return layers


def _layer_name(spec: ModelSpec, part: str, last: bool) -> str:
    network = spec.network
    if last:
        after = {"encoder": str(network.latent_activation), "decoder": network.output}
        name = after.get(part, "linear")
        return "Linear" if name in ("Identity", "linear") else f"Linear, {name}"
    pieces = ["Linear"]
    if network.norm.name != "none":
        pieces.append(f"{network.norm.name} norm")
    pieces.append(str(network.activation))
    if network.dropout:
        pieces.append(f"dropout {network.dropout:g}")
    return ", ".join(pieces)


def _norm_parameters(spec: ModelSpec, width: int) -> int:
    norm = spec.network.norm
    affine = norm.args.get("affine", norm.args.get("elementwise_affine", True))
    default = norm.name in ("batch", "layer") or (norm.name == "instance" and "affine" in norm.args)
    return 2 * width if default and affine else 0
