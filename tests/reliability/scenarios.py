"""Commands that write a model or a file, each with what may be there after a failure."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tests.reliability.children import Outcome, aecli_process, command, reported, run_child
from tests.reliability.models import (
    Held,
    held,
    leftovers,
    save_again,
    stopped_arguments,
    train_arguments,
    weights_of,
)
from tests.reliability.system_calls import Action, Call, SystemCalls

NAMES = (
    "save", "train", "retrain", "stop", "resume", "calibrate", "rollback", "encode", "encode csv",
    "report",
)  # fmt: skip
TRAININGS = ("train", "retrain", "stop", "resume")
STARTS = {"save": "two", "resume": "stopped", "rollback": "two"}
OUTPUTS = {"encode": "out.parquet", "encode csv": "out.csv", "report": "out.html"}
APPLIED = ("-q", "--threads", "1", "--device", "cpu")


@dataclass
class Scenario:
    """Command on a copy of a model: what it starts from, and what it leaves when it succeeds.

    `folder` holds the models and tables of `make_models`. The command works in `folder/work`.
    """

    name: str
    folder: Path
    before: object = None
    after: object = None
    calls: Sequence[Call] = ()
    _weights: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._weights = weights_of(self.folder / "old", self.folder / "two")
        self.restore()
        self.before = self.state()
        done = self.run()
        assert (done.code, done.warnings) == (0, []), (self.name, done.err)
        self.calls = done.calls
        self.after = self.state()
        assert self.after != self.before, self.name

    @property
    def work(self) -> Path:
        """Return the folder whose system calls are counted."""
        return self.folder / "work"

    @property
    def model(self) -> Path:
        """Return the model directory."""
        return self.work / "model"

    @property
    def output(self) -> Path | None:
        """Return the file that the command replaces, None where it writes a model."""
        return self.work / OUTPUTS[self.name] if self.name in OUTPUTS else None

    @property
    def commit(self) -> int:
        """Return the number of the call that commits the result: the rename to its name."""
        target = str(self.output or self.model / "spec.json")
        return max(n for n, call in enumerate(self.calls) if call.target == target)

    def arguments(self) -> list[str]:
        """Return the command line."""
        table, model = str(self.folder / "b.csv"), str(self.model)
        match self.name:
            case "train" | "retrain":
                return train_arguments(self.folder, "b", self.model)
            case "stop":
                return stopped_arguments(self.folder, self.model)
            case "resume":
                return [*train_arguments(self.folder, "b", self.model), "--resume"]
            case "calibrate":
                return ["calibrate", table, "-m", model, *APPLIED]
            case "rollback":
                return ["rollback", "-m", model, "-q"]
            case "report":
                return ["report", "-m", model, "-o", str(self.output), *APPLIED]
        return ["encode", table, "-m", model, "-o", str(self.output), *APPLIED]

    def function(self) -> Callable[[], int]:
        """Return a function that runs the command in this process and returns its exit code."""
        if self.name == "save":
            return reported(partial(save_again, self.folder / "stopped", self.model))
        return command(*self.arguments())

    def restore(self) -> None:
        """Put the folder back to what the command starts from."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        if self.name != "train":
            shutil.copytree(self.folder / STARTS.get(self.name, "old"), self.model)
        if self.output is not None:
            self.output.write_bytes(b"what was there before")

    def run(
        self, action: Action = "record", at: int = -1, *, error: int = 5,
        kill_after: float | None = None,
    ) -> Outcome:  # fmt: skip
        """Run the command in a child, in which the call number `at` fails or kills it."""
        calls = None
        if kill_after is None:
            calls = SystemCalls(self.work, action, at, error)
        return run_child(self.function(), calls, kill_after=kill_after)

    def run_process(self, kill_after: float | None = None) -> Outcome:
        """Run the command as a process of its own."""
        return aecli_process(*self.arguments(), folder=self.folder, kill_after=kill_after)

    def state(self) -> object:
        """Return what is there: the model with its generations, or the content of the output.

        Raises:
            ModelError: the model is damaged.
            AssertionError: its parts belong to different trainings.
        """
        if self.output is None:
            made = (self.model / "spec.json").exists()
            return held(self.model, self._weights) if made else None
        content = self.output.read_bytes()
        if self.name != "report":
            return content
        return content.startswith(b"<!DOCTYPE html>") and content.rstrip().endswith(b"</html>")

    def is_new(self, state: object) -> bool:
        """Return whether a state is that of success; more generations may be left for a while."""
        if not (isinstance(state, Held) and isinstance(self.after, Held)):
            return state == self.after
        kept = state.earlier[: len(self.after.earlier)]
        return replace(state, earlier=kept) == self.after

    def leftovers(self) -> set[str]:
        """Return the names that neither the model nor the output need."""
        known = {"model", OUTPUTS.get(self.name)}
        outside = {path.name for path in self.work.iterdir()} - known
        return outside | (leftovers(self.model) if self.model.exists() else set())

    def repeat(self) -> None:
        """Run the command once more without a failure: it succeeds and leaves nothing behind.

        Raises:
            AssertionError: it fails, or a leftover stays.
        """
        unfinished = any((self.model / "checkpoint").glob("state-*"))
        again = self.function()
        if self.name == "resume" and not unfinished:
            again = command(*self.arguments()[:-1])
        done = run_child(again)
        assert (done.code, done.warnings) == (0, []), done.err
        self.state()
        assert not self.leftovers(), self.leftovers()
