"""Events: names, scale, tables, what is left out."""

from __future__ import annotations

from dataclasses import replace

import flowio
import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.gating import Box, Gate, Hierarchy, Reading, read_events
from bayesdecov.gating.events import sample_name
from bayesdecov.gating.fcs import read_raw
from bayesdecov.gating.scales import fcstrans

TREE = Hierarchy((Gate("a", "CD3", "CD4", Box(0, 200, 0, 200)),))


def test_fcs_is_compensated_and_transformed(cytometry):
    cohort, paths = cytometry
    events = read_events(paths[0], TREE)
    assert events.columns == ["FSC-A", "FSC-H", "SSC-A", "CD4", "Viability", "CD14", "CD19", "CD66",
                              "CD8", "CD3", "CD45"]  # fmt: skip
    raw = read_raw(paths[0]).values
    light = raw[:, 3:11] @ np.linalg.inv(cohort.spillover.to_numpy())
    assert np.allclose(events.z[:, 3] * 4095, fcstrans(light[:, 0]), atol=1e-6)
    assert np.allclose(events.z[:, 0], np.minimum(raw[:, 0] / 262144, 1))
    assert events.facts["compensation"] == "file"
    assert (events.name, events.total, events.notes) == ("donor01", 6000, [])
    plain = read_events(paths[0], replace(TREE, reading=Reading(compensate="none")))
    assert plain.facts["compensation"] == "none: not asked for"
    assert not np.allclose(plain.z, events.z)


def test_a_column_by_any_of_its_names(cytometry):
    tree = replace(TREE, aliases={"CD45": "leukocyte antigen", "APC-A": "granulocytes"})
    events = read_events(cytometry[1][0], tree)
    for name in ("granulocytes", "CD66", "APC-A", "apc a", "cd66"):
        assert events.column(name) == 7
    assert events.column("leukocyte antigen") == events.column("CD45") == 10
    assert events.column(1) == 0
    with pytest.raises(InputError, match=r"lacks the marker 'CD67'.*[Dd]id you mean 'CD66'"):
        events.column("CD67")
    with pytest.raises(InputError, match="no column 12"):
        events.column(12)


def test_tables_are_taken_as_they_are(blobs, tmp_path):
    for name, options in (("a.txt", {"sep": "\t"}), ("b.fcs.txt.gz", {"sep": "\t"}), ("c.csv", {})):
        blobs.to_csv(tmp_path / name, index=False, **options)
        events = read_events(tmp_path / name, TREE)
        assert events.columns == ["CD3", "CD4", "SSC"]  # Time is no marker
        assert np.allclose(events.z, blobs[events.columns].to_numpy() / 4095)
    assert sample_name(tmp_path / "b.fcs.txt.gz") == "b"


def test_the_users_table_stays_as_it_is(blobs):
    table = blobs.drop(columns="Time")
    before = table.copy()
    read_events(table, TREE, "x")
    assert table.equals(before)


def test_missing_values_are_left_out_and_said(blobs):
    blobs.loc[[3, 10], "CD4"] = [np.nan, np.inf]
    events = read_events(blobs, TREE, "x")
    assert len(events.z) == 998
    assert events.total == 1000
    assert 3 not in events.rows
    assert "2 of 1000 events" in events.notes[0]
    assert "x has only 40 events" in read_events(blobs.tail(40), TREE, "x").notes[0]


def test_bad_tables(tmp_path, blobs):
    cases = {
        "words": (blobs.assign(CD3="low"), "text in column 'CD3'"),
        "empty": (blobs.head(0), "contains no events"),
        "nan": (blobs * np.nan, "without missing values"),
    }
    for name, (table, said) in cases.items():
        with pytest.raises(InputError, match=said):
            read_events(table, TREE, name)
    (tmp_path / "x.xlsx").write_bytes(b"1")
    with pytest.raises(InputError, match=r"FCS files or event tables.*x.xlsx"):
        read_events(tmp_path / "x.xlsx", TREE)
    (tmp_path / "x.txt.gz").write_bytes(b"not packed")
    with pytest.raises(InputError, match="cannot be read as an event table"):
        read_events(tmp_path / "x.txt.gz", TREE)


def test_nonsense_range_is_replaced_and_said(cytometry, tmp_path):
    cohort, _ = cytometry
    samples = {"d": cohort.samples["donor01"]}
    path = replace(cohort, samples=samples).write(tmp_path)[0]
    content = path.read_bytes().replace(b"/262144/", b"/26.340/")
    path.write_bytes(content)
    events = read_events(path, TREE)
    assert "above the range that the file gives for FSC-A" in events.notes[0]
    top = cohort.samples["donor01"]["FSC-A"].max()
    assert events.z[:, 0].max() == pytest.approx(1.0)
    assert np.allclose(events.z[:, 0], cohort.samples["donor01"]["FSC-A"] / top, rtol=1e-6)
    told = read_events(path, replace(TREE, reading=Reading(range=262144.0)))
    assert not told.notes


def test_raw_scale():
    table = pd.DataFrame({"x": np.linspace(0, 262144, 100), "y": np.linspace(0, 262144, 100)})
    tree = Hierarchy(
        (Gate("half", "x", "y", Box(0, 131072, 0, np.inf), mode="events"),),
        scale="raw",
        reading=Reading(transform="none", range=262144.0),
    )
    assert bd.gate({"s": table}, tree).counts.loc["s", "half"] == 50


def test_one_name_for_two_columns(blobs, tmp_path):
    with (tmp_path / "twice.fcs").open("wb") as handle:
        flowio.create_fcs(handle, [1.0, 2.0, 3.0] * 60, ["A", "A", "B"], ["x", "", "x"], {})
    events = read_events(tmp_path / "twice.fcs", TREE)
    assert len(set(events.columns)) == 3
    for name in ("A", "x"):
        with pytest.raises(InputError, match="name of 2 channels"):
            events.column(name)
    assert events.column("B") == 2


@pytest.mark.real_data
def test_integer_channels_are_stretched_to_the_scale(real_data):
    events = read_events(real_data / "fcs" / "Sample_Well_A02.fcs", TREE)
    raw = read_raw(real_data / "fcs" / "Sample_Well_A02.fcs")
    assert np.allclose(events.z[:, 0] * 4095, 4 * raw.values[:, 0])  # 10 bits: times four
    assert "display channels" in events.facts["transform"]
