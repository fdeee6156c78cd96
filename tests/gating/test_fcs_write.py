"""FCS files that are written: read back exactly, and with more parameters than before."""

from __future__ import annotations

import flowio
import numpy as np
import pandas as pd
import pytest

from bayesdecov.gating.fcs import read_raw
from bayesdecov.gating.fcs_write import add_parameters, is_integer, write_fcs


def integers(path, values):
    """An FCS 3.1 file of 16-bit integers, byte by byte."""
    names = [f"P{i}" for i in range(1, values.shape[1] + 1)]
    data = values.astype("<u2").tobytes()
    keys = {"BYTEORD": "1,2,3,4", "DATATYPE": "I", "MODE": "L", "PAR": len(names),
            "TOT": len(values), "NEXTDATA": 0, "BEGINANALYSIS": 0, "ENDANALYSIS": 0,
            "BEGINSTEXT": 0, "ENDSTEXT": 0, "BEGINDATA": 1000,
            "ENDDATA": 1000 + len(data) - 1}  # fmt: skip
    for i, name in enumerate(names, start=1):
        keys |= {f"P{i}B": 16, f"P{i}E": "0,0", f"P{i}N": name, f"P{i}R": 65536}
    text = "/" + "".join(f"${key}/{value}/" for key, value in keys.items())
    places = (58, 58 + len(text) - 1, 1000, 1000 + len(data) - 1, 0, 0)
    head = "FCS3.1    " + "".join(f"{place:>8}" for place in places)
    path.write_bytes((head + text).ljust(1000).encode() + data)
    return path


def test_events_come_back_in_single_precision(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1e4, (37, 3))
    values[0] = [-0.0, 3e38, 1e-30]
    write_fcs(
        tmp_path / "a.fcs",
        values,
        ["FSC-A", "FITC-A", "Time"],
        ["", "CD3", ""],
        {"cyt": "simulated", "p2r": "262144"},
    )
    raw = read_raw(tmp_path / "a.fcs")
    np.testing.assert_array_equal(raw.values, values.astype(np.float32))
    assert [(c.name, c.marker) for c in raw.channels] == [("FSC-A", ""), ("FITC-A", "CD3"),
                                                         ("Time", "")]  # fmt: skip
    assert raw.channels[1].top == 262144.0
    assert raw.keywords["cyt"] == "simulated"
    assert raw.version == "3.1"
    assert not raw.notes
    assert not is_integer(tmp_path / "a.fcs")
    with (tmp_path / "a.fcs").open("rb") as handle:
        other = flowio.FlowData(handle).as_array(preprocess=False)
    np.testing.assert_array_equal(other, raw.values)


def test_integer_files_are_known(tmp_path):
    values = np.arange(40).reshape(10, 4) * 100
    path = integers(tmp_path / "i.fcs", values)
    assert is_integer(path)
    np.testing.assert_array_equal(read_raw(path).values, values)


@pytest.fixture
def source(tmp_path):
    values = np.random.default_rng(1).gamma(2.0, 1e3, (50, 3))
    keywords = {"spillover": "2,A-A,B-A,1,0.1,0.2,1", "p1r": "262144", "p2g": "2.5", "p3r": "1024",
                "date": "01-JAN-2020", "custom": "a/b \\ c"}  # fmt: skip
    write_fcs(tmp_path / "s.fcs", values, ["A-A", "B-A", "Time"], ["CD3", "", ""], keywords)
    return tmp_path / "s.fcs"


def test_populations_are_added_and_the_rest_stays_as_recorded(source, tmp_path):
    rng = np.random.default_rng(2)
    members = pd.DataFrame(
        rng.integers(0, 2, (50, 20)).astype(bool), columns=[f"pop {i}" for i in range(20)]
    )
    add_parameters(source, members, tmp_path / "m.fcs")
    before, after = read_raw(source), read_raw(tmp_path / "m.fcs")
    np.testing.assert_array_equal(after.values[:, :3], before.values)
    np.testing.assert_array_equal(after.values[:, 3:], members)
    assert after.channels[:3] == before.channels
    assert [(c.name, c.top) for c in after.channels[3:]] == [(name, 2.0) for name in members]
    for key in ("spillover", "p1r", "p2g", "p3r", "date", "custom"):
        assert after.keywords[key] == before.keywords[key]
    assert (after.keywords["par"], after.keywords["tot"]) == ("23", "50")
    add_parameters(tmp_path / "m.fcs", members.add_prefix("again "), tmp_path / "n.fcs")
    again = read_raw(tmp_path / "n.fcs")
    assert again.values.shape == (50, 43)
    np.testing.assert_array_equal(again.values[:, :23], after.values)


def test_names_of_populations_are_told_apart_from_channels_and_have_no_commas(source, tmp_path):
    names = ["A-A", "a, b", "a; b", "Time"]
    members = pd.DataFrame(np.eye(50, 4, dtype=bool), columns=names)
    add_parameters(source, members, tmp_path / "m.fcs")
    found = [channel.name for channel in read_raw(tmp_path / "m.fcs").channels[3:]]
    assert found == ["population A-A", "a; b", "population a; b", "population Time"]
