"""All parts of the benchmarks: a table of RESULTS.md each, by group."""

from __future__ import annotations

import statistics

from harness import Part

PIXELS = ("mnist-12", "mnist-32", "mnist-64")

PARTS: dict[str, Part] = {
    "models": Part(
        "quality", "models of the defaults, next to PCA and learners on the columns",
        "models:measure",
        ("adult16", "adult8", "diamonds", "ai4i", "ai4i-folds", "ai4i-sensors", "mnist", "mnist12",
         "mnist32", "mnist64"),
    ),
    "starts": Part(
        "quality", "the start as PCA next to torch's own", "variants:starts",
        ("adult", "diamonds", "ai4i2020", "letter", "penguins", "digits", "etth1"),
    ),
    "starts-labels": Part(
        "quality", "the same with a label", "variants:labelled_starts",
        ("letter-label", "digits-label", "mnist-label"),
    ),
    "starts-images": Part("quality", "the same of MNIST", "variants:image_starts", PIXELS),
    "rates": Part("quality", "learning rates and the cut of numbers", "variants:rates", PIXELS),
    "lengths": Part(
        "quality", "shorter and longer trainings", "variants:lengths",
        ("letter", "etth1", "diamonds", "adult-label", "mnist-32"),
    ),
    "number-weights": Part(
        "quality", "the weight of numbers next to a label", "variants:number_weights",
        ("adult-label-16", "adult-label-8", "diamonds-label-4"),
    ),
    "small-tables": Part(
        "quality", "the weight of numbers in 1,000 training rows", "variants:small_tables",
        ("adult", "adult-label", "diamonds-label"),
    ),
    "task-weights": Part(
        "quality", "the weight of the reconstruction next to a label", "variants:tasks",
        ("adult-label", "diamonds-label", "ai4i-label"),
    ),
    "sorted-tables": Part("quality", "sorted tables next to shuffled ones",
                          "sorted_tables:measure"),
    "sparsity": Part(
        "quality", "sparse latents", "sparsity:measure", ("digits", "mnist", "cardio")
    ),
    "pixels": Part("quality", "classifiers of images", "pixels:measure", ("digits", "mnist")),
    "heads": Part(
        "quality", "classifiers with other inputs and heads", "heads:measure",
        ("adult", "diamonds", "ai4i", "letter"), (0,),
    ),
    "architectures": Part(
        "quality", "windows and images next to PCA", "architectures:quality",
        ("japanese_vowels", "italy_power", "mnist"), (0,),
    ),
    "boosted-latents": Part("quality", "latents as features of boosting", "features:latents"),
    "alternatives": Part("quality", "other trainings of independent latents",
                         "features:alternatives"),
    "few-labels": Part("quality", "a classifier of 1 % of the labels", "features:few"),
    "filling": Part(
        "quality", "filled missing cells", "filling:measure",
        ("adult", "diamonds"), (0,), mean="column",
    ),
    "filling-times": Part("quality", "the same of tables with a time", "filling:measure",
                          ("nyc_taxi", "etth1"), mean="column"),
    "samples": Part("quality", "drawn rows next to copulas", "samples:rows",
                    ("adult", "penguins", "diamonds")),
    "text-latents": Part("texts", "latents of texts as features", "texts:latents",
                  ("products", "airports")),
    "stored-texts": Part("texts", "texts reconstructed exactly", "texts:stored",
                         ("products", "airports")),
    "text-cost": Part("texts", "cost of encoding texts", "texts:cost",
                      combine=statistics.median),
    "characters": Part("texts", "names reconstructed by characters", "characters:measure",
                       ("airports", "places", "cities")),
    "adbench": Part("outliers", "scores of ADBench next to detectors", "outliers:tables",
                     mean="table"),
    "windows": Part("outliers", "scores of series in windows", "outliers:series",
                   ("nab", "skab"), mean="series"),
    "score-parts": Part("outliers", "worth of the parts of the score", "score_parts:worth",
                        ("ADBench", "clusters")),
    "window-parts": Part("outliers", "worth of the parts of the score of windows",
                         "windows:measure", ("made", "nab", "skab")),
    "reasons": Part("outliers", "parts that name changed columns", "reasons:measure", ("",), (0,),
                    mean="table"),
    "flagged": Part("outliers", "ordinary rows that are flagged", "flagged:measure",
                    seeds=(0, 1, 2, 3, 4)),
    "training": Part("speed", "training next to loops and other libraries", "speed:measure",
                  ("wide", "narrow"), combine=statistics.median),
    "epochs": Part(
        "speed", "an epoch of every architecture next to a plain loop", "architectures:speed",
        ("mlp", "conv2d", "vanilla", "conv1d", "lstm", "transformer"), combine=statistics.median,
    ),
    "threads": Part("speed", "training steps by threads", "threads:measure", seeds=(0,)),
    "phases": Part(
        "speed", "phases of train next to its epochs", "phases:measure",
        ("wide", "wide fp32", "narrow", "wide.csv", "narrow.csv", "adult.csv", "digits.csv"),
        combine=statistics.median,
    ),
    "apply": Part("speed", "encode next to its stages", "apply:measure", ("parquet", "csv"),
                  combine=statistics.median),
    "start-up": Part("speed", "small commands next to the imports they need", "start_up:measure",
                     combine=statistics.median),
    "score-ratio": Part("speed", "commands that score and evaluate next to encode",
                        "score_parts:ratio", combine=statistics.median),
    "score-cost": Part("speed", "cost of the parts of the score", "score_parts:cost", seeds=(0,)),
    "memory": Part("speed", "peak memory of commands", "memory:measure",
                   ("numbers", "constants", "training", "wide", "ranks", "texts"), (0,)),
    "reading": Part("speed", "reading CSV next to pyarrow.csv", "reading:csv",
                    combine=statistics.median),
    "cell-checks": Part("speed", "checks of Arrow and Parquet files", "reading:checks", seeds=(0,)),
    "gpu-graphs": Part("gpu", "trainings with CUDA graphs and without", "gpu:equal", seeds=(0,)),
    "gpu-training": Part(
        "gpu", "training next to loops", "gpu:speed",
        ("60k × 784, b128", "60k × 784, b1024", "250k × 32, b128", "1M × 32, b1024"), (0,),
    ),
    "gpu-precision": Part("gpu", "bf16 next to fp32", "gpu:precision", seeds=(0,)),
    "gpu-apply": Part("gpu", "encode and score", "gpu:apply", seeds=(0,)),
    "shards": Part("scale", "processes with `--shard`", "scale:shards",
                   ("encode", "score"), seeds=(0,)),
    "ray": Part("scale", "tasks of Ray", "scale:ray", ("encode", "score"), seeds=(0,)),
    "torchrun": Part("scale", "ranks of torchrun", "scale:torchrun", ("narrow", "wide"),
                     combine=statistics.median),
    "network": Part("scale", "64 ranks on a network, by calculation", "scale:network",
                    ("narrow", "wide"), combine=statistics.median),
    "deaths": Part("scale", "a folder whose processes die", "scale:deaths"),
    "damage": Part(
        "reliability", "commands that are killed, fail, or read damaged models",
        "reliability:measure",
        ("kills", "failures", "power", "flips", "files", "specs", "readers", "processes"), (0,),
    ),
    "mutated-inputs": Part("reliability", "mutated files of all formats",
                           "reliability:mutated_inputs", seeds=(1, 2)),
    "mutations": Part("reliability", "mutants that tests notice", "mutations:measure", seeds=(0,)),
}  # fmt: skip
