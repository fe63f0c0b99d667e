from __future__ import annotations

from typing import get_type_hints

import pytest
from pydantic import TypeAdapter

from aecli.schema.option_docs import format_value, options
from aecli.schema.option_values import OptionValues
from aecli.schema.options import option_names

TYPES = get_type_hints(OptionValues)


def test_every_option_has_a_type():
    assert sorted(TYPES) == sorted(option_names())


@pytest.mark.parametrize("name", TYPES)
def test_the_type_of_an_option_accepts_its_default(name: str):
    option = options()[name]
    value = (
        format_value(option.default)
        if option.shape == "named" and option.default
        else option.default
    )
    TypeAdapter(TYPES[name]).validate_python(value, strict=True)
