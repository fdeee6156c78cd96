r"""The mixed model gene by gene: a minority of differentially expressed genes, or heavy tails.

.. math::
    c_g \sim \pi_0 N(\beta, T) + \sum_{k}\sum_{\pm} \pi_k^\pm
    N(\beta \pm \delta_k e_k,\ T + \tau_k^2 e_k e_k^\top), \qquad T = \Psi + \sigma^2 V,
    \qquad \mathrm{RSS}_g \sim \sigma^2 \chi^2_d

The model that `bayesdecov.fastmix` fits by EM as ``method="mixture"``, with priors. With ``nu``, a
gene's coefficients and residuals share a scale
:math:`\kappa_g \sim \mathrm{InvGamma}(\nu/2, \nu/2)`,
which is integrated out: a multivariate t. Neither model has sufficient statistics, so each
gradient needs a pass over all genes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesdecov.models.mixed_effects import Sufficient, covariance

_NULL = 9.0  # ratio to the other shares: a tenth of the genes is expected to be shifted
_SHIFT, _SHIFT_LOG_SD = 3.0, 0.5  # prior of shifts, in the genes' standard deviations


class Genes(NamedTuple):
    """Coefficients on the random columns (gene, q), ``V`` (q, q), RSS (gene,), and its df."""

    c: np.ndarray
    V: np.ndarray
    rss: np.ndarray
    df: int


def contamination(
    genes: Genes,
    random: Sequence[str],
    active: Sequence[str] | None = None,
    *,
    nu: float | str | None = None,
    eta: float = 1.0,
) -> pm.Model:
    r"""Build the model.

    Parameters
    ----------
    genes
        Least-squares coefficients of every gene on the columns with random effects.
    random
        Names of these columns.
    active
        Columns in which genes may be shifted; default: all. Empty: none, the plain normal (or t).
    nu
        Degrees of freedom of the multivariate t: a number, "estimate" for 2 + Gamma(2, .1), None
        for the normal.
    eta
        Parameter of the LKJ prior on correlations.

    Returns
    -------
    pymc.Model
        Dims as in `mixed_effects`, and ``shifted``; variables ``beta``, ``psi_sd``, ``Psi``,
        ``sigma``, and if genes may be shifted ``null``, ``up``, ``down`` (shares), ``delta`` and
        ``tau`` (mean and standard deviation of a shift). Priors: as in `mixed_effects` for the
        first four, and for the shares a Dirichlet with mean .9 of ``null``. In standard deviations
        of the coefficients ``delta`` is log-normal around 3 (a shift that is not separated from
        the bulk of the genes cannot be distinguished from its spread) and ``tau`` half-normal.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesdecov.models import Genes, contamination
    >>> rng = np.random.default_rng(1)
    >>> genes = Genes(rng.normal(size=(50, 2)), 0.1 * np.eye(2), rng.chisquare(5, 50), 5)
    >>> model = contamination(genes, ["T cell", "T cell.age"], ["T cell.age"])
    >>> sorted(variable.name for variable in model.free_RVs)
    ['beta', 'delta_', 'psi', 'shares', 'sigma', 'tau_']
    """
    names = list(random)
    shifted = names if active is None else list(active)
    where = np.array([names.index(name) for name in shifted], dtype=int)
    m, q = genes.c.shape
    centre = np.median(genes.c, axis=0)
    off = genes.c - centre
    known = Sufficient(centre, off.T @ off, genes.V, float(genes.rss.sum()), genes.df, m)
    spread = np.sqrt(np.diag(known.scatter) / m)
    coords = {
        "covariate": names,
        "random_effect": names,
        "random_effect_bis": names,
        "shifted": shifted,
    }
    n = q + genes.df
    with pm.Model(coords=coords) as model:
        beta, Psi, sigma = covariance(known, names, np.arange(q), eta)
        L = pt.linalg.cholesky(Psi + sigma**2 * genes.V)
        inverse = pt.linalg.solve_triangular(L, pt.eye(q), lower=True)
        z = pt.dot(genes.c - beta, inverse.T)
        Q = pt.sqr(z).sum(axis=1) + genes.rss / sigma**2
        tail: pt.TensorVariable | float | None = None
        if nu == "estimate":
            tail = pm.Deterministic("nu", 2.0 + pm.Gamma("nu_", 2.0, 0.1))
        elif nu is not None:
            tail = pm.Deterministic("nu", pt.constant(float(nu), dtype="float64"))

        def log_density(distance: pt.TensorVariable) -> pt.TensorVariable:
            if tail is None:
                return -0.5 * distance - 0.5 * n * np.log(2 * np.pi)
            constant = pt.gammaln((tail + n) / 2) - pt.gammaln(tail / 2)
            constant -= 0.5 * n * pt.log(tail * np.pi)
            return constant - 0.5 * (tail + n) * pt.log1p(distance / tail)

        if len(where):
            alpha = np.concatenate([[_NULL * 2 * len(where)], np.ones(2 * len(where))])
            shares = pm.Dirichlet("shares", alpha)
            null = pm.Deterministic("null", shares[0])
            up = pm.Deterministic("up", shares[1 : 1 + len(where)], dims="shifted")
            down = pm.Deterministic("down", shares[1 + len(where) :], dims="shifted")
            delta_unit = pm.LogNormal("delta_", np.log(_SHIFT), _SHIFT_LOG_SD, shape=len(where))
            tau_unit = pm.HalfNormal("tau_", 1.0, shape=len(where))
            delta = pm.Deterministic("delta", spread[where] * delta_unit, dims="shifted")
            tau = pm.Deterministic("tau", spread[where] * tau_unit, dims="shifted")
            s = pt.dot(z, inverse)[:, where]
            t = pt.sqr(inverse).sum(axis=0)[where]
            growth = 1.0 + pt.sqr(tau) * t
            even = (pt.sqr(s * tau) - pt.sqr(delta) * t) / growth
            odd = 2 * s * delta / growth
            terms = [(pt.log(null) + log_density(Q))[:, None]]
            for share, sign in ((up, 1.0), (down, -1.0)):
                moved = log_density(Q[:, None] - even - sign * odd)
                terms.append(pt.log(share) - 0.5 * pt.log(growth) + moved)
            value = pt.logsumexp(pt.concatenate(terms, axis=1), axis=1).sum()
        else:
            value = log_density(Q).sum()
        value -= m * pt.log(pt.diag(L)).sum() + m * genes.df * pt.log(sigma)
        pm.Potential("genes", value + 0.5 * m * np.linalg.slogdet(genes.V)[1])
    return model
