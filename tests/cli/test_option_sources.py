import traceback
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from aecli.cli.main import cli, main
from aecli.cli.option_sources import OptionValue, Settings, merge, merge_model
from aecli.cli.options import spec_options
from aecli.cli.section_command import SectionCommand
from aecli.errors import UsageError
from aecli.schema.options import TrainOptions, option_names
from aecli.schema.training_options import TrainingOptions

COMMANDS = [None, *cli.commands]


@pytest.fixture
def parse(tmp_path, monkeypatch):
    """Parse arguments as `train` does and return its settings."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str, config: str = "", environ: dict[str, str] | None = None) -> Settings:
        parsed = []
        if config:
            (tmp_path / "run.toml").write_text(config)
            args += ("--config", "run.toml")

        @click.command("train", cls=SectionCommand)
        @click.option("--config")
        @click.option("--model")
        @click.option("--tag")
        @spec_options(*option_names())
        def command(settings):
            parsed.append(settings)

        result = CliRunner().invoke(command, args, env=environ, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return parsed[0]

    return run


def test_a_flag_wins_over_the_environment_and_that_over_the_file(parse):
    config = "epochs = 3\nlr = 0.5\nseed = 9\n"
    settings = parse(
        "--epochs", "1", config=config, environ={"AECLI_EPOCHS": "2", "AECLI_LR": "0.25"}
    )
    training = settings.options.training
    assert (training.epochs, training.lr, training.seed) == (1, 0.25, 9)
    assert training.patience == TrainingOptions().patience
    sources = [settings.explicit[name].source for name in ("epochs", "lr", "seed")]
    assert sources == ["command line", "AECLI_LR", "run.toml"]


def test_a_flag_can_take_back_what_the_file_switches_on(parse):
    assert parse("--no-balance", config="balance = true").options.losses.balance is False


def test_values_of_every_shape_are_understood(parse):
    options = parse(
        "--encoder", "64, 8", "--id", "a,b", "--id", "c*", "--time-limit", "10m",
        "--activation", "leakyrelu:negative_slope=0.1", "--delimiter", "\\t", "--balance",
        "--label", "y",
    ).options  # fmt: skip
    assert options.network.encoder == [64, 8]
    assert options.columns.id == ["a", "b", "c*"]
    assert options.training.time_limit == 600
    assert str(options.network.activation) == "LeakyReLU:negative_slope=0.1"
    assert options.read.delimiter == "\t"
    assert options.losses.balance is True


def test_an_empty_variable_counts_as_not_set(parse):
    assert parse(environ={"AECLI_LABEL": ""}).options == TrainOptions()


def test_names_in_a_variable_may_hold_spaces(parse):
    settings = parse(environ={"AECLI_ID": "first name,last name"})
    assert settings.options.columns.id == ["first name", "last name"]


@pytest.mark.parametrize(
    ("args", "what", "hint"),
    [
        (["--lr", "20"], "--lr 20: must be a number, above 0, at most 10", "--lr 10"),
        (["--lr", "x"], "--lr x: must be a number, above 0, at most 10",
         f"--lr {TrainingOptions().lr:g}"),
        (["--l1", "nan"], "--l1 nan: must be a number, 0 to 1000000000", "--l1 0"),
        (["--epochs", "1.5"], "--epochs 1.5: must be a whole number, 1 to 1000000",
         "--epochs 16"),
        (["--encoder", "5,0"],
         "--encoder 5,0: must be whole numbers such as 512,256,64, each 1 to 65536, or halve",
         "--encoder 512,256,64"),
        (["--scale", "standrad"],
         "--scale standrad: must be one of auto, standard, minmax, robust, none, or COLUMN=SCALE",
         "--scale standard"),
        (["--output", "relu"],
         "--output relu: must be one of auto, linear, sigmoid, tanh", "aecli train --help"),
        (["--arch", "dense"],
         "--arch dense: must be one of mlp, conv2d, vanilla, conv1d, lstm, transformer",
         "--arch mlp"),
        (["--activation", "Relux"],
         "--activation Relux: unknown activation 'Relux'; did you mean ReLU?",
         "--activation ReLU"),
        (["--optimizer", "SGD:momentum=2"],
         "--optimizer SGD:momentum=2: SGD:momentum=2 must be a number from 0 to 1",
         "--optimizer SGD"),
        (["--reconst-weight", "much"],
         "--reconst-weight much: must be a number, 0 to 1000000000", "--reconst-weight 1"),
        (["--time-limit", "soon"],
         "--time-limit soon: must be a duration above 0 such as 90s, 10m or 2h",
         "--time-limit 10m"),
        (["--memory", "4 GB"], "--memory 4 GB: must be of the form 2GB", "--memory 2GB"),
        (["--delimiter", "ab"], "--delimiter ab: must be one character", "--delimiter ;"),
        (["--latent", "0"],
         "--latent 0: must be a whole number, 1 to 65536, or auto", "--latent 1"),
        (["--latent", "8", "--encoder", "5"],
         "--latent 8 and --encoder 5 contradict each other: the last encoder size is the latent "
         "size",
         "--encoder 8"),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_its_bound_and_a_way_out(parse, args, what, hint):
    with pytest.raises(UsageError) as caught:
        parse(*args)
    assert (caught.value.what, caught.value.hint) == (what, hint)
    assert "pydantic" not in str(caught.value.lines())


def test_a_bad_value_is_named_as_it_was_given(parse):
    with pytest.raises(UsageError, match=r"^AECLI_LR=20: must be a number"):
        parse(environ={"AECLI_LR": "20"})
    with pytest.raises(UsageError, match=r"^lr = 20 in run.toml: must be a number") as caught:
        parse(config="lr = 20")
    assert caught.value.hint == "lr = 10 in run.toml"
    with pytest.raises(UsageError, match=r"^encoder = \[0\] in run.toml: must be") as caught:
        parse(config="encoder = [0]")
    assert caught.value.hint == "encoder = [512,256,64] in run.toml"
    with pytest.raises(UsageError, match=r"^AECLI_LATENT=8 and --encoder 5 contradict each other"):
        parse("--encoder", "5", environ={"AECLI_LATENT": "8"})


def test_several_bad_values_are_reported_at_once(parse):
    with pytest.raises(UsageError) as caught:
        parse("--lr", "20", "--epochs", "0")
    assert caught.value.what.startswith("--epochs 0: must be a whole number")
    assert caught.value.facts == ("also --lr 20: must be a number, above 0, at most 10",)


@pytest.mark.parametrize(
    ("flags", "environ", "expected"),
    [
        ({"tag": "t"}, {"AECLI_MODEL": "m"}, {"tag": "t"}),
        ({}, {"AECLI_MODEL": "m"}, {"model": "m"}),
        ({"model": "a", "tag": "b"}, {}, {"model": "a", "tag": "b"}),
        ({}, {}, {}),
    ],
)
def test_model_and_tag_come_from_one_layer(flags, environ, expected):
    values = merge_model(flags=flags, environ=environ, config={})
    assert {name: value.value for name, value in values.items()} == expected


LAYER = st.dictionaries(st.sampled_from(["lr", "epochs", "seed"]), st.text("123", min_size=1))


@given(flags=LAYER, variables=LAYER)
def test_the_first_layer_that_sets_an_option_decides(flags, variables):
    environ = {f"AECLI_{name.upper()}": text for name, text in variables.items()}
    values = merge(["lr", "epochs"], flags=flags, environ=environ, config={})
    wanted = {name: text for name, text in (variables | flags).items() if name != "seed"}
    assert {name: value.value for name, value in values.items()} == wanted


def test_one_command_line_is_one_settings_object(parse):
    settings = parse("--device", "cpu", "--threads", "2", "--tag", "t", "--delimiter", ";")
    assert (settings.device, settings.threads, settings.read.delimiter) == ("cpu", 2, ";")
    assert (settings.model, settings.model_option) == (Path("runs", "t"), "--tag t")
    settings = parse(environ={"AECLI_MODEL": "m"})
    assert (settings.model, settings.model_option) == (Path("m"), "")


@pytest.mark.parametrize(
    ("value", "data"), [(("a",), "a"), (("a", "b"), ["a", "b"]), ("a", "a"), (None, [])]
)
def test_data_is_one_path_or_a_list(value, data):
    explicit = {"data": OptionValue("data", value, "command line")} if value else {}
    assert Settings(TrainOptions(), explicit).data == data


def test_completion_validates_nothing(monkeypatch):
    monkeypatch.setenv("AECLI_LR", "much")
    train = cli.commands["train"]
    with train.make_context("train", ["--config", "none.toml"], resilient_parsing=True) as ctx:
        assert "settings" not in ctx.params


def test_main_calls_the_function_of_a_command_with_no_frame_of_aecli_between(monkeypatch):
    frames = []

    def record(**_kwargs):
        frames.extend(
            frame.name for frame in traceback.extract_stack() if "aecli/cli" in frame.filename
        )

    monkeypatch.setattr(cli.commands["train"], "callback", record)
    assert main(["train", "data.csv"]) == 0
    assert frames == ["main"]


@pytest.mark.parametrize(
    ("command", "variable", "near"),
    [
        ("train", "AECLI_EPOCH", "did you mean AECLI_EPOCHS?"),
        ("tune", "AECLI_LEARNING_RATE", "did you mean AECLI_LR?"),
        ("train", "AECLI_lr", "did you mean AECLI_LR?"),
        ("train", "AECLI_XYZZY", "is not that of an option"),
    ],
)
def test_a_variable_that_is_not_one_of_an_option_is_an_error(aecli, command, variable, near):
    result = aecli(command, "none.csv", **{variable: "7"})
    assert result.code == 2
    assert f"{variable}=7" in result.err
    assert near in result.err


def test_known_and_empty_variables_and_those_of_other_programs_are_fine(aecli):
    known = {"AECLI_MODEL": "m", "AECLI_EPOCHS": "3", "AECLI_EPOCH": "", "MY_AECLI_X": "1"}
    assert aecli("train", "--print-config", **known).code == 0
    assert "not one of an option" not in aecli("inspect", "none", AECLI_EPOCH="1").err
