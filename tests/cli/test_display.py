import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from aecli.cli.display.anomalies import score_report
from aecli.cli.display.evaluation import evaluation_report
from aecli.cli.display.history import EpochTable
from aecli.cli.display.inspection import inspection_report
from aecli.cli.display.model import column_groups, scaling, training_report
from aecli.cli.display.quality import training_quality
from aecli.cli.display.written import stream_report
from aecli.inference.stream_result import StreamResult
from aecli.inspection.inspect import DataInspection
from aecli.metrics.detection import Interval
from aecli.metrics.gates import Gate
from aecli.schema.model_spec import Label, LeftOut
from aecli.scoring.explanation import AnomalousSample, ScoreReason
from aecli.scoring.score import ScoreResult
from tests.cli.results import (
    PEOPLE,
    PIXELS,
    category,
    drawn,
    epochs,
    evaluation,
    extended_evaluation,
    model_inspection,
    number,
    score,
    spec,
    train_result,
)

EVIL = ["[/red]", "[bold]x[/bold]", ":smile:", "\x1b[2J", "a\nb", "体重" * 30, "e" * 300, "\u202ea"]
EVIL_COLUMNS = [number(name) for name in EVIL] + [category("c", EVIL)]
EVIL_LABEL = Label(name="[/b]\x07", type="string", classes=EVIL, counts=[1] * len(EVIL))


