"""Names in other tools (scikit-learn, PyOD, Keras, …) for our commands, options and values.

All are in lower case, with `-` between the parts.
"""

from __future__ import annotations

OUTPUT_FILE = "output-file"
"""The option for a command's output: `--output`, or `--model` of `train` and `tune`."""

_OTHER_NAMES = {
    # Commands
    "train": "fit learn run training",
    "encode": "transform embed embedding embeddings encoder-output project",
    "reconstruct": "inverse autoencode impute denoise fill",
    "predict": "predict-proba predictions classify infer inference",
    "score": "detect anomaly anomalies outlier outliers decision-function score-samples",
    "evaluate": "eval test validate metrics benchmark",
    "sample": "generate",
    "tune": "search optimize optimise hyperopt optuna sweep automl",
    "inspect": "info describe show summary profile",
    "plot": "visualize visualise draw",
    # Sections of a config file
    "trainer": "training",
    # Options
    "label": "target targets y label-col response-column label-column target-column "
    "class-column response",
    "columns": "features feature-columns input-features usecols x-columns",
    "exclude": "drop ignore ignored-columns drop-columns skip-columns",
    "categorical": "cat-features categorical-features categories nominal",
    "id": "index index-col key identifier id-column",
    "scale": "scaler scaling normalize normalise standardize standardise preprocessing",
    "encoder": "hidden-layers hidden-layer-sizes hidden-neurons hidden-neuron-list "
    "encoder-neuron-list encoder-neurons layer-sizes "
    "encoder-layers hidden-sizes",
    "decoder": "decoder-neurons decoder-neuron-list decoder-layers",
    "latent": "bottleneck code-size n-components latent-dim encoding-dim latent-size z-dim "
    "embedding-size",
    "hidden": "units hidden-size hidden-units",
    "layers": "num-layers n-layers",
    "heads": "n-heads num-heads nhead",
    "activation": "hidden-activation hidden-activation-name activation-function act",
    "norm": "batch-norm batchnorm normalization",
    "dropout": "dropout-rate drop-rate hidden-dropout-ratios drop",
    "arch": "architecture model-type network",
    "variational": "vae",
    "window": "sequence-length seq-len lookback timesteps window-size n-steps",
    "stride": "step-size hop",
    "group": "series-id entity group-by groups",
    "time": "timestamp time-column date-column datetime",
    "number_loss": "loss criterion loss-function",
    "l2": "l2-regularization l2-regularizer",
    "noise": "noise-std noise-factor corruption",
    "tag": "experiment-name run-name",
    "l1": "l1-regularization sparsity soft-threshold",
    "l0": "jumprelu jump-relu hard-threshold",
    "balance": "class-balance balanced balance-classes",
    "valid": "test-size validation-split validation val validation-size validation-fraction "
    "val-size test-split split holdout valid-size valid-split validation-data",
    "epochs": "epoch epoch-num n-epochs num-epochs max-epochs iter iterations n-iter max-iter "
    "nb-epoch",
    "batch_size": "batch batchsize bs minibatch minibatch-size mini-batch-size",
    "lr": "learning-rate lrate learning-rate-init rate alpha eta",
    "lr_warmup": "warmup warm-up warmup-ratio warmup-proportion warmup-steps lr-warm-up pct-start",
    "optimizer": "weight-decay momentum optim solver",
    "schedule": "scheduler lr-schedule",
    "patience": "early-stopping early-stop n-iter-no-change stopping-rounds",
    "clip": "clip-norm grad-clip gradient-clipping max-grad-norm clipnorm",
    "seed": "random-state random-seed rng",
    "time_limit": "timeout max-time max-runtime max-runtime-secs max-seconds max-duration "
    "time-budget",
    "budget": "timeout max-time max-runtime max-runtime-secs max-seconds max-duration time-budget "
    "time-limit",
    "device": "gpu gpus cuda use-gpu cpu mps accelerator",
    "threads": "n-jobs num-threads workers num-workers jobs",
    "precision": "amp fp16 bf16 mixed-precision dtype",
    "threshold": "contamination cutoff",
    "delimiter": "sep separator",
    "null_values": "na-values nan-values missing-values",
    OUTPUT_FILE: "out outfile out-file out-path output-file output-path output-filename save "
    "save-to save-path save-dir dest destination result results outdir out-dir output-dir "
    "output-directory",
    "model": "model-dir model-path model-file model-name model-id save-model checkpoint "
    "checkpoint-dir",
    "trials": "n-trials num-trials",
    "folds": "cv n-folds nfolds k-fold kfold",
    "json": "as-json",
    "quiet": "silent",
    # Values
    "conv2d": "cnn conv convnet convolutional",
    "lstm": "rnn gru recurrent",
    "transformer": "attention",
    "mlp": "dense fc autoencoder ae feedforward",
    "standard": "zscore z-score standardscaler",
    "minmax": "min-max minmaxscaler normalized",
    "robust": "robustscaler",
    "mse": "l2 mean-squared-error squared",
    "mae": "l1loss mean-absolute-error absolute",
    "batch": "batchnorm1d batch-norm",
    "cosine": "cosineannealing cosine-annealing",
    "plateau": "reducelronplateau reduce-lr-on-plateau",
    "fp32": "float32 full",
    "xlsx": "excel xls spreadsheet",
    "jsonl": "json ndjson",
    "arrow": "feather ipc",
    "LeakyReLU": "leaky",
    "SiLU": "swish",
}

_SYNONYMS: dict[str, list[str]] = {}
for _name, _other_names in _OTHER_NAMES.items():
    for _word in _other_names.split():
        _SYNONYMS.setdefault(_word, []).append(_name)

VALUES = {word: word for word in ("cuda", "cpu", "mps")} | dict.fromkeys(
    ("gpu", "gpus", "use-gpu"), "cuda"
)
"""Values of options that are implied by a word."""


def synonyms(word: str) -> list[str]:
    """Return our names for a word of another tool."""
    return _SYNONYMS.get(word, [])
