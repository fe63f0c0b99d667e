"""Train an autoencoder on any table, and apply it to new tables.

    import aecli

    trained = aecli.train("data.parquet", model="model", label="y", encoder=[512, 256, 64])
    aecli.encode("new.parquet", "latents.parquet", model="model")
    latents = aecli.load("model").encode(frame)

Each function is one command of `aecli`, returns a result object and prints nothing; `load` returns
a model for tables in memory, and `Autoencoder` is a scikit-learn estimator. Importing this package
is cheap: the module of a name is imported when the name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aecli.errors import (
    AecliError,
    DataError,
    DivergedError,
    GateError,
    LockedError,
    ModelError,
    OutputError,
    UsageError,
)

if TYPE_CHECKING:
    from aecli.api.estimator import Autoencoder
    from aecli.api.model import Model, load
    from aecli.evaluation.evaluate import evaluate
    from aecli.inference.decode import decode
    from aecli.inference.encode import encode
    from aecli.inference.predict import predict
    from aecli.inference.reconstruct import reconstruct
    from aecli.inference.sample import sample
    from aecli.inspection.inspect import inspect
    from aecli.model_directory.rollback import rollback
    from aecli.reporting.report import plot, report
    from aecli.scoring.calibrate import calibrate
    from aecli.scoring.score import score
    from aecli.training.train import train
    from aecli.tuning.tune import tune

__all__ = [
    "AecliError",
    "Autoencoder",
    "DataError",
    "DivergedError",
    "GateError",
    "LockedError",
    "Model",
    "ModelError",
    "OutputError",
    "UsageError",
    "__version__",
    "calibrate",
    "decode",
    "encode",
    "evaluate",
    "inspect",
    "load",
    "plot",
    "predict",
    "reconstruct",
    "report",
    "rollback",
    "sample",
    "score",
    "train",
    "tune",
]

__version__ = "0.2.0"

_MODULES = {
    "Autoencoder": "aecli.api.estimator",
    "Model": "aecli.api.model",
    "calibrate": "aecli.scoring.calibrate",
    "decode": "aecli.inference.decode",
    "encode": "aecli.inference.encode",
    "evaluate": "aecli.evaluation.evaluate",
    "inspect": "aecli.inspection.inspect",
    "load": "aecli.api.model",
    "plot": "aecli.reporting.report",
    "predict": "aecli.inference.predict",
    "reconstruct": "aecli.inference.reconstruct",
    "report": "aecli.reporting.report",
    "rollback": "aecli.model_directory.rollback",
    "sample": "aecli.inference.sample",
    "score": "aecli.scoring.score",
    "train": "aecli.training.train",
    "tune": "aecli.tuning.tune",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
