"""Mutants of the files that save and load that a test notices.

Each mutant is one change of one statement, in a copy of the project: a call deleted, two
neighbouring calls swapped, a `with` left out, a condition negated, a comparison moved, a number
changed by one, a flag of `A | B`, an element of a tuple or a keyword left out, `return None`. The
tests of its file run in a process forked from one that has imported torch; a mutant that no test
notices has survived; one that hangs is noticed.
`mutations.py FILE EVERY` tries each EVERY-th mutant of one file and prints those that survive.

mutmut 3 and cosmic-ray change operators, numbers and keywords, but delete no statement and swap
none, which is what an `os.fsync` or the order of two renames needs.

A mutant of what replaces files may replace any file, such as `/dev/null`: all runs in a mount
namespace in which only a temporary folder can be written to (`unshare`, of util-linux).

Left out: text (docstrings, messages, the arguments of an error or a warning, descriptions),
annotations, and what `EQUIVALENT` lists with its reason.
"""

from __future__ import annotations

import ast
import copy
import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from harness import Row, Run

ROOT = Path(__file__).resolve().parent.parent
CONFINED = "AECLI_MUTATIONS_FOLDER"
CONFINE = """set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
for place in $(cut -d ' ' -f 2 /proc/self/mounts); do
    [ "$place" = "$1" ] || mount -o remount,bind,ro "$place" 2>&- || true
done
shift
exec "$@"
"""
QUICK_EVERY = 40
SECONDS = 60.0
"""A mutant whose tests take longer is noticed: it hangs."""

LOADED_ONCE = (
    "pytest",
    "hypothesis",
    "torch",
    "pyarrow",
    "pandas",
    "pydantic",
    "safetensors.torch",
)
ROOM = "tests/model_directory"
TESTS = {
    "aecli/model_directory/errors.py": [f"{ROOM}/test_errors.py", ROOM],
    "aecli/model_directory/generations.py": [f"{ROOM}/test_generations.py", ROOM],
    "aecli/model_directory/location.py": [f"{ROOM}/test_location.py", ROOM],
    "aecli/model_directory/read.py": [f"{ROOM}/test_reading.py", ROOM],
    "aecli/model_directory/rollback.py": [f"{ROOM}/test_rollback.py", ROOM],
    "aecli/model_directory/save.py": [f"{ROOM}/test_saving.py", ROOM],
    "aecli/model_directory/spec_file.py": [f"{ROOM}/test_spec_file.py", ROOM],
    "aecli/model_directory/verify.py": [f"{ROOM}/test_verify.py", ROOM],
    "aecli/atomic_files.py": ["tests/test_atomic_files.py"],
    "aecli/directory_lock.py": ["tests/test_directory_lock.py"],
    "aecli/regular_files.py": ["tests/test_regular_files.py"],
    "aecli/json_lines.py": ["tests/test_json_lines.py"],
    "aecli/safetensors_header.py": [
        "tests/test_safetensors_header.py",
        "tests/model/test_weights.py",
    ],
    "aecli/model/weights.py": ["tests/model/test_weights.py"],
    "aecli/training/checkpoint.py": [
        "tests/training/test_checkpoint_files.py",
        "tests/training/test_checkpoint.py",
        f"{ROOM}/test_nothing_lost.py",
    ],
}
"""Tests of each file: first those that are of it alone."""

