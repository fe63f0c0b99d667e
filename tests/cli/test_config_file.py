import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecli.cli.config_file import format_config, read_config
from aecli.cli.option_sources import OptionValue, Settings, validate
from aecli.errors import UsageError
from aecli.schema.options import TrainOptions
from aecli.schema.training_options import TrainingOptions

DEFAULTS = TrainingOptions()


@pytest.fixture
def read(tmp_path):
    def run(text: str, name: str = "run.toml") -> dict[str, object]:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return {name: value.value for name, value in read_config(path).items()}

    return run


@pytest.fixture
def refused(read, tmp_path):
    """Return the error's text, with the file's directory left out."""

    def run(text: str, name: str = "run.toml") -> str:
        with pytest.raises(UsageError) as caught:
            read(text, name)
        assert caught.value.hint
        return "\n".join(caught.value.lines()).replace(f"{tmp_path}/", "")

    return run


def test_toml_and_yaml_say_the_same(read):
    wanted = {"data": ["a.csv", "b.csv"], "tag": "t", "l1": 1e-4, "encoder": [64, 8], "id": "a,b"}
    toml = 'data = ["a.csv", "b.csv"]\ntag = "t"\nl1 = 1e-4\nencoder = [64, 8]\nid = "a,b"\n'
    yaml = "data: [a.csv, b.csv]\ntag: t\nl1: 1e-4\nencoder: [64, 8]\nid: a,b\n"
    assert read(toml) == read(yaml, "run.yaml") == read("\ufeff" + yaml, "run.yml") == wanted


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("1E3", 1000.0), (".5", 0.5), ("5.", 5.0), ("-1.5e+2", -150.0), ("010", 10)],
)
def test_a_number_in_yaml_is_a_number(read, text, value):
    assert read(f"lr: {text}", "run.yaml") == {"lr": value}


@pytest.mark.parametrize("word", ["no", "on", "yes", "1:30", "2024-01-01", "1e", "=", "<<"])
def test_a_word_in_yaml_is_text(read, word):
    assert read(f"label: {word}", "run.yaml") == {"label": word}


def test_keys_may_have_dashes_and_null_is_not_given(read):
    assert read("batch-size = 64") == {"batch_size": 64}
    assert read("lr: null\nseed: ~\ntag:\nbatch_size: 8", "run.yaml") == {"batch_size": 8}


def test_a_share_for_validation_may_be_a_number(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("valid = 0.25")
    assert validate(read_config(path)).training.valid == "0.25"


def test_a_gap_may_be_a_number_and_a_latent_a_word(tmp_path, refused):
    path = tmp_path / "run.yaml"
    path.write_text("max_gap: 10\nlatent: auto\nwindow: 3\ntime: t")
    options = validate(read_config(path))
    assert (options.windows.max_gap, options.network.latent) == ("10", "auto")
    path.write_text(format_config(Settings(options, read_config(path))))
    path = path.rename(tmp_path / "printed.toml")
    assert validate(read_config(path)) == options
    assert "it must be a whole number, 1 to 65536, or auto" in refused('latent = "most"')


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_file_gives_nothing(read, text):
    assert read(text) == read(text, "run.yaml") == {}


def test_an_unknown_key_is_an_error_with_a_suggestion(refused):
    assert refused("epoch = 3") == (
        "run.toml: unknown key 'epoch'\n  did you mean epochs?\n"
        "  try: aecli train --print-config (it prints every key)"
    )


def test_a_section_is_explained(refused):
    assert "keys are at the top level" in refused("[network]\nencoder = [8]")


@pytest.mark.parametrize(
    ("text", "name"),
    [("lr = 1\nlr = 2", "run.toml"), ("lr: 1\nlr: 2", "run.yaml"), ("{lr: 1, lr: 2}", "run.yml"),
     ("batch_size = 1\nbatch-size = 2", "run.toml"), ("batch_size: 1\nbatch-size: 2", "run.yaml")],
)  # fmt: skip
def test_a_duplicate_key_is_an_error(refused, text, name):
    assert "duplicate key" in refused(text, name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = true", "epochs is true (true or false); it must be a whole number, 1 to"),
        ('lr = "fast"', "lr is text; it must be a number, above 0, at most 10"),
        ("label = 3", "label is 3 (a number); it must be text"),
        ("balance = 1", "balance is 1 (a number); it must be true or false"),
        ("lr = [1]", "lr is a list; it must be a number"),
        ("encoder = [8, true]", "encoder is a list; it must be whole numbers such as"),
        ("label = 2024-01-01", "label is a date or time; it must be text"),
        ("data = 5", "data is 5 (a number); it must be a path or a list of paths"),
    ],
)
def test_a_wrong_type_is_named(refused, text, message):
    assert message in refused(text)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("lr = ", "run.toml", "run.toml is not valid TOML"),
        ("lr: [1", "run.yaml", "run.yaml is not valid YAML at line"),
        ("- lr", "run.yaml", "a config file must have keys and values"),
        ("lr: !!python/name:os.system", "run.yaml", "run.yaml is not valid YAML"),
        ("[1]: 2", "run.yaml", "a key must be a plain scalar"),
        ("[" * 5000, "run.yaml", "run.yaml is not valid YAML"),
        ("lr: " + "9" * 5000, "run.yaml", "run.yaml is not valid YAML"),
        ("{}", "run.json", "the name of a config file must end in .toml or .yaml"),
    ],
)
def test_a_file_that_cannot_be_read_is_explained(refused, text, name, message):
    assert message in refused(text, name)


