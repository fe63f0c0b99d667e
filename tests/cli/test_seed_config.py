import json
import shutil
from pathlib import Path

import pytest

from aecli.cli.config_file import read_config
from aecli.cli.option_sources import validate
from aecli.errors import UsageError
from aecli.schema.torch_classes import OPTIMIZERS

FILE = Path(__file__).with_name("seed_config.yaml")
CPU = ("--device", "cpu", "--threads", "1")
FLAT = {
    "tag": "first", "seed": 7, "epochs": 3, "encoder": [16, 8, 2], "decoder": [8, 16],
    "classifier": [4], "activation": "LeakyReLU:negative_slope=0.1", "norm": "batch:momentum=0.2",
    "dropout": 0.1, "optimizer": "Adam:betas=0.9/0.99,weight_decay=1e-05", "lr": 1e-3,
    "class_weight": 1, "reconst_weight": 0.5, "l1": 1e-4, "batch_size": 64, "reduction": "sum",
}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def run(text: str, name: str = "run.yaml") -> dict[str, object]:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        values = read_config(path)
        validate({name: value for name, value in values.items() if name != "tag"})
        return {name: value.value for name, value in values.items()}

    return run


@pytest.fixture
def refused(read, tmp_path):
    def run(text: str, name: str = "run.yaml") -> str:
        with pytest.raises(UsageError) as caught:
            read(text, name)
        return "\n".join(caught.value.lines()).replace(f"{tmp_path}/", "")

    return run


@pytest.fixture
def folder(tmp_path):
    shutil.copy(FILE, tmp_path / "config.yaml")
    return tmp_path


def test_every_key_becomes_the_option_of_the_same_meaning(read):
    assert read(FILE.read_text()) == FLAT


def test_the_file_trains_a_model_under_its_tag(aecli, table, folder):
    options = ("--label", "kind", "--config", "config.yaml", "--json", *CPU)
    done = aecli("train", table, *options, OMP_NUM_THREADS="1")
    assert done.code == 0, done.err
    assert done.err.splitlines()[0] == (
        "note: config.yaml: without effect here: model.activation.init_args.inplace, "
        "encode.bsize (aecli encode --batch-size 512)"
    )
    assert json.loads(done.out)["model"] == "runs/first"
    spec = json.loads((folder / "runs" / "first" / "spec.json").read_text())
    options, network = spec["options"], spec["network"]
    assert [network[part] for part in ("encoder", "decoder", "classifier")] == [
        [16, 8, 2], [8, 16], [4]
    ]  # fmt: skip
    assert options["losses"]["reduction"] == "sum"
    assert options["training"]["optimizer"]["args"] == {"betas": [0.9, 0.99], "weight_decay": 1e-5}
    assert (options["training"]["lr"], options["training"]["epochs"]) == (1e-3, 3)


def test_flags_win_and_quiet_says_nothing(aecli, table, folder):
    flags = ("--tag", "mine", "--reduction", "mean", "--epochs", "1", "-q", *CPU)
    done = aecli("train", table, "--config", "config.yaml", *flags, OMP_NUM_THREADS="1")
    assert (done.code, done.out, done.err) == (0, "", "")
    options = json.loads((folder / "runs" / "mine" / "spec.json").read_text())["options"]
    assert (options["losses"]["reduction"], options["training"]["epochs"]) == ("mean", 1)


def test_a_classifier_without_a_label_is_noted(aecli, table, folder):
    done = aecli("train", table, "--config", "config.yaml", "--epochs", "1", *CPU)
    assert "note: without effect: --classifier without --label\n" in done.err


