import pytest

from aecli.training.schedule import FLOOR, Schedule, default_batch_size, default_epochs


def test_cosine_warms_up_and_ends_near_nothing():
    schedule = Schedule("cosine", highest=1e-2, steps=1000, patience=10)
    rates = [schedule.rate(step) for step in range(1001)]
    assert rates[0] < 1e-3
    assert max(rates) == pytest.approx(1e-2, rel=0.01)
    assert rates[-1] == pytest.approx(FLOOR * 1e-2)
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_plateau_halves_after_a_third_of_the_patience():
    schedule = Schedule("plateau", highest=1.0, steps=100, patience=9)
    for improved in (True, False, False, False):
        schedule.epoch_ended(improved)
    assert schedule.rate(90) == 0.5


def test_constant_stays():
    schedule = Schedule("constant", highest=0.3, steps=100, patience=3)
    for _ in range(10):
        schedule.epoch_ended(False)
    assert schedule.rate(99) == 0.3


def test_a_single_step_learns():
    assert Schedule("cosine", highest=1.0, steps=1, patience=1).rate(0) == 1.0


@pytest.mark.parametrize(
    ("rows", "epochs", "batch_size"),
    [(1, 40, 16), (3_000, 40, 64), (12_500, 40, 128), (54_000, 10, 128), (50_000_000, 5, 1024)],
)
def test_large_tables_are_passed_over_less_often_in_larger_batches(rows, epochs, batch_size):
    assert (default_epochs(rows), default_batch_size(rows)) == (epochs, batch_size)
