"""Real cohorts that lie in a folder: bulks, their true proportions, and a reference.

A cohort is a folder of ``real_cohorts`` in the folder that ``BAYESDECOV_DATA`` names, with

* ``bulk.csv`` (genes x samples) and ``truth.csv`` (samples x cell types), which may lie in another
  cohort whose name the folder's name begins with;
* ``signature.csv`` (genes x cell types), or ``purified.csv`` and ``labels.csv``, or ``cells.h5ad``
  (counts of labelled cells);
* ``groups.csv``, if types of the reference and of the truth have other names: a row for every type
  of the reference, with that of the truth, or nothing where the truth has none.

Tables may be compressed (``.csv.gz``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from bayesdecov.benchmarking.case import Case
from bayesdecov.io.anndata import from_anndata
from bayesdecov.io.download import data_folder
from bayesdecov.io.tables import read_labels, read_table

FOLDER = "real_cohorts"


def cohorts() -> Iterator[Case]:
    """The cases of all cohorts at hand, in alphabetical order."""
    base = data_folder()
    root = None if base is None else base / FOLDER
    if root is None or not root.is_dir():
        return
    folders = {path.name: path for path in sorted(root.iterdir()) if path.is_dir()}
    for name, folder in folders.items():
        owners = [folder, *(folders[each] for each in sorted(folders, key=len, reverse=True)
                            if each != name and name.startswith(each))]  # fmt: skip
        found = [place for place in owners if _table(place, "bulk") and _table(place, "truth")]
        made = _reference(folder)
        if found and made:
            yield _case(name, found[0], folder, made)


def _table(folder: Path, name: str) -> Path | None:
    for kind in (".csv", ".csv.gz"):
        if (folder / f"{name}{kind}").is_file():
            return folder / f"{name}{kind}"
    return None


def _reference(folder: Path) -> dict[str, Any]:
    """The part of a case that stands for the reference; nothing where there is none."""
    signature, purified = _table(folder, "signature"), _table(folder, "purified")
    labels = _table(folder, "labels")
    if signature:
        return {"reference": read_table(signature, "signature")}
    if purified and labels:
        return {"purified": read_table(purified, "purified"), "labels": read_labels(labels)}
    if (folder / "cells.h5ad").is_file():
        import anndata

        cells = anndata.read_h5ad(folder / "cells.h5ad")
        column = "cell_type" if "cell_type" in cells.obs else cells.obs.columns[0]
        return {"purified": from_anndata(cells), "labels": cells.obs[column].astype(str)}
    return {}


def _case(name: str, owner: Path, folder: Path, made: dict[str, Any]) -> Case:
    """The case, on the types that reference and truth have in common."""
    bulk, truth = (
        read_table(path, which)
        for which in ("bulk", "truth")
        if (path := _table(owner, which)) is not None
    )
    types = made["reference"].columns if "reference" in made else pd.unique(made["labels"])
    groups = {str(each): str(each) for each in types}
    listed = _table(folder, "groups")
    if listed:
        table = read_table(listed, "groups", text=True)
        groups |= dict(zip(table.index.astype(str), table.iloc[:, 0], strict=True))
    known = {each: each for each in map(str, truth.columns)}
    known |= {each.removesuffix("T"): each for each in known}  # CD8 and CD8T
    merge = {each: known.get(str(groups[str(each)])) for each in map(str, types)}
    return Case(
        scenario="real cohorts",
        level=name,
        bulk=bulk,
        truth=truth[[each for each in truth.columns if each in merge.values()]],
        merge=merge,
        **made,
    )
