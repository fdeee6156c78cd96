r"""Laplace approximation: a normal posterior of the free coordinates at their mode.

The posterior of ``x`` (with the Jacobian of the simplex map) is expanded at its maximum,
:math:`x \sim N(\hat x, (-H)^{-1})`, and draws are pushed through ``psi`` to proportions. Where the
Hessian is not negative definite the expected information takes its place, which is recorded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra import simplex
from bayesdecov.algebra.density import evaluate
from bayesdecov.algebra.terms import Array, information
from bayesdecov.deconvolution.fit import Estimates, estimates, find_modes, unpack
from bayesdecov.deconvolution.problem import Problem


class Posterior(NamedTuple):
    """Draws of every sample and the normal approximation they come from."""

    estimates: Estimates  # p and covariance are the posterior mean and covariance
    draws: Array  # (sample, draw, cell_type)
    size_draws: Array  # (sample, draw)
    mode: Array  # (sample, parameter)
    mode_covariance: Array  # (sample, parameter, parameter)
    expected_information: NDArray[np.bool_]  # where the Hessian could not be used


def laplace(problem: Problem, draws: int, rngs: list[np.random.Generator]) -> Posterior:
    """Draws from the Laplace approximation, one independent random stream per sample."""
    modes = find_modes(problem, jacobian=True)
    hessian = modes.maximum.hessian
    curvature = np.linalg.eigvalsh(np.where(np.isfinite(hessian), hessian, 1.0))
    fallback = ~(curvature[:, -1] < 0)
    precision = -hessian
    p, size = unpack(problem, modes.x)
    scale = np.ones(len(p)) if size is None else size
    pieces = evaluate(problem.density, scale[:, None] * p, modes.data, modes.phi)
    if fallback.any():
        F = information(pieces, problem.density.n_genes, df=problem.df)
        J = simplex.jacobian(p) * scale[:, None, None]
        if size is not None:
            J = np.concatenate([J, (scale[:, None] * p)[:, :, None]], axis=2)
        expected = J.transpose(0, 2, 1) @ F @ J
        k = problem.n_types - 1
        prior = problem.prior.log_prior(modes.x[:, :k], jacobian=True).hessian
        expected[:, :k, :k] -= prior
        precision[fallback] = expected[fallback]
    covariance = np.linalg.pinv(precision, hermitian=True)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))[:, None, :]
    normals = np.stack([rng.standard_normal((draws, modes.x.shape[1])) for rng in rngs])
    x = modes.x[:, None, :] + normals @ root.transpose(0, 2, 1)
    flat_p, flat_size = unpack(problem, x.reshape(-1, x.shape[2]))
    drawn = flat_p.reshape(len(p), draws, -1)
    sizes = np.ones((len(p), draws)) if flat_size is None else flat_size.reshape(len(p), draws)
    sizes = sizes * problem.unit[:, None]
    centred = drawn - drawn.mean(axis=1, keepdims=True)
    spread = centred.transpose(0, 2, 1) @ centred / max(draws - 1, 1)
    reported = estimates(problem, modes, pieces, drawn.mean(axis=1), sizes.mean(axis=1), spread)
    mode = modes.x.copy()
    if problem.free_size:  # in the unit of the bulk
        mode[:, -1] += np.log(problem.unit)
    return Posterior(reported, drawn, sizes, mode, covariance, fallback)