DOTS = ".".join("a" * 50_000)
QUOTED_DOTS = ".".join(['"a"'] * 20_000)
LAUGHS = "".join(f"  - &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
MERGES = "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60))
INDENTED = "".join(f"{' ' * level}a:\n" for level in range(500))
TAGS = ("timestamp", "bool", "int", "float", "binary", "python/object:os.system", "map", "seq")


@pytest.mark.parametrize(
    "text",
    [
        f"{DOTS} = 1", f"{QUOTED_DOTS} = 1", f"[{DOTS}]", f"x = {{{DOTS} = 1}}", f"[[{DOTS}]]",
        "a = " + "[" * 100_000, "a = " + "[" * 9_000 + "]" * 9_000, "a = " + "{a=" * 50_000,
        "epochs = " + "9" * 5_000, "epochs = 0x" + "f" * 5_000, "encoder = [" + "9" * 4_000 + "]",
        "[model.loss]\nl1_weight = 0b" + "1" * 20_000, "lr = -" + "9" * 20,
        "encoder = [" + "[]," * 100_000 + "]", "[[a]]\n" * 60_000, "x" * 600_000,
        'a = """' + "\\" * 99_999, "a = '" + "[" * 99_999, "a" * 99_999 + " = 1",
    ],
)  # fmt: skip
def test_huge_and_deep_toml_is_refused(refused, text):
    message = refused(text)
    assert message.startswith("run.toml")
    assert len(message) < 1_500


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "a: " + "[" * 100_000, "a: " + "{a: " * 30_000, "a: " + "{" * 60_000,
        "- " * 50_000 + "1", "? " * 50_000 + "1", INDENTED, "a: " + "[]," * 60_000,
        f"encoder:\n  - &a0 [x, x]\n{LAUGHS}", f"a0: &a0 {{x: 1}}\n{MERGES}",
        f"model:\n loss:\n  l1_weight:\n  - &a0 [x, x]\n{LAUGHS}", "encoder: &a [*a]",
        "model: &a {loss: *a}", "model:\n  optimizer: &a\n    init_args: *a\n",
        "epochs: " + "9" * 5_000, "epochs: " + "9" * 400, "encoder: [" + "9" * 4_000 + "]",
        *(f"epochs: !!{tag} x" for tag in TAGS), "!!int : 1", "a: !!set {a}", "a: !<x> 1",
        "a: \0", "- 1\n" * 90_000, "x" * 600_000, "a:" * 30_000, "--- 1\n" * 5_000,
    ],
)  # fmt: skip
def test_huge_and_deep_yaml_is_refused(refused, text):
    message = refused(text, "run.yaml")
    assert message.startswith("run.yaml")
    assert len(message) < 1_500


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('tag = "' + "a." * 40 + '"  # ' + "[" * 40 + "\nlr = 0.5", "run.toml"),
        ("tag = '''\n" + "[" * 40 + "'''\nlr = 0.5", "run.toml"),
        ("tag: " + "a." * 40 + "\nlr: 0.5", "run.yaml"),
        ("lr: &rate 0.5\nl1: *rate", "run.yaml"),
        ("lr: 0.5\ncolumns: [" + ", ".join(f"c{i}" for i in range(9_000)) + "]", "run.yaml"),
    ],
)
def test_limits_leave_ordinary_files_alone(read, text, name):
    assert read(text, name)["lr"] == 0.5


