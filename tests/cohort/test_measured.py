"""Log-ratios of draws and tables: by hand, and what closes proportions to one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import dirichlet

from bayesdecov.algebra.simplex import log_ratio_basis
from bayesdecov.cohort.measured import measured
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.results.proportions import Draws, Proportions


def gating(p, samples=None):
    """A result with draws (sample, draw, type) of proportions."""
    names = samples or [f"s{i}" for i in range(len(p))]
    table = pd.DataFrame(p.mean(axis=1), names, [f"t{j}" for j in range(p.shape[2])])
    return Proportions(
        proportions=table,
        diagnostics=pd.DataFrame(index=table.index),
        method="gate",
        quantity="cell fractions",
        settings={},
        notes=(),
        draws=Draws(p[:, None], {}),
    )


def ratios(p):
    """Back from isometric log-ratios: proportions."""
    whole = np.exp(p @ log_ratio_basis(p.shape[-1] + 1).T)
    return whole / whole.sum(axis=-1, keepdims=True)


def test_draws_become_log_ratios_with_the_prior_that_is_in_them():
    p = np.random.default_rng(0).dirichlet([2.0, 3.0, 0.7], (4, 200))
    found = measured(gating(p), Notes())
    assert found.z.shape == (4, 200, 2)
    np.testing.assert_allclose(ratios(found.z), p, atol=1e-10)
    np.testing.assert_allclose(
        np.square(found.z).sum(axis=2), np.log(p).var(axis=2) * 3
    )  # an isometry
    # Jeffreys' prior as a density of log-ratios: Dirichlet times the product of the parts
    expected = [
        [dirichlet([0.5] * 3).logpdf(one) + np.log(one).sum() for one in row[:50]] for row in p
    ]
    np.testing.assert_allclose(np.diff(found.log_prior[:, :50]), np.diff(expected), atol=1e-9)
    assert list(found.cell_types) == ["t0", "t1", "t2"]
    assert found.quantity == "cell fractions"


def test_some_samples_are_rows_of_all():
    p = np.random.default_rng(1).dirichlet([1.0] * 3, (5, 20))
    found = measured(gating(p), Notes())
    some = found.rows(np.array([3, 0]))
    assert list(some.samples) == ["s3", "s0"]
    np.testing.assert_array_equal(some.z, found.z[[3, 0]])
    np.testing.assert_array_equal(some.log_prior, found.log_prior[[3, 0]])


def test_parts_that_leave_something_get_a_rest_and_overlapping_ones_are_scaled():
    p = np.random.default_rng(2).dirichlet([2.0] * 4, (3, 30))
    notes = Notes()
    found = measured(gating(p[..., :3]), notes)
    assert list(found.cell_types) == ["t0", "t1", "t2", "rest"]
    np.testing.assert_allclose(ratios(found.z), p, atol=1e-9)
    assert "the remainder is the part 'rest'" in notes.lines[0]
    with pytest.warns(BayesdecovWarning, match=r"add up to more than 1 .* scaled to 1"):
        found = measured(gating(1.5 * p), Notes())
    np.testing.assert_allclose(ratios(found.z), p, atol=1e-9)


def test_samples_without_a_posterior_are_left_out():
    p = np.random.default_rng(3).dirichlet([2.0] * 3, (4, 30))
    p[1] = p[2, 4] = np.nan
    with pytest.warns(BayesdecovWarning, match="2 samples without a posterior .*: s1, s2"):
        found = measured(gating(p), Notes())
    assert list(found.samples) == ["s0", "s3"]
    nothing = gating(np.full((2, 9, 3), np.nan))
    with (
        pytest.warns(BayesdecovWarning, match="2 samples without a posterior"),
        pytest.raises(InputError, match="fit: must have a posterior for some sample"),
    ):
        measured(nothing, Notes())


def test_draws_are_thinned_evenly_where_there_are_many():
    p = np.random.default_rng(4).dirichlet([2.0] * 3, (2, 2500))
    found = measured(gating(p), Notes())
    assert found.z.shape[1] == 1000
    kept = np.unique(np.linspace(0, 2499, 1000).astype(int))
    np.testing.assert_allclose(ratios(found.z), p[:, kept], atol=1e-9)


def table(rows, columns="abc"):
    return pd.DataFrame(rows, [f"s{i}" for i in range(len(rows))], list(columns)[: len(rows[0])])


def exact(frame):
    with pytest.warns(BayesdecovWarning, match="treated as exact"):
        return measured(frame, Notes())


def test_a_table_is_exact_whatever_its_unit():
    p = np.random.default_rng(5).dirichlet([3.0] * 3, 6)
    found = exact(table(p))
    assert found.z.shape == (6, 1, 2)
    np.testing.assert_allclose(ratios(found.z)[:, 0], p)
    np.testing.assert_array_equal(found.log_prior, 0.0)
    for other, tolerance in ((100 * p, 1e-12), (0.995 * p, 1e-12), (np.round(100 * p, 1), 1e-3)):
        again = exact(table(other))
        np.testing.assert_allclose(ratios(again.z)[:, 0], p, atol=tolerance)
    part = exact(table(p[:, :2]))
    assert list(part.cell_types) == ["a", "b", "rest"]
    np.testing.assert_allclose(ratios(part.z)[:, 0], p)


@pytest.mark.parametrize(("rows", "said"), [
    ([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]], "found 0 for sample 's0', cell type 'c'"),
    ([[0.5, -0.5, 1.0], [0.2, 0.3, 0.5]], "found -0.5 for sample 's0', cell type 'b'"),
    ([[0.5, 0.3], [0.5, 0.5]], "must add up to 1 in all samples, or to clearly less than 1 in all"),
    ([[0.5, 0.3], [0.9, 0.5]], "found 0.8 to 1.4, the latter in 's1'"),
    ([[5.0, 30.0], [200.0, 45.0]], "must add up to 1 in all samples"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:a table of proportions")
def test_tables_that_are_no_proportions_are_refused(rows, said):
    with pytest.raises(InputError) as caught:
        measured(table(rows), Notes())
    assert caught.value.argument == "proportions"
    assert said in str(caught.value)


def test_what_is_no_source_is_said():
    with pytest.raises(InputError, match=r"fit: must be a result of deconvolve or .*found list"):
        measured([1, 2], Notes())
