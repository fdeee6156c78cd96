"""Gating-ML and FlowJo workspaces: the same events as flowkit itself finds."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.gating import Box, Composition, Gate, Polygon, Slope
from bayesdecov.gating.files import read_hierarchy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    fk = pytest.importorskip("flowkit", reason="flowkit is not installed")

GATES = (
    Gate("Single cells", "FSC-A", "FSC-H", Slope(0.62, 0.95), mode="events"),
    Gate("Cells", "FSC-A", "SSC-A", Box(38, 200, 5, 190), "Single cells", "events"),
    Gate("Neutrophils", "APC-A", "V500-A", Box(100, 180, 90, 180), "Cells", "events"),
    Gate("Odd", "V450-A", "PE-Cy7-A", Polygon(((60, 10), (190, 20), (180, 90), (70, 120))),
         "Cells", "events"),
)  # fmt: skip


def counts_of_flowkit(strategy, path):
    session = fk.Session(strategy, [fk.Sample(str(path))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session.analyze_samples()
        report = session.get_analysis_report()
    return report.set_index("gate_name")["count"]


def test_flowjo_workspace(uncompensated, tmp_path):
    from flowkit._utils import wsp_utils

    strategy = fk.GatingStrategy()
    strategy.add_transform("lin", fk.transforms.LinearTransform(param_t=262144, param_a=0))
    logicle = fk.transforms.LogicleTransform(param_t=262144, param_w=0.5, param_m=4.5, param_a=0)
    strategy.add_transform("biex", logicle)

    def axis(name, transform, low=None, high=None):
        return fk.Dimension(name, "uncompensated", transform, range_min=low, range_max=high)

    cells = [axis("FSC-A", "lin", 0.2, 0.9), axis("SSC-A", "lin", 0.02, 1.0)]
    t_cells = [axis("V450-A", "biex", 0.5, 1.0), axis("PE-Cy7-A", "biex", 0.1, 0.5)]
    corners = [[0.5, 0.13], [0.9, 0.13], [0.9, 0.5], [0.5, 0.5]]
    strategy.add_gate(fk.gates.RectangleGate("Cells", cells), ("root",))
    strategy.add_gate(fk.gates.RectangleGate("T", t_cells), ("root", "Cells"))
    polygon = fk.gates.PolygonGate("P", [axis("V450-A", "biex"), axis("PE-Cy7-A", "biex")], corners)
    strategy.add_gate(polygon, ("root", "Cells"))
    with (tmp_path / "x.wsp").open("wb") as handle:
        wsp_utils.export_flowjo_wsp(
            strategy, "All Samples", [fk.Sample(str(uncompensated))], handle
        )
    tree = replace(read_hierarchy(tmp_path / "x.wsp"), composition=Composition(types=("T",)))
    assert tree.reading.compensate == "none"
    theirs = counts_of_flowkit(strategy, uncompensated)
    ours = bd.gate(uncompensated, tree).counts.loc["donor01"]
    assert {name: ours[name] for name in theirs.index} == theirs.to_dict()
    with pytest.raises(InputError, match="must be a sample of the workspace"):
        read_hierarchy(tmp_path / "x.wsp", sample="nobody")
    assert read_hierarchy(tmp_path / "x.wsp", mode="cluster").gates[0].mode == "cluster"


def test_names_of_imported_gates_are_told_apart(tmp_path):
    """CD4 below A and below B, a gate on time, and a leaf called rest."""
    from flowkit._utils import wsp_utils

    strategy = fk.GatingStrategy()

    def box(name, *channels):
        return fk.gates.RectangleGate(
            name, [fk.Dimension(c, range_min=1000, range_max=90000) for c in channels]
        )

    strategy.add_gate(box("Steady", "Time", "SSC-A"), ("root",))
    for name in ("A", "B"):
        strategy.add_gate(box(name, "FSC-A", "SSC-A"), ("root", "Steady"))
        strategy.add_gate(box("CD4", "FSC-A", "FSC-H"), ("root", "Steady", name))
    strategy.add_gate(box("rest", "FSC-A", "FSC-H"), ("root", "Steady", "A"))
    with (tmp_path / "x.wsp").open("wb") as handle:
        path = bd.simulate.cytometry(1, 200, seed=1).write(tmp_path)[0]
        wsp_utils.export_flowjo_wsp(strategy, "All Samples", [fk.Sample(str(path))], handle)
    with pytest.warns(BayesdecovWarning, match=r"Steady \(on time\).*now below all events"):
        tree = read_hierarchy(tmp_path / "x.wsp")
    assert sorted(tree.names) == ["A", "A/CD4", "A/rest", "B", "B/CD4"]
    assert tree["B/CD4"].parent == "B"


@pytest.mark.real_data
def test_reference_gates_of_gatingml(real_data):
    """Boolean, quadrant and three-dimensional gates are left out by name, the rest is read."""
    with (
        pytest.warns(BayesdecovWarning, match="left out: .*Boolean"),
        pytest.warns(BayesdecovWarning, match="external compensations"),
    ):
        tree = read_hierarchy(real_data / "fcs" / "gml_all_gates.xml", range=1024.0)
    assert {"Range1", "Rectangle1", "Polygon1", "Ellipse1", "ScaleRect1"} <= set(tree.names)


def test_files_that_are_neither(tmp_path):
    (tmp_path / "a.xml").write_text("<html></html>")
    (tmp_path / "b.wsp").write_text("no xml")
    for name in ("a.xml", "b.wsp"):
        with pytest.raises(InputError, match=r"cannot be read (as XML|by flowkit)"):
            read_hierarchy(tmp_path / name)