@pytest.mark.parametrize(
    ("text", "value"),
    [("# mine\nlr = 0.5\n", 0.5), ("lr: 0.5\n", 0.5), ("{lr: 0.5}", 0.5),
     ("[model.optimizer]\nname='Adam'\n[model.optimizer.init_args]\nlr=0.5", 0.5)],
)  # fmt: skip
def test_a_config_may_come_from_a_pipe(text, value):
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    try:
        assert read_config(Path(f"/dev/fd/{reading}"))["lr"].value == value
    finally:
        os.close(reading)


def test_a_slow_writer_of_a_pipe_is_waited_for():
    reading, writing = os.pipe()
    later = threading.Timer(0.2, lambda: (os.write(writing, b"lr: 0.5"), os.close(writing)))
    later.start()
    try:
        assert read_config(Path(f"/dev/fd/{reading}"))["lr"].value == 0.5
    finally:
        later.join()
        os.close(reading)


def test_what_is_not_a_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    for name, message in {
        "pipe.toml": "nothing writes into the pipe",
        "zero.toml": "is a device",
        "folder.toml": "Is a directory",
        "loop.toml": "Too many levels of symbolic links",
    }.items():
        with pytest.raises(UsageError, match=message):
            read_config(tmp_path / name)
    with pytest.raises(UsageError, match="is a device"):
        read_config(Path("/dev/zero"))


def test_utf_16_is_not_utf_8(tmp_path):
    (tmp_path / "run.yaml").write_bytes("lr: 1".encode("utf-16"))
    with pytest.raises(UsageError, match="byte 0 is not UTF-8"):
        read_config(tmp_path / "run.yaml")


def test_a_missing_file_and_a_wrong_encoding_are_explained(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read_config(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'label = "gr\xf6\xdfe"')
    with pytest.raises(UsageError, match="byte 11 is not UTF-8"):
        read_config(tmp_path / "latin.toml")


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "lr": st.floats(1e-12, 10),
        "l1": st.floats(0, 1e9),
        "label": st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        "encoder": st.lists(st.integers(1, 65_536), min_size=1, max_size=5),
        "activation": st.floats(0, 1).map(lambda slope: f"LeakyReLU:negative_slope={slope!r}"),
        "id": st.lists(st.text("ab *é\"\\'#", min_size=1).filter(str.strip), max_size=3),
        "log_gradients": st.booleans(),
        "time_limit": st.sampled_from(["90s", "10m"]),
        "seed": st.integers(0, 2**63 - 1),
    },
)


@given(VALUES)
def test_what_is_printed_reads_back_as_the_same_options(tmp_path_factory, values):
    explicit = {name: OptionValue(name, value, "command line") for name, value in values.items()}
    options = validate(explicit)
    path: Path = tmp_path_factory.mktemp("printed") / "run.toml"
    path.write_text(format_config(Settings(options, explicit)), encoding="utf-8")
    assert validate(read_config(path)) == options


def test_every_value_is_printed_with_its_source():
    lr = OptionValue("lr", "0.5", "environment")
    tag = OptionValue("tag", "t", "config", "a.toml")
    settings = Settings(validate({"lr": lr}), {"lr": lr, "tag": tag})
    lines = format_config(settings).splitlines()
    split = {line.split("#")[0].strip(): line.split("#")[-1].strip() for line in lines}
    assert split["lr = 0.5"] == "AECLI_LR"
    assert split['tag = "t"'] == "a.toml"
    assert split[f"patience = {DEFAULTS.patience}"] == "default"
    assert len([line for line in lines if "=" in line]) == 1 + sum(
        len(type(section).model_fields) for _, section in TrainOptions()
    )
