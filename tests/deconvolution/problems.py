"""Small random problems shared by the tests of the fit."""

from __future__ import annotations

import numpy as np
import pandas as pd

import bayesdecov as bd
from bayesdecov.deconvolution.model import Data, Model, model_of
from bayesdecov.reference.reference import Reference


def reference_of(seed: int, n_genes: int = 15, n_types: int = 3, replicates: int = 6) -> Reference:
    """Random means and covariances, taken as the estimates from some replicates."""
    rng = np.random.default_rng(seed)
    genes, types = [f"g{i}" for i in range(n_genes)], [f"t{j}" for j in range(n_types)]
    mean = pd.DataFrame(rng.gamma(2.0, 5.0, (n_genes, n_types)), genes, types)
    roots = rng.normal(size=(n_types, n_genes, n_genes)) / np.sqrt(n_genes)
    Sigma = roots @ roots.transpose(0, 2, 1) + 0.5 * np.eye(n_genes)
    return bd.Reference.from_moments(mean, Sigma, replicates)


def problem(
    seed: int, *, n: int = 4, noise: str = "counting", phi: float = 0.1, **options: object
) -> tuple[Model, Data, np.ndarray]:
    """A model, bulks drawn from it, and their true proportions."""
    model = model_of(reference_of(seed), noise, **options)
    rng = np.random.default_rng([seed, 1])
    p = rng.dirichlet(np.full(model.n_types, 3.0), n)
    size = rng.uniform(0.5, 3.0, n) if model.free_size else np.ones(n)
    q = size[:, None] * p
    level = phi if noise == "counting" else 0.0
    y = np.stack(
        [rng.multivariate_normal(model.mu @ one, covariance(model, one, level)) for one in q]
    )
    return model, model.data(np.maximum(y, 0.01), np.full(n, level)), p


def covariance(model: Model, q: np.ndarray, phi: float) -> np.ndarray:
    """``V(q)`` written out."""
    V = np.diag(phi * model.mu @ q + phi**2 / 4)
    for j, share in enumerate(q):
        V = V + share**2 * model.covariance.matrix(j)
    return V