ATOMIC, LOCK, GENERATIONS, HEADER, REGULAR = (
    "aecli/atomic_files.py",
    "aecli/directory_lock.py",
    "aecli/model_directory/generations.py",
    "aecli/safetensors_header.py",
    "aecli/regular_files.py",
)
EQUIVALENT: dict[tuple[str, str], str] = {
    (REGULAR, "drop operand: os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC -> "
     "os.O_NOFOLLOW | os.O_NONBLOCK"): "Python opens every file with O_CLOEXEC",
    (ATOMIC, "drop operand: os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC -> "
     "os.O_RDONLY | os.O_DIRECTORY"): "Python opens every file with O_CLOEXEC",
    (ATOMIC, "drop operand: os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC -> "
     "os.O_RDWR | os.O_CREAT | os.O_EXCL"): "Python opens every file with O_CLOEXEC",
    (ATOMIC, "drop operand: os.O_RDONLY | os.O_DIRECTORY -> os.O_DIRECTORY"): "O_RDONLY is 0",
    (ATOMIC, "swap: replaced = _status(like)"): "neither step depends on the other",
    (ATOMIC, "swap: blocking = _file_above(target)"): "neither step depends on the other",
    (ATOMIC, "swap: with suppress(OSError):"): "the file is closed and removed in both orders",
    (ATOMIC, "swap: with warn_after_commit(target) if commits else nullcontext():"):
        "the name is durable in both orders",
    (ATOMIC, "swap: os.fchmod(written.fileno(), mode)"): "both are done before the file is synced",
    (ATOMIC, "drop operand: replaced is not None and (own.st_uid, own.st_gid) != "
     "(replaced.st_uid, replaced.st_gid) -> replaced is not None"):
        "a file that is given to its owner stays as it is",
    (GENERATIONS, "swap: names = filter(is_earlier_spec, os.listdir(directory))"):
        "neither step depends on the other",
    (GENERATIONS, "swap: earlier = directory / hashed_name('spec', spec.digest)"):
        "neither step depends on the other",
    (GENERATIONS, "swap: earlier = directory / hashed_name('spec', target.digest)"):
        "neither step depends on the other",
    (HEADER, "swap: length, = struct.unpack('<Q', weights[:8].ljust(8, b'\\xff'))"):
        "neither step depends on the other",
    (HEADER, "swap: shape, offsets = (fields.get('shape'), fields.get('data_offsets'))"):
        "neither step depends on the other",
    ("aecli/json_lines.py", "drop keyword: json.dumps(_json_value(entry), ensure_ascii=False, "
     "allow_nan=False) -> json.dumps(_json_value(entry), ensure_ascii=False)"):
        "numbers that are not finite are null already",
    ("aecli/model_directory/spec_file.py",
     "swap: _MAJOR, _MINOR = map(int, SCHEMA.partition('/')[2].split('.'))"):
        "neither step depends on the other",
    (LOCK, "number: 300 -> 299"): "a process and a host are shorter",
    (LOCK, "swap: self._unmake()"): "the file is removed before both",
    (LOCK, "number: 0 -> 1"): "what is written covers the byte; a longer sleep waits as well",
    (LOCK, "number: 1 -> 0"): "no descriptor is closed before there is one",
    (LOCK, "compare: time.monotonic() >= until -> time.monotonic() > until"):
        "no clock shows the same nanosecond twice",
    (LOCK, "delete: time.sleep(0 if free else 0.1)"): "it waits as long, and busily",
    (LOCK, "negate: 0 if free else 0.1 -> 0 if not free else 0.1"): "it waits as long, and busily",
}  # fmt: skip
"""Mutants that do what the original does: the file and the original statement, and why."""

WORDING = (
    "description", "hint", "facts", "stacklevel", "frozen", "include_url", "include_context",
    "include_input", "ensure_ascii",
)  # fmt: skip
"""Keywords of texts for people, of what no reader of an error looks at, and of `dataclass`."""
COMPARISONS = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
    ast.GtE: ast.Gt, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.Mult}
FALSY = (None, False, "")
SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.With)


Change = tuple[str, ast.AST, Callable[[], None]]


class Mutant(NamedTuple):
    """One changed module: where, what was changed, and its whole text."""

    file: str
    line: int
    change: str
    source: str


def mutants(file: str) -> Iterator[Mutant]:
    """Yield every mutant of a file."""
    tree = ast.parse((ROOT / file).read_text())
    nodes = list(ast.walk(tree))
    ignored = {id(inner) for node in nodes for part in _text(node) for inner in ast.walk(part)}
    for place, node in enumerate(nodes):
        if id(node) in ignored:
            continue
        for number in range(len(list(_changes(node)))):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[place]
            name, affected, apply = list(_changes(target))[number]
            line, before = getattr(affected, "lineno", 0), _first_line(affected)
            apply()
            after = _first_line(affected)
            text = before if before == after else f"{before} -> {after}"
            source = ast.unparse(ast.fix_missing_locations(changed))
            yield Mutant(file, line, f"{name}: {text}", source)


