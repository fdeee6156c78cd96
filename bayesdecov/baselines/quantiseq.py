"""Least squares with a share for content absent from the reference."""

from __future__ import annotations

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines.answer import Answer, Baseline
from bayesdecov.baselines.simplex import quadratic


def quantiseq(mu: Array, y: Array, variance: Array) -> Answer:
    r"""Minimise :math:`\|y - \mu p\|^2` over :math:`p \ge 0, \sum_j p_j \le 1`.

    One minus the sum of the coefficients is the uncharacterised content. Bulk and reference must
    be on one scale. The published pipeline's own signature, its correction for mRNA content and its
    removal of aberrant genes are not included.
    """
    p = quadratic(mu, y, exactly_one=False)
    return Answer(p, other=1.0 - p.sum(axis=1))


BASELINE = Baseline(
    name="quantiseq",
    title="Constrained least squares with other content (quanTIseq, Finotello et al. 2019)",
    doi="10.1186/s13073-019-0638-6",
    scale="linear, bulk and reference on one scale",
    returns="fractions of the known cell types; the rest as other",
    estimate=quantiseq,
)
