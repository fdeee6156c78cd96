"""Signatures that others have published, by name.

They are downloaded from where they are published, never part of the package: their numbers have
licences of their own, which the reference states and the record of a run keeps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.io.download import PublicFile, at_hand, fetch
from bayesdecov.io.tables import read_table
from bayesdecov.reference.reference import Reference

FOLDER = "public_references"
_ADDRESS = (
    "https://raw.githubusercontent.com/omnideconv/immunedeconv/"
    "6f6f66ea5dd549ae5f1c99d32f9b6aeee3d1f15a/inst/extdata/"
)


def _file(path: str, sha256: str) -> PublicFile:
    return PublicFile(FOLDER, path.rpartition("/")[2], _ADDRESS + path, sha256)


@dataclass(frozen=True)
class Published:
    """A published signature.

    Attributes
    ----------
    title, source, licence
        What it is, the paper with its DOI, and the licence of its numbers.
    species, platform, unit
        Of the purified cells.
    quantity
        What proportions estimated with it are fractions of.
    file
        The signature, genes x cell types.
    mrna_per_cell
        The authors' mRNA per cell of each type, where they give it.
    """

    title: str
    source: str
    licence: str
    species: str
    platform: str
    unit: str
    quantity: str
    file: PublicFile
    mrna_per_cell: PublicFile | None = None


_ABIS = "Monaco et al. 2019, doi:10.1016/j.celrep.2019.01.041"
PUBLISHED = {
    "abis": Published(
        "ABIS, 17 immune cell types of human blood",
        _ABIS,
        "GPL",
        "human",
        "RNA-seq",
        "TPM scaled by mRNA content",
        "fractions of cells",
        _file(
            "abis/sigmatrixRNAseq.txt",
            "52220c9d033580aa31218fb21b6dfb13645655b4966e969beea8b946fea755b4",
        ),
    ),
    "abis-arrays": Published(
        "ABIS, 11 immune cell types of human blood",
        _ABIS,
        "GPL",
        "human",
        "microarray (Illumina HT-12)",
        "intensities",
        "fractions of the signature's units",
        _file(
            "abis/sigmatrixMicro.txt",
            "bcfaaa8a8592d4ad77fee6558b551cb2bc9dcb591cfae5446b5da482a73a70ae",
        ),
    ),
    "til10": Published(
        "quanTIseq TIL10, 10 immune cell types of human tumours and blood",
        "Finotello et al. 2019, doi:10.1186/s13073-019-0638-6",
        "BSD-3-Clause",
        "human",
        "RNA-seq",
        "TPM",
        "fractions of mRNA; of cells with mrna_per_cell",
        _file(
            "quantiseq/TIL10_signature.txt",
            "76aababc370c143705ee895f094a45eb168b87b10f30783bdcedbe4c4c0fecf9",
        ),
        _file(
            "quantiseq/TIL10_mRNA_scaling.txt",
            "c7fa748a99c8f3e377924a7b35bed3000243966ee42beab7efac444940eecbd2",
        ),
    ),
    "seqimmucc": Published(
        "seqImmuCC, 10 immune cell types of mouse",
        "Chen et al. 2018, doi:10.3389/fimmu.2018.01286",
        "not stated; ask the authors",
        "mouse",
        "RNA-seq",
        "counts",
        "fractions of the signature's units",
        _file(
            "mouse_deconvolution/sig_matr_seqImmuCC.txt",
            "57b82f1b0848cee2af1bf5006e6194a83ffdcb63c72e003307f89236647bf6ac",
        ),
    ),
}


def references() -> pd.DataFrame:
    """The published signatures that `reference` knows.

    Returns
    -------
    pandas.DataFrame
        By name: title, species, platform, unit, quantity (what proportions are fractions of),
        licence, source, and whether the file is at hand without a network.

    Examples
    --------
    >>> from bayesdecov import datasets
    >>> list(datasets.references().index)
    ['abis', 'abis-arrays', 'til10', 'seqimmucc']
    """
    columns = ("title", "species", "platform", "unit", "quantity", "licence", "source")
    rows = {
        name: {
            **{column: getattr(each, column) for column in columns},
            "offline": at_hand(each.file),
        }
        for name, each in PUBLISHED.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")


def reference(name: str) -> Reference:
    """A published signature as a `Reference`.

    The file is downloaded once, checked by SHA-256 and cached; the folder named by
    ``BAYESDECOV_DATA`` is searched first. ``settings`` and ``notes`` of the reference state source
    and licence.

    Parameters
    ----------
    name
        One of the names in `references`.

    Returns
    -------
    Reference

    Raises
    ------
    InputError
        An unknown name; no network; a file that is not the published one.
    """
    published = PUBLISHED[checks.check_choice(name, tuple(PUBLISHED), "reference")]
    table = read_table(fetch(published.file, "reference"), "reference")
    made = Reference.from_signature(table)
    about: dict[str, Any] = {
        "published": name,
        "source": published.source,
        "licence": published.licence,
        "sha256": published.file.sha256,
    }
    note = f"{published.title} ({published.source}); licence of the numbers: {published.licence}"
    return replace(made, settings=made.settings | about, notes=(note, *made.notes))


def mrna_per_cell(name: str) -> pd.Series:
    """The mRNA per cell of each type that the authors of a signature give, for `deconvolve`.

    Raises
    ------
    InputError
        There is none, or as in `reference`.
    """
    known = tuple(key for key, each in PUBLISHED.items() if each.mrna_per_cell is not None)
    file = PUBLISHED[checks.check_choice(name, known, "name")].mrna_per_cell
    assert file is not None
    path = fetch(file, "name")
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines() if line.strip()]
    return pd.Series({kind: float(value) for kind, value in rows}, name="mrna")
