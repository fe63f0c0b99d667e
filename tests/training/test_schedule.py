from dataclasses import replace

import numpy as np
import pytest
import torch

from aecli.features.staging import Staged
from aecli.features.windows import Windows
from aecli.schema.training_options import TrainingOptions
from aecli.training.schedule import (
    FINAL_RATE,
    Schedule,
    default_batch_size,
    default_epochs,
    schedule_of,
)


def test_cosine_warms_up_and_ends_near_nothing():
    schedule = Schedule("cosine", peak=1e-2, steps=1000, patience=10)
    rates = [schedule.rate(step) for step in range(1001)]
    assert rates[0] < 1e-3
    assert max(rates) == pytest.approx(1e-2, rel=0.01)
    assert rates[-1] == pytest.approx(FINAL_RATE * 1e-2)
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_plateau_halves_after_a_third_of_the_patience():
    schedule = Schedule("plateau", peak=1.0, steps=100, patience=9)
    for improved in (True, False, False, False):
        schedule.epoch_ended(improved)
    assert schedule.rate(90) == 0.5


def test_constant_stays():
    schedule = Schedule("constant", peak=0.3, steps=100, patience=3)
    for _ in range(10):
        schedule.epoch_ended(False)
    assert schedule.rate(99) == 0.3


@pytest.mark.parametrize(("share", "rises"), [(0.0, 0), (0.1, 100), (1.0, 999), (None, 30)])
def test_the_rate_rises_for_a_share_of_the_steps(share, rises):
    schedule = Schedule("constant", peak=1.0, steps=1000, patience=3, warm_up=share)
    rates = [schedule.rate(step) for step in range(1000)]
    below = sum(rate < 1 for rate in rates)
    assert below == pytest.approx(rises, abs=1)
    assert rates == sorted(rates)


def test_an_optimizer_that_determines_its_steps_has_full_batches_and_a_constant_rate():
    options = TrainingOptions(optimizer="Rprop", lr=0.01)
    schedule = schedule_of(options, steps=200)
    assert {schedule.rate(step) for step in range(200)} == {0.01}
    sizes = [default_batch_size(rows, "Rprop") for rows in (1, 50_000, 10**7)]
    assert sizes == [1, 50_000, 65_536]
    assert default_epochs(staged(50_000), classifies=False, optimizer="Rprop") == 200
    assert default_epochs(staged(10**7), classifies=False, optimizer="Rprop") == 5


def test_a_single_step_learns():
    assert Schedule("cosine", peak=1.0, steps=1, patience=1).rate(0) == 1.0


def staged(rows, *, numbers=10):
    return Staged(torch.zeros(1, 1).expand(rows, numbers), None, complete=True)


def epochs_of(train, *, classifies=False):
    return default_epochs(train, classifies=classifies)


@pytest.mark.parametrize(
    ("rows", "epochs", "batch_size"),
    [(1, 40, 16), (3_000, 40, 64), (12_500, 40, 128), (50_000, 10, 128), (50_000_000, 5, 1024)],
)
def test_large_tables_are_passed_over_less_often_in_larger_batches(rows, epochs, batch_size):
    assert (epochs_of(staged(rows)), default_batch_size(rows)) == (epochs, batch_size)


def test_wide_samples_and_classifiers_are_passed_over_less_often():
    rows = np.arange(50_030)
    windows = Windows(rows, rows[:50_000], size=30, firsts=rows[:1])
    assert epochs_of(staged(50_000, numbers=256)) == 10
    assert epochs_of(staged(50_000, numbers=257)) == 6
    assert epochs_of(replace(staged(50_030), windows=windows)) == 6
    assert epochs_of(staged(50_000), classifies=True) == 6


@pytest.mark.parametrize(("rows", "epochs", "batch_size"), [(1_078, 40, 32), (50_000, 10, 256)])
def test_classifiers_of_images_have_more_epochs_and_larger_batches(rows, epochs, batch_size):
    images = staged(rows, numbers=784)
    found = default_epochs(images, classifies=True, images=True)
    assert (found, default_batch_size(rows, images=True)) == (epochs, batch_size)
