import pytest

import aecli
from aecli.errors import UsageError
from aecli.schema.option_docs import options
from aecli.schema.options import TrainOptions
from aecli.schema.training_options import TrainingOptions
from aecli.schema.validation import validate_options


@pytest.mark.parametrize(
    ("values", "what", "hint"),
    [
        ({"lr": 20}, "lr=20: must be a number, above 0, at most 10", "lr=10"),
        ({"lr": None}, "lr=None: must be a number, above 0, at most 10",
         f"lr={TrainingOptions().lr}"),
        ({"encoder": [5, 0]},
         "encoder=[5, 0]: must be whole numbers such as 512,256,64, each 1 to 65536, or halve",
         "encoder=[512, 256, 64]"),
        ({"activation": "Relux"},
         "activation='Relux': unknown activation 'Relux'; did you mean ReLU?", "activation='ReLU'"),
        ({"activation": "glu"}, "activation='glu': GLU is not supported as activation: it halves "
         "the number of units; SiLU is a gate that keeps it", "activation='SiLU'"),
        ({"activation": "Threshold:value=1"}, "activation='Threshold:value=1': Threshold needs "
         "threshold, as in Threshold:threshold=0.1,value=0",
         "activation='Threshold:threshold=0.1,value=0'"),
        ({"activation": "ReLU:inplace=true"},
         "activation='ReLU:inplace=true': ReLU has no argument 'inplace'; it "
         "changes how numbers are computed, not the numbers", "activation='ReLU'"),
        ({"activation": "Softmax:dim=0"},
         "activation='Softmax:dim=0': Softmax:dim=0 must be 1 or -1", "activation='Softmax'"),
        ({"optimizer": "LBFGS"}, "optimizer='LBFGS': LBFGS is not supported as optimizer: it needs "
         "the same rows in each step, and each training step has others", "optimizer='AdamW'"),
        ({"optimizer": "Rprop:etas=1.2/0.5"}, "optimizer='Rprop:etas=1.2/0.5': Rprop:etas=1.2/0.5 "
         "must be two numbers from 1e-06 to 0.999999 and from 1 to 1000, as in 0.5/1.2",
         "optimizer='Rprop'"),
        ({"optimizer": "Adam:lr=1"},
         "optimizer='Adam:lr=1': Adam has no argument 'lr'; the learning rate is --lr",
         "optimizer='Adam'"),
        ({"norm": "batch:track_running_stats=false"}, "norm='batch:track_running_stats=false': "
         "batch:track_running_stats=false is not supported: the latent of a row would depend on "
         "the other rows of its batch", "norm='batch'"),
        ({"init": "he_nromal"}, "init='he_nromal': must be one of auto, default, xavier_uniform, "
         "xavier_normal, kaiming_uniform, kaiming_normal, orthogonal, normal, uniform, pca",
         "aecli train --help"),
        ({"scale": {"a": "robst"}}, "scale={'a': 'robst'}: 'a=robst' must be one of auto, "
         "standard, minmax, robust, none, or COLUMN=SCALE", "scale='a=robust'"),
        ({"lr_warmup": 2}, "lr_warmup=2: must be a number, 0 to 1", "lr_warmup=1"),
        ({"latent": 8, "encoder": [5]},
         "latent=8 and encoder=[5] contradict each other: the last encoder size is the latent size",
         "encoder=[8]"),
        ({"epoch": 3}, "train has no option 'epoch'", "epochs=…"),
        ({"options": TrainOptions(), "lr": 1}, "train takes options or lr=…, not both", None),
    ],
)  # fmt: skip
def test_a_bad_value_in_python_is_told_as_it_was_written(values, what, hint):
    with pytest.raises(UsageError) as caught:
        aecli.train("none.csv", **values)
    assert (caught.value.what, caught.value.hint) == (what, hint)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("he_normal", "kaiming_normal"), ("he-uniform", "kaiming_uniform"),
        ("HeNormal", "kaiming_normal"), ("He", "kaiming_normal"), ("xavier", "xavier_uniform"),
        ("GlorotUniform", "xavier_uniform"), ("glorot_normal", "xavier_normal"),
        ("kaiming_uniform_", "kaiming_uniform"), ("Orthogonal", "orthogonal"),
        ("lecun_normal", "normal"), ("LecunUniform", "uniform"), ("auto", "auto"),
    ],
)  # fmt: skip
def test_initialisers_have_their_names_in_keras_and_torch(text, name):
    assert TrainOptions.from_flat({"init": text}).network.init == name


COMPANIONS: dict[str, dict[str, object]] = {
    "shape": {"arch": "conv2d"},
    "group": {"window": 4},
    "time": {"window": 4},
    "max_gap": {"window": 4, "time": "t"},
}


@pytest.mark.parametrize("name", options())
def test_what_is_suggested_is_taken(name):
    said: dict[str, object] = {}

    def spelled(name: str, value: object) -> str:
        said[name] = value
        return ""

    with pytest.raises(UsageError) as caught:
        validate_options({name: {"no": "value"}}, spelled=spelled)
    assert list(said) == [name]
    if caught.value.hint == "aecli train --help":  # the message lists every value
        assert all(choice in caught.value.what for choice in options()[name].choices)
        return
    validate_options(said | COMPANIONS.get(name, {}), spelled=spelled)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time_limit", "1" + " " * 100_000 + "x"), ("max_gap", "1" + " " * 100_000 + "x"),
        ("noise", "gaussian:" + "1" * 100_000 + "x"), ("valid", "group:" + ":" * 100_000 + "2"),
        ("encoder", "0," * 50_000), ("encoder", "x," * 50_000), ("epochs", "9" * 100_000),
        ("shape", "1x" * 50_000), ("activation", ":" * 100_000), ("arch", "a" * 100_000),
        ("optimizer", "Adam:betas=" + "1/" * 50_000), ("seed", "_" * 100_000),
    ],
)  # fmt: skip
def test_a_huge_value_is_refused_with_a_short_message(name, value):
    with pytest.raises(UsageError) as caught:
        validate_options({name: value}, spelled=lambda name, value: f"{name}={value}")
    assert max(map(len, caught.value.lines())) < 1_100


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("time_limit", " 1.5 h ", 5_400.0), ("time_limit", "90", 90.0), ("max_gap", " 10 m ", "10 m")],
)
def test_spaces_around_a_duration_do_not_matter(name, text, value):
    options = validate_options(
        {name: text, "window": 3, "time": "t"}, spelled=lambda name, value: name
    )
    found = options.training.time_limit if name == "time_limit" else options.windows.max_gap
    assert found == value
