"""Noise corrupts what the network sees in training, and nothing else."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import aecli
from aecli.features.inputs import Inputs
from aecli.features.layout import lay_out
from aecli.model.build import build, build_reconstruction_loss
from aecli.model.sizes import resolve_network
from aecli.schema.model_spec import Column
from aecli.schema.options import TrainOptions
from aecli.schema.training_options import LossOptions
from aecli.training.noise import Noise, number_deviations
from aecli.training.objective import Objective
from tests.columns import boolean, category, number, time

pytestmark = pytest.mark.usefixtures("no_cross_fitting")

COLUMNS: list[Column] = [number("a"), number("b"), boolean("c"), category("d", "u", "v", "w")]
KINDS = ["gaussian:0.5", "mask:0.3", "swap:0.3"]


def cells(rows: int = 4000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(rows, 2, generator=generator)
    truths = torch.randint(2, (rows, 1), generator=generator)
    codes = torch.randint(3, (rows, 1), generator=generator)
    return torch.cat([numbers, truths, codes], dim=1)


def corrupted(text: str, clean: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(0)
    noise = Noise.parse(text, numbers=2)
    assert noise is not None
    return noise(clean)


def test_gaussian_noise_on_all_elements_of_a_text_is_that_on_one_number():
    size = 16
    fitted = {"center": [0.0] * size, "scale": [0.2] * size, "mean": [0.0] * size}
    text = Column(name="t", kind="text", type="string", size=size, reason="", **fitted)
    where = lay_out([number("a"), text])
    noise = Noise.parse("gaussian:0.5", numbers=where.numbers, deviations=number_deviations(where))
    torch.manual_seed(0)
    squares = noise(torch.zeros(4000, where.cells)).square().mean(0)
    torch.testing.assert_close(squares[0], torch.tensor(0.25), rtol=0.1, atol=0)
    torch.testing.assert_close(squares[1:].sum(), torch.tensor(0.25), rtol=0.1, atol=0)


def test_gaussian_noise_moves_numbers_only():
    clean = cells()
    noisy = corrupted("gaussian:0.5", clean)
    assert torch.equal(noisy[:, 2:], clean[:, 2:])
    difference = noisy[:, :2] - clean[:, :2]
    assert float(difference.std()) == pytest.approx(0.5, rel=0.05)
    assert float(difference.mean()) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("text", ["mask:0.3", "swap:0.3"])
def test_cells_of_a_text_are_corrupted_together(text: str) -> None:
    clean = torch.arange(4_000.0)[:, None].expand(-1, 3)
    torch.manual_seed(0)
    noise = Noise.parse(text, numbers=3, corrupted_with=(0, 1, 1))
    assert noise is not None
    noisy = noise(clean).nan_to_num(-1.0)
    assert torch.equal(noisy[:, 1], noisy[:, 2])
    assert not torch.equal(noisy[:, 0], noisy[:, 1])


def test_mask_empties_its_share_of_every_column_and_no_more():
    clean = cells()
    noisy = corrupted("mask:0.3", clean)
    assert noisy.isnan().float().mean(0).tolist() == pytest.approx([0.3] * 4, abs=0.03)
    kept = ~noisy.isnan()
    assert torch.equal(noisy[kept], clean[kept])


def test_swap_takes_values_of_the_same_column():
    clean = torch.arange(8000.0).reshape(2000, 4)
    noisy = corrupted("swap:0.3", clean)
    assert (noisy != clean).float().mean(0).tolist() == pytest.approx([0.3] * 4, abs=0.04)
    for column in range(4):
        assert set(noisy[:, column].tolist()) <= set(clean[:, column].tolist())


def test_swapped_cells_of_a_row_come_from_different_rows():
    clean = torch.arange(2000.0)[:, None].repeat(1, 4)
    noisy = corrupted("swap:1", clean)
    assert (noisy[:, 0] == noisy[:, 1]).float().mean() < 0.01


@pytest.mark.parametrize("text", KINDS)
def test_the_cells_themselves_are_left_alone(text: str):
    clean = cells()
    corrupted(text, clean)
    assert torch.equal(clean, cells())


def objective(noise: str, columns: list[Column] = COLUMNS) -> Objective:
    layout = lay_out(columns)
    network = resolve_network(
        TrainOptions.from_flat({"encoder": [8, 2]}), columns=columns, layout=layout, classes=0
    )
    torch.manual_seed(0)
    return Objective(
        build(network, columns=columns),
        Inputs(layout),
        build_reconstruction_loss(layout, LossOptions()),
        {"reconstruction": 1.0},
        noise=Noise.parse(noise, numbers=2),
    )


@pytest.mark.parametrize("text", KINDS)
def test_noise_is_for_training_only(text: str):
    plain, noisy = objective("none"), objective(text)
    for mode, alike in ((False, True), (True, False)):
        plain.network.train(mode)
        noisy.network.train(mode)
        assert torch.equal(plain(cells(), None)[0], noisy(cells(), None)[0]) == alike


@pytest.mark.parametrize("text", KINDS)
def test_the_loss_of_noisy_inputs_is_finite_and_against_clean_cells(text: str):
    made = objective(text)
    made.network.train()
    with torch.no_grad():
        for parameter in made.network.parameters():
            parameter.zero_()  # answers 0 whatever it sees
    clean = cells()
    quiet = objective("none")
    quiet.network.load_state_dict(made.network.state_dict())
    assert torch.equal(made(clean, None)[0], quiet(clean, None)[0])


@pytest.mark.parametrize(
    ("text", "kept"), [("gaussian:0.5", True), ("swap:0.5", False), ("mask:0.5", False)]
)
def test_gaussian_noise_leaves_the_phase_of_a_time(text: str, kept: bool):
    columns = [time("t", scale=100.0, periods=["day"])]
    plain, noisy = objective("none", columns), objective(text, columns)
    for made in (plain, noisy):
        made.network.train()
        with torch.no_grad():
            for parameter in made.network.parameters():
                if parameter.shape[1:] == (3,):
                    parameter[:, 0] = 0  # the scaled time itself
    times = torch.linspace(0, 1, 64)[:, None]
    assert torch.equal(plain(times, None)[0], noisy(times, None)[0]) == kept


def table() -> pa.Table:
    a, b, c, d = cells(120).T.tolist()
    return pa.table({"a": a, "b": b, "c": [v > 0 for v in c], "d": [f"v{int(v)}" for v in d]})


def weights(tmp_path, name: str, **values) -> str:
    how = {"model": tmp_path / name, "latent": 2, "epochs": 2, "dropout": 0.1}
    return aecli.train(table(), **how, **values).spec.weights.sha256


@pytest.mark.parametrize(
    "nothing",
    [
        {"noise": "none"},
        {"kl": 0},
        {"l1": 0, "l2": 0},
        {"beta": 0},
        {"reduction": "mean"},
    ],
    ids=str,
)
def test_an_option_of_no_weight_is_the_same_as_none(tmp_path, nothing):
    assert weights(tmp_path, "without") == weights(tmp_path, "with", **nothing)


@pytest.mark.parametrize("text", KINDS)
def test_noise_changes_the_training_and_repeats_by_seed(tmp_path, text: str):
    first, again, quiet = (
        weights(tmp_path, str(n), noise=noise) for n, noise in enumerate([text, text, "none"])
    )
    assert first == again != quiet


@pytest.mark.parametrize("text", KINDS)
def test_windows_of_noisy_rows_train(tmp_path, text: str):
    spec = aecli.train(table(), model=tmp_path / "m", latent=2, epochs=2, window=4, noise=text).spec
    assert spec.summary.valid["total"] < 10


@pytest.mark.parametrize(("noise", "inputs"), [("mask:0.2", 5), ("swap:0.2", 3), ("none", 3)])
def test_masked_cells_are_told_from_average_ones(tmp_path: Path, noise: str, inputs: int):
    rows = pa.table({"a": np.arange(40.0) % 7, "c": ["u", "v"] * 20})
    spec = aecli.train(rows, model=tmp_path / "m", noise=noise, epochs=1).spec
    assert spec.network.inputs == inputs
    assert not any(column.has_missing for column in spec.columns)


def test_a_hole_is_filled_from_what_is_there(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=400)
    rows = pa.table({"a": x, "b": -3 * x, "c": 2 * x})
    aecli.train(rows, model=tmp_path / "m", noise="mask:0.2", latent=1, epochs=20)
    one = pa.table({"a": pa.array([None, 1.0]), "b": [-3.0, -3.0], "c": [2.0, 2.0]})
    aecli.reconstruct(one, str(tmp_path / "f.parquet"), model=tmp_path / "m", fill=True)
    assert pq.read_table(tmp_path / "f.parquet")["a"].to_pylist() == pytest.approx([1, 1], abs=0.3)
