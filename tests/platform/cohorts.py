"""Cohorts with known factors of genes between the platforms of bulks and reference."""

from __future__ import annotations

import numpy as np

from bayesdecov.platform.positive import Profiles
from bayesdecov.platform.rounds import Expression

N, G, J = 30, 250, 5


def cohort(tau, *, n=N, seed=0, outliers=0, noise=0.2, background=0.0):
    rng = np.random.default_rng(seed)
    mu = rng.lognormal(3, 1, (G, 1)) * np.exp(0.2 * rng.normal(size=(G, J)))
    mu[np.arange(G), np.arange(G) % J] *= 8
    p = rng.dirichlet([8, 4, 3, 2, 1], n)
    log_a = tau * rng.normal(size=G)
    log_a[:outliers] += 3
    mean = np.exp(log_a) * (p @ mu.T) + background * mu.mean()
    y = mean * np.exp(noise * rng.normal(size=mean.shape) - noise**2 / 2)
    matrix = np.column_stack([mu, np.full(G, mu.mean())])
    return Expression(y, None, np.full(n, 1e-3)), Profiles(matrix, J), p, log_a


def proportions(log_q):
    q = np.exp(log_q[..., :J])
    return q / q.sum(axis=-1, keepdims=True)
