import json
import struct

import pytest
import torch
from torch import nn

from aecli.errors import ModelError
from aecli.model.weights import load_into, to_bytes
from aecli.nn.layers import MLP, BatchNorm


def network(*, width=4, seed=0):
    torch.manual_seed(seed)
    return MLP(sizes=[3, width, 2], activation=nn.ReLU, norm=BatchNorm)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights-000000000000.safetensors"
    path.write_bytes(to_bytes(network()))
    return path


def refused(path, module=None):
    with pytest.raises(ModelError) as error:
        load_into(module or network(seed=1), path.read_bytes(), path)
    lines = error.value.lines()
    assert str(path) in lines[0]
    assert len(lines) <= 6
    assert lines[-1].startswith(f"  try: aecli train DATA -m {path.parent}")
    return "\n".join(lines)


def with_header(path, header, tensors=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + tensors)


def test_weights_come_back_bit_for_bit_and_extras_beside_them(path):
    mean = torch.tensor([1.0, 2.0])
    path.write_bytes(to_bytes(network(), {"baseline.mean": mean}))
    module = network(seed=1)
    extra = load_into(module, path.read_bytes(), path)
    assert list(extra) == ["baseline.mean"]
    assert torch.equal(extra["baseline.mean"], mean)
    for name, tensor in network().state_dict().items():
        assert torch.equal(module.state_dict()[name], tensor)


def test_the_same_weights_give_the_same_bytes():
    assert to_bytes(network()) == to_bytes(network())


def test_a_network_without_memory_takes_the_tensors_as_its_own(path):
    with torch.device("meta"):
        module = network()
    load_into(module, path.read_bytes(), path)
    x = torch.ones(2, 3)
    assert torch.equal(module.eval()(x), network().eval()(x))
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_loading_does_not_draw_random_numbers(path):
    with torch.device("meta"):
        module = network()
    torch.manual_seed(5)
    load_into(module, path.read_bytes(), path)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))


def test_extra_tensors_have_their_own_names():
    with pytest.raises(ValueError, match=r"must be named baseline\.…"):
        to_bytes(network(), {"0.weight": torch.zeros(1)})


def test_another_shape_is_told_with_both_shapes(path):
    message = refused(path, network(width=5))
    assert "does not match the network in spec.json" in message
    assert "0.weight is 4×3 float32, the model needs 5×3 float32" in message
    assert "and " in message.splitlines()[4]


def test_missing_and_foreign_tensors_are_told(path):
    message = refused(path, nn.Sequential(nn.Linear(3, 4), nn.PReLU()))
    assert "lacks 1.weight" not in message  # it is there, of another shape
    assert "1.weight is 4 float32, the model needs 1 float32" in message
    assert "has 1.bias (4 float32), which the model lacks" in message
    message = refused(path, nn.ModuleDict({"0": nn.Linear(3, 4), "new": nn.Linear(1, 1)}))
    assert "lacks new.weight (1×1 float32)" in message


def test_another_type_is_told(path):
    path.write_bytes(to_bytes(network().double()))
    assert "0.weight is 4×3 float64, the model needs 4×3 float32" in refused(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("extra", [False, True])
def test_weights_that_are_not_finite_are_refused(path, value, extra):
    module = network()
    if not extra:
        module[0].weight.data[1, 1] = value
    path.write_bytes(to_bytes(module, {"baseline.mean": torch.tensor([value if extra else 0.0])}))
    message = refused(path)
    assert "not finite numbers" in message
    assert ("in baseline.mean" if extra else "in 0.weight") in message


@pytest.mark.parametrize("size", [0, 5, 8, 100, -9, -1])
def test_a_truncated_file_is_damaged(path, size):
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    assert "is damaged" in refused(path)


def test_a_pickle_is_not_executed(path, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"0.weight": Bomb()}, path)
    assert "is damaged" in refused(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "header",
    [
        b"not json",
        b"\xff\xfe",
        b"[" * 100_000,
        [],
        {"0.weight": 3},
        {"0.weight": {"dtype": "F32", "shape": [4, 3]}},
        {"0.weight": {"dtype": "X1", "shape": [1], "data_offsets": [0, 4]}},
        {"0.weight": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}},
        {"0.weight": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}},
        {"0.weight": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
        {"0.weight": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}},
        {"0.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"baseline.x": {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 4 * 10**15]}},
        {"baseline.x": {"dtype": "F32", "shape": [1] * 9, "data_offsets": [0, 4]}},
    ],
)
def test_a_header_that_lies_is_damaged(path, header):
    with_header(path, header, b"\0" * 4)
    assert "is damaged" in refused(path)


def test_a_header_longer_than_any_network_needs_is_not_read(path):
    with_header(path, b" " * (5 << 20))
    assert "is damaged: its header" in refused(path)


def test_a_refused_file_leaves_the_module_as_it_was(path):
    path.write_bytes(to_bytes(network(), {"baseline.mean": torch.tensor([float("nan")])}))
    module = network(seed=1)
    refused(path, module)
    assert torch.equal(module[0].weight, network(seed=1)[0].weight)