def _text(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a node that are text for people, or annotations."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if name.endswith(("Error", "error", "warn")) and not name.startswith("_STATE"):
            yield from (*node.args, *node.keywords)
    if isinstance(node, ast.keyword) and node.arg in WORDING:
        yield node
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
        yield node.annotation
    if isinstance(node, ast.FunctionDef) and node.returns:
        yield node.returns
    if isinstance(node, ast.JoinedStr):
        yield node
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        yield node


def _changes(node: ast.AST) -> Iterator[Change]:
    """Yield the name of each change of this node, and what makes it."""
    for field in ("body", "orelse", "finalbody", "handlers"):
        block = getattr(node, field, None)
        if isinstance(block, list):
            yield from _of_block(block)
    tested = isinstance(node, ast.If | ast.IfExp | ast.While)
    if tested and not isinstance(node.test, ast.Constant):
        yield "negate", node, _set(node, "test", ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.comprehension):
        for index, test in enumerate(node.ifs):
            yield "negate", node, _put(node.ifs, index, ast.UnaryOp(ast.Not(), test))
    if isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and/or", node, _set(node, "op", other)
        for index in range(len(node.values)):
            yield "drop operand", node, _put(node.values, index, None)
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            yield "compare", node, _put(node.ops, index, COMPARISONS[type(operator)]())
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield "number", node, _set(node, "value", node.value - 1 if node.value else 1)
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "truth", node, _set(node, "value", not node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr | ast.BitAnd):
        yield "drop operand", node, _replace(node, node.left)
        yield "drop operand", node, _replace(node, node.right)
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield "arithmetic", node, _set(node, "op", ARITHMETIC[type(node.op)]())
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.BitOr):
        yield "assign", node, _set(node, "op", ast.BitAnd())
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        for index in range(len(node.elts)):
            yield "drop element", node, _put(node.elts, index, None)
    if isinstance(node, ast.Call):
        for index, keyword in enumerate(node.keywords):
            if keyword.arg in WORDING:
                continue
            yield "drop keyword", node, _put(node.keywords, index, None)
    # Callers ask whether an answer is true, so that None is the same as False or "".
    is_falsy = isinstance(node, ast.Return) and getattr(node.value, "value", node.value) in FALSY
    if isinstance(node, ast.Return) and not is_falsy:
        yield "return None", node, _set(node, "value", ast.Constant(None))


def _of_block(block: list[ast.stmt]) -> Iterator[Change]:
    """Yield the changes of the statements of a block."""
    for index, statement in enumerate(block):
        called = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        if called or isinstance(statement, ast.Raise | ast.AugAssign | ast.Delete):
            yield "delete", statement, _put(block, index, ast.Pass())
        if isinstance(statement, ast.With) and not any(i.optional_vars for i in statement.items):
            yield "without with", statement, _splice(block, index, statement.body)
        if isinstance(statement, ast.Try) and statement.finalbody:
            yield "without finally", statement, _set(statement, "finalbody", [])
        if index and _swappable(block[index - 1], statement):
            yield "swap", statement, _swap(block, index)


def _swappable(first: ast.stmt, second: ast.stmt) -> bool:
    """Return whether both call something, and the second uses no name that the first makes."""
    both = (first, second)
    if not all(isinstance(s, SIMPLE) and _has(s, ast.Call) for s in both):
        return False
    made = {
        n.id for n in ast.walk(first) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    used = {n.id for n in ast.walk(second) if isinstance(n, ast.Name)}
    return not made & used


def _has(node: ast.AST, kind: type[ast.AST]) -> bool:
    return any(isinstance(inner, kind) for inner in ast.walk(node))


def _set(node: ast.AST, field: str, value: object) -> Callable[[], None]:
    return lambda: setattr(node, field, value)


def _replace(node: ast.AST, other: ast.AST) -> Callable[[], None]:
    def apply() -> None:
        node.__class__ = other.__class__
        node.__dict__ = dict(other.__dict__)

    return apply


def _put(items: list[Any], index: int, value: object) -> Callable[[], None]:
    return lambda: items.__setitem__(slice(index, index + 1), [] if value is None else [value])


def _splice(items: list[Any], index: int, values: list[Any]) -> Callable[[], None]:
    return lambda: items.__setitem__(slice(index, index + 1), values)


def _swap(items: list[Any], index: int) -> Callable[[], None]:
    return lambda: items.__setitem__(slice(index - 1, index + 1), [items[index], items[index - 1]])


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).partition("\n")[0]


