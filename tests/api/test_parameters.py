from __future__ import annotations

from typing import get_type_hints

import pytest
from pydantic import ConfigDict, TypeAdapter

from aecli.api.parameters import PARAMETER_DEFAULTS, EstimatorParameters

TYPES = get_type_hints(EstimatorParameters)
CONFIG = ConfigDict(arbitrary_types_allowed=True)


def test_every_parameter_has_a_type():
    assert sorted(TYPES) == sorted(PARAMETER_DEFAULTS)


@pytest.mark.parametrize("name", TYPES)
def test_the_type_of_a_parameter_accepts_its_default(name: str):
    adapter = TypeAdapter(TYPES[name], config=CONFIG)
    adapter.validate_python(PARAMETER_DEFAULTS[name], strict=True)
