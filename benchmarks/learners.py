"""Learners of scikit-learn on columns or latents, that benchmarks compare with."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tables import Parts

Split = tuple[Any, Any, Any, Any]
"""Training rows and their labels, test rows and theirs."""


def raw_features() -> Any:
    """Return a transformer that scales numbers and makes categories one-hot."""
    return make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
    )


def boosting(seed: int, *steps: Any) -> Any:
    """Return gradient boosting on the columns, or on what steps make of them."""
    return make_pipeline(raw_features(), *steps, HistGradientBoostingClassifier(random_state=seed))


def logistic() -> Any:
    """Return logistic regression on the columns."""
    return make_pipeline(raw_features(), LogisticRegression(max_iter=2000))


def frames(parts: Parts, label: str) -> Split:
    """Return the columns and labels of training and test rows."""
    found: list[pd.DataFrame | pd.Series] = []
    for part in parts:
        frame = part.to_pandas()
        columns = frame.drop(columns=label)
        found += [columns.where(columns.notna(), None), frame[label]]
    return found[0], found[1], found[2], found[3]


def auroc(learner: Any, train: Any, truth: Any, test: Any, actual: Any) -> float:
    """Return the test AUROC of a classifier, of many classes one against the rest."""
    shares = learner.fit(train, truth).predict_proba(test)
    shares = shares if shares.shape[1] > 2 else shares[:, 1]
    return float(roc_auc_score(actual, shares, multi_class="ovr"))
