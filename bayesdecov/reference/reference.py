"""`Reference`: the means and covariances of every cell type, and their origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.io.tables import expression_frame, read_labels
from bayesdecov.reference import build, storage
from bayesdecov.reference import cells as cells_module
from bayesdecov.reference.structures import Covariance, FactorCovariance


@dataclass(frozen=True)
class Reference:
    r"""Purified cell types: means, gene-gene covariances, and their uncertainty.

    Make one with `from_cells` (single cells), `from_samples` (replicates of purified cells),
    `from_signature` (one profile per type) or `from_moments` (means and covariances that are
    known).

    Attributes
    ----------
    mean
        Mean expression, genes x cell types, on the linear scale.
    covariance
        Covariance between genes within each cell type, as `DenseCovariance` (a matrix each) or
        `FactorCovariance` (diagonal + loadings). See `covariance_of`.
    replicates
        Number of replicates behind each mean; 0 where the moments are taken as exact.
    scale
        "counts" (stored as counts per million), "per million", "linear", or "exact".
    counting
        Variance that counting adds to one unit of expression in an average replicate, per cell
        type (1e6 / library size for counts); NaN where unknown.
    transcriptome
        Means over all genes that were given, before markers were chosen; used to bring a bulk to
        the same scale.
    profiles, labels, donors
        The replicates on the chosen genes, their cell types and, where known, their donors.
    hierarchy
        Cell types and groups by name, each with its parent; see `Deconvolution.at_level`.
    mrna_per_cell
        Relative amount of mRNA in a cell of each type, from the counts per cell of single cells;
        NaN where it is unknown. `deconvolve` turns fractions of mRNA into fractions of cells by it.
    profile_cells
        Number of cells and of counts behind each profile of single cells.
    settings
        How the reference was made: estimator, penalties or ranks, marker rule.
    notes
        Facts a reader should know, such as types without replicates.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.convolution(n_genes=40, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels, genes=30)
    >>> reference.mean.shape
    (30, 3)
    """

    mean: pd.DataFrame
    covariance: Covariance
    replicates: pd.Series
    scale: str
    counting: pd.Series
    transcriptome: pd.DataFrame | None = None
    profiles: pd.DataFrame | None = None
    labels: pd.Series | None = None
    donors: pd.Series | None = None
    hierarchy: dict[str, str] | None = None
    mrna_per_cell: pd.Series | None = None
    profile_cells: pd.DataFrame | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def from_cells(
        cls,
        cells: Any,
        cell_type: str = "cell_type",
        donor: str | None = None,
        *,
        batch: str | None = None,
        obs: Any = None,
        layer: str = "auto",
        gene_names: str | None = None,
        drop: str | Sequence[str] = ("unknown", "unassigned", "doublet"),
        min_cells: int = 10,
        hierarchy: Any = None,
        covariance: str = "diagonal",
        genes: int | Sequence[str] | None = 300,
    ) -> Reference:
        """Make a reference from single cells or nuclei with counts.

        The cells of a type and donor are added up to one profile, so that replicates are donors.
        Counts are read in parts and stay sparse. Where donors are not known, or fewer than three,
        the reference says so, and how donors differ is learned from the bulks
        (``deconvolve(platform="auto")``).

        Parameters
        ----------
        cells
            An AnnData, in memory or backed; the path of an .h5ad, a .zarr, a 10x .h5 file or a
            folder with matrix.mtx, barcodes.tsv and features.tsv; or a list of them, whose shared
            genes are used and which are batches of their own unless ``batch`` is given.
        cell_type, donor, batch
            Columns of the cells' table (obs). ``batch``: cells of one experiment; cell types are
            compared in their mRNA content within donors and batches only, and all with each other
            where neither is given. A donor has one name in all sources.
        obs
            A table of the cells, or its path, for files without annotations: row names (the first
            column of a file) are the cells' names, such as barcodes with their suffix. Its columns
            take the place of those of the same name.
        layer
            "auto": X if it holds counts, otherwise layers["counts"], otherwise raw. "X", "raw" or
            the name of a layer, which may also hold corrected counts (fractions).
        gene_names
            A column of the genes' table (var) to use as names, such as one of symbols.
        drop
            Cell types that are none, whatever their case, besides missing ones and words for
            these ("", nan, NA, N/A, None, null).
        min_cells
            Cells below which a profile of a donor, or a cell type, is left out.
        hierarchy
            Parents by name, over any number of levels, such as ``{"CD4 naive": "CD4", "CD4": "T",
            "CD8": "T"}``: every level gets its share of the markers, and ``fit.at_level`` sums.
        covariance
            As in `from_samples`. "diagonal" is as good or better with up to twenty donors, because
            the scatter of genes between cells and bulks is larger than that between donors.
        genes
            As in `from_samples`. Markers have to stand out from the noise of few counts.

        Returns
        -------
        Reference
            With ``mrna_per_cell`` from the counts per cell, by which `deconvolve` gives fractions
            of cells beside those of mRNA, and ``profile_cells``.

        Raises
        ------
        InputError
            No counts, unknown columns (the message lists those that there are), too few cells.

        Examples
        --------
        >>> import bayesdecov as bd
        >>> cohort = bd.simulate.cells(n_donors=3, n_genes=400, n_cells=900, seed=1)
        >>> reference = bd.Reference.from_cells(cohort.cells, "cell_type", "donor", genes=100)
        >>> reference.replicates.unique().tolist(), reference.settings["donors"]
        ([3], 3)
        """
        checks.check_choice(covariance, build.ESTIMATORS, "covariance")
        return cls(
            **cells_module.from_cells(
                cells,
                cell_type,
                donor,
                batch=batch,
                obs=obs,
                layer=layer,
                gene_names=gene_names,
                drop=drop,
                min_cells=min_cells,
                hierarchy=hierarchy,
                covariance=covariance,
                genes=genes,
            )
        )

    @classmethod
    def from_samples(
        cls,
        purified: Any,
        labels: Any,
        covariance: str = "glasso",
        *,
        genes: int | Sequence[str] | None = 300,
        donors: Any = None,
        hierarchy: Any = None,
        assume_linear: bool = False,
    ) -> Reference:
        """Estimate a reference from replicates of purified samples.

        Parameters
        ----------
        purified
            Expression, genes x samples, linear scale: counts (turned into counts per million,
            library sizes kept) or CPM, TPM or any linear unit (kept as they are, so differences
            in mRNA content between cell types remain). An AnnData or a path is accepted.
        labels
            Series (or dict, or the path of a table) from sample to cell type.
        covariance
            "glasso" (sparse precision, penalty by EBIC; the paper's choice), "glasso-refit"
            (its support, refitted without penalty), "shrinkage" (Ledoit-Wolf), "diagonal", or
            "factor" (shared diagonal plus factors; cost independent of the number of genes).
        genes
            How many marker genes to choose (rule: `bayesdecov.reference.markers`), their names,
            or None for all genes.
        donors
            Series (or dict) from sample to donor. Samples of one donor are alike in all cell types;
            ``deconvolve(calibrate=True)`` then leaves out whole donors.
        hierarchy
            As in `from_cells`.
        assume_linear
            Use the table unchanged: as linear although it looks log-transformed, and on its
            absolute scale although it looks like counts, which otherwise become counts per
            million. Needed where the totals represent the amount of mRNA per cell.

        Raises
        ------
        InputError
            Names that do not match, negative or missing values, logarithms, collinear means.
        """
        checks.check_choice(covariance, build.ESTIMATORS, "covariance")
        if isinstance(labels, (str, Path)):
            labels = read_labels(labels)
        return cls(
            **build.from_samples(
                expression_frame(purified, "purified"),
                labels,
                covariance,
                genes,
                donors,
                assume_linear,
                hierarchy,
            )
        )

    @classmethod
    def from_signature(
        cls,
        signature: Any,
        *,
        genes: int | Sequence[str] | None = None,
        assume_linear: bool = False,
    ) -> Reference:
        """Make a reference from a signature matrix: one mean profile per cell type.

        Without replicates there is no covariance to estimate: it is diagonal, with a standard
        deviation of 0.3 times the mean, and `deconvolve` rescales it for every sample. The notes
        of the result record this.

        Parameters
        ----------
        signature
            Genes x cell types on the linear scale (a DataFrame, AnnData or path).
        genes, assume_linear
            As in `from_samples`; by default all genes of the signature are used.
        """
        frame = expression_frame(signature, "signature")
        return cls(**build.from_signature(frame, genes, assume_linear))

    @classmethod
    def from_moments(
        cls, mean: pd.DataFrame, covariances: Any, replicates: Any = None
    ) -> Reference:
        """Use means and covariances exactly as given: nothing is floored, scaled or chosen.

        Parameters
        ----------
        mean
            Genes x cell types, linear scale.
        covariances
            Array (cell_type, gene, gene) in the order of ``mean``, or a dict from cell type to a
            DataFrame (gene x gene, aligned by name) or array.
        replicates
            Number of replicates behind the moments (one number, or one per cell type): adds the
            uncertainty of the means to the likelihood. None: the moments are exact.
        """
        return cls(**build.from_moments(mean, covariances, replicates))

    @property
    def genes(self) -> pd.Index:
        """Gene names."""
        return self.mean.index

    @property
    def cell_types(self) -> pd.Index:
        """Cell type names."""
        return self.mean.columns

    def covariance_of(self, cell_type: str) -> pd.DataFrame:
        """Covariance between genes within one cell type."""
        if cell_type not in self.cell_types:
            raise InputError(
                "cell_type",
                f"must be one of {checks.some(self.cell_types, 20)}",
                found=repr(cell_type),
            )
        matrix = self.covariance.matrix(int(self.cell_types.get_loc(cell_type)))
        return pd.DataFrame(matrix, self.genes, self.genes)

    def take(self, genes: pd.Index) -> Reference:
        """The reference on some of its genes, in the given order."""
        if genes.equals(self.genes):
            return self
        rows = self.genes.get_indexer(genes)
        if (rows < 0).any():
            raise InputError(
                "genes",
                "must all be in the reference",
                found=f"missing {checks.some(genes[rows < 0])}",
            )
        return replace(
            self,
            mean=self.mean.iloc[rows],
            covariance=self.covariance.take(rows),
            profiles=None if self.profiles is None else self.profiles.iloc[rows],
        )

    def save(self, path: str | Path) -> None:
        """Write everything to one netCDF file with ``gene`` and ``cell_type`` coordinates."""
        storage.save(vars(self), Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Reference:
        """Read a reference written by `save`."""
        return cls(**storage.load(Path(path)))

    def __str__(self) -> str:
        kind = "full matrices"
        if isinstance(self.covariance, FactorCovariance):
            factors = self.covariance.U.shape[1]
            kind = f"diagonal + {factors} factors" if factors else "estimated as diagonal"
        counts = ", ".join(f"{name} {n}" for name, n in self.replicates.items())
        lines = [
            f"Reference: {len(self.genes)} genes x {len(self.cell_types)} cell types, "
            f"scale: {self.scale}",
            f"  covariance: {self.settings.get('covariance', 'given')} ({kind})",
            f"  replicates: {counts}",
        ]
        if "markers" in self.settings:
            lines.append(f"  genes: {self.settings['markers']}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__
