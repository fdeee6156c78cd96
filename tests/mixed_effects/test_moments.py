"""The moment estimator: its equations written out, what it is robust to, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import chi2

from bayesdecov.algebra.shared_design import least_squares, subset
from bayesdecov.algebra.truncation import trimmed_variance_df
from bayesdecov.errors import InputError, Notes
from bayesdecov.mixed_effects.moments import fit_moments, residual_variance
from bayesdecov.mixed_effects.options import resolve
from bayesdecov.options import EstimatorOptions
from tests.mixed_effects.problems import shared_problem


def fit(ls, notes=None, names=None, **given):
    names = [f"e{k}" for k in range(len(ls.random))] if names is None else names
    notes = Notes() if notes is None else notes
    return fit_moments(
        ls, resolve(None, EstimatorOptions(**given)), names, notes, np.random.default_rng(0)
    )


@pytest.fixture(scope="module")
def known():
    return shared_problem(4, genes=400)


@pytest.mark.parametrize("df", [4, 9, 40])
def test_the_residual_variance_is_the_median_over_that_of_chi_squared(df, known):
    rss = 2.5 * np.random.default_rng(df).chisquare(df, 4001)
    found = residual_variance(known.ls._replace(rss=rss, df=df))
    assert found == pytest.approx(np.median(rss) / chi2.median(df), rel=4e-3)
    wild = np.where(np.arange(4001) < 400, 1e9, rss)  # a tenth of the genes is wild
    assert residual_variance(known.ls._replace(rss=wild, df=df)) < 1.2 * found


def test_without_trimming_it_is_the_covariance_less_the_noise(known):
    ls, m = known.ls, 400
    e = fit(ls, covariance="sample")
    s2 = residual_variance(ls)
    deviations = ls.b - ls.b.mean(axis=0)
    slow = sum(np.outer(d, d) for d in deviations) / (m - 1) - s2 * np.linalg.inv(
        known.X.T @ known.X
    )
    assert np.linalg.eigvalsh(slow)[0] > 0.01 * s2  # nothing is floored here
    np.testing.assert_allclose(e.Psi, slow, rtol=1e-9)
    np.testing.assert_allclose(e.beta, ls.b.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(e.beta_cov, (slow + s2 * ls.V) / m, rtol=1e-9)
    one = 17  # the textbook's BLUP of a gene
    V = known.X @ slow @ known.X.T + s2 * np.eye(12)
    blup = slow @ known.X.T @ np.linalg.solve(V, known.Y[one] - known.X @ e.beta)
    np.testing.assert_allclose(e.gamma[one], blup, rtol=1e-8)


def test_leaving_nothing_out_of_every_effect_changes_nothing(known):
    plain = fit(known.ls, covariance="sample")
    whole = fit(known.ls, trim=0.0, screen=["e0", "e1", "e2", "e3"], bias="none")
    np.testing.assert_allclose(whole.Psi, plain.Psi, rtol=1e-9)
    np.testing.assert_allclose(whole.beta, plain.beta, rtol=1e-12)
    np.testing.assert_array_equal(whole.beta_df, 399)


def test_the_trimmed_covariance_is_equation_13(known):
    ls, picked = known.ls, [0, 2]
    e = fit(ls, screen=["e0", "e2"], trim=0.3, bias="none", drop_outliers=False)
    T0 = np.cov(ls.c.T)
    half = sqrtm(T0).real
    t = np.linalg.solve(half, ls.c.T).T
    length = (t[:, picked] ** 2).sum(axis=1)
    kept = length <= np.sort(length)[int(400 * 0.7) - 1]
    q = chi2.ppf(0.7, 2)
    middle = np.eye(4)
    middle[np.ix_(picked, picked)] = np.cov(t[kept][:, picked].T) * 0.7 / chi2.cdf(q, 4)
    slow = half @ middle @ half - residual_variance(ls) * ls.Vz
    np.testing.assert_allclose(e.Psi, slow, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(e.beta, ls.b[kept].mean(axis=0), rtol=1e-12)
    assert e.facts["kept_genes"] == kept.sum() == 280
    assert e.facts["flagged"] == ["e0", "e2"]


def test_trimming_normal_genes_is_consistent():
    """Within 4.5 standard errors, which follow from the degrees of freedom it states."""
    known = shared_problem(7, genes=20_000, columns=3)
    e = fit(known.ls, screen=["e0", "e1", "e2"])
    T = known.Psi + known.sigma2 * known.ls.Vz
    found = np.diag(e.Psi + e.sigma2 * known.ls.Vz)
    df = trimmed_variance_df(3, 0.5, 20_000)
    assert (np.abs(found / np.diag(T) - 1) < 4.5 * np.sqrt(2 / df)).all()
    se = np.sqrt(np.diag(e.beta_cov)) * e.inflation
    assert (np.abs(e.beta - known.beta) < 4.5 * se).all()
    np.testing.assert_allclose(e.beta_df, df)


def test_shifted_genes_are_flagged_and_do_not_move_the_mean():
    known = shared_problem(9, genes=4000, columns=3)
    sd = np.sqrt(known.Psi[1, 1])
    Y = known.Y.copy()
    Y[:400] += 6 * sd * known.X[:, 1]
    ls = least_squares(known.X, Y)
    e, plain = fit(ls, trim_fixed=False), fit(ls, covariance="sample")
    assert e.facts["flagged"] == ["e1"]
    assert plain.beta[1] - known.beta[1] > 0.5 * sd
    assert abs(e.beta[1] - known.beta[1]) < 0.1 * sd
    off, plain_off = (np.abs(each.Psi - known.Psi).max() for each in (e, plain))
    assert off < 0.25 * plain_off


@pytest.mark.parametrize("given", [{"screen": ["e0"]}, {"bias": "all"}, {"diagonal": True}])
def test_order_of_genes_and_effects_and_units_do_not_matter(given, known):
    ls = known.ls
    base = fit(ls, **given)
    genes = known.rng.permutation(400)
    moved = fit(least_squares(known.X, known.Y[genes]), **given)
    np.testing.assert_allclose(moved.p, base.p[genes], rtol=1e-6)
    columns = [2, 0, 3, 1]
    turned = fit(
        least_squares(known.X[:, columns], known.Y), names=[f"e{k}" for k in columns], **given
    )
    np.testing.assert_allclose(turned.Psi, base.Psi[np.ix_(columns, columns)], atol=1e-8)
    np.testing.assert_allclose(turned.p, base.p[:, columns], rtol=1e-6)
    larger = fit(least_squares(known.X, 10 * known.Y), **given)
    np.testing.assert_allclose(larger.Psi, 100 * base.Psi, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(larger.p, base.p, rtol=1e-6)


def test_a_gene_far_out_gets_effects_and_has_no_say(known):
    Y = known.Y.copy()
    Y[5] = 1e4 * known.X[:, 0]
    ls, notes = least_squares(known.X, Y), Notes()
    e, rest = fit(ls, notes), fit(subset(ls, np.arange(400) != 5))
    assert e.facts["outliers"] == 1
    assert any("1 genes are too extreme" in line for line in notes.lines)
    np.testing.assert_allclose(e.Psi, rest.Psi, rtol=1e-8)
    np.testing.assert_allclose(e.beta, rest.beta, rtol=1e-8)
    np.testing.assert_allclose(np.delete(e.gamma, 5, 0), rest.gamma, rtol=1e-6, atol=1e-8)
    assert e.gamma[5, 0] > 1000
    assert e.p[5, 0] == 0


def test_a_single_random_effect_is_not_screened_if_that_is_wanted():
    known, notes = shared_problem(3, genes=200, random=(1,)), Notes()
    e = fit(known.ls, notes, screen_single=False, screen=["e0"])
    plain = fit(known.ls, covariance="sample")
    np.testing.assert_allclose(e.Psi, plain.Psi, rtol=1e-12)
    assert any("a single random effect is not screened" in line for line in notes.lines)
    assert e.beta_df[0] == 200 * 8  # no random effect: that of the residual variance
    assert (fit(known.ls, df="residual").beta_df == 12 - 4 - 1).all()


def test_what_is_refused(known):
    with pytest.raises(InputError, match=r"trim: must leave at least twice .* leaves 8 of 400"):
        fit(known.ls, trim=0.98, screen=["e0"])
    with pytest.raises(InputError, match=r"screen: must name random effects.*found x1, x2"):
        fit(known.ls, screen=["e0", "x1", "x2"])
    huge = known.ls._replace(b=known.ls.b * np.nan, mean=known.ls.mean * np.nan)
    with pytest.raises(InputError, match="expression: must allow a finite estimate"):
        fit(huge, covariance="sample")
