import json
import struct
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save

from aecli.errors import ModelError
from aecli.safetensors_header import DTYPES, MAX_HEADER_BYTES, MODEL_IN_MEMORY, read_header


def test_the_header_has_types_and_shapes_without_the_tensors():
    weights = save({"weight": torch.zeros(4, 3), "scale": torch.tensor(1.0)})
    header = read_header(weights, MODEL_IN_MEMORY)
    assert {name: str(info) for name, info in header.items()} == {
        "weight": "4×3 float32",
        "scale": "scalar float32",
    }


@pytest.mark.parametrize("code", DTYPES)
def test_sizes_of_types_are_those_of_torch(code):
    torch_name, element_bytes = DTYPES[code]
    dtype = getattr(torch, torch_name)
    assert dtype.itemsize == element_bytes
    header = read_header(save({"x": torch.zeros(2, dtype=dtype)}), MODEL_IN_MEMORY)
    assert header["x"].dtype == code


def test_damaged_bytes_in_memory_are_refused():
    header = json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}).encode()
    with pytest.raises(ModelError, match=f"{MODEL_IN_MEMORY} is damaged"):
        read_header(struct.pack("<Q", len(header)) + header + b"\0" * 4, MODEL_IN_MEMORY)


def test_reading_a_header_needs_neither_torch_nor_numpy():
    code = "import sys, aecli.safetensors_header; print({'torch', 'numpy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def weights_of(entry: object, data: bytes = b"\0" * 8, length: int | None = None) -> bytes:
    header = json.dumps({"x": entry}).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("changed", "shape"),
    [
        ({}, (2,)),
        ({"shape": [1] * 7 + [2]}, (1,) * 7 + (2,)),
        ({"shape": [0], "data_offsets": [8, 8]}, (0,)),
        ({"shape": [1], "data_offsets": [4, 8]}, (1,)),
        ({"shape": [0], "data_offsets": [0, 0]}, (0,)),
    ],
)
def test_tensors_that_the_file_has(changed, shape):
    assert read_header(weights_of(TENSOR | changed), MODEL_IN_MEMORY)["x"].shape == shape


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"shape": [1] * 8 + [2]}, "'x' is outside the file"),
        ({"data_offsets": [0, 8, 8]}, "'x' is outside the file"),
        ({"data_offsets": [1, 9]}, "'x' is outside the file"),
        ({"data_offsets": [8, 0]}, "'x' is outside the file"),
        ({"data_offsets": [4, 8]}, "the size of 'x' does not match its shape"),
        ({"dtype": "F128"}, "its header does not describe 'x' as a tensor"),
        ({"shape": [True, 2]}, "its header does not describe 'x' as a tensor"),
        ({"shape": None}, "its header does not describe 'x' as a tensor"),
    ],
)
def test_tensors_that_the_file_has_not(changed, problem):
    with pytest.raises(ModelError, match=problem):
        read_header(weights_of(TENSOR | changed), MODEL_IN_MEMORY)


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_header_ends_with_its_file_or_before(beyond):
    content = b'{"__metadata__": {}}'
    weights = struct.pack("<Q", len(content) + beyond) + content
    if not beyond:
        assert read_header(weights, MODEL_IN_MEMORY) == {}
        return
    with pytest.raises(ModelError, match="its header is longer than its 28 bytes"):
        read_header(weights, MODEL_IN_MEMORY)


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_header_of_megabytes_is_not_read(beyond):
    content = b"{}".ljust(MAX_HEADER_BYTES + beyond)
    weights = struct.pack("<Q", len(content)) + content
    if not beyond:
        assert read_header(weights, MODEL_IN_MEMORY) == {}
        return
    with pytest.raises(ModelError, match="its header is longer than"):
        read_header(weights, MODEL_IN_MEMORY)
