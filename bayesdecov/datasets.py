"""Data sets with a known truth, and published references, by name.

Real data are downloaded once, checked by SHA-256 and cached by pooch. The folder named by the
environment variable ``BAYESDECOV_DATA`` is searched first, for machines without a network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.io.download import PublicFile, at_hand, fetch, in_folder
from bayesdecov.io.tables import read_table
from bayesdecov.reference.public import mrna_per_cell, reference, references

__all__ = ["Dataset", "load", "mrna_per_cell", "present", "reference", "references"]

BLOOD_LIKE = ("Neutrophil", "Monocyte", "B cell", "CD4 T cell", "CD8 T cell", "NK cell")

_MIXOLOGY = (
    "https://raw.githubusercontent.com/LuyiTian/sc_mixology/"
    "7d00ffb0bd043467f365a9358d7312f294f13c9f/data/csv/"
)
_COUNTS, _WELLS = (
    PublicFile("sc_mixology", name, _MIXOLOGY + name, sha256)
    for name, sha256 in (
        (
            "RNAmix_celseq2.count.csv.gz",
            "3bc1323f10f74779e69f068cbfd052633049745f69107bba4133368a01ec24b9",
        ),
        (
            "RNAmix_celseq2.metadata.csv.gz",
            "b4dfd97335bb24691d22b16748410d42ea08c7dee634d2d9d2584ef2d9e60956",
        ),
    )
)


@dataclass(frozen=True)
class Dataset:
    """Bulks with known proportions, and purified samples or a signature of the same cell types.

    Attributes
    ----------
    bulk, purified
        Expression, genes x samples.
    labels
        Cell type of each purified sample.
    proportions
        The truth, samples x cell types.
    samples
        Further information on the bulks, samples x columns.
    signature
        Mean profiles, genes x cell types, if there are no replicates.
    """

    name: str
    description: str
    bulk: pd.DataFrame
    purified: pd.DataFrame | None
    labels: pd.Series | None
    proportions: pd.DataFrame
    samples: pd.DataFrame
    signature: pd.DataFrame | None = None


def load(name: str) -> Dataset:
    """Load a data set by name.

    Parameters
    ----------
    name
        "demo": simulated blood-like mixtures, no download. "sc_mixology": RNA of three lung cancer
        cell lines mixed in known ratios, CEL-seq2 counts (Tian et al. 2019,
        doi:10.1038/s41592-019-0425-8, GEO GSE118767, MIT licence). "abis_pbmc": 12 human PBMC
        samples with flow cytometry of 17 cell types and the ABIS signature (Monaco et al. 2019,
        doi:10.1016/j.celrep.2019.01.041, GEO GSE107011); not downloaded, because the tables are
        under the GPL: the error message states where to get them.
    """
    return _LOADERS[checks.check_choice(name, tuple(_LOADERS), "name")]()


def _demo() -> Dataset:
    from bayesdecov.simulate import convolution

    cohort = convolution(
        n_samples=40,
        n_genes=500,
        cell_types=BLOOD_LIKE,
        replicates=8,
        factor_sd=0.1,
        own_sd=0.25,
        concentration=(9.0, 1.5, 1.0, 2.5, 1.5, 1.0),
        depth=200_000,
        marker_fold=4.0,
        seed=20,
    )
    return Dataset(
        "demo",
        "SIMULATED blood-like cohort: 40 mixtures of six cell types with known proportions, eight "
        "purified samples of each type, 500 genes, counts",
        cohort.bulk,
        cohort.purified,
        cohort.labels,
        cohort.proportions,
        pd.DataFrame(index=cohort.proportions.index),
    )


def _sc_mixology() -> Dataset:
    counts = read_table(fetch(_COUNTS, "name"))
    wells = read_table(fetch(_WELLS, "name"))
    # The metadata swap the labels of two cell lines (as genotypes of single cells show).
    design = pd.DataFrame(
        {"H1975": wells["H1975_prop"], "H2228": wells["HCC827_prop"], "HCC827": wells["H2228_prop"]}
    ).astype(float)
    # Well L19 is wrong on both protocols: its label says .68/.16/.16, its RNA is nearly pure.
    design = design.drop(index="L19")
    design = design.div(design.sum(axis=1), axis=0)  # given with two digits
    counts = counts.loc[:, design.index]
    pure = design.max(axis=1) > 0.99
    samples = wells.loc[design.index[~pure], ["mRNA_amount", "total_count_per_cell"]]
    return Dataset(
        "sc_mixology",
        "RNA of three lung cancer cell lines mixed in known ratios, CEL-seq2 (Tian et al. 2019)",
        counts.loc[:, ~pure],
        counts.loc[:, pure],
        design[pure].idxmax(axis=1).rename("cell_type"),
        design[~pure].rename_axis("sample"),
        samples.astype(float).rename_axis("sample"),
    )


def _abis_pbmc() -> Dataset:
    names = ("expression_tpm_1296genes.csv.gz", "signature_S0.csv.gz", "proportions_flow.csv")
    paths = [in_folder("abis_pbmc", name) for name in names]
    if not all(paths):
        raise InputError(
            "name",
            "'abis_pbmc' must be in the folder that BAYESDECOV_DATA names",
            found=f"no abis_pbmc/{names[0]} there",
            fix=f"export {', '.join(names)} from the R package granulator (genes x samples, genes "
            "x cell types, samples x cell types as fractions)",
        )
    bulk, signature, truth = (read_table(path) for path in paths if path is not None)
    return Dataset(
        "abis_pbmc",
        "Human PBMC, RNA-seq in TPM, with flow cytometry of 17 cell types (Monaco et al. 2019)",
        bulk,
        None,
        None,
        truth[signature.columns].rename_axis("sample"),  # the other columns are their sums
        pd.DataFrame(index=truth.index),
        signature,
    )


_LOADERS: dict[str, Callable[[], Dataset]] = {
    "demo": _demo,
    "sc_mixology": _sc_mixology,
    "abis_pbmc": _abis_pbmc,
}


def present(name: str) -> bool:
    """Whether `load` would find a data set without a network."""
    if checks.check_choice(name, tuple(_LOADERS), "name") == "demo":
        return True
    if name == "abis_pbmc":
        return in_folder(name, "signature_S0.csv.gz") is not None
    return at_hand(_COUNTS) and at_hand(_WELLS)
