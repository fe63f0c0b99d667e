"""Save models over and over in a process that is killed at any moment, and read what it leaves.

Run by test_model_directory: `killed_saves.py SPEC DIRECTORY ROUNDS`. One process forks the
savers, so that a round costs milliseconds and not a start of Python. Prints how many models it
read, and how many different ones.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from functools import partial
from pathlib import Path

from aecli.directory_lock import Lock
from aecli.model_directory.read import read_history, read_model, read_weights
from aecli.model_directory.save import save
from aecli.schema.model_spec import ModelSpec


def save_for_ever(directory: Path, spec: ModelSpec) -> None:
    with Lock(directory):
        while True:
            weights = os.urandom(20_000)
            epochs = [{"epoch": epoch, "loss": 0.5} for epoch in range(weights[0])]
            save(directory, spec, weights, epochs)


def main(spec: ModelSpec, directory: Path, rounds: int) -> None:
    save(directory, spec, b"first", [])
    moment = random.Random(0)
    found = set()
    for _ in range(rounds):
        saver = os.fork()
        if saver == 0:
            save_for_ever(directory, spec)
        time.sleep(moment.uniform(0.0, 0.08))
        os.kill(saver, signal.SIGKILL)
        os.waitpid(saver, 0)
        spec_then, _ = read_model(directory, partial(read_weights, directory))
        read_history(directory, spec_then)
        found.add(spec_then.weights.file)
    save(directory, spec, b"last", [], keep_generations=0)
    print(rounds, len(found), *sorted(os.listdir(directory)))


if __name__ == "__main__":
    stored = ModelSpec.model_validate_json(Path(sys.argv[1]).read_bytes())
    main(stored, Path(sys.argv[2]), int(sys.argv[3]))
