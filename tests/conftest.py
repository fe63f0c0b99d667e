"""Make what several rooms' tests start from."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

# Two test workers share two cores: with a thread pool each, they would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from aecli.schema.model_spec import UNSAVED, Column, Label, ModelSpec, Summary
from aecli.schema.network import Network
from aecli.schema.options import TrainOptions
from aecli.schema.torch_classes import TorchClassSpec

LONG_TESTS = (
    "tests/test_documents.py",
    "tests/api/test_estimator.py",
    "tests/scoring/",
    "tests/cli/test_tune.py",
    "tests/reliability/",
    "tests/reporting/",
)
"""Where the longest tests are: they run first, so that no worker waits for the other at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG_TESTS))


@pytest.fixture
def model_spec() -> ModelSpec:
    """A valid spec of two features and a label, with a placeholder for the weights file."""
    return ModelSpec(
        created="2026-01-31T12:00:00+00:00",
        versions={"aecli": "0.1.0"},
        columns=[
            Column(
                name="größe",
                kind="number",
                type="double",
                center=[1.5],
                scale=[2.0],
                observed=90,
                missing=10,
                has_missing=True,
                reason="floating-point numbers",
            ),
            Column(
                name="color",
                kind="category",
                type="string",
                categories=["red", "blue"],
                has_other=True,
                observed=100,
                reason="2 texts",
            ),
        ],
        label=Label(name="y", type="bool", classes=[False, True], counts=[60, 40]),
        network=Network(
            inputs=5,
            outputs=4,
            classes=2,
            encoder=[3, 2],
            decoder=[3],
            classifier=[],
            activation=TorchClassSpec(name="LeakyReLU", args={"negative_slope": 0.1}),
            latent_activation=TorchClassSpec(name="Identity"),
            norm=TorchClassSpec(name="none"),
            dropout=0.0,
            output="linear",
        ),
        loss_weights={"reconstruction": 1.0, "classification": 1.0},
        options=TrainOptions(),
        parameters=60,
        weights=UNSAVED,
        history=UNSAVED,
        summary=Summary(
            epochs=3,
            best_epoch=2,
            stopped="all 3 epochs done",
            seconds=0.5,
            train_rows=90,
            valid_rows=10,
            train={"total": 1.0},
            valid={"total": 1.1},
        ),
    )


@pytest.fixture
def system_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is synced, renamed, removed and closed in the test, in its order, by file name."""
    calls: list[str] = []

    def name(file: int | str | Path) -> str:
        path = os.readlink(f"/proc/self/fd/{file}") if isinstance(file, int) else str(file)
        return "TEMPORARY" if path.endswith(".tmp") else Path(path).name

    def record(function: str) -> None:
        call = getattr(os, function)

        def recorded(*files: Any, **how: Any) -> Any:
            calls.append(" ".join([function, *map(name, files[:2])]))
            return call(*files, **how)

        monkeypatch.setattr(os, function, recorded)

    for function in ("fsync", "replace", "rename", "unlink", "close"):
        record(function)
    return calls


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int, str], None]:
    """Let a function of `os` fail with an error number for the files with this end of a name."""

    def fail(function: str, number: int, ending: str = "") -> None:
        call = getattr(os, function)

        def failed(file: Any, *values: Any, **how: Any) -> Any:
            path = os.readlink(f"/proc/self/fd/{file}") if isinstance(file, int) else str(file)
            if path.endswith(ending):
                if function == "close":
                    call(file)
                raise OSError(number, os.strerror(number), path)
            return call(file, *values, **how)

        monkeypatch.setattr(os, function, failed)

    return fail


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A temporary directory that every user can get to, unlike `tmp_path`."""
    path = Path(tempfile.mkdtemp(prefix="aecli-test-"))
    path.chmod(0o777)
    yield path
    path.chmod(0o777)
    shutil.rmtree(path)


@pytest.fixture
def unprivileged() -> Callable[[], AbstractContextManager[None]]:
    """Stop being root inside: root may read and write everything, and CI often is root."""

    @contextmanager
    def nobody() -> Iterator[None]:
        user = os.geteuid()
        try:
            os.seteuid(65_534 if user == 0 else user)
        except OSError as error:
            pytest.skip(f"root that may not become another user: {error}")
        try:
            yield
        finally:
            os.seteuid(user)

    return nobody


@pytest.fixture(scope="module")
def no_cross_fitting() -> Iterator[None]:
    """Train one network per small table, not four: thresholds of scores do not matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aecli.training.data.MAX_CROSS_FITTED", 0)
        yield
