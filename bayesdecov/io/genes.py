"""Gene names: kinds of identifiers, standard spelling, and the genes shared by two tables.

Alignment is always by label. `align` never depends on the order of rows, reports its steps in an
`Alignment`, and raises an error with the reason if too few genes are shared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesdecov.checks import some
from bayesdecov.errors import InputError, Notes

_PATTERNS = {
    "Ensembl gene id": re.compile(r"ENS[A-Z]{0,4}G\d{11}(\.\d+)?(_PAR_Y)?$", re.IGNORECASE),
    "Ensembl transcript id": re.compile(r"ENS[A-Z]{0,4}T\d{11}(\.\d+)?$", re.IGNORECASE),
    "RefSeq id": re.compile(r"[NX][MR]_\d+(\.\d+)?$"),
    "Entrez id": re.compile(r"\d+$"),
    "array probe": re.compile(r".*_at$|ILMN_\d+$|A_\d+_P\d+$"),
    "gene symbol": re.compile(r"[A-Za-z][A-Za-z0-9.@_-]*$"),
}
_VERSION = re.compile(r"^(ENS[A-Z]{0,4}[GT]\d{11})\.\d+", re.IGNORECASE)
_MONTH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec"
_DATE = re.compile(rf"(\d{{1,2}}-({_MONTH})|({_MONTH})-\d{{1,2}})$", re.IGNORECASE)
_SPIKE = re.compile(r"^ERCC-\d+$")


def identifier_type(names: pd.Index) -> str:
    """The kind of identifier of most of ``names`` (at most 500 are examined)."""
    looked = names[:: max(1, len(names) // 500)]
    counts = {
        kind: sum(bool(pattern.match(str(name))) for name in looked)
        for kind, pattern in _PATTERNS.items()
    }
    for kind, count in counts.items():  # the first pattern that fits most names; symbols last
        if count > 0.6 * len(looked):
            return kind
    return "unrecognised name"


@dataclass(frozen=True)
class Alignment:
    """The genes that two tables share, and how they were matched."""

    n_bulk: int
    n_reference: int
    n_shared: int
    bulk_type: str
    reference_type: str
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"{self.n_shared} of {self.n_reference} reference genes found among "
            f"{self.n_bulk} genes of the bulk"
        ]
        if self.missing:
            lines.append(f"missing in the bulk: {some(self.missing)}")
        return "; ".join(lines)


def tidy_genes(frame: pd.DataFrame, argument: str, notes: Notes) -> pd.DataFrame:
    """One spelling and one row for each gene.

    Ensembl version suffixes are removed. Rows of a repeated gene are summed, which is correct for
    counts, CPM and TPM of its transcripts.
    """
    names = pd.Index([_VERSION.sub(r"\1", name) for name in frame.index])
    versions = int((names != frame.index).sum())
    if versions:
        notes.info(f"{argument}: version suffix removed from {versions} Ensembl ids")
    frame = frame.set_axis(names, axis=0)
    nameless = np.asarray(names.str.strip() == "")
    if nameless.any():
        notes.warn(f"{argument}: {int(nameless.sum())} rows without a gene name left out")
        frame = frame.loc[~nameless]
    dates = frame.index[frame.index.str.match(_DATE)]
    if len(dates):
        notes.warn(
            f"{argument}: {len(dates)} gene names look like dates ({some(dates)}): a spreadsheet "
            "changed symbols such as MARCH1 and SEPT2, which are not found under these names"
        )
    if not frame.index.is_unique:
        repeated = frame.index[frame.index.duplicated()].unique()
        frame = frame.groupby(frame.index, sort=False).sum()
        notes.warn(
            f"{argument}: {len(repeated)} repeated genes merged into one row each by adding them: "
            f"{some(repeated)}"
        )
    return frame


def drop_spike_ins(frame: pd.DataFrame, argument: str, notes: Notes) -> pd.DataFrame:
    """Remove ERCC spike-ins, which no cell expresses."""
    spikes = np.array([bool(_SPIKE.match(name)) for name in frame.index])
    if not spikes.any() or spikes.all():
        return frame
    notes.info(f"{argument}: {int(spikes.sum())} ERCC spike-ins removed")
    return frame.loc[~spikes]


def align(
    bulk: pd.DataFrame,
    reference_genes: pd.Index,
    notes: Notes,
    *,
    at_least: int,
    known: pd.Index | None = None,
) -> tuple[pd.DataFrame, pd.Index, Alignment]:
    """Find the reference genes in a bulk table by name.

    ``known`` are all genes of the reference's transcriptome, markers or not.

    Returns
    -------
    tuple
        ``bulk`` with its rows renamed to the reference's spelling, the shared reference genes in
        the reference's order, and the `Alignment`.

    Raises
    ------
    InputError
        Fewer than ``at_least`` genes are shared; the message gives their number, the kinds of
        identifiers and five examples from each table.
    """
    bulk_type, reference_type = identifier_type(bulk.index), identifier_type(reference_genes)
    shared = reference_genes[reference_genes.isin(bulk.index)]
    if len(shared) < 0.5 * len(reference_genes):
        folded = _same_case(bulk.index, reference_genes if known is None else known)
        if sum(name in reference_genes for name in folded.values()) > len(shared):
            notes.info(f"{len(folded)} genes matched by ignoring upper and lower case")
            bulk = bulk.rename(index=folded)
            shared = reference_genes[reference_genes.isin(bulk.index)]
    if len(shared) < at_least:
        turned = reference_genes.isin(bulk.columns).sum()
        fix = f"both tables need the same kind of gene names ({reference_type})"
        if turned > len(shared):
            fix = "the bulk has genes as columns: transpose it (genes are rows)"
        elif bulk_type != reference_type:
            fix = f"convert the bulk's {bulk_type}s to {reference_type}s, or build the reference "
            fix += f"with {bulk_type}s"
        raise InputError(
            "bulk",
            f"must share at least {at_least} genes with the reference, because that is the number "
            "of cell types",
            found=f"{len(shared)} shared of {len(bulk)} bulk genes ({bulk_type}s: "
            f"{some(bulk.index)}) and {len(reference_genes)} reference genes ({reference_type}s: "
            f"{some(reference_genes)})",
            fix=fix,
        )
    missing = reference_genes[~reference_genes.isin(shared)]
    report = Alignment(
        len(bulk),
        len(reference_genes),
        len(shared),
        bulk_type,
        reference_type,
        tuple(missing[:50]),
    )
    if len(missing):
        notes.warn(
            f"bulk: {len(missing)} of {len(reference_genes)} reference genes are missing "
            f"({some(missing)})"
        )
    return bulk, shared, report


def _same_case(bulk_genes: pd.Index, reference_genes: pd.Index) -> dict[str, str]:
    """Bulk name -> reference name if they differ only by case and the match is unique."""
    upper = pd.Series(reference_genes, index=reference_genes.str.upper())
    upper = upper[~upper.index.duplicated(keep=False)]
    folded = pd.Series(bulk_genes, index=bulk_genes.str.upper())
    folded = folded[~folded.index.duplicated(keep=False)]
    both = folded.index.intersection(upper.index)
    return dict(zip(folded.loc[both], upper.loc[both], strict=True))
