import shlex
from pathlib import Path

from aecli.cli.display.tuning import tuning_report
from aecli.tuning.trial import TrialRecord, TuneResult
from tests.cli.results import drawn, spec

COMMAND = shlex.join(
    ["aecli", "train", "my data.csv", "--label", "[/red]", "--exclude", "it's,体重", "--balance",
     "--encoder", "512,256,64", "--optimizer", "AdamW:weight_decay=0.0257", "--lr", "0.00136",
     "-m", "runs/best"]
)  # fmt: skip


def trial(number: int, value: float | None, state: str = "complete", **options: str) -> TrialRecord:
    return TrialRecord(number, state, value, options, 40, 1.5, [])  # type: ignore[arg-type]


def result(trials: list[TrialRecord], best: int, **known: object) -> TuneResult:
    settings = {
        "model": Path("runs/best"), "spec": spec(), "objective": "val_loss", "folds": 1,
        "direction": "minimize", "best": best, "value": 0.1, "default": 0.5, "trials": trials,
        "importance": {"lr": 0.75, "width": 0.25}, "command": COMMAND, "seconds": 12.0,
        "journal": Path("[x].journal"), "notes": ["note [/b]"],
    }  # fmt: skip
    return TuneResult(**settings | known)  # type: ignore[arg-type]


def test_the_best_trials_come_first_and_the_defaults_are_always_there():
    trials = [trial(1, 0.9), *(trial(n, n / 10, lr="0.1") for n in range(2, 9))]
    trials += [trial(9, None, "pruned", lr="1"), trial(10, 0.01, "cut", lr="1")]
    text = drawn(tuning_report(result(trials, 2)))
    assert text.startswith("10 trials, 1 pruned, 1 stopped by the budget, in 12 s\n")
    numbers = [line.split()[0] for line in text.splitlines()[2:8]]
    assert numbers == ["2", "3", "4", "5", "6", "1"]
    assert "and 3 more trials" in text
    assert "lr          75 %" in text


def test_more_of_an_accuracy_is_better():
    trials = [trial(1, 0.5), trial(2, 0.9, lr="1")]
    text = drawn(tuning_report(result(trials, 2, direction="maximize", objective="accuracy")))
    assert [line.split()[0] for line in text.splitlines()[2:4]] == ["2", "1"]


def test_the_command_can_be_copied_from_80_columns():
    for terminal in (False, True):
        text = drawn(tuning_report(result([trial(1, 0.5)], 1)), terminal=terminal)
        assert max(map(len, text.splitlines())) <= 80
        shown = text.split("command of the best\n")[1]
        assert shlex.split(shown.replace("\\\n", "")) == shlex.split(COMMAND)
        assert "note [/b]" in text
        assert "[x].journal" in text