def test_print_config_names_the_key_of_each_value_and_reads_back(aecli, folder):
    done = aecli("train", "--config", "config.yaml", "--lr", "0.5", "--print-config")
    lines = [line.partition("#") for line in done.out.splitlines()]
    sources = {text.strip(): source.strip() for text, _, source in lines}
    assert sources["l1 = 0.0001"] == "config.yaml: model.loss.l1_weight"
    assert sources['reduction = "sum"'] == "config.yaml: model.loss, in sums"
    assert sources["lr = 0.5"] == "command line"
    (folder / "flat.toml").write_text(done.out)
    again = {name: value.value for name, value in read_config(folder / "flat.toml").items()}
    assert {name: again[name] for name in FLAT} == FLAT | {"lr": 0.5}


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("{}", ("Adam", 1e-3)),
        ("{name: adam}", ("adam", 1e-3)),
        ("{name: Adadelta, init_args: {rho: 0.8}}", ("Adadelta:rho=0.8", 1.0)),
        ("{name: SGD, init_args: {lr: 0.5}}", ("SGD", 0.5)),
        ("{name: Rprop, init_args: {etas: [0.5, 1.3]}}", ("Rprop:etas=0.5/1.3", 0.01)),
    ],
)
def test_an_optimizer_has_the_learning_rate_of_torch_where_the_file_has_none(
    read, optimizer, expected
):
    values = read(f"model: {{dropout: 0.1, optimizer: {optimizer}}}")
    assert (values["optimizer"], values["lr"]) == expected


def test_a_network_has_a_norm_only_where_the_file_names_one(read):
    assert read("model: {dropout: 0.1}")["norm"] == "none"
    assert "norm" not in read("trainer: {max_epochs: 3}")


def test_flat_keys_override_the_defaults_of_sections(read):
    values = read("lr: 0.2\noptimizer: NAdam\nnorm: layer\nmodel: {dropout: 0.1}")
    assert (values["optimizer"], values["lr"], values["norm"]) == ("NAdam", 0.2, "layer")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_minimises_also_where_the_file_says_so(tmp_path, refused, name):
    text = "model: {{optimizer: {{name: {0}, init_args: {{maximize: {1}, foreach: null}}}}}}"
    (tmp_path / "run.yaml").write_text(text.format(name, "false"))
    assert str(validate(read_config(tmp_path / "run.yaml")).training.optimizer) == name
    assert ":maximize=true is not supported: training minimises" in refused(
        text.format(name, "true")
    )


def test_the_hint_keeps_valid_arguments(refused):
    text = "model: {optimizer: {name: SGD, init_args: {momentum: 0.9, dampening: 5}}}"
    hint = 'try: model.optimizer: {name: "SGD", init_args: {momentum: 0.9}} in run.yaml'
    assert hint in refused(text)
    assert hint in refused(text.replace("dampening: 5", "maximize: true"))


def test_toml_has_sections_too(read):
    toml = '[model.optimizer]\nname = "SGD"\ninit_args = {lr = 1e-2, nesterov = true, momentum = 1}'
    wanted = {"optimizer": "SGD:nesterov=true,momentum=1", "lr": 0.01, "reduction": "sum"}
    assert read(toml, "run.toml") == wanted | {"norm": "none"}


@pytest.mark.parametrize(
    ("name", "norm"),
    [("none", "none"), ("null", "none"), ("batch", "batch"), ("instance", "instance"),
     ("BatchNorm1d", "batch"), ("InstanceNorm1d", "instance")],
)  # fmt: skip
def test_a_norm_layer_by_either_name(read, name, norm):
    assert read(f"model: {{norm_layer: {{name: {name}}}}}")["norm"] == norm


@pytest.mark.parametrize("name", ["BatchNorm1d", "InstanceNorm1d"])
def test_a_norm_layer_with_the_statistics_that_a_single_row_has(read, refused, name):
    layer = "model: {{norm_layer: {{name: {0}, init_args: {{track_running_stats: {1}}}}}}}"
    tracked = name == "BatchNorm1d"
    assert ":track_running_stats=" in read(layer.format(name, str(tracked).lower()))["norm"]
    assert "is not supported: " in refused(layer.format(name, str(not tracked).lower()))


def test_what_is_empty_gives_nothing(read):
    text = "trainer:\nmodel: {loss: , dropout: null, activation: {init_args: {}}}\ndata: {}"
    assert read(text) == {"reduction": "sum"}
    assert read("model: {norm_layer: {name: none, init_args: {eps: 1}}}")["norm"] == "none"


