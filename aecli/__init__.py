"""Turn any table into a trained autoencoder, and any new table into what it learned.

    import aecli

    trained = aecli.train("data.parquet", model="model", label="y", encoder=[512, 256, 64])
    aecli.encode("new.parquet", "latents.parquet", model="model")
    latents = aecli.load("model").encode(frame)

Each function is one command of `aecli`, returns a result object and prints nothing; `load` gives a
model for tables in memory, and `Autoencoder` is an estimator of scikit-learn. Importing this
package is cheap: what a name needs is imported when it is first looked up.
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
    from aecli.python.estimator import Autoencoder
    from aecli.python.model import Model, load
    from aecli.verbs.calibrate import calibrate
    from aecli.verbs.decode import decode
    from aecli.verbs.encode import encode
    from aecli.verbs.evaluate import evaluate
    from aecli.verbs.inspect import inspect
    from aecli.verbs.predict import predict
    from aecli.verbs.reconstruct import reconstruct
    from aecli.verbs.report import plot, report
    from aecli.verbs.sample import sample
    from aecli.verbs.score import score
    from aecli.verbs.train import train
    from aecli.verbs.tune import tune

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
    "sample",
    "score",
    "train",
    "tune",
]

__version__ = "0.1.0"

_HOMES = {
    "Autoencoder": "aecli.python.estimator",
    "Model": "aecli.python.model",
    "calibrate": "aecli.verbs.calibrate",
    "decode": "aecli.verbs.decode",
    "encode": "aecli.verbs.encode",
    "evaluate": "aecli.verbs.evaluate",
    "inspect": "aecli.verbs.inspect",
    "load": "aecli.python.model",
    "plot": "aecli.verbs.report",
    "predict": "aecli.verbs.predict",
    "reconstruct": "aecli.verbs.reconstruct",
    "report": "aecli.verbs.report",
    "sample": "aecli.verbs.sample",
    "score": "aecli.verbs.score",
    "train": "aecli.verbs.train",
    "tune": "aecli.verbs.tune",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
