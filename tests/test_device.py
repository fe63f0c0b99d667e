import pytest
import torch

from aecli.device import choose_precision
from aecli.errors import UsageError
from aecli.features.layout import lay_out
from aecli.model.sizes import resolve_network
from aecli.schema.options import TrainOptions
from tests.columns import number


def test_an_lstm_on_a_cpu_computes_in_fp32():
    options = TrainOptions.from_flat({"arch": "lstm", "window": 4, "hidden": 512})
    columns = [number("x")]
    lstm = resolve_network(options, columns=columns, layout=lay_out(columns), classes=0)
    assert choose_precision("auto", torch.device("cpu"), lstm) == "fp32"
    with pytest.raises(UsageError, match="cannot compute an LSTM in bf16"):
        choose_precision("bf16", torch.device("cpu"), lstm)
    assert choose_precision("bf16", torch.device("cuda"), lstm) == "bf16"
