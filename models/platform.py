r"""A reference from elsewhere, in PyMC: genes' factors, the noise and the level, all jointly.

.. math::
    y_{gi} &\sim t_\nu\big(f_{gi},\; \lambda_g V_{gi}\big), \qquad
    f_{gi} = a_g \Big(\sum_j \mu_{gj} q_{ij} + q_{i0} \bar\mu\Big), \qquad q_i = s_i p_i \\
    V_{gi} &= c^2 f_{gi}^2 + \varphi_i f_{gi} + \varphi_i^2 / 4 + b^2
              + \textstyle\sum_j q_{ij}^2 a_g^2 \sigma_{gj}^2 \\
    \log a_g &= \tau z_g, \quad z_g \sim t_4, \quad \tau \sim N^+(0, .5^2), \qquad
    \lambda_g \sim \mathrm{InvGamma}(d_0/2, d_0/2) \\
    \log p_{ij} &= \log l_j + \delta_{ij} + \mathrm{const}_i, \quad
    l \sim \mathrm{Dirichlet}(1), \quad
    \delta_{ij} \sim N(0, \omega^2),\ \textstyle\sum_i \delta_{ij} = \sum_j \delta_{ij} = 0

The prior of the level ``l`` counts once for the cohort: a flat prior on every sample would pull the
level the more, the more samples there are, while what the data say of it does not grow with them.

`bayesdecov.platform` fits the same law as a cut model, in which samples do not speak on the level.
Here they do, through the genes that are no markers: mixtures are curved in the logarithms of their
coefficients, so that factors and level are not quite confounded. This is information only if
profiles are right in every entry but for one factor per gene; where they are not, intervals of
levels are too narrow, and ``profile_sd`` protects them in part only. The model also gives every
gene the tails of a t, which the cut model keeps for the multiplicative share of the variance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from bayesdecov.algebra.counting import counting_variance
from bayesdecov.checks import (
    check_collinear,
    check_expression,
    check_numeric,
    check_positive,
    some,
)
from bayesdecov.errors import InputError

_FEWEST = 3  # samples; one or two cannot tell a gene's factor from its scatter
_TAU_SD = 0.5
_TAU_NU = np.float64(4.0)  # degrees of freedom of log-factors
_LEVEL = 1.0  # with 1/2 the posterior may have a second mode, without one of the cell types
_C_SD = 0.5
_PHI, _PHI_LOG_SD = 1e-2, 2.0  # prior median, in mean expressions
_B_SD = 0.1  # in mean expressions
_BACKGROUND = 0.1  # prior mean, in mean expressions; the genes' factors can hide any that it allows


class _Known(NamedTuple):
    """Arrays in the order of the profiles; bulks (sample, gene) are divided by their size."""

    mu: np.ndarray
    y: np.ndarray
    sizes: np.ndarray
    variances: np.ndarray | None
    phi: np.ndarray | None
    coords: dict[str, list[str]]


def platform(
    mean: pd.DataFrame,
    bulk: pd.DataFrame,
    *,
    counting_noise: Any = None,
    variances: pd.DataFrame | None = None,
    size_factor: Any = None,
    background: bool = True,
    nu: float = 4.0,
    gene_df: float = 10.0,
    profile_sd: float = 0.0,
) -> pm.Model:
    r"""Build the model for all samples of a cohort.

    Parameters
    ----------
    mean
        Genes x cell types, linear scale.
    bulk
        Genes x samples, linear scale, at least three samples; aligned to ``mean`` by gene name.
    counting_noise
        phi: variance of the bulk per unit of its mean expression, one number or one per sample, in
        the bulk's units. None: it is learned, one for all bulks after division by their size.
    variances
        Genes x cell types, variances between the reference's replicates, in squared units of
        ``mean``; aligned to it by name. None: what they would say is left to ``c``.
    size_factor
        Prior median of the factor by which a bulk exceeds the reference, one number or one per
        sample (log-normal, sd 1 on the log scale). None: the total of the bulk over that of an even
        mixture.
    background
        Whether every bulk has an additive background, the same for all genes but for their factors.
    nu
        Degrees of freedom of residuals.
    gene_df
        d0, degrees of freedom of the prior on the genes' own noise; large: all genes are alike.
    profile_sd
        Standard deviation of errors in the logarithms of single entries of ``mean``; 0: none.

    Returns
    -------
    pymc.Model
        Dims ``gene``, ``cell_type``, ``sample``. Variables ``tau``, ``gene_factor`` (a), ``level``
        (cell_type), ``spread`` (omega) and ``deviation`` of samples, ``proportions`` (sample,
        cell_type), ``size_factor`` and ``background`` (sample), ``c``, ``phi``, ``b``,
        ``gene_noise`` (lambda) and (observed) ``bulk``, divided by its size. ``phi`` and ``b`` are
        in units of ``mean``, the background in its mean over genes and cell types.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from bayesdecov.models import platform
    >>> mean = pd.DataFrame({"a": [20.0, 2.0, 9.0], "b": [2.0, 20.0, 9.0]}, ["g1", "g2", "g3"])
    >>> bulk = pd.DataFrame(mean.to_numpy() @ [[0.2, 0.5, 0.6], [0.8, 0.5, 0.4]], mean.index)
    >>> model = platform(mean, bulk, background=False, counting_noise=0.1)
    >>> sorted(variable.name for variable in model.free_RVs)
    ['b', 'c', 'deviation', 'gene_noise', 'level', 'size_factor', 'spread', 'tau', 'unit_factor']
    """
    known = _known(mean, bulk, counting_noise, variances, size_factor)
    # PyTensor keeps round Python numbers in single precision, and constants of densities with them
    nu = np.float64(check_positive(nu, "nu"))
    half = np.float64(check_positive(gene_df, "gene_df") / 2)
    if profile_sd != 0:
        check_positive(profile_sd, "profile_sd")
    unit = known.mu.mean()
    with pm.Model(coords=known.coords) as model:
        tau = pm.HalfNormal("tau", _TAU_SD)
        z = pm.StudentT("unit_factor", nu=_TAU_NU, mu=0.0, sigma=1.0, dims="gene")
        a = pm.Deterministic("gene_factor", pt.exp(tau * z), dims="gene")
        mu: Any = known.mu
        if profile_sd:
            errors = pm.Normal("profile_error", 0.0, 1.0, dims=("gene", "cell_type"))
            mu = mu * pt.exp(profile_sd * errors)
        q = _coefficients(known)
        f = pt.dot(q, mu.T)
        if background:
            f = f + unit * pm.Exponential("background", scale=_BACKGROUND, dims="sample")[:, None]
        f = a * f
        V = _law(f, known, unit)
        if known.variances is not None:
            V = V + pt.sqr(a) * pt.dot(pt.sqr(q), known.variances.T)
        own = pm.InverseGamma("gene_noise", alpha=half, beta=half, dims="gene")
        pm.StudentT(
            "bulk",
            nu=nu,
            mu=f,
            sigma=pt.sqrt(own * V),
            observed=known.y,
            dims=("sample", "gene"),
        )
    return model


def _coefficients(known: _Known) -> Any:
    """Proportions and sizes of the samples; their product ``q`` (sample, cell_type)."""
    level = pm.Dirichlet("level", np.full(known.mu.shape[1], _LEVEL), dims="cell_type")
    spread = pm.HalfNormal("spread", 1.0)
    # sigma of a zero-sum normal is that of the normals before their means are taken off
    deviation = pm.ZeroSumNormal(
        "deviation", sigma=spread, n_zerosum_axes=2, dims=("sample", "cell_type")
    )
    p = pm.Deterministic(
        "proportions",
        pm.math.softmax(pt.log(level) + deviation, axis=-1),
        dims=("sample", "cell_type"),
    )
    size = pm.LogNormal("size_factor", np.log(known.sizes), 1.0, dims="sample")
    return p * (size / known.sizes)[:, None]


def _law(f: Any, known: _Known, unit: float) -> Any:
    """The variance of the genes around their expectations ``f`` that the bulks themselves tell."""
    c = pm.HalfNormal("c", _C_SD)
    b = pm.HalfNormal("b", _B_SD * unit)
    phi: Any = known.phi
    if phi is None:
        learned = pm.LogNormal("phi", np.log(_PHI * unit), _PHI_LOG_SD)
        phi = learned * np.ones(len(known.y))
    return pt.sqr(c * f) + counting_variance(phi, f) + pt.sqr(b)


def _known(
    mean: pd.DataFrame,
    bulk: pd.DataFrame,
    counting_noise: Any,
    variances: pd.DataFrame | None,
    size_factor: Any,
) -> _Known:
    """Check and align the data."""
    mean = check_expression(mean, "mean", what="cell types")
    check_collinear(mean, "mean")
    bulk = _aligned(check_expression(bulk, "bulk"), mean.index, "bulk")
    n = bulk.shape[1]
    if n < _FEWEST:
        raise InputError(
            "bulk", f"factors between platforms need at least {_FEWEST} samples", found=str(n)
        )
    mu, y = mean.to_numpy(), bulk.to_numpy().T
    if not (y > 0).any(axis=1).all():
        raise InputError("bulk", "all samples must have some expression in the genes of mean")
    sigma2 = None
    if variances is not None:
        table = _aligned(check_numeric(variances, "variances"), mean.index, "variances")
        sigma2 = _aligned(table.T, mean.columns, "variances", "cell types").to_numpy().T
        if (sigma2 < 0).any():
            raise InputError("variances", "must not be negative", found=f"{sigma2.min():g}")
    sizes = y.sum(axis=1) / mu.mean(axis=1).sum()
    if size_factor is not None:
        sizes = _per_sample(size_factor, n, "size_factor")
        if not (sizes > 0).all():
            raise InputError("size_factor", "must be positive", found=f"{sizes.min():g}")
    phi = None
    if counting_noise is not None:
        phi = _per_sample(counting_noise, n, "counting_noise") / sizes
    coords = {
        "gene": list(mean.index),
        "cell_type": list(mean.columns),
        "sample": list(bulk.columns),
    }
    return _Known(mu, y / sizes[:, None], sizes, sigma2, phi, coords)


def _aligned(
    table: pd.DataFrame, names: pd.Index, argument: str, what: str = "genes"
) -> pd.DataFrame:
    """The rows of these names."""
    absent = names.difference(table.index)
    if len(absent):
        raise InputError(argument, f"must have all {what} of mean", found=f"no {some(absent)}")
    return table.loc[names]


def _per_sample(value: Any, n: int, argument: str) -> np.ndarray:
    """One finite number for every sample, none negative."""
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        numbers = np.full(0, np.nan)
    if numbers.shape not in ((), (1,), (n,)) or not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise InputError(
            argument, f"must be one number, or one for each of the {n} samples, none negative"
        )
    return np.broadcast_to(numbers, (n,))