def passes(tree: Path, tests: list[str]) -> bool:
    """Run tests in a forked process, in the copy of the project; return whether they all pass."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os._exit(_run(tree, tests))
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _run(tree: Path, tests: list[str]) -> int:
    import pytest

    log = os.open(tree.parent / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    options = [
        "-p",
        "no:cacheprovider",
        "-x",
        "-q",
        "-n",
        "0",
        "--no-header",
        f"--basetemp={tree.parent / 'pytest'}",
        "--tb=line",
        "--assert=plain",
    ]
    return int(pytest.main([*options, *tests]))


def survivors(tree: Path, found: list[Mutant]) -> Iterator[Mutant]:
    """Yield the mutants that no test notices."""
    for mutant in found:
        path = tree / mutant.file
        original = path.read_text()
        # Python takes a compiled file of the same second and size for that of the mutant.
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()
        path.write_text(mutant.source)
        try:
            if passes(tree, TESTS[mutant.file]):
                yield mutant
        finally:
            path.write_text(original)


def copied(folder: str) -> Path:
    """Return a copy of what the tests need."""
    tree = Path(folder) / "project"
    for name in ("aecli", "tests", "pyproject.toml"):
        copy_of = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        tree.mkdir(exist_ok=True)
        copy_of(ROOT / name, tree / name)
    return tree


def confine() -> None:
    """Start this script again where only a temporary folder can be written to."""
    with tempfile.TemporaryDirectory(prefix="aecli-mutations-") as folder:
        mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
        command = ["unshare", "--mount", *mapped, "sh", "-c", CONFINE, "sh", folder]
        places = dict.fromkeys((CONFINED, "TMPDIR", "HYPOTHESIS_STORAGE_DIRECTORY"), folder)
        environment = os.environ | places
        done = subprocess.run([*command, sys.executable, *sys.argv], env=environment, check=False)
    sys.exit(done.returncode)


def require_confined() -> None:
    """Check that a mutant can destroy nothing."""
    for place in ("/", "/dev", ROOT, Path.home()):
        if not os.statvfs(place).f_flag & os.ST_RDONLY:
            sys.exit(f"{place} can be written to; no mutant is run")


def measure(run: Run) -> Iterator[Row]:
    """Yield the mutants of every file that a test notices."""
    for file in [HEADER] if run.quick else TESTS:
        command = [sys.executable, __file__, file, str(QUICK_EVERY if run.quick else 1)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        noticed, tried = map(int, done.stdout.split())
        yield {"file": file.removeprefix("aecli/"), "mutants": tried, "noticed": noticed}


def try_file(file: str, every: int) -> tuple[int, int]:
    """Return how many mutants of a file are noticed and tried; print the others to stderr."""
    tried = [m for m in list(mutants(file))[::every] if (file, m.change) not in EQUIVALENT]
    noticed = len(tried)
    with tempfile.TemporaryDirectory(prefix="aecli-mutations-") as folder:
        tree = copied(folder)
        if not passes(tree, TESTS[file]):
            log = (tree.parent / "log").read_text().splitlines()[-20:]
            sys.exit("\n".join([f"the tests of {file} fail without a change:", *log]))
        for mutant in survivors(tree, tried):
            noticed -= 1
            print(f"{file}:{mutant.line} {mutant.change}", file=sys.stderr, flush=True)
    return noticed, len(tried)


def main() -> None:
    """Try the mutants of one file where only a temporary folder can be written to."""
    if CONFINED not in os.environ:
        confine()
    require_confined()
    for name in LOADED_ONCE:
        importlib.import_module(name)
    print(*try_file(sys.argv[1], int(sys.argv[2])))


if __name__ == "__main__":
    main()
