"""Every command in the README and in docs/ runs, in order, in a fresh folder."""

from __future__ import annotations

import dataclasses
import re
import runpy
import shlex
import shutil
from pathlib import Path

import pytest

from aecli.cli.main import cli
from aecli.evaluation.results import (
    Compared,
    Detection,
    Difference,
    EvaluateResult,
    Group,
    LossShare,
    Probe,
    ProbeView,
)
from aecli.inference.decode import DecodeResult
from aecli.inference.sample import SampleResult
from aecli.inference.stream_result import StreamResult
from aecli.inspection.inspect import DataInspection, Layer, ModelInspection
from aecli.metrics.classification import Classification
from aecli.metrics.column_scores import ColumnScore
from aecli.metrics.detection import Interval
from aecli.metrics.gates import EVALUATE_FIGURES, SCORE_FIGURES, Gate
from aecli.metrics.latent import LatentHealth
from aecli.model_directory.generations import Generation
from aecli.model_directory.rollback import RollbackResult
from aecli.model_directory.verify import CheckedFile
from aecli.progress import Epoch
from aecli.reporting.report import PlotResult, ReportResult
from aecli.schema.model_spec import ModelSpec
from aecli.schema.option_docs import as_flags
from aecli.scoring.calibrate import CalibrateResult
from aecli.scoring.explanation import AnomalousSample, ScoreReason
from aecli.scoring.score import ScoreResult
from aecli.training.train import TrainResult
from aecli.tuning.trial import TrialRecord, TuneResult
from tests.documents import ROOT, Reader, commands, missing_lines, runnable

PAGES = [
    "docs/variants.md",
    "README.md",
    "docs/evaluation.md",
    "docs/columns.md",
    "docs/tables.md",
    "docs/losses.md",
    "docs/outliers.md",
    "docs/tune.md",
    "docs/report.md",
    "docs/models.md",
    "docs/compress.md",
    "docs/labels.md",
    "docs/sequences.md",
    "docs/filling.md",
    "docs/json.md",
    "docs/pipelines.md",
    "docs/python.md",
]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_runs_and_prints_what_is_shown(page: str, tmp_path: Path):
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    reader = Reader(tmp_path)
    known = [command for command in commands(page) if runnable(command)]
    assert known
    for command, following in zip(known, [*known[1:], None], strict=True):
        printed = reader.type(command)
        told = following is not None and following.text == "echo $?"
        assert told or reader.code == 0, f"{command.text}\n{printed}"
        assert missing_lines(command.shown, printed) == [], printed


@pytest.mark.parametrize(
    "page",
    [
        *PAGES,
        "docs/gallery.md",
        "docs/recipes.md",
        "docs/scale.md",
        "docs/README.md",
        "docs/architecture.md",
        "docs/completion.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ],
)
def test_links_lead_somewhere(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (ROOT / page).parent.joinpath(link).exists(), link


def test_the_files_that_contributors_are_sent_to_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`([\w/.]+\.(?:py|md|toml))`", text))
    files = [path.as_posix() for path in ROOT.rglob("*.*") if ".venv" not in path.parts]
    assert len(names) > 30
    assert [name for name in names if not any(file.endswith(f"/{name}") for file in files)] == []


GALLERY = runpy.run_path(str(ROOT / "docs/gallery.py"))


def test_the_gallery_shows_every_picture_that_its_script_makes():
    shown = re.findall(r"\]\(gallery/([^)]+)\)", (ROOT / "docs/gallery.md").read_text("utf-8"))
    drawn = {path.name: path.stat().st_size for path in (ROOT / "docs/gallery").iterdir()}
    assert shown == list(GALLERY["PICTURES"])
    assert set(shown) == set(drawn)
    assert max(drawn.values()) < 150_000


def test_the_commands_of_the_gallery_are_those_of_its_script():
    """They train for half a minute; the script's pictures say that they run."""
    made, trained = [], ""
    for file, (kind, name, data, options) in GALLERY["PICTURES"].items():
        if name != trained:
            table, how = GALLERY["MODELS"][name]
            made.append(["aecli", "train", f"sample_data/{table}", *as_flags(how)])
            trained = name
        source = [] if data is None else [f"sample_data/{data}"]
        made.append(["aecli", "plot", kind, *source, *as_flags(options), "-o", file])
    page = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")
    shown = [shlex.split(line) for line in re.findall(r"^aecli .*$", page, re.MULTILINE)]
    assert shown == made
    for _, command, *words in shown:
        cli.commands[command].make_context(command, words)


def test_the_index_leads_to_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= set(re.findall(r"\]\(([a-z]+\.md)\)", index))


OBJECTS = {
    "aecli.train/1": TrainResult,
    "history[]": Epoch,
    "aecli.tune/1": TuneResult,
    "trials[]": TrialRecord,
    "aecli.encode/1": StreamResult,
    "aecli.decode/1": DecodeResult,
    "aecli.score/1": ScoreResult,
    "anomalous[]": AnomalousSample,
    "reasons[]": ScoreReason,
    "aecli.calibrate/1": CalibrateResult,
    "aecli.sample/1": SampleResult,
    "aecli.evaluate/1": EvaluateResult,
    "intervals.NAME": Interval,
    "losses.NAME": LossShare,
    "columns[]": ColumnScore,
    "classification": Classification,
    "latent": LatentHealth,
    "anomaly`": Detection,
    "anomaly.": Interval,
    "probe`": Probe,
    "probe.views": ProbeView,
    "groups[]": Group,
    "compared`": Compared,
    "compared.": Difference,
    "gates[]": Gate,
    "aecli.report/1": ReportResult,
    "aecli.plot/1": PlotResult,
    "aecli.inspect/1` of a model": ModelInspection,
    "layers[]": Layer,
    "generations[]": Generation,
    "verified[]": CheckedFile,
    "aecli.rollback/1": RollbackResult,
    "aecli.inspect/1` of a table": DataInspection,
}


def names_in_table(section: str) -> list[str]:
    cells = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_the_json_page_has_every_field_of_every_result():
    text = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^##+ `(.*?)$\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    for heading, result in OBJECTS.items():
        section = next(body for title, body in sections.items() if title.startswith(heading))
        assert names_in_table(section) == [field.name for field in dataclasses.fields(result)]
    assert len(sections) == len(OBJECTS)
    assert all(f"`{name}`" in text for name in (*EVALUATE_FIGURES, *SCORE_FIGURES))


def test_the_page_on_models_has_every_key_of_a_spec():
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    section = text.split("## spec.json")[1].split("\n## ")[0]
    keys = [field.alias or name for name, field in ModelSpec.model_fields.items()]
    assert names_in_table(section) == keys
