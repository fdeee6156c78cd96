r"""The collapsed mixed model of all genes (FastMix, Eq. 4-10) in PyMC.

.. math::
    \beta &\sim N(\bar b, \mathrm{diag}(s_\beta^2)), \quad
    \Psi = \mathrm{diag}(\psi)\, R\, \mathrm{diag}(\psi), \quad
    \psi_k \sim N^+(0, s_{\psi k}^2), \quad R \sim \mathrm{LKJ}(\eta), \quad
    \sigma \sim N^+(0, s_\sigma^2) \\
    b_g &\sim N_L\big(\beta,\; T = \Psi + \sigma^2 V\big), \qquad
    \mathrm{RSS}_g \sim \sigma^2 \chi^2_{n-L}

All genes share one design, so their mean coefficients :math:`\bar b`, the scatter around it and the
total RSS are sufficient: a gradient costs the same for 500 and for 60,000 genes. Gene effects are
not sampled; given the parameters they are exactly normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt

_WIDE = 10.0  # prior sd of fixed effects, in standard deviations of the genes' coefficients
_HALF_NORMAL = 2.0  # prior scale of standard deviations, in their moment estimates


class Sufficient(NamedTuple):
    """Sufficient statistics of all genes.

    ``mean`` (L,) and ``scatter`` (L, L) of the least-squares coefficients, :math:`V=(X'X)^{-1}`,
    the total RSS, residual degrees of freedom per gene, and the number of genes.
    """

    mean: np.ndarray
    scatter: np.ndarray
    V: np.ndarray
    rss: float
    df: int
    n_genes: int


def mixed_effects(
    known: Sufficient,
    columns: Sequence[str],
    random: Sequence[str] | None = None,
    *,
    eta: float = 1.0,
) -> pm.Model:
    r"""Build the model.

    Parameters
    ----------
    known
        Sufficient statistics of all genes.
    columns
        Names of the design's columns.
    random
        Columns with random effects; default: all.
    eta
        Parameter of the LKJ prior on correlations; 1 is uniform.

    Returns
    -------
    pymc.Model
        Dims ``covariate``, ``random_effect``, ``random_effect_bis``; variables ``beta``,
        ``psi_sd``, ``psi_corr`` (for two or more random effects), ``Psi`` and ``sigma``. Priors are
        centred and scaled by the data: :math:`s_\beta` is 10 standard deviations of the genes'
        coefficients, :math:`s_\psi` and :math:`s_\sigma` are twice the moment estimates. To
        exchange the data (same number of genes, same priors), call ``pm.set_data`` for ``mean``,
        ``scatter_root`` (its Cholesky factor) and ``rss``.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesdecov.models import Sufficient, mixed_effects
    >>> known = Sufficient(np.zeros(2), 90 * np.eye(2), 0.1 * np.eye(2), 50.0, 5, 100)
    >>> model = mixed_effects(known, ["T cell", "T cell.age"])
    >>> sorted(variable.name for variable in model.free_RVs)
    ['beta', 'psi', 'sigma']
    """
    names = list(columns)
    effects = list(random) if random is not None else names
    where = np.array([names.index(name) for name in effects])
    m, n_columns = known.n_genes, len(names)
    E = np.eye(n_columns)[:, where]
    root = np.linalg.cholesky(known.scatter + 1e-12 * np.trace(known.scatter) * np.eye(n_columns))
    coords = {"covariate": names, "random_effect": effects, "random_effect_bis": effects}
    with pm.Model(coords=coords) as model:
        mean = pm.Data("mean", known.mean, dims="covariate")
        scatter_root = pm.Data("scatter_root", root)
        rss = pm.Data("rss", np.array(known.rss))
        beta, Psi, sigma = covariance(known, names, where, eta)
        T = pt.dot(pt.dot(E, Psi), E.T) + sigma**2 * known.V
        L = pt.linalg.cholesky(T)
        off = np.sqrt(m) * (mean - beta)
        whitened = pt.linalg.solve_triangular(
            L, pt.concatenate([scatter_root, off[:, None]], axis=1), lower=True
        )
        value = -m * pt.log(pt.diag(L)).sum() - 0.5 * pt.sqr(whitened).sum()
        value -= m * known.df * pt.log(sigma) + 0.5 * rss / sigma**2
        n = n_columns + known.df
        constant = m * n * np.log(2 * np.pi) - m * np.linalg.slogdet(known.V)[1]
        pm.Potential("genes", value - 0.5 * constant)
    return model


def covariance(
    known: Sufficient, names: Sequence[str], where: np.ndarray, eta: float
) -> tuple[Any, Any, Any]:
    """Priors of ``beta``, ``Psi`` and ``sigma`` in the current model."""
    m, q = known.n_genes, len(where)
    spread = np.sqrt(np.diag(known.scatter) / m)
    sigma_guess = float(np.sqrt(known.rss / (m * known.df)))
    noise = sigma_guess**2 * np.diag(known.V)[where]
    psi_guess = np.sqrt(np.maximum(spread[where] ** 2 - noise, 0.05 * spread[where] ** 2))
    beta = pm.Normal("beta", known.mean, _WIDE * spread, dims="covariate")
    if q == 1:
        sd = pm.HalfNormal("psi", 1.0, shape=1)
        chol = pt.diag(sd)
    else:
        chol, corr, sd = pm.LKJCholeskyCov(
            "psi",
            n=q,
            eta=eta,
            sd_dist=pm.HalfNormal.dist(1.0, shape=q),
            compute_corr=True,
            store_in_trace=False,
        )
        pm.Deterministic("psi_corr", corr, dims=("random_effect", "random_effect_bis"))
    scale = _HALF_NORMAL * psi_guess
    pm.Deterministic("psi_sd", scale * sd, dims="random_effect")
    sigma = pm.HalfNormal("sigma", _HALF_NORMAL * sigma_guess)
    Psi = pm.Deterministic(
        "Psi",
        pt.dot(chol, chol.T) * np.outer(scale, scale),
        dims=("random_effect", "random_effect_bis"),
    )
    return beta, Psi, sigma