def test_flat_keys_beside_sections(read, refused):
    both = "epochs: 4\nreduction: mean\nlabel: y\ntrainer: {max-epochs: 4}"
    assert read(both) == {"epochs": 4, "reduction": "mean", "label": "y"}
    assert refused("epochs: 4\ntrainer: {max_epochs: 5}") == (
        "run.yaml: epochs is 4 and trainer.max_epochs is 5; both mean --epochs\n"
        "  try: only trainer.max_epochs"
    )


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("model: {loss: {l1_weigth: 1}}", "did you mean model.loss.l1_weight?"),
        ("model: {lr: 1}", "did you mean model.optimizer.init_args.lr?"),
        ("trainer: {epochs: 1}", "did you mean trainer.max_epochs?"),
        ("model: {zzz: 1}", "model contains: encoder_layers, decoder_layers"),
        ("training: {max_epochs: 3}", "did you mean trainer?"),
        ("model: {optimizer: {name: Adam, init_args: {epss: 1}}}", "it takes betas, eps"),
    ],
)
def test_an_unknown_key_is_an_error_with_a_suggestion(refused, text, near):
    message = refused(text)
    assert "unknown" in message or "has no argument" in message
    assert near in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {loss: {l1_weight: fast}}",
         'model.loss.l1_weight: "fast" in run.yaml: must be a number, 0 to 1000000000\n'
         "  try: model.loss.l1_weight: 0.0001 in run.yaml"),
        ("model: {loss: {l1_weight: -1}}",
         "model.loss.l1_weight: -1 in run.yaml: must be a number, 0 to 1000000000\n"
         "  try: model.loss.l1_weight: 0 in run.yaml"),
        ("trainer: {max_epochs: true}",
         "trainer.max_epochs: true in run.yaml: must be a whole number, 1 to 1000000"),
        ("trainer: {max_epochs: 0}", "try: trainer.max_epochs: 1 in run.yaml"),
        ("trainer: 5", "trainer: 5 in run.yaml: must be a section with keys such as max_epochs"),
        ("model: {loss: 3}", "model.loss: 3 in run.yaml: must be a section"),
        ("model: {encoder_layers: [8, x]}", "model.encoder_layers: [8,x] in run.yaml: must be"),
        ("model: {activation: ReLU}", 'try: model.activation.name: "ReLU" in run.yaml'),
        ("model: {activation: {name: 3}}", "model.activation.name: 3 in run.yaml: must be a class"),
        ("model: {activation: {name: Relux}}",
         'model.activation: {name: "Relux"} in run.yaml: unknown activation'),
        ("model: {optimizer: {name: Adam, init_args: {weight_decay: 7, betas: [0, 1]}}}",
         'model.optimizer: {name: "Adam", init_args: {weight_decay: 7, betas: [0, 1]}} in'),
        ("model: {optimizer: {name: Adam, init_args: {lr: 70}}}",
         "model.optimizer.init_args.lr: 70 in run.yaml: must be a number, above 0, at most 10"),
        ("model: {optimizer: {init_args: {eps: 1}}}", "needs model.optimizer.name"),
        ("model: {optimizer: {init_args: 5}}", "5 in run.yaml: must be arguments and their values"),
        ("model: {activation: {name: ReLU, init_args: {a: {b: 1}}}}", "must be a number, a word"),
        ("encode: {bsize: 0}", "encode.bsize: 0 in run.yaml: must be a whole number, 1 to 1048576"),
        ("data: {train_bsize: 1, train-bsize: 2}", "duplicate key data.train_bsize"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_bound(refused, text, message):
    assert message in refused(text)


def test_the_command_refuses_with_exit_code_2(aecli, table, tmp_path):
    (tmp_path / "run.yaml").write_text("model: {loss: {l1: 1}}")
    done = aecli("train", table, "--config", "run.yaml")
    assert (done.code, done.out) == (2, "")
    assert "did you mean model.loss.l1_weight?" in done.err
