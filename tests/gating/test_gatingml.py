"""Hierarchies as Gating-ML: bounds by hand, transforms against flowkit, events as flowkit's."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.gating import Box, Composition, Exclusion, Gate, Hierarchy, Polygon, Reading, Slope
from bayesdecov.gating.files import read_hierarchy, write_hierarchy
from bayesdecov.gating.scales import fcstrans, transformed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    fk = pytest.importorskip("flowkit", reason="flowkit is not installed")

from tests.gating.test_interchange import GATES, counts_of_flowkit

GATING = "{http://www.isac-net.org/std/Gating-ML/v2.0/gating}"
TYPES = "{http://www.isac-net.org/std/Gating-ML/v2.0/datatypes}"


def written(tree, path):
    write_hierarchy(tree, path, force=path.exists())
    return ElementTree.parse(path).getroot()


def bounds(root, name):
    """Of every dimension of a gate: channel, lower and upper bound."""
    (gate,) = (g for g in root if g.get(f"{GATING}id") == name)
    return [
        (
            d.find(f"{TYPES}fcs-dimension").get(f"{TYPES}name"),
            *(
                None if d.get(f"{GATING}{end}") is None else float(d.get(f"{GATING}{end}"))
                for end in ("min", "max")
            ),
        )
        for d in gate.findall(f"{GATING}dimension")
    ]


def test_bounds_are_shares_of_the_scale_and_the_ends_of_the_scale_no_bounds(tmp_path):
    gates = (
        Gate("a", "CD3", "SSC-A", Box(50, 100, 20, 200), mode="events"),
        Gate("b", "CD3", "CD4", Box(0, 200, -math.inf, math.inf), "a", "events"),
        Gate("c", "FSC-A", "FSC-A", Box(0, 150, 0, 150), "a", "events"),
    )
    root = written(Hierarchy(gates), tmp_path / "g.xml")
    own = 4095 / 4096  # a full scale of display channels in units of the transform
    assert bounds(root, "a") == [
        ("CD3", pytest.approx(0.25 * own), pytest.approx(0.5 * own)),
        ("SSC-A", pytest.approx(0.1), None),
    ]
    # light beyond the scale is not cut off, so its upper end is a bound; nothing is below zero
    assert bounds(root, "b") == [("CD3", None, pytest.approx(own)), ("CD4", None, None)]
    assert bounds(root, "c") == [("FSC-A", None, pytest.approx(0.75))]
    assert [g.get(f"{GATING}parent_id") for g in root if g.get(f"{GATING}id")] == [None, "a", "a"]


def test_without_a_transform_bounds_are_values(tmp_path):
    gates = (Gate("a", "CD3", "CD4", Box(-math.inf, 131072, 0, 200000.5), mode="events"),)
    reading = Reading(transform="none", range=262144.0)
    for tree in (Hierarchy(gates, scale="raw", reading=reading),
                 Hierarchy(gates, scale=262144, reading=reading)):  # fmt: skip
        root = written(tree, tmp_path / "g.xml")
        assert bounds(root, "a") == [("CD3", None, 131072), ("CD4", 0, 200000.5)]


@pytest.mark.parametrize(("reading", "top"), [
    (Reading(), 262144.0), (Reading(range=1024.0), 1024.0),
    (Reading(transform="logicle", parameters={"W": 1.0, "T": 5000}), 262144.0),
    (Reading(transform="logicle", range=8192.0), 8192.0),
    (Reading(transform="asinh", parameters={"M": 3.0}), 262144.0),
])  # fmt: skip
def test_the_written_transform_gives_our_channels_above_zero(reading, top, tmp_path):
    tree = Hierarchy(
        (Gate("a", "CD3", "CD4", Box(20, 60, 20, 60), mode="events"),), reading=reading
    )
    write_hierarchy(tree, tmp_path / "g.xml")
    strategy = fk.parse_gating_xml(str(tmp_path / "g.xml"))
    x = np.concatenate([np.linspace(0, 0.01, 50), np.geomspace(0.01, 1, 50)]) * top
    theirs = 4096 * np.asarray(strategy.get_transform("fluorescence").apply(x))
    how, parameters = reading.transform, reading.parameters
    ours = fcstrans(x.copy(), top) if how == "fcstrans" else transformed(x, how, top, parameters)
    np.testing.assert_allclose(theirs, ours, atol=2e-3)
    scatter = strategy.get_transform("scatter")
    np.testing.assert_allclose(scatter.apply(x), x / top, atol=1e-12)


def test_names_become_different_identifiers_of_xml(tmp_path):
    names = ["CD4+ T", "CD4- T", "CD4_ T", "1st", "ä", "all but", "_1st"]
    gates = tuple(Gate(name, "x", "y", Box(1, 2, 1, 2), mode="events") for name in names)
    root = written(Hierarchy(gates), tmp_path / "g.xml")
    found = [g.get(f"{GATING}id") for g in root if g.get(f"{GATING}id")]
    assert found == ["CD4__T", "CD4-_T", "CD4__T_", "_1st", "_", "all_but", "_1st_"]


def test_a_slope_is_a_ratio_of_y_to_x(tmp_path):
    first = Gate("a", "FSC-A", "FSC-H", Slope(0.25, 0.75), mode="events")
    second = Gate("b", "FSC-A", "FSC-H", Slope(0.5, 0.9), "a", mode="events")
    tree = Hierarchy((first, second))
    write_hierarchy(tree, tmp_path / "g.xml")
    strategy = fk.parse_gating_xml(str(tmp_path / "g.xml"))
    (band,) = strategy.get_gate("a").dimensions
    assert (band.min, band.max) == (0.25, 0.75)
    assert list(strategy.get_transform(band.ratio_ref).dimensions) == ["FSC-H", "FSC-A"]
    again = read_hierarchy(tmp_path / "g.xml")
    assert [gate.region for gate in again] == [Slope(0.25, 0.75), Slope(0.5, 0.9)]


def test_exported_gates_hold_the_same_events(uncompensated, tmp_path):
    tree = Hierarchy(GATES, composition=Composition(types=("Odd",)))
    with pytest.warns(BayesdecovWarning, match="are left out: composition"):
        write_hierarchy(tree, tmp_path / "gates.xml")
    text = (tmp_path / "gates.xml").read_text()
    # flowkit wants a matrix for "FCS"; this file's is the identity
    text = text.replace('compensation-ref="FCS"', 'compensation-ref="uncompensated"')
    (tmp_path / "plain.xml").write_text(text)
    strategy = fk.parse_gating_xml(str(tmp_path / "plain.xml"))
    theirs = counts_of_flowkit(strategy, uncompensated)
    ours = bd.gate(uncompensated, tree).counts.loc["donor01"]
    assert ours.tolist() == [
        theirs[name] for name in ("Single_cells", "Cells", "Neutrophils", "Odd")
    ]
    again = replace(read_hierarchy(tmp_path / "gates.xml"), composition=tree.composition)
    assert again.reading.compensate == "file"
    assert [g.parent for g in again.gates] == [None, "Single_cells", "Cells", "Cells"]
    assert bd.gate(uncompensated, again).counts.loc["donor01"].tolist() == ours.tolist()


def test_what_gatingml_cannot_say_is_said(tmp_path):
    tree = Hierarchy(
        (Gate("a", "FSC-A", "SSC-A", Box(30, 90, 5, 45), exclude=(Exclusion(Box(0, 1, 0, 1)),)),)
    )
    with pytest.warns(BayesdecovWarning) as caught:
        write_hierarchy(tree, tmp_path / "a.xml")
    said = [str(one.message) for one in caught]
    assert "no gates on clusters" in said[0]
    assert "excluded regions are not written: a" in said[1]
    numbered = Hierarchy((Gate("a", 1, 2, Box(30, 90, 5, 45)),))
    with pytest.raises(InputError, match="must be a channel name"):
        write_hierarchy(numbered, tmp_path / "b.xml")
    assert {path.name for path in tmp_path.iterdir()} == {"a.xml"}


def test_corners_of_a_polygon_are_in_the_units_of_their_transforms(tmp_path):
    corners = ((60, 10), (190, 20), (180, 90))
    tree = Hierarchy((Gate("a", "CD3", "SSC-A", Polygon(corners), mode="events"),))
    write_hierarchy(tree, tmp_path / "g.xml")
    gate = fk.parse_gating_xml(str(tmp_path / "g.xml")).get_gate("a")
    expected = np.array(corners) / 200 * [4095 / 4096, 1]
    np.testing.assert_allclose(np.array(gate.vertices, dtype=float), expected)
