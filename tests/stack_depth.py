"""Print aecli's frames on the stack at the first linear layer of a data batch, from `main` on.

    python tests/stack_depth.py encode
    python tests/stack_depth.py train

A short stack is what lets a reader follow a command from its name to the matrix product. Fitting
PCA does not count; it runs no linear layer.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor
from torch.nn import functional

import aecli
from aecli.cli.main import main

TABLE = str(Path(__file__).parent.parent / "sample_data" / "penguins.csv")
COMMANDS = ("encode", "train")
PACKAGE = Path(aecli.__file__).parent


def frames_of(command: str, folder: Path) -> list[str]:
    """Return aecli's frames, outermost first, as `file:function`."""
    model, quiet = ["-m", str(folder / "model")], ["-q", "--threads", "1"]
    lines = {
        "train": ["train", TABLE, *model, *quiet, "--epochs", "1"],
        "encode": ["encode", TABLE, *model, *quiet, "-o", str(folder / "latents.csv")],
    }
    if command != "train":
        assert main(lines["train"]) == 0
    linear, found = functional.linear, list[list[str]]()

    def first(*args: Any, **kwargs: Any) -> Tensor:
        if not found:
            found.append(_aecli_frames(sys._getframe(1)))
        return linear(*args, **kwargs)

    functional.linear = first
    try:
        assert main(lines[command]) == 0
    finally:
        functional.linear = linear
    return found[0]


def _aecli_frames(frame: FrameType | None) -> list[str]:
    frames = []
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            frames.append(f"{path.relative_to(PACKAGE)}:{frame.f_code.co_qualname}")
        frame = frame.f_back
    return frames[::-1]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for name in sys.argv[1:] or COMMANDS:
            shown = frames_of(name, Path(scratch))
            print(f"{name}: {len(shown)} frames", *shown, sep="\n  ")
