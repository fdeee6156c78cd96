"""Flow cytometry to proportions: gating of events and of clusters (DAFi)."""

from bayesdecov.gating.events import Events, read_events
from bayesdecov.gating.files import read_hierarchy, write_hierarchy
from bayesdecov.gating.gates import Clustering, Composition, Exclusion, Gate, Reading
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.regions import Box, Polygon, Slope
from bayesdecov.gating.result import Gating

__all__ = [
    "Box",
    "Clustering",
    "Composition",
    "Events",
    "Exclusion",
    "Gate",
    "Gating",
    "Hierarchy",
    "Polygon",
    "Reading",
    "Slope",
    "read_events",
    "read_hierarchy",
    "write_hierarchy",
]
