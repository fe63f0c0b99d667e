"""The project is written in plain technical English: phrases that readers stop at are not used.

`PYTHONPATH=. python -m tests.test_language` prints every hit.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from aecli.cli.main import cli

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "aecli").rglob("*.py"))
SCRIPTS = sorted((ROOT / "benchmarks").rglob("*.py"))
TEMPLATES = sorted((ROOT / "aecli").rglob("*.j2"))
NAMES_OF_PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/RESULTS.md")
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / page for page in NAMES_OF_PAGES)]

FORBIDDEN: dict[str, tuple[str, str]] = {
    # Pattern: a phrase that it finds, and what to write.
    # Negations of nouns: the verb is negated.
    r"(?<![Tt]here\s)\b(is|are|was|were|be) no (?!(longer|more|less|better|worse|larger|smaller|"
    r"wider|higher|lower|closer|nearer|further|faster|slower|greater|newer|later|shorter)\b)"
    r"[a-z]+": ("the text is no number", "is not a number"),
    r"\bwithout a word\b": ("ignored without a word", "silently"),
    r"\bnothing (but|beside)\b": ("it does nothing but wait", "only"),
    # Defaults and conditions.
    r"\bunless (it is |they are )?given\b": ("one hour unless given", "[default: one hour]"),
    r"\bunless [a-z ]*\bsays? (so|otherwise)\b": ("unless the user says so", "by default"),
    r"\b(come what may|in vain|give or take|by and by)\b": (
        "a third of it in vain",
        "(plain words)",
    ),
    r"\b(lest|anew|hitherto|thereof|whereof|wherein|therein|alas|oftentimes)\b": (
        "drawn anew",
        "again, in it, …",
    ),
    r"\w,? but for\b": ("all but for the last", "except"),
    r"\b(nobody|somebody)\b": ("what nobody reads", "no user, no process"),
    r"\bso many (rows|columns|cells|values|samples|bytes|of)\b": ("at most so many rows", "n rows"),
    # What the network does.
    r"\bodd(er|est|ity)\b|\bhow odd\b|\bodd (rows?|ones?|windows?|cells?|values?)\b"
    r"|\b(rows?|windows?|is|are|them|row) odd\b": ("the oddest rows", "most anomalous"),
    r"\bholes?\b": ("a column with holes", "missing values"),
    r"\bempti(ed|es)\b": ("cells that noise emptied", "masked"),
    r"\b(rows?|numbers?|cells?|columns?|inputs?|values?|they|it) (is |are |was |were )?"
    r"(best |worst |badly |well )?restored? (worse|worst|best|better|badly|well|no|from its|them)\b"
    r"|\brestored (worst|badly|worse)\b|\bhow (badly|well) [a-z ]{0,20}restored\b"
    r"|\brows? restored\b": ("the tenth of each batch that is restored worst", "reconstructed"),
    r"\b(bring|brings|brought|come|comes|came|give|gives|gave|given) (it |them |rows? |each row |"
    r"every row |the table |the whole table |the row |numbers? |that )?back\b": (
        "rows come back no better",
        "is reconstructed, returns",
    ),
    r"\bbring(s|ing)? (along|them|it)\b": ("the prefix would bring it along", "includes"),
    r"\bas (it|they) (was|were) drawn\b": ("a decoder left as it was drawn", "not trained"),
    r"\blikeliest\b": ("the likeliest class", "most probable"),
    r"\b(trivial|constant|wrong|right|model's|network's|mean) answers?\b": (
        "share of wrong answers",
        "prediction, error rate",
    ),
    r"\bvariance unexplained\b": ("share of variance unexplained", "1 − R²"),
    r"\bsquared error, scaled\b": ("compared: squared error, scaled", "MSE (standardised)"),
    r"\b(tells?|told|telling) (no better|apart|of|by|from|one|classes|it|them|what|which|numbers)\b"
    r"|\b(is|are|be|been|was|were) told\b": (
        "classes are told no better than by how frequent they are",
        "distinguished, reported",
    ),
    r"\b(is|are|be|was|were) said\b": ("renamed, which is said", "reported"),
    r"\bsays? the same\b|\bsay nothing\b": ("units say the same twice", "are redundant"),
    r"\bindependent ones\b|\bcarr(y|ies) what\b": (
        "they carry what 1.2 independent ones would",
        "effective rank 1.2 of 8",
    ),
    r"\bstay(s|ed)? best\b|\bnone of \d": ("epoch 16 stayed best", "no improvement"),
    r"\b(does|do|did) not count(?=[.,;:)]|$| where| for)": (
        "the worst tenth does not count",
        "is ignored",
    ),
    r"\b(at|of|in) (a like|like size)\b": ("start at a like size", "of similar magnitude"),
    r"\bat its (highest|lowest)\b": ("the rate at its highest", "peak, minimum"),
    r"\bill health\b|\bsigns? of (ill|health)": ("signs of ill health", "warnings"),
    r"\bin pieces\b|\bstretch(es)? of\b": ("trained rows in pieces", "segments"),
    # What users and the program do.
    r"\ba person\b|\bone plain sentence\b": ("what a person should know", "the user"),
    r"\blooks? up from\b|\blook(s|ed|ing)? at any more\b": ("looks up from its steps", "checks"),
    r"\bgo(es|ing)? on with\b": ("`--resume` goes on with it", "continues"),
    r"\bway (back|out)\b": ("rollback is the way back", "command"),
    r"\bputs? (it|them|the [a-z ]{1,20}|an [a-z ]{1,20}) back\b|\b(put|puts) back\b": (
        "rollback puts it back",
        "restores",
    ),
    r"\btaken for\b|\btakes? (it|them|these|this|that|the [a-z]+) for\b": (
        "is taken for the header",
        "is treated as, is read as",
    ),
    r"\bwhat (each|a|every|the) [a-z]+s? (would )?becomes?\b|\bwhat becomes of\b|\bbecomes of\b": (
        "what each column would become",
        "is treated as",
    ),
    r"\bcolumn became\b|^became$|\bbecame (this|a|an)\b": ("column became", "treated as"),
    r"\bwas another one\b|\banother [a-z]+ than\b"
    r"|\bother (columns?|cells?|rows?|values?|names?|files?|options?) than\b": (
        "a list of another length than 3",
        "whose length is not 3",
    ),
    r"\b(that|which) (is|are|was|were) there\b|\bmust be there\b": (
        "a value that is there",
        "existing",
    ),
    r"\bspeaks? (of|against|only)\b|\bknows? nothing of\b": ("it speaks of rows", "(plain words)"),
    r"\blets? us\b|\bof ours\b|\bis ours\b|\bare ours\b": ("where the system lets us", "permits"),
    r"\b(few|too few) to tell\b": ("few to tell what is odd by", "too few rows"),
    r"\badds? what\b": ("which only add what lines cannot", "residual"),
    r"\bbeside\b": ("beside a classifier", "with, next to, compared with"),
    r"\bMost (passes|epochs|units|bins|bytes|characters|models|rows|columns|trials|samples|frames) "
    r"(of|in|over|per|that|a|to)\b": ("Most passes over the rows", "Maximum number of"),
    r"\bdeaf\b|\bdice\b": ("deaf to signals", "(plain words)"),
    r"\b(is|are) (a|an|one|some) [A-Za-z ]+, no [a-z]+": (
        "it is one column, no table",
        "not a table",
    ),
    r"\b(left|leave|leaves|leaving) (it |them |the [a-z]+ |all others |all )?alone\b": (
        "leave all others alone",
        "does not change",
    ),
    r"\bstands? alone\b|\bcomes? on top\b": ("two parameters come on top", "additional"),
    r"\b(do|does) (as|what) (it|they) says?\b": ("the options do as they say", "(plain words)"),
    r"\bseldom\b|\bforthwith\b|\bwhilst\b": ("quotes that are seldom", "rarely"),
    r"(?<![a-z`.]\s)\bMost frequent values\b": ("Most frequent values a column keeps", "Number of"),
}
"""Forbidden phrases, as regular expressions in which a space is any white space."""

ALLOWED = [
    "The text is not a number.",
    "There is no model directory here, and it is no longer used.",
    "Reconstruction is no better than predicting column means.",
    "The column has no missing values; sines in even columns, cosines in odd columns.",
    "`rollback` restores the model. Both losses start at similar magnitude.",
    "It does not count batches. Layers besides attention.",
]

DOCSTRING_STARTS = re.compile(r"(Hold|Say|Tell|Hear|Refuse)\b")
"""Verbs that a docstring does not begin with: a class is a noun phrase, an error is raised."""

PRIVATE_WORDS = {"told", "said", "asked", "deaf", "dice", "odd", "oddest", "hole", "holes", "tried"}
"""Words that no module, class, function or parameter has in its name."""

PATTERNS = {
    example: re.compile(pattern.replace(" ", r"\s+")) for pattern, (example, _) in FORBIDDEN.items()
}


class Text(NamedTuple):
    """Text of the project, and where its first line is."""

    place: str
    line: int
    text: str


def hits(texts: Iterator[Text]) -> list[str]:
    """Return where forbidden phrases are, each with what to write."""
    instead = dict(FORBIDDEN.values())
    return [
        f"{place}:{line + text.count(chr(10), 0, match.start())}: "
        f"{' '.join(match[0].split())!r} → {instead[example]}"
        for place, line, text in texts
        for example, pattern in PATTERNS.items()
        for match in pattern.finditer(text)
    ]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def docstrings() -> Iterator[Text]:
    """Yield docstrings, and the strings below constants that describe them."""
    for path in [*MODULES, *SCRIPTS]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            body = getattr(node, "body", None)
            for item in body if isinstance(body, list) else ():
                if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
                    yield Text(name(path), item.lineno, str(item.value.value))


def strings() -> Iterator[Text]:
    """Yield the other strings, those of an f-string joined."""
    for path in MODULES:
        tree = ast.parse(path.read_text("utf-8"))
        described = {
            id(item.value)
            for node in ast.walk(tree)
            for item in ast.iter_child_nodes(node)
            if isinstance(item, ast.Expr)
        }
        described |= {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for part in node.values
        }
        for node in ast.walk(tree):
            if id(node) in described:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield Text(name(path), node.lineno, node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
                yield Text(name(path), node.lineno, "".join(map(str, parts)))


def comments() -> Iterator[Text]:
    """Yield comments; those of adjacent lines are one text."""
    for path in MODULES:
        first, last, lines = 0, 0, list[str]()
        for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
            if token.type != tokenize.COMMENT:
                continue
            if lines and token.start[0] != last + 1:
                yield Text(name(path), first, "\n".join(lines))
                lines = []
            first = first if lines else token.start[0]
            last = token.start[0]
            lines.append(token.string.lstrip("# "))
        if lines:
            yield Text(name(path), first, "\n".join(lines))


def pages() -> Iterator[Text]:
    for path in filter(Path.exists, [*PAGES, *TEMPLATES]):
        yield Text(name(path), 1, path.read_text("utf-8"))


def changelog() -> Iterator[Text]:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    above, heading, rest = text.partition("## [Unreleased]")
    yield Text("CHANGELOG.md", above.count("\n") + 1, heading + rest.split("\n## [")[0])


def helps() -> Iterator[Text]:
    """Yield the help of every command and option, with the flag for its line."""
    for command_name, command in cli.commands.items():
        yield Text(f"aecli {command_name} --help", 1, command.help or "")
        for parameter in command.params:
            text = getattr(parameter, "help", None) or ""
            yield Text(f"aecli {command_name} {parameter.opts[0]}", 1, text)


PLACES = [docstrings, strings, comments, pages, changelog, helps]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_no_forbidden_phrase_is_used(place):
    found = hits(place())
    assert not found, "\n".join(found)


@pytest.mark.parametrize("example", PATTERNS)
def test_each_pattern_finds_its_example(example: str):
    assert PATTERNS[example].search(example)
    assert PATTERNS[example].search(example.replace(" ", "\n    "))


@pytest.mark.parametrize("sentence", ALLOWED)
def test_plain_sentences_are_allowed(sentence: str):
    assert not hits(iter([Text("here", 1, sentence)]))


def private_starts() -> list[str]:
    return [
        f"{place}:{line}: {text.splitlines()[0]}"
        for place, line, text in docstrings()
        if DOCSTRING_STARTS.match(text)
    ]


def test_docstrings_begin_with_a_plain_verb_or_noun():
    assert not private_starts(), "\n".join(private_starts())


def private_names() -> list[str]:
    found = []
    for path in MODULES:
        names = [(1, path.stem)]
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                names.append((node.lineno, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name)))
            if isinstance(node, ast.arg):
                names.append((node.lineno, node.arg))
        found += [
            f"{name(path)}:{line}: {identifier}"
            for line, identifier in names
            if PRIVATE_WORDS & set(identifier.lower().split("_"))
        ]
    return found


def test_names_are_standard_terms():
    assert not private_names(), "\n".join(private_names())


if __name__ == "__main__":
    for hit in [*(hit for place in PLACES for hit in hits(place())), *private_starts()]:
        print(hit)
    print(*private_names(), sep="\n")
