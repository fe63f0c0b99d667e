from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import aecli

pytestmark = pytest.mark.usefixtures("no_cross_fitting")


def test_a_time_column_is_listed_with_the_periods_of_its_phases(tmp_path: Path) -> None:
    times = [datetime(2024, 1, 1) + timedelta(hours=n) for n in range(200)]
    table = pa.table({"at": times, "x": np.sin(np.arange(200) / 4)})
    aecli.train(table, model=tmp_path / "m", epochs=1, encoder=[8, 2])
    aecli.report(table, model=tmp_path / "m", output=tmp_path / "report.html")
    assert "time (day, week)" in (tmp_path / "report.html").read_text()
    inspected = aecli.inspect(tmp_path / "m")
    assert inspected.spec.columns[0].reason == "date and time: standardised, phases of day, week"