def rows_of(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def evil_displays():
    data = DataInspection(
        "[/x].csv", "csv", 5, EVIL_COLUMNS, [], [LeftOut(name=EVIL[3], type="x", reason=EVIL[4])],
        EVIL_LABEL, ["note [/y]"],
    )  # fmt: skip
    counts = dict.fromkeys(EVIL, 2)
    streamed = StreamResult(Path("m"), "[/z]\x1b", 5, ["z0"], 0.1, counts, counts, EVIL)
    reasons = [ScoreReason(name, 12.5, name, EVIL[0]) for name in EVIL]
    anomalous = [AnomalousSample(1, 1, 9.5, dict.fromkeys(EVIL[:3], EVIL[3]), reasons)]
    scored = ScoreResult(**vars(streamed), outliers=1, calibrated_rows=9, anomalous=anomalous)
    scores = [score(name, 0.5) for name in EVIL]
    return {
        "train": training_report(train_result(EVIL_COLUMNS, label=EVIL_LABEL)),
        "evaluate": evaluation_report(evaluation(scores, EVIL, unseen=counts)),
        "extras": evaluation_report(extended_evaluation(EVIL)),
        "pairs": evaluation_report(evaluation(scores, [*EVIL, *"abcdefg"])),
        "model": inspection_report(model_inspection(EVIL_COLUMNS), all_columns=True),
        "data": inspection_report(data),
        "stream": stream_report(streamed),
        "score": score_report(scored),
    }


@pytest.mark.parametrize("name", evil_displays())
@pytest.mark.parametrize("width", [46, 80, 120])
@pytest.mark.parametrize("terminal", [True, False])
def test_names_of_users_are_shown_letter_by_letter_and_fit(name, width, terminal):
    text = drawn(evil_displays()[name], width, terminal=terminal)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert "[/red]" in text
    assert "\\x1b[2J" in text
    assert not set(text) & {"\x1b", "\x07", "\u202e", "😄"}


def test_the_frame_stays_straight_around_wide_letters():
    text = drawn(evil_displays()["train"], terminal=True)
    framed = [line for line in text.splitlines() if line[:1] in "╭│╰" and line]
    assert {cell_len(line) for line in framed} == {80}


def test_only_a_terminal_gets_a_frame():
    assert "╭" in drawn(training_report(train_result()), terminal=True)
    assert not set(drawn(training_report(train_result()))) & set("╭│╰")


def test_the_summary_describes_the_model():
    text = drawn(training_report(train_result(PIXELS)), 100)
    for expected in (
        "784 numbers, scaled to 0..1  px0, px1",
        "… px783",
        "row: counts the rows",
        "784 → 512 → 256 → [64] → 256 → 512 → 784 · ReLU",
        "1,142,352 parameters",
        "12.5 · reconstruction + classification + 1e-5 · l1",
        "54,000 to train in batches of 256, 6,000 to validate",
        "early stopping: no improvement for 10 epochs (best: 25), after 1 min 24 s",
        "25 of 35: validation loss 0.07830",
        "numbers R²  0.9100 ▲  0.8800   0.0000",
        "label         98.1 %       –        –",
        "on 6,000 validation rows; PCA with 64 components",
        "12 in encoder layer 1; --activation LeakyReLU",
        "aecli evaluate test.parquet",
    ):
        assert expected in text


def test_pca_has_no_more_components_than_there_are_inputs():
    model = spec()
    network = model.network.model_copy(update={"encoder": [1000], "inputs": 16})
    quality = training_quality(model.model_copy(update={"network": network}))
    assert "PCA with 16 components" in drawn(quality)


@pytest.mark.parametrize(
    ("model", "pca", "half", "marks"),
    [
        (0.91, 0.88, None, "▲"),
        (0.87, 0.88, None, "▼"),
        (0.884, 0.88, None, ""),
        (0.91, 0.88, 0.01, "▲"),
        (0.91, 0.88, 0.04, "≈"),
        (0.84, 0.88, 0.05, "≈"),
        (0.884, 0.88, 0.001, "▲"),
        (0.8801, 0.88, 0.00001, "≈"),
    ],
)
def test_a_mark_says_whether_the_model_is_better_than_pca(model, pca, half, marks):
    gain = model - pca
    intervals = {"numbers_gain": Interval(gain, gain - half, gain + half)} if half else {}
    main = evaluation(
        [score("x", 0.5)], number_r2=model, number_r2_pca=pca, classification=None,
        intervals=intervals,
    )  # fmt: skip
    printed = drawn(evaluation_report(main))
    line = next(line for line in printed.splitlines() if "R²" in line)
    assert "".join(letter for letter in line if letter in "▲▼≈") == marks
    assert ("▲▼ compare with PCA" in printed) == bool(marks)
    assert ("≈: no clear difference" in printed) == (marks == "≈")


def test_training_and_evaluation_lead_with_the_same_figures():
    trained = drawn(training_report(train_result(PIXELS)))
    evaluated = drawn(evaluation_report(evaluation([score("x", 0.5)])))
    for text in (trained.partition("of 35 epochs")[2], evaluated):
        assert "model     PCA  trivial" in "\n".join(text.splitlines()[:5])


def test_a_decoder_that_was_not_trained_is_named():
    model = spec(loss_weights={"classification": 1.0})
    summary = model.summary.model_copy(update={"baselines": []})
    text = drawn(training_quality(model.model_copy(update={"summary": summary})))
    assert "numbers" not in text
    assert "the decoder was not trained (--reconst-weight 0)" in text


def test_each_penalty_tells_its_share_and_how_sparse_the_latent_is():
    plain = spec().summary
    sparse = plain.model_copy(
        update={
            "shares": {"reconstruction": 0.9, "l2": 0.03, "kl": 0.07},
            "latent_near_zero": 0.25,
            "latent_mean": 0.061,
        }
    )
    weights = {"reconstruction": 1.0, "l2": 0.1, "kl": 0.1}
    text = drawn(training_report(train_result(summary=sparse, loss_weights=weights)), 200)
    assert "62 of 64 units active; l2 3.0 % of the loss; kl 7.0 % of the loss; 25.0 % of" in text
    assert "mean activation 0.0610 for rho 0.05" in text
    only = train_result(summary=sparse, loss_weights={"reconstruction": 1.0, "l2": 0.1})
    assert "25.0 % of values near zero" in drawn(training_report(only), 200)


def test_the_next_command_is_quoted_and_leaves_out_the_default_directory():
    unlabelled = spec(label=None)
    result = replace(train_result(), spec=unlabelled, model=Path("my runs/a"))
    command = "aecli encode data.parquet -m 'my runs/a' -o latents.parquet"
    assert command in drawn(training_report(result), 100)


def test_an_unfinished_training_says_how_to_go_on():
    result = train_result()
    summary = result.spec.summary.model_copy(update={"finished": False})
    unfinished = replace(result, spec=result.spec.model_copy(update={"summary": summary}))
    assert "--resume continues the training" in drawn(training_report(unfinished))


@pytest.mark.parametrize(
    ("known", "scale"),
    [
        ({"center": [0.0], "scale": [90.0]}, "scaled to 0..1"),
        ({}, "standardised"),
        ({"center": [0.0], "scale": [1.0]}, "not scaled"),
        ({"center": [38.0]}, "scaled by quartiles"),
        ({"constant": True}, "constant"),
    ],
)
def test_the_scaling_is_derived_from_the_figures(known, scale):
    assert scaling(number("x", **known)) == scale


def test_columns_are_grouped_by_what_they_became():
    lines = rows_of(drawn(column_groups(PEOPLE), 100))
    assert lines[0][0] == "5 numbers, standardised"
    assert lines[1] == ["3 categories", "workclass (8), education (8), occupation (8)"]


TERMS = ("reconstruction", "classification", "l1", "l2")


@pytest.mark.parametrize("width", [24, 32, 40, 46, 60])
@pytest.mark.parametrize("valid", [True, False])
def test_a_narrow_table_of_losses_has_whole_titles_and_figures(width, valid):
    history = epochs(3, ("reconstruction", "classification"))
    if not valid:
        history = [replace(epoch, valid=None) for epoch in history]
    text = drawn(EpochTable(history, limit=3), width)
    assert "…" not in text
    assert "total" in text
    assert ("reconst" in text) == (width >= (48 if valid else 32))


def test_titles_of_a_narrow_network_are_whole():
    text = drawn(inspection_report(model_inspection(PEOPLE)), 46)
    network = text.partition("network\n")[2].partition("\n\n")[0]
    assert "…" not in network
    assert network.split()[:5] == ["part", "layer", "in", "out", "params"]


@pytest.mark.parametrize("terms", [TERMS[:1], TERMS[:2], TERMS])
def test_losses_per_epoch_fit_80_columns_with_every_term(terms):
    text = drawn(EpochTable(epochs(40, terms), limit=10))
    header = text.splitlines()[0].split()
    assert [term for term in header if term in TERMS] == list(terms)
    assert ("total" in header) == (len(terms) > 1)
    assert all(len(line) <= 80 and "…" not in line for line in text.splitlines())


def test_the_table_shows_first_best_and_last_epoch_and_marks_the_best():
    text = drawn(EpochTable(epochs(200, best=77), limit=16))
    shown = [line.split()[0] for line in text.splitlines()[2:-1]]
    assert shown[0] == "1"
    assert shown[-1] == "200"
    assert "77*" in shown
    assert len(shown) <= 16
    assert f"{len(shown)} of 200 epochs (-v shows all)" in text


def test_without_validation_there_is_one_figure_per_term():
    history = [replace(epoch, valid=None) for epoch in epochs(3)]
    rows = rows_of(drawn(EpochTable(history, limit=5)))
    assert rows[1] == ["epoch", "train"]
    assert rows[2] == ["1*", "0.08340"]


def test_the_worst_columns_come_first_and_the_rest_is_counted():
    columns = [score(f"px{i}", 1 - i / 1000) for i in range(774)] + [score("dead", None)]
    short = drawn(evaluation_report(evaluation(columns)))
    assert short.index("px773") < short.index("px772")
    assert "… and 765 more (--all-columns lists all)" in short
    everything = drawn(evaluation_report(evaluation(columns), all_columns=True))
    assert all(f"px{i} " in everything for i in range(774))
    assert rows_of(everything.split("dead")[1])[0][:3] == ["number", "R²", "–"]


def test_a_figure_that_rounds_to_zero_has_no_sign():
    text = drawn(evaluation_report(evaluation([score("x", 0.5, baseline=-1e-9)])))
    assert "-0.0000" not in text


def test_ten_classes_are_a_matrix_with_recall_in_80_columns():
    text = drawn(evaluation_report(evaluation([], [str(i) for i in range(10)])))
    row = next(line for line in text.splitlines() if line.strip().startswith("1 "))
    assert row.split()[:3] == ["1", "2", "980"]
    assert row.split()[-2:] == ["98.3", "%"]


def test_many_classes_are_the_worst_pairs():
    text = drawn(evaluation_report(evaluation([], [f"c{i}" for i in range(30)])))
    assert "true \\ predicted" not in text
    pairs = rows_of(text.split("of the true class")[1])[1:]
    assert pairs[0][2] == "4"
    assert len([row for row in pairs if row[0].startswith("c")]) == 10


def test_gates_say_what_they_looked_at():
    gates = [Gate("accuracy<0.9", 0.98, False), Gate("r2<0.5", 0.4, True)]
    text = drawn(evaluation_report(evaluation([], gates=gates)))
    assert "passed  accuracy<0.9  it is 0.98" in text
    assert "failed  r2<0.5        it is 0.4" in text


def test_an_inspected_model_lists_layers_and_their_parameters():
    rows = rows_of(drawn(inspection_report(model_inspection())))
    assert ["encoder", "Linear, ReLU", "784", "512", "401,920"] in rows
    assert ["total", "485,712"] in rows


def test_an_inspected_table_says_what_each_column_becomes_and_why():
    columns = [number(f"n{i}", reason="decimal numbers") for i in range(50)]
    result = DataInspection("a.csv", "csv", 9, columns, [], [], None, ["renamed a to a_2"])
    text = drawn(inspection_report(result))
    assert ["n0", "number", "double", "–", "decimal numbers"] in rows_of(text)
    assert "… and 30 more (--all-columns lists all)" in text
    assert "renamed a to a_2" in text
    assert "n49 " in drawn(inspection_report(result, all_columns=True))


def test_a_finished_stream_names_what_was_odd():
    result = StreamResult(Path("m"), "z.csv", 2000, ["z0", "z1"], 2.0, {"c": 3}, {}, ["extra"])
    assert drawn(stream_report(result)).splitlines() == [
        "2,000 rows of 2 columns to z.csv in 2.0 s (1,000 rows/s)",
        "not in the model, ignored: extra",
        "values that training did not have: c 3",
    ]
