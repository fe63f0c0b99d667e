import pytest

import aecli
from aecli.errors import UsageError
from aecli.schema.option_docs import options
from aecli.schema.options import TrainingOptions, TrainOptions
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
        ({"latent": 8, "encoder": [5]},
         "latent=8 and encoder=[5] disagree: the last encoder size is the latent",
         "encoder=[8]"),
        ({"epoch": 3}, "train has no option 'epoch'", "epochs=…"),
        ({"options": TrainOptions(), "lr": 1}, "train takes options or lr=…, not both", None),
    ],
)  # fmt: skip
def test_a_bad_value_in_python_is_told_as_it_was_written(values, what, hint):
    with pytest.raises(UsageError) as caught:
        aecli.train("none.csv", **values)
    assert (caught.value.what, caught.value.hint) == (what, hint)


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
