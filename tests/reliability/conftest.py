"""Models that the reliability tests damage, made once per process; imports that children share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

# Before the first fork: a child must not import torch, pyarrow and matplotlib again.
import aecli.inference.encode
import aecli.inspection.inspect
import aecli.reporting.report
import aecli.scoring.calibrate
import aecli.training.train  # noqa: F401
from tests.reliability.models import make_models


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of `make_models`, which stays as it is."""
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder with the models."""
    return Path(shutil.copytree(trained, tmp_path / "models"))
