r"""Bulk mixtures with known proportions, from the model or from log-normal donors.

Every sample has its own profile in every cell type, :math:`x_{ij}`, with mean :math:`\mu_j` and
covariance :math:`\Sigma_j`; the bulk is :math:`y_i = \sum_j p_{ij} x_{ij}`, optionally with
counting noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError
from bayesdecov.options import renamed


@dataclass(frozen=True)
class Cohort:
    """A simulated cohort. All data in it are simulated.

    Attributes
    ----------
    bulk
        Mixtures, genes x samples.
    proportions
        True proportions, samples x cell types.
    purified, labels
        Replicates of purified cell types, genes x samples, and their cell types.
    mean, covariances
        The true moments: genes x cell types and (cell_type, gene, gene).
    """

    bulk: pd.DataFrame
    proportions: pd.DataFrame
    purified: pd.DataFrame
    labels: pd.Series
    mean: pd.DataFrame
    covariances: Array

    def __repr__(self) -> str:
        return (
            f"Cohort (simulated): {self.bulk.shape[1]} bulks x {self.bulk.shape[0]} genes, "
            f"{self.proportions.shape[1]} cell types, {self.purified.shape[1]} purified samples"
        )


@renamed(law="distribution")
def convolution(
    n_samples: int = 40,
    n_genes: int = 200,
    n_types: int = 4,
    *,
    replicates: int = 10,
    cell_types: Sequence[str] | None = None,
    concentration: float | Sequence[float] = 2.0,
    distribution: str = "lognormal",
    factors: int = 3,
    factor_sd: float = 0.2,
    own_sd: float = 0.2,
    marker_fold: float = 8.0,
    depth: float | None = None,
    seed: Any = None,
) -> Cohort:
    r"""Simulate bulks, their true proportions and purified replicates.

    Parameters
    ----------
    n_samples, n_genes, n_types
        Numbers of bulks, genes and cell types.
    replicates
        Purified samples of each cell type, drawn from the same distribution as the bulks' donors.
    cell_types
        Names, which determine ``n_types``.
    concentration
        Dirichlet concentration of the proportions, one number or one per cell type.
    distribution
        "lognormal": :math:`x = \mu \exp(Lf + e - \tfrac12\mathrm{var})`, with ``factors`` latent
        factors of total log-sd ``factor_sd`` and independent log-sd ``own_sd`` for each gene and
        cell type. "gaussian": a normal with the same mean and covariance (values can be negative).
    marker_fold
        Every gene is a marker of one cell type, with about this fold higher expression in it.
    depth
        Library size: bulks and purified samples become Poisson counts. Counts provide no
        information about the amount of mRNA, so every profile is first scaled to the same total and
        the proportions are fractions of mRNA. None: no counting noise.
    seed
        None, an int or a Generator.

    Returns
    -------
    Cohort

    Examples
    --------
    >>> from bayesdecov import simulate
    >>> simulate.convolution(n_samples=5, n_genes=30, n_types=3, seed=0).proportions.shape
    (5, 3)
    """
    names = list(cell_types) if cell_types is not None else None
    n_types = (
        len(names) if names is not None else checks.check_whole(n_types, "n_types", at_least=2)
    )
    n_genes = checks.check_whole(n_genes, "n_genes", at_least=n_types)
    n_samples, replicates = (
        checks.check_whole(n_samples, "n_samples"),
        checks.check_whole(replicates, "replicates"),
    )
    checks.check_choice(distribution, ("lognormal", "gaussian"), "distribution")
    if distribution == "gaussian" and depth is not None:
        raise InputError(
            "depth", "must be None unless distribution='lognormal' (profiles must be positive)"
        )
    alpha = np.broadcast_to(np.asarray(concentration, dtype=float), (n_types,))
    rng = checks.make_generator(seed)
    names = names or [f"type{j + 1}" for j in range(n_types)]
    genes = pd.Index([f"gene{g + 1:04d}" for g in range(n_genes)], name="gene")
    samples = pd.Index([f"bulk{i + 1:03d}" for i in range(n_samples)], name="sample")

    level = rng.lognormal(4.0, 1.0, n_genes)
    home = rng.permutation(np.arange(n_genes) % n_types)
    mu = level[:, None] / marker_fold * rng.lognormal(0.0, 0.3, (n_genes, n_types))
    mu[np.arange(n_genes), home] *= marker_fold * rng.lognormal(0.0, 0.3, n_genes)
    mu *= mu.sum() / n_types / mu.sum(axis=0)  # every cell type has the same mRNA content
    loadings = rng.normal(size=(n_types, n_genes, factors))
    loadings *= factor_sd / np.sqrt(max(factors, 1))
    log_covariance = loadings @ loadings.transpose(0, 2, 1) + own_sd**2 * np.eye(n_genes)
    Sigma = np.expm1(log_covariance) * np.einsum("gj,hj->jgh", mu, mu)

    def profiles(j: int, count: int) -> Array:
        if distribution == "gaussian":
            return rng.multivariate_normal(mu[:, j], Sigma[j], count, method="cholesky")
        log_x = rng.normal(size=(count, factors)) @ loadings[j].T
        log_x += own_sd * rng.normal(size=(count, n_genes))
        half = 0.5 * np.diagonal(log_covariance[j])
        x: Array = mu[:, j] * np.exp(log_x - half)
        if depth is None:
            return x
        return x * (mu[:, j].sum() / x.sum(axis=1, keepdims=True))

    P = rng.dirichlet(alpha, n_samples)
    Y = np.zeros((n_samples, n_genes))
    for j in range(n_types):
        Y += P[:, [j]] * profiles(j, n_samples)
    X = np.concatenate([profiles(j, replicates) for j in range(n_types)])
    labels = [name for name in names for _ in range(replicates)]
    purified_names = [f"{name} {i + 1}" for name in names for i in range(replicates)]
    if depth is not None:
        depth = checks.check_positive(depth, "depth")
        Y = rng.poisson(Y / Y.sum(axis=1, keepdims=True) * depth).astype(float)
        X = rng.poisson(X / X.sum(axis=1, keepdims=True) * depth).astype(float)
    return Cohort(
        bulk=pd.DataFrame(Y.T, genes, samples),
        proportions=pd.DataFrame(P, samples, names),
        purified=pd.DataFrame(X.T, genes, purified_names),
        labels=pd.Series(labels, purified_names, name="cell_type"),
        mean=pd.DataFrame(mu, genes, names),
        covariances=Sigma,
    )
