r"""The mixed model with uncertain proportions in PyMC, estimated from all genes.

.. math::
    \phi_i^{\text{meas}} &\sim N(\phi_i, \kappa^2 \Delta_i), \qquad
    \phi_i \sim N(M^\top z_i, S), \qquad \log\kappa \sim N(0, (\log 2)^2) \\
    b_g &\sim N(\beta, \Psi), \qquad y_g \sim N_n\big(X(\phi)\, b_g,\; \sigma^2 I\big)

``phi`` are proportions (in the directions that have errors) and ``X`` is linear in them. Gene
effects are integrated out: given ``X`` the mean and the scatter of the least-squares coefficients
and the total RSS are sufficient, and all three follow from the Gram matrix of the samples, so a
gradient costs the same for 500 and for 60,000 genes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesdecov.models.mixed_effects import Sufficient, covariance

_WIDE = 10.0  # prior sd of the cohort's means, in standard deviations of the measured values
_HALF_NORMAL = 2.0  # prior scale of its standard deviations, in those of the measured values


class Shared(NamedTuple):
    """Sufficient statistics of all genes, and the measured values.

    ``gram`` (n, n) and ``total`` (n,) of genes in units of their noise; ``design`` (n, L) at the
    measured values; ``lifts`` (n, L, d), derivatives of a sample's row in its values; ``measured``
    (n, d) with error covariances ``errors`` (n, d, d); ``cohort`` (n, z), covariates of the
    cohort's distribution with a column of ones; ``whitener`` (n, n), already applied to
    the genes but not to the design.
    """

    gram: np.ndarray
    total: np.ndarray
    n_genes: int
    design: np.ndarray
    lifts: np.ndarray
    measured: np.ndarray
    errors: np.ndarray
    cohort: np.ndarray
    whitener: np.ndarray


def joint(
    known: Shared,
    columns: Sequence[str],
    samples: Sequence[str],
    directions: Sequence[str],
    *,
    eta: float = 1.0,
    centre: np.ndarray | None = None,
    root: np.ndarray | None = None,
) -> pm.Model:
    r"""Build the model.

    Parameters
    ----------
    known
        Genes, measured values and the design that connects them.
    columns, samples, directions
        Names of the design's columns, of the samples and of the latent values of a sample.
    eta
        Parameter of the LKJ priors on correlations; 1 is uniform.
    centre, root
        Coordinates for sampling: ``phi = centre + root @ z``. With the mode (n, d) and a root of
        the covariance (n d, n d) from `bayesdecov.fastmix` the posterior is close to a unit normal;
        without them it has a narrow ridge along which all samples vary together. They do not change
        the model.

    Returns
    -------
    pymc.Model
        Dims ``covariate``, ``random_effect``, ``random_effect_bis``, ``sample``, ``direction``;
        variables ``beta``, ``Psi``, ``psi_sd``, ``sigma``, ``phi``, ``error_scale`` (kappa),
        ``cohort_mean``, ``cohort_sd``. Priors of ``beta``, ``Psi`` and ``sigma`` as in
        `bayesdecov.models.mixed_effects`, at ``centre``.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesdecov.models import Shared, joint
    >>> rng = np.random.default_rng(0)
    >>> phi, Y = rng.uniform(0.2, 0.8, (8, 1)), rng.normal(size=(50, 8))
    >>> known = Shared(Y.T @ Y, Y.sum(axis=0), 50, np.hstack([phi, 1 - phi]),
    ...                np.tile([[1.0], [-1.0]], (8, 1, 1)), phi, np.full((8, 1, 1), 0.01),
    ...                np.ones((8, 1)), np.eye(8))
    >>> model = joint(known, ["T", "rest"], list("abcdefgh"), ["T"])
    >>> sorted(variable.name for variable in model.free_RVs)
    ['beta', 'cohort', 'cohort_mean', 'error_scale', 'psi', 'sigma', 'z']
    """
    n, n_columns, d = known.lifts.shape
    m, names = known.n_genes, list(columns)
    start = known.measured if centre is None else centre
    spread = np.maximum(known.measured.std(axis=0, ddof=1), 1e-6)
    basis = np.diag(np.tile(spread, n)) if root is None else root
    coords = {
        "covariate": names,
        "random_effect": names,
        "random_effect_bis": names,
        "sample": list(samples),
        "direction": list(directions),
    }
    whiten = np.linalg.inv(np.linalg.cholesky(known.errors))
    centred = known.gram - np.outer(known.total, known.total) / m
    here = known.design + np.einsum("iad,id->ia", known.lifts, start - known.measured)
    here = known.whitener @ here
    with pm.Model(coords=coords) as model:
        z = pm.Flat("z", shape=n * d)
        phi = pm.Deterministic(
            "phi", start + pt.reshape(pt.dot(basis, z), (n, d)), dims=("sample", "direction")
        )
        scale = pm.LogNormal("error_scale", 0.0, np.log(2.0))
        pm.Normal(
            "measured",
            (whiten * phi[:, None, :]).sum(axis=2),
            scale,
            observed=np.einsum("ide,ie->id", whiten, known.measured),
        )
        pm.Potential("cohort_law", _cohort_law(phi, known, spread))
        beta, Psi, sigma = covariance(
            _sufficient(known, here, centred), names, np.arange(n_columns), eta
        )
        X = known.design + (known.lifts * (phi - known.measured)[:, None, :]).sum(axis=2)
        X = pt.dot(known.whitener, X)
        M = pt.dot(X.T, X)
        V = pt.linalg.inv(M)
        onto = pt.dot(V, X.T)
        rss = np.trace(known.gram) - (pt.dot(onto, known.gram) * X.T).sum()
        off = pt.dot(onto, known.total / m) - beta
        scatter = pt.dot(pt.dot(onto, centred), onto.T) + m * off[:, None] * off[None, :]
        T = Psi + sigma**2 * V
        _, log_det = pt.linalg.slogdet(T)
        _, log_det_x = pt.linalg.slogdet(M)
        value = -0.5 * m * (log_det + log_det_x + n * np.log(2 * np.pi))
        value -= 0.5 * (pt.linalg.inv(T) * scatter).sum()
        value -= m * (n - n_columns) * pt.log(sigma) + 0.5 * rss / sigma**2
        pm.Potential("genes", value)
    return model


def _cohort_law(phi: Any, known: Shared, spread: np.ndarray) -> Any:
    """Log-density of the true values under the cohort's normal, in the current model."""
    n, d = known.measured.shape
    mean = pm.Normal(
        "cohort_mean",
        0.0,
        _WIDE * np.maximum(spread, np.abs(known.measured).max()),
        shape=(known.cohort.shape[1], d),
    )
    if d == 1:
        chol = pt.diag(pm.HalfNormal("cohort", 1.0, shape=1))
    else:
        chol, _, _ = pm.LKJCholeskyCov(
            "cohort",
            n=d,
            eta=1.0,
            sd_dist=pm.HalfNormal.dist(1.0, shape=d),
            compute_corr=True,
            store_in_trace=False,
        )
    chol = (_HALF_NORMAL * spread)[:, None] * chol
    pm.Deterministic("cohort_sd", pt.sqrt(pt.sqr(chol).sum(axis=1)), dims="direction")
    rest = (phi - pt.dot(known.cohort, mean)).T
    white = pt.linalg.solve_triangular(chol, rest, lower=True)
    value = -0.5 * pt.sqr(white).sum() - n * pt.log(pt.diag(chol)).sum()
    return value - 0.5 * n * d * np.log(2 * np.pi)


def _sufficient(known: Shared, X: np.ndarray, centred: np.ndarray) -> Sufficient:
    """Statistics of the genes for a given design, which set the scale of the priors."""
    n, n_columns = X.shape
    V = np.linalg.inv(X.T @ X)
    onto = V @ X.T
    rss = float(np.trace(known.gram) - np.sum((onto @ known.gram) * X.T))
    mean = onto @ known.total / known.n_genes
    return Sufficient(mean, onto @ centred @ onto.T, V, rss, n - n_columns, known.n_genes)
