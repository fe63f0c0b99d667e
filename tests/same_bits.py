"""Compare what two versions of aecli compute, bit for bit: `same_bits.py record|compare FILE`.

    python tests/same_bits.py record bits.json --package ../worktree-of-an-earlier-commit
    python tests/same_bits.py compare bits.json

`record` trains eleven small models and writes to FILE the sha256 of the weights of each, and hashes
of its figures and of the outputs of the other commands. `compare` does the same with this checkout
and prints what differs. Bits differ between processors and numbers of threads, so both run on one
machine; this is a script and not a test for that reason. With `--keep FOLDER` the models of a
recording stay, and `compare --models FOLDER` uses them instead of training: whether models saved by
the recorded version still give the same answers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ADULT = ("adult_train.csv", "adult_test.csv")
PENGUINS = ("penguins.csv", "penguins.csv")
DIGITS = ("digits.parquet", "digits.parquet")
WINDOWS = "--window 6 --stride 2 --group island --exclude year --latent 3 --epochs 4"

TRAININGS: dict[str, tuple[tuple[str, str], str]] = {
    "plain": (ADULT, "--exclude income --latent 8 --epochs 4"),
    "label": (ADULT, "--label income --encoder 32,8 --classifier 8 --epochs 4 --balance --l1 1e-3"),
    "kl": (PENGUINS, "--label species --latent 4 --kl 0.1 --rho 0.1 --epochs 6"),
    "topk": (DIGITS, "--exclude label --latent 16 --topk 4 --epochs 4"),
    "vae": (PENGUINS, "--label species --variational --latent 3 --epochs 8"),
    "noise": (ADULT, "--exclude income --noise mask:0.2 --latent 6 --epochs 4 --trimmed-loss"),
    "conv2d": (DIGITS, "--arch conv2d --shape 8x8 --label label --latent 8 --epochs 2"),
    "vanilla": (PENGUINS, f"{WINDOWS} --arch vanilla --label species"),
    "conv1d": (PENGUINS, f"{WINDOWS} --arch conv1d --norm batch"),
    "lstm": (PENGUINS, f"{WINDOWS} --arch lstm --dropout 0.1"),
    "transformer": (PENGUINS, f"{WINDOWS} --arch transformer"),
}
LABELLED = {"label", "kl", "vae", "conv2d", "vanilla"}

RENAMED = {
    "--trimmed-loss": "--robust",
    "--score-unit": "--per",
    "--with-std": "--with-scale",
    "--all-columns": "--columns",
}
"""Flags by what they were called before the house was cut by subject."""

RENAMED_KEYS = {"robust": "trimmed_loss"}
UNCOMPARED = {"seconds", "model", "output", "notes", "versions", "created", "weights", "schema"}
"""Keys of JSON objects that are no figures, or hold one that differs from run to run."""

RUN = """
import io, json, sys
from contextlib import redirect_stdout
from aecli.cli.main import main
for line in json.load(sys.stdin):
    kept = io.StringIO()
    with redirect_stdout(kept):
        code = main(line)
    print(json.dumps([code, kept.getvalue()]), flush=True)
"""


def main() -> int:
    """Record or compare, and return the exit code: 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--package", type=Path, default=ROOT, help="folder that holds aecli/")
    parser.add_argument("--keep", type=Path, help="keep the models in this folder")
    parser.add_argument("--models", type=Path, help="use the models in this folder; train none")
    parser.add_argument("--only", nargs="+", default=list(TRAININGS), choices=list(TRAININGS))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(2) as pool:
        folder = (chosen.models or chosen.keep or Path(scratch)).resolve()
        made = pool.map(lambda name: hashes(name, folder, chosen), chosen.only)
        found = dict(zip(chosen.only, made, strict=True))
    if chosen.what == "record":
        chosen.file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return 0
    return compare(json.loads(chosen.file.read_text(encoding="utf-8")), found)


