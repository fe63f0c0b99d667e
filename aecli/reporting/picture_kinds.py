"""Kinds of pictures that `plot` draws, by name; without the libraries that draw them."""

from __future__ import annotations

PICTURE_KINDS = (
    "card", "loss", "gradients", "search", "importance", "options", "columns", "rows", "map",
    "activations", "units", "correlation", "traversal", "confusion", "calibration", "scores",
    "anomalous",
)  # fmt: skip
"""Kinds of pictures that `plot` draws."""

PICTURE_FORMATS = ("png", "svg", "pdf")

KINDS_WITHOUT_DATA = ("loss", "gradients", "search", "importance", "options")

KINDS_OF_THE_DECODER = ("columns", "rows", "traversal", "scores", "anomalous")

NOTHING_TO_SHOW = {
    "loss": ("the model has no history of its epochs", "aecli train DATA"),
    "gradients": ("gradient norms were not logged", "aecli train DATA --log-gradients"),
    "search": ("the model was not tuned", "aecli tune DATA --trials 30"),
    "importance": ("the model was not tuned, or by few trials", "aecli tune DATA --trials 30"),
    "options": ("the model was not tuned, or by few trials", "aecli tune DATA --trials 30"),
    "confusion": ("it has no classifier, or the table no label", "aecli train DATA --label NAME"),
    "calibration": ("it has no classifier, or the table no label", "aecli train DATA --label NAME"),
    "scores": ("the model was saved without scores", "aecli train DATA"),
    "anomalous": ("the model was saved without scores", "aecli train DATA"),
    "rows": ("no column can be drawn", "aecli reconstruct DATA -o rows.csv"),
    "correlation": ("the latent has one unit", "aecli plot activations DATA"),
}
"""Why a picture may have nothing to show, and what to try."""
