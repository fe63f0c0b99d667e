import json
import struct
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save

from aecli.errors import ModelError
from aecli.safetensors_header import DTYPES, MODEL_IN_MEMORY, read_header


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