def compare(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> int:
    """Print every hash that is not what it was, and how many are."""
    same, other = 0, 0
    for training, found in after.items():
        for name in sorted({*before[training], *found} - absent(before[training], found)):
            equal = before[training].get(name) == found.get(name)
            same, other = same + equal, other + (not equal)
            if not equal:
                print(f"{training}: {name} differs")
    print(f"{same} hashes are the same, {other} differ")
    return 1 if other else 0


def absent(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Return what there cannot be without a training: its own figures."""
    return {name for name in before if name.startswith("train ") and name not in after}


def hashes(training: str, folder: Path, chosen: argparse.Namespace) -> dict[str, str]:
    """Train one model, run every command with it, and return the hash of all that came out."""
    model, out = folder / training, folder / f"{training}-out"
    out.mkdir(parents=True, exist_ok=True)
    lines = command_lines(training, model, out)
    if chosen.models:
        del lines["train"]
    results = run(list(lines.values()), chosen.package)
    found = {}
    for (name, line), (code, printed) in zip(lines.items(), results, strict=True):
        if code != 0:
            raise SystemExit(f"{training}: aecli {' '.join(line)} ended with {code}")
        if "--json" in line:
            found[f"{name} figures"] = hash_of_figures(json.loads(printed))
    for path in sorted(out.iterdir()):
        found[path.name] = hash_of_table(path)
    spec = json.loads((model / "spec.json").read_text(encoding="utf-8"))
    return found | {"weights": spec["weights"]["sha256"], "spec": hash_of_figures(spec)}


def command_lines(training: str, model: Path, out: Path) -> dict[str, list[str]]:
    """Return the command lines of one training, by the name of what they make."""
    tables, options = TRAININGS[training]
    data, new = (str(ROOT / "sample_data" / table) for table in tables)
    windowed = "--window" in options
    words = options.split()
    quiet = ["-m", str(model), "-q", "--device", "cpu", "--threads", "1"]
    lines = {
        "train": ["train", data, *words, *quiet, "--json", "--log-gradients"],
        "encode": ["encode", new, "-o", str(out / "latents.parquet")],
        "reconstruct": ["reconstruct", new, "-o", str(out / "rows.parquet"), "--residuals"],
        "score": ["score", new, "-o", str(out / "scores.parquet")],
        "decode": ["decode", str(out / "latents.parquet"), "-o", str(out / "decoded.parquet")],
        "evaluate": ["evaluate", new, "--json"],
    }
    if windowed:
        lines["rows"] = ["score", new, "-o", str(out / "row_scores.parquet"), "--score-unit", "row"]
    else:
        lines["fill"] = ["reconstruct", new, "-o", str(out / "filled.csv"), "--fill"]
        lines["detail"] = ["score", new, "-o", str(out / "detail.parquet"), "--detail"]
        lines["list"] = ["encode", new, "-o", str(out / "lists.parquet"), "--as", "list"]
    if training in LABELLED:
        lines["predict"] = ["predict", new, "-o", str(out / "classes.parquet")]
        label = words[words.index("--label") + 1]
        lines["probe"] = ["evaluate", new, "--probe", label, "--json"]
    if training == "vae":
        lines["std"] = ["encode", new, "-o", str(out / "std.parquet"), "--with-std"]
        lines["sample"] = ["sample", "-o", str(out / "drawn.parquet"), "--count", "50"]
    return {name: line if name == "train" else [*line, *quiet] for name, line in lines.items()}


def run(lines: list[list[str]], package: Path) -> list[tuple[int, str]]:
    """Run command lines in one process with the aecli of `package`."""
    renamed = (package / "aecli" / "verbs").exists()
    lines = [[RENAMED.get(word, word) for word in line] if renamed else line for line in lines]
    known = {key: value for key, value in os.environ.items() if not key.startswith("AECLI_")}
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps(lines), text=True, stdout=subprocess.PIPE,
        env=known | {"PYTHONPATH": str(package.resolve()), "OMP_NUM_THREADS": "1"}, check=True,
        cwd=package,
    )  # fmt: skip
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def hash_of_figures(figures: Any) -> str:
    """Return the hash of a JSON value without what is no figure, under the names of today."""
    return hashlib.sha256(json.dumps(plain(figures), sort_keys=True).encode()).hexdigest()


def plain(value: Any) -> Any:
    """Leave out what `UNCOMPARED` names, and use today's keys."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in UNCOMPARED}
        return {RENAMED_KEYS.get(key, key): plain(item) for key, item in kept.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def hash_of_table(path: Path) -> str:
    """Return the hash of a file's columns and values, without what a writer adds."""
    if path.suffix != ".parquet":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path).replace_schema_metadata().combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
