"""Small random problems shared by the tests of the mixed model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.shared_design import LeastSquares, least_squares
from bayesdecov.mixed_effects.parameters import Contamination


class Shared(NamedTuple):
    """Genes on one design, drawn from the normal model, and the truth."""

    X: np.ndarray
    Y: np.ndarray
    ls: LeastSquares
    beta: np.ndarray
    Psi: np.ndarray
    sigma2: float
    rng: np.random.Generator


def shared_problem(
    seed: int, *, genes: int = 40, samples: int = 12, columns: int = 4,
    random: tuple[int, ...] | None = None, sigma2: float = 0.7,
) -> Shared:  # fmt: skip
    """``y_g = X beta + Z gamma_g + noise``; ``random`` are the columns of ``Z`` (None: all)."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(samples, columns)) + 0.5
    chosen = np.arange(columns) if random is None else np.array(random)
    A = rng.normal(size=(len(chosen), len(chosen)))
    Psi = A @ A.T + 0.5 * np.eye(len(chosen))
    beta = rng.normal(size=columns)
    gamma = rng.multivariate_normal(np.zeros(len(chosen)), Psi, genes)
    noise = np.sqrt(sigma2) * rng.normal(size=(genes, samples))
    Y = X @ beta + gamma @ X[:, chosen].T + noise
    return Shared(X, Y, least_squares(X, Y, chosen), beta, Psi, sigma2, rng)


def contaminated(
    seed: int = 2,
) -> tuple[Contamination, np.ndarray, np.ndarray, np.random.Generator]:
    """Parameters with shifts in two of three effects, ``Vz``, and coefficients of 300 genes."""
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(2, 3, 3))
    at = Contamination(
        beta=np.array([0.3, -0.2, 0.1]),
        Psi=A @ A.T,
        null=0.8,
        up=np.array([0.1, 0.0, 0.02]),
        down=np.array([0.05, 0.0, 0.03]),
        delta=np.array([3.0, 0.0, 2.0]),
        tau2=np.array([0.5, 0.0, 0.0]),
        active=np.array([0, 2]),
    )
    return at, B @ B.T + 0.5 * np.eye(3), rng.normal(size=(300, 3)) * 3, rng


def states(at: Contamination, T: np.ndarray):
    """Weight, mean and covariance of every state of a gene."""
    q = len(at.beta)
    yield at.null, at.beta, T
    for k in at.active:
        e = np.eye(q)[k]
        for share, sign in ((at.up[k], 1), (at.down[k], -1)):
            yield share, at.beta + sign * at.delta[k] * e, T + at.tau2[k] * np.outer(e, e)
