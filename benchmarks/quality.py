"""Measure what the defaults reach on MNIST and Adult: train on one part, evaluate on the other.

    .venv/bin/python benchmarks/quality.py FOLDER [adult] [mnist]

FOLDER holds `mnist.parquet` (784 bytes, `label`, `split`) and `adult.csv` (15 columns, `split`).
Every model is made and measured by the installed command, as a user would; test rows are seen once,
at the end. PCA, of the same latent size, is fitted on the same training rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

RUNS = {
    "mnist": [["--label", "label", "--encoder", "512,256,64", "--l1", "1e-4"]],
    "adult": [["--label", "income", "--latent", "16"], ["--exclude", "income", "--latent", "16"]],
}


def split(table: pa.Table, folder: Path) -> tuple[str, str]:
    """Write the two parts of a table; return their file names."""
    names = []
    for part in ("train", "test"):
        rows = table.filter(pc.equal(table["split"], part)).drop_columns(["split"])
        names.append(str(folder / f"{part}.parquet"))
        pq.write_table(rows, names[-1])
    return names[0], names[1]


def run(train: str, test: str, options: list[str], folder: Path) -> str:
    """Train, evaluate, and return one line of figures."""
    aecli = Path(sys.executable).with_name("aecli")
    model = ["-m", str(folder / "model")]
    began = time.perf_counter()
    subprocess.run([aecli, "train", train, *options, *model, "-q"], check=True)
    seconds = time.perf_counter() - began
    done = subprocess.run(
        [aecli, "evaluate", test, *model, "--json"], check=True, capture_output=True
    )
    found = json.loads(done.stdout)
    figures = [f"{seconds:.0f} s"]
    if label := found["classification"]:
        figures += [f"accuracy {label['accuracy']:.4f}", f"AUROC {label['auroc']:.4f}"]
    if found["number_r2"] is not None:
        figures.append(
            f"R² of all numbers {found['number_r2']:.4f} (PCA {found['number_r2_pca']:.4f})"
        )
    columns = [c for c in found["columns"] if c["metric"] == "accuracy" and c["observed"]]
    if columns:
        own, pca = (sum(c[who] for c in columns) / len(columns) for who in ("value", "pca"))
        figures.append(f"category columns accuracy {own:.4f} (PCA {pca:.4f})")
    figures.append(f"scaled MSE {found['number_mse']:.5f} (PCA {found['number_mse_pca']:.5f})")
    return ", ".join(figures)


def main() -> None:
    """Run every case and print one line each."""
    data, *wanted = sys.argv[1:]
    for name in wanted or RUNS:
        path = Path(data) / ("mnist.parquet" if name == "mnist" else "adult.csv")
        table = pq.read_table(path) if name == "mnist" else pacsv.read_csv(path)
        for options in RUNS[name]:
            with tempfile.TemporaryDirectory() as folder:
                train, test = split(table, Path(folder))
                print(f"{name} {' '.join(options)}: {run(train, test, options, Path(folder))}")


if __name__ == "__main__":
    main()
