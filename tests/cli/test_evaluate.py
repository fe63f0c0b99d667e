"""What `aecli evaluate` adds on request, as a shell runs it."""

import json
from pathlib import Path

EXTRAS = ("--probe", "kind", "--by", "colour", "--anomaly", "odd")


def judged(directory: Path) -> str:
    lines = (directory / "data.csv").read_text(encoding="utf-8").splitlines()
    marks = ["odd", *(str(i % 10 == 0).lower() for i in range(len(lines) - 1))]
    text = "".join(f"{line},{mark}\n" for line, mark in zip(lines, marks, strict=True))
    (directory / "judged.csv").write_text(text, encoding="utf-8")
    return "judged.csv"


def test_everything_that_goes_together_is_drawn_in_80_columns(aecli, trained, tmp_path):
    done = aecli("evaluate", judged(tmp_path), *EXTRAS[:2], *EXTRAS[4:], COLUMNS="80")
    assert (done.code, done.err) == (0, "")
    for text in ("anomalies by odd, 20 of 200", "probes of kind, accuracy", "raw columns"):
        assert text in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_feature_may_make_groups_and_a_pipe_may_be_the_table(aecli, trained, tmp_path):
    text = (tmp_path / judged(tmp_path)).read_text(encoding="utf-8")
    done = aecli("evaluate", "-", *EXTRAS, "--json", "-q", stdin=text)
    result = json.loads(done.out)
    assert {group["value"] for group in result["groups"]} == {"red", "blue", None}
    assert sum(group["anomaly"]["anomalies"] for group in result["groups"]) == 20
    assert sum(group["probe"]["measured"] for group in result["groups"]) == 100


def test_windows_are_counted_as_windows(aecli, tmp_path):
    lines = "".join(f"{i % 7},{i * i % 11},{'ab'[i % 2]}\n" for i in range(60))
    (tmp_path / "steps.csv").write_text(f"x,y,part\n{lines}", encoding="utf-8")
    flags = ("--window", "5", "--valid", "none", "--id", "part", "--epochs", "1")
    done = aecli("train", "steps.csv", "-m", "steps", *flags)
    assert "on 56 training windows; PCA with" in done.out
    done = aecli("evaluate", "steps.csv", "-m", "steps", "--by", "part", COLUMNS="80")
    assert done.out.startswith("56 windows in 60 rows, model steps\n")
    groups = [line.split()[:2] for line in done.out.partition("by part")[2].splitlines()[1:4]]
    assert groups == [["value", "windows"], ["a", "28"], ["b", "28"]]


def test_a_second_model_that_cannot_read_the_table_is_named(aecli, trained, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n" + "1.5,2\n2.5,3\n" * 30, encoding="utf-8")
    assert aecli("train", "other.csv", "-m", "other", "--epochs", "1", "-q").code == 0
    done = aecli("evaluate", trained, "--compare", "other")
    assert done.code == 3
    assert "--compare other" in done.err
    assert "Traceback" not in done.err


def test_a_gate_on_a_new_figure_fails_with_8(aecli, trained, tmp_path):
    done = aecli("evaluate", trained, "--probe", "kind", "--fail-if", "probe_raw<=1", "-q")
    assert (done.code, "probe_raw<=1: it is" in done.err) == (8, True)
