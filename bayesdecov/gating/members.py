"""Populations of every event as files: tables, or FCS files with a parameter per population."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.gating.events import FCS
from bayesdecov.gating.fcs_write import add_parameters, is_integer
from bayesdecov.io.tables import write_table

MEMBERS = ("csv", "parquet", "fcs")


def check_members(members: str | None, samples: Iterable[str], files: Mapping[str, Path]) -> None:
    """Refuse formats that cannot be written, before anything is written."""
    if members is None:
        return
    checks.check_choice(members, MEMBERS, "members")
    if members == "fcs":
        names = list(samples)
        other = [
            name for name in names if name not in files or files[name].suffix.lower() not in FCS
        ]
        if other:
            raise InputError(
                "members",
                "'fcs' adds parameters to FCS files",
                found=f"no FCS file for {checks.some(other)}",
                fix="choose 'csv' or 'parquet'",
            )
        whole = [name for name in names if is_integer(files[name])]
        if whole:
            raise InputError(
                "members",
                "'fcs' adds parameters to files of floating-point data",
                found=f"integer data in {checks.some(whole)}",
                fix="choose 'csv' or 'parquet'",
            )
    if members == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise InputError(
                "members",
                "'parquet' needs the package pyarrow",
                fix="pip install 'bayesdecov[parquet]', or choose 'csv'",
            ) from None


def write_members(table: pd.DataFrame, kind: str, path: Path, source: Path | None) -> None:
    """Write the populations of one sample's events; ``source`` is its FCS file."""
    if kind == "csv":
        write_table(table.astype(int), path)
    elif kind == "parquet":
        table.to_parquet(path)
    else:
        assert source is not None
        add_parameters(source, table, path)
