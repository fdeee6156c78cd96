"""Small random problems shared by the tests of the algebra."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bayesdecov.algebra.compressed import compress
from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.lowrank import LowRank
from bayesdecov.algebra.terms import log_density

EVALUATIONS = [(0.5, None), (1.0, None), (0.5, 5.0)]  # likelihood, Eq. 8, multivariate t


class Problem(NamedTuple):
    """Samples of a model given in every form that can express it."""

    q: np.ndarray
    y: np.ndarray
    phi: np.ndarray
    forms: dict[str, Any]


def random_problem(
    seed: int, *, n: int = 3, n_genes: int = 12, n_types: int = 4, rank: int = 2,
    counting: bool = True, shared: bool = False,
) -> Problem:  # fmt: skip
    """``Sigma_j = diag(D_j) + U_j U_j'``, dense, low-rank and (``shared``) compressed."""
    rng = np.random.default_rng(seed)
    mu = rng.gamma(3.0, 4.0, (n_genes, n_types))
    multiplier = rng.uniform(1.0, 1.5, n_types)
    D = rng.uniform(0.5, 3.0, (n_genes, n_types))
    if shared:
        D = D[:, :1] * multiplier
    owner = np.repeat(np.arange(n_types), rank)
    U = rng.normal(size=(n_genes, len(owner)))
    Sigma = np.stack(
        [np.diag(D[:, j]) + U[:, owner == j] @ U[:, owner == j].T for j in range(n_types)]
    )
    q = rng.dirichlet(np.full(n_types, 2.0), n)
    y = q @ mu.T + rng.normal(size=(n, n_genes))
    phi = rng.uniform(0.05, 0.3, n) if counting else np.zeros(n)
    forms: dict[str, Any] = {"dense": Dense(mu, Sigma), "lowrank": LowRank(mu, D, U, owner)}
    if shared:
        forms["compressed"] = compress(mu, D[:, 0] / multiplier[0], U, owner, multiplier)
    return Problem(q, y, phi, forms)


def evaluate(problem: Problem, form: str, q=None, *, weight=0.5, df=None, order=2):
    """The log-density of a problem in one of its forms, and its pieces."""
    model = problem.forms[form]
    q = problem.q if q is None else q
    y = model.project(problem.y) if form == "compressed" else problem.y
    pieces = model.pieces(q, y, problem.phi, order=order)
    return log_density(pieces, model.n_genes, logdet_weight=weight, df=df), pieces


def difference(function, x, step=1e-5):
    """Central differences of a batched function along every coordinate, last axis."""
    columns = []
    for j in range(x.shape[1]):
        shift = np.zeros(x.shape[1])
        shift[j] = step
        columns.append((function(x + shift) - function(x - shift)) / (2 * step))
    return np.stack(columns, axis=-1)
