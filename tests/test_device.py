import pytest
import torch

from aecli.device import choose_precision, has_bf16, set_threads, step_threads
from aecli.errors import AecliWarning, UsageError
from aecli.features.layout import lay_out
from aecli.model.sizes import resolve_network
from aecli.schema.options import TrainOptions
from tests.columns import number


def test_an_lstm_on_a_cpu_computes_in_fp32():
    options = TrainOptions.from_flat({"arch": "lstm", "window": 4, "hidden": 512})
    columns = [number("x")]
    lstm = resolve_network(options, columns=columns, layout=lay_out(columns), classes=0)
    assert choose_precision("auto", torch.device("cpu"), lstm, batch_size=64) == "fp32"
    with pytest.raises(UsageError, match="cannot compute an LSTM in bf16"):
        choose_precision("bf16", torch.device("cpu"), lstm, batch_size=64)


@pytest.mark.parametrize(
    ("device", "has_bf16", "width", "batch_size", "captured", "precision"),
    [
        ("cuda", True, 512, 128, True, "bf16"),
        ("cuda", True, 128, 1024, True, "fp32"),
        ("cuda", True, 512, 1024, False, "fp32"),
        ("cuda", True, 2048, 1024, False, "bf16"),
        ("cuda", False, 2048, 1024, True, "fp32"),
        ("cpu", True, 256, 16, False, "bf16"),
        ("cpu", True, 128, 1024, False, "fp32"),
        ("cpu", False, 2048, 1024, False, "fp32"),
    ],
)
def test_the_precision_follows_from_sizes_and_hardware(
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    has_bf16: bool,
    width: int,
    batch_size: int,
    captured: bool,
    precision: str,
):
    monkeypatch.setattr("aecli.device.has_bf16", lambda _: has_bf16)
    options = TrainOptions.from_flat({"encoder": [width, 8]})
    columns = [number("x")]
    network = resolve_network(options, columns=columns, layout=lay_out(columns), classes=0)
    chosen = choose_precision(
        "auto", torch.device(device), network, batch_size=batch_size, captured=captured
    )
    assert chosen == precision


def test_bf16_on_a_gpu_without_it_is_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aecli.device.has_bf16", lambda _: False)
    columns = [number("x")]
    network = resolve_network(TrainOptions(), columns=columns, layout=lay_out(columns), classes=0)
    with pytest.raises(UsageError, match="cannot compute in bf16") as raised:
        choose_precision("bf16", torch.device("cuda"), network, batch_size=64)
    assert raised.value.hint == "--precision fp32"


def test_bf16_is_that_of_the_chosen_gpu(monkeypatch: pytest.MonkeyPatch):
    capabilities = {0: (9, 0), 1: (7, 5)}
    monkeypatch.setattr("torch.version.hip", None)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda gpu: capabilities[gpu.index])
    assert [has_bf16(torch.device("cuda", index)) for index in (0, 1)] == [True, False]
    monkeypatch.setattr("torch.version.hip", "6.4")
    assert has_bf16(torch.device("cuda", 1))


@pytest.mark.parametrize(
    ("parameters", "rows", "threads"),
    [(1_000, 128, 1), (10_000, 1_024, 3), (1_200_000, 1_024, 16), (1_200_000, 1, 1)],
)
def test_small_steps_use_few_threads(parameters: int, rows: int, threads: int):
    assert step_threads(parameters, rows, 16) == threads


def test_threads_beyond_the_cores_are_not_started():
    before = torch.get_num_threads()
    with pytest.warns(AecliWarning, match=r"^--threads 1024: this machine has \d+ cores?, so"):
        set_threads(1024)
    try:
        assert torch.get_num_threads() <= 256
    finally:
        torch.set_num_threads(before)
