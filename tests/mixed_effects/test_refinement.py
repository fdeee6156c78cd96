"""Rounds of noise, factors and proportions: what they keep, in which blocks, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.mixed_effects import refinement as module
from bayesdecov.mixed_effects.joint import _anchors
from bayesdecov.mixed_effects.prepare import prepare
from bayesdecov.mixed_effects.refinement import refined

SD, N = 0.08, 24


def draw(**options):
    given = {
        "n_genes": 300,
        "n_samples": N,
        "proportions": "dirichlet",
        "error_sd": SD,
        "seed": 2,
    } | options
    return bd.simulate.fastmix("III", **given)


def problem_of(data, expression=None, sd=SD, weights=None):
    expression = data.expression if expression is None else expression
    problem = prepare(
        expression,
        data.measured,
        data.covariates,
        formula=None,
        include_covariates="auto",
        rest=None,
        reference_cell_type=None,
        random=None,
        standardise=True,
        weights=weights,
        subject=None,
        notes=Notes(),
        unsure=True,
    )
    n, k = problem.cells.shape
    covariance = np.tile(sd**2 * np.eye(k), (n, 1, 1))
    return problem, _anchors(problem, covariance)


def fit(data, *, notes=None, **options):
    problem, known = problem_of(data, **options)
    return refined(problem, known, 0.0, Notes() if notes is None else notes), known


@pytest.fixture(scope="module")
def data():
    return draw()


@pytest.fixture(scope="module")
def base(data):
    return fit(data)


def off(phi, known, data):
    return np.sqrt(np.square(phi - data.proportions.to_numpy() @ known.directions).mean())


def test_rounds_settle_near_the_truth(data, base):
    found, known = base
    assert found.settled
    assert off(found.phi, known, data) < 0.5 * off(known.value, known, data)
    assert found.scale == pytest.approx(off(known.value, known, data) / SD, rel=0.15)
    part = found.parts[0]
    np.testing.assert_array_equal(part.rows, np.arange(N))
    assert np.linalg.eigvalsh(part.covariance)[0] > 0
    assert np.sqrt(np.diag(part.covariance)).mean() < SD


def test_order_of_samples_and_genes_and_units_do_not_matter(data, base):
    """As near as rounds settle: 0.05 errors."""
    found, known = base
    rng = np.random.default_rng(1)
    samples, genes = rng.permutation(N), rng.permutation(300)
    other, _ = fit(data, expression=5 * data.expression.iloc[genes, samples])
    turned = fit(data, expression=5 * data.expression.iloc[genes])[0]
    np.testing.assert_allclose(turned.phi, found.phi, atol=0.05 * SD)
    assert turned.power == pytest.approx(found.power, rel=0.01)
    moved = np.empty_like(found.phi)
    moved[samples] = other.phi
    back = problem_of(data, expression=data.expression.iloc[:, samples])[1].directions
    np.testing.assert_allclose(moved @ back.T, found.phi @ known.directions.T, atol=0.05 * SD)


def test_blocks_are_a_partition_that_is_large_enough(data, monkeypatch):
    known = problem_of(data)[1]
    (whole,) = module._blocks(known)
    np.testing.assert_array_equal(whole.rows, np.arange(N))
    n_columns = known.design.shape[1]
    for samples_each in (1, 2, 4):
        monkeypatch.setattr(module, "_LATENT", 10)
        monkeypatch.setattr(module, "_SAMPLES", samples_each)
        blocks = module._blocks(known)
        rows = np.concatenate([block.rows for block in blocks])
        np.testing.assert_array_equal(np.sort(rows), np.arange(N))
        assert len(blocks) == max(1, N // (samples_each * n_columns))
        for block in blocks:
            np.testing.assert_array_equal(block.anchors.value, known.value[block.rows])
    # a design that is singular in a block is refined as a whole
    design = known.design.copy()
    design[:, 0] = 0.0
    design[0, 0] = 1.0
    monkeypatch.setattr(module, "_SAMPLES", 1)
    assert len(module._blocks(known._replace(design=design))) == 1


def test_before_expression_is_heard_the_cohorts_law_is_what_is_left(data):
    known = problem_of(data)[1]
    (block,) = module._blocks(known)
    found, d = module._left(block), known.value.shape[1]
    for i in range(N):
        S, C = block.latent.spread, known.covariance[i]
        slow = S - S @ np.linalg.inv(S + C) @ S  # of a normal given a noisy value of it
        np.testing.assert_allclose(found[d * i : d * i + d, d * i : d * i + d], slow, atol=1e-12)
    assert found[:d, d:].max() == 0


def test_noise_is_in_the_samples_own_units(data):
    """Whitened samples: the noise found is coloured back, without factors that of the weights."""
    rng = np.random.default_rng(4)
    A = rng.normal(size=(N, N)) * 0.1 + np.eye(N)
    C = A @ A.T
    L = np.linalg.cholesky(C)
    problem, known = problem_of(data, weights=C)
    noise = rng.normal(size=(300, N)) @ L.T
    problem = type(problem)(**{**problem.__dict__, "Y": noise})
    base = np.linalg.inv(problem.root @ problem.root)
    found, scaled = module._noise(problem, known.design, base)
    assert found.factors == 0
    np.testing.assert_allclose(found.covariance, base, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(base / np.mean(np.diag(base)), C / np.mean(np.diag(C)), atol=1e-8)
    white = scaled @ problem.root
    X = problem.root @ known.design
    rest = white - (white @ np.linalg.pinv(X).T) @ X.T
    spread = np.square(rest).sum(axis=1) / (N - X.shape[1])
    assert spread.mean() == pytest.approx(1, abs=0.05)  # one variance for all of these genes


def test_expression_that_contradicts_the_errors_leaves_the_calibrated_values(data, monkeypatch):
    """Errors are said to be a tenth of what they are."""
    problem, known = problem_of(data, sd=SD / 10)
    notes = Notes()
    with pytest.warns(BayesdecovWarning, match=r"would require errors .* times those stated"):
        found = refined(problem, known, 0.0, notes)
    assert (found.rounds, found.settled, found.scale) == (0, False, 1.0)
    np.testing.assert_allclose(found.phi, module.cohort_distribution(known).phi, atol=1e-10)
    assert np.abs(found.phi - known.value).max() < 4 * SD / 10
    monkeypatch.setattr(module, "_CONTRADICTED", 1e3)  # heard, it finds the true size
    heard = refined(problem, known, 0.0, notes)
    assert heard.scale * SD / 10 == pytest.approx(off(known.value, known, data), rel=0.25)


def test_a_design_that_would_become_singular_is_refused(data, monkeypatch):
    """Every variance inflation counts as one that has grown too far."""
    problem, known = problem_of(data)
    monkeypatch.setattr(module, "COLLAPSED", 0.1)
    with (
        pytest.warns(BayesdecovWarning, match="is not consistent with any proportions near"),
        pytest.raises(InputError, match="must differ between samples by more than their errors"),
    ):
        refined(problem, known, 0.0, Notes())
