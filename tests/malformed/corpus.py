"""Inputs as users really send them: what is wrong with each, and what they have to be told.

A case changes one file of a folder in which everything works. ``error`` cases end with one message
that names the argument and the fix; ``warning`` cases finish and say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Change = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One malformed input."""

    name: str
    command: str  # reference, deconvolve, signature, fastmix, contrast or gate
    file: str
    change: Change
    said: str  # a regular expression of what has to be said
    kind: str = "error"


def table(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Change:
    """Change a CSV as a table."""

    def apply(path: Path) -> None:
        frame = change(pd.read_csv(path, index_col=0))
        frame.to_csv(path, index_label=frame.index.name or "gene")

    return apply


def text(change: Callable[[str], str]) -> Change:
    """Change a text file."""

    def apply(path: Path) -> None:
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    return apply


def raw(change: Callable[[bytes], bytes]) -> Change:
    """Change the bytes of a file."""

    def apply(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return apply


def cell(row: int, column: int, value: Any) -> Change:
    """Another value in one cell of a table."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.astype(object)
        frame.iloc[row, column] = value
        return frame

    return table(change)


def _no_file(path: Path) -> None:
    path.unlink()


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[:3] * 2])


def _like(names: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.set_axis([names.format(i) for i in range(len(frame))])


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    frame.iloc[2] = 1.0
    return frame


def _log(frame: pd.DataFrame) -> pd.DataFrame:
    return np.log2(frame / frame.sum() * 1e6 + 1)


def _utf16(content: bytes) -> bytes:
    return content.decode().encode("utf-16")


def _quoted(content: str) -> str:
    """Quotes that never close."""
    lines = content.split("\n")
    lines[2] = '"' + lines[2]
    return "\n".join(lines)


CASES = [
    # files
    Case("no such file", "deconvolve", "bulk.csv", _no_file, "bulk: the file .* does not exist"),
    Case("a folder", "deconvolve", "bulk.csv", _a_folder, "bulk: .*is not a file"),
    Case("empty file", "deconvolve", "bulk.csv", raw(lambda _: b""), "bulk: .* is empty"),
    Case("header only", "deconvolve", "bulk.csv", text(lambda s: s.split("\n")[0] + "\n"),
         "bulk: .*has a header but no rows"),
    Case("binary", "deconvolve", "bulk.csv", raw(lambda _: bytes(range(256)) * 20),
         "bulk: .*cannot be read"),
    Case("utf-16", "deconvolve", "bulk.csv", raw(_utf16), "bulk: .*cannot be read"),
    Case("semicolons", "deconvolve", "bulk.csv", text(lambda s: s.replace(",", ";")),
         "bulk: .*separated by ';'"),
    Case("spreadsheet", "deconvolve", "bulk.csv", raw(lambda _: b"PK\x03\x04" + b"\0" * 50),
         "bulk: .*(cannot be read|must have several columns)"),
    Case("ragged", "deconvolve", "bulk.csv", text(lambda s: s.rstrip() + ",1,2,3\n"),
         "bulk: .*cannot be read"),
    Case("open quote", "deconvolve", "bulk.csv", text(_quoted), "bulk: "),
    Case("truncated reference", "deconvolve", "reference.nc", raw(lambda b: b[: len(b) // 2]),
         "reference: .*not a readable netCDF file.*Write it again"),
    Case("text as reference", "deconvolve", "reference.nc", raw(lambda _: b"gene,a,b\nx,1,2\n"),
         "reference: .*not a readable netCDF file.*Write it again"),
    # bulk
    Case("gap", "deconvolve", "bulk.csv", cell(5, 2, np.nan), "bulk: must not have missing"),
    Case("infinite", "deconvolve", "bulk.csv", cell(5, 2, np.inf), "bulk: must not have missing"),
    Case("text in numbers", "deconvolve", "bulk.csv", cell(5, 2, "n.d."),
         "bulk: .*numbers only.*'n.d.'"),
    Case("number beyond all exponents", "deconvolve", "bulk.csv",
         cell(5, 2, "44.1e40038475397113199"), "bulk: .*(numbers only|infinite)"),
    Case("decimal comma", "deconvolve", "bulk.csv", cell(5, 2, "1,5"), "bulk: .*numbers only.*1,5"),
    Case("negative", "deconvolve", "bulk.csv", cell(5, 2, -3), "bulk: .*must not be negative"),
    Case("logarithms", "deconvolve", "bulk.csv", table(_log), "bulk: .*linear scale"),
    Case("samples x genes", "deconvolve", "bulk.csv", table(lambda f: f.T), "transpose it"),
    Case("Ensembl against symbols", "deconvolve", "bulk.csv", table(_like("ENSG{:011d}")),
         "0 shared of .*Ensembl gene id"),
    Case("probes", "deconvolve", "bulk.csv", table(_like("{}_at")), "0 shared of .*array probe"),
    Case("Excel dates", "deconvolve", "bulk.csv",
         table(lambda f: f.set_axis(["1-Mar", "2-Sep", *f.index[2:]])), "dates", "warning"),
    Case("duplicate genes", "deconvolve", "bulk.csv", table(_twice),
         "3 repeated genes merged", "warning"),
    Case("duplicate samples", "deconvolve", "bulk.csv",
         text(lambda s: s.replace("bulk002", "bulk001", 1)), "bulk: sample names must be unique"),
    Case("silent sample", "deconvolve", "bulk.csv", table(lambda f: f.assign(bulk002=0)),
         "bulk: .*only zeros in bulk002"),
    Case("few genes left", "deconvolve", "bulk.csv", table(lambda f: f.iloc[:1]),
         "bulk.*must share at least 3 genes"),
    Case("genes missing", "deconvolve", "bulk.csv", table(lambda f: f.iloc[:-5]),
         "reference genes are missing", "warning"),
    Case("not a mixture", "deconvolve", "bulk.csv",
         table(lambda f: f.assign(bulk003=f["bulk003"].to_numpy()[::-1])),
         "do not look like a mixture", "warning"),
    # signature
    Case("one cell type", "signature", "signature.csv", table(lambda f: f.iloc[:, :1]),
         "signature: needs at least two cell types"),
    Case("the same profile twice", "signature", "signature.csv",
         table(lambda f: f.assign(copy=f["type1"])), "copy"),
    Case("a sum of profiles", "signature", "signature.csv",
         table(lambda f: f.assign(blood=f["type1"] + f["type2"])),
         "linearly independent.*type1, type2, blood"),
    Case("signature of logarithms", "signature", "signature.csv", table(_log), "linear scale"),
    Case("all zero profile", "signature", "signature.csv", table(lambda f: f.assign(type1=0.0)),
         "type1"),
    # purified samples and labels
    Case("label missing", "reference", "labels.csv", text(lambda s: s.rsplit("\n", 2)[0] + "\n"),
         "labels: .*"),
    Case("labels of other samples", "reference", "labels.csv",
         table(lambda f: f.set_axis([f"x{i}" for i in range(len(f))])), "labels: "),
    Case("one type only", "reference", "labels.csv", table(lambda f: f.assign(cell_type="T")),
         "at least two cell types|labels"),
    Case("purified with a gap", "reference", "purified.csv", cell(1, 1, np.nan),
         "purified: must not have missing"),
    Case("purified logarithms", "reference", "purified.csv", table(_log),
         "purified: .*linear scale"),
    Case("one replicate", "reference", "labels.csv",
         table(lambda f: f.assign(cell_type=["alone", *f["cell_type"][1:]])), "alone", "warning"),
    # mixed model
    Case("no common samples", "fastmix", "proportions.csv", table(_like("other{}")),
         "must share sample names"),
    Case("percentages", "fastmix", "proportions.csv", table(lambda f: f * 100),
         "divide percentages by 100"),
    Case("negative proportion", "fastmix", "proportions.csv", cell(0, 0, -0.2),
         "proportions: must not be negative"),
    Case("transposed proportions", "fastmix", "proportions.csv", table(lambda f: f.T),
         "transpose them|must share sample names"),
    Case("proportions that do not add up", "fastmix", "proportions.csv",
         table(lambda f: f.assign(Cell1=f["Cell1"] + 0.3)), "add up to more than 1", "warning"),
    Case("constant covariate", "fastmix", "covariates.csv", table(lambda f: f.assign(Group=1)),
         "covariates: .*Group"),
    Case("the same covariate twice", "fastmix", "covariates.csv",
         table(lambda f: f.assign(copy=f["Group"])), "copy|alias"),
    Case("covariate with gaps", "fastmix", "covariates.csv", cell(3, 0, np.nan),
         "covariates: .*missing"),
    Case("more columns than samples", "fastmix", "covariates.csv",
         table(lambda f: pd.DataFrame(np.random.default_rng(0).normal(size=(len(f), 30)), f.index)
               .add_prefix("age")), "samples"),
    Case("raw counts", "fastmix", "expression.csv",
         table(lambda f: (f - f.min().min()).mul(100).round().astype(int)
               * np.arange(1, f.shape[1] + 1)), "looks like raw counts", "warning"),
    Case("flat gene", "fastmix", "expression.csv",
         table(_flat), "same value in every sample",
         "warning"),
    # contrast
    Case("one group", "contrast", "covariates.csv", table(lambda f: f.assign(Group=0)), "Group"),
    Case("groups of other samples", "contrast", "covariates.csv", table(_like("other{}")),
         "share|samples"),
    # cytometry
    Case("truncated FCS", "gate", "donor01.fcs", raw(lambda b: b[: len(b) // 2]), "donor01"),
    Case("FCS header only", "gate", "donor01.fcs", raw(lambda _: b"FCS3.0"), "donor01"),
    Case("not FCS", "gate", "donor01.fcs", raw(lambda _: b"Not a cytometer\n" * 9), "donor01"),
    Case("offsets beyond the end", "gate", "donor01.fcs",
         raw(lambda b: b[:18] + b"99999999" + b[26:]), "donor01"),
    Case("a zip of FCS", "gate", "donor01.fcs", raw(lambda b: b"PK\x03\x04" + b[:100]), "donor01"),
    Case("gates that are no TOML", "gate", "gates.toml", text(lambda s: s + "\n[[gate\n"),
         "hierarchy: "),
    Case("unknown key of a gate", "gate", "gates.toml",
         text(lambda s: s.replace("parent =", "parnet =", 1)), "parnet"),
    Case("gate without its marker", "gate", "gates.toml", text(lambda s: s.replace("CD45", "CD99")),
         "CD99"),
    Case("unknown parent", "gate", "gates.toml",
         text(lambda s: s.replace('parent = "', 'parent = "no ', 1)), "parent"),
]  # fmt: skip
