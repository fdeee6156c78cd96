"""Intervals and probabilities of proportions against quantiles and normals of scipy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from bayesdecov.algebra.priors import FLAT
from bayesdecov.errors import InputError
from bayesdecov.results.proportions import Draws, Proportions


@dataclass(frozen=True, kw_only=True)
class Toy(Proportions):
    """Proportions of nothing in particular."""

    command = "toy"
    prior_of_draws = FLAT


def toy(*, draws=None, covariance=None, n=3, n_types=4, notes=()):
    p = np.random.default_rng(1).dirichlet(np.ones(n_types), n)
    table = pd.DataFrame(p, [f"s{i}" for i in range(n)], list("abcdefghijkl")[:n_types])
    return Toy(
        proportions=table,
        diagnostics=pd.DataFrame({"verdict": ["good"] * n}, table.index),
        method="toy",
        quantity="parts",
        settings={"method": "toy", "seed": 3},
        notes=tuple(notes),
        facts={"seconds": 1.5},
        draws=None if draws is None else Draws(draws, {}),
        covariance=covariance,
    )


def some_draws(n=3, chains=2, draws=50, n_types=4):
    return np.random.default_rng(2).dirichlet(np.ones(n_types), (n, chains, draws))


def test_intervals_of_draws_are_tidy_quantiles_of_all_chains():
    draws = some_draws()
    fit = toy(draws=draws)
    table = fit.intervals(0.8).set_index(["sample", "cell_type"])
    for i, sample in enumerate(fit.proportions.index):
        for j, name in enumerate(fit.proportions.columns):
            values = np.sort(draws[i, :, :, j].ravel())
            row = table.loc[(sample, name)]
            assert row["mean"] == fit.proportions.loc[sample, name]
            assert row["sd"] == pytest.approx(values.std(ddof=1), rel=1e-9)
            # the k-th of 100 is passed by one more draw with probability k / 101
            place = 0.1 * 101
            low = values[9] + (place - 10) * (values[10] - values[9])
            high = values[90] - (place - 10) * (values[90] - values[89])
            assert row["low"] == pytest.approx(low, rel=1e-9)
            assert row["high"] == pytest.approx(high, rel=1e-9)


def test_one_more_draw_falls_into_an_interval_of_few_draws_as_often_as_it_says():
    rng = np.random.default_rng(3)
    held = []
    for _ in range(40):
        draws = rng.dirichlet(np.ones(2), (50, 1, 20))
        table = toy(draws=draws[:, :, 1:], n=50, n_types=2).intervals(0.8)
        first = table[table["cell_type"] == "a"]
        new = draws[:, 0, 0, 0]
        held.append(((first["low"] <= new) & (new <= first["high"])).mean())
    assert abs(np.mean(held) - 0.8) < 4 * np.sqrt(0.8 * 0.2 / 2000)


def test_intervals_without_draws_are_normal_and_cut():
    L = np.random.default_rng(4).normal(0, 0.2, (3, 4, 4))
    fit = toy(covariance=L @ L.transpose(0, 2, 1))
    table = fit.intervals(0.9)
    sd = np.sqrt(np.einsum("njj->nj", fit.covariance)).ravel()
    mean = fit.proportions.to_numpy().ravel()
    np.testing.assert_allclose(table["sd"], sd, rtol=1e-12)
    np.testing.assert_allclose(table["low"], np.maximum(norm.ppf(0.05, mean, sd), 0), atol=1e-12)
    np.testing.assert_allclose(table["high"], np.minimum(norm.ppf(0.95, mean, sd), 1), atol=1e-12)
    assert (table["low"] == 0).any()
    above = fit.probability_above(0.2)
    slow = norm.sf(0.2, mean, sd).reshape(3, 4)
    np.testing.assert_allclose(above, slow, rtol=1e-9)
    assert list(above.index) == list(fit.proportions.index)


def test_the_probability_of_more_is_a_share_of_the_draws():
    draws = some_draws()
    draws[1, 0, 3] = np.nan  # refused: nothing is known of this sample
    above = toy(draws=draws).probability_above(0.3)
    for i in (0, 2):
        for j in range(4):
            assert above.iloc[i, j] == np.mean(draws[i, :, :, j] > 0.3)
    assert above.iloc[1].isna().all()
    assert toy(draws=draws).intervals().query("sample == 's1'")["low"].isna().all()


def test_where_nothing_is_known_nothing_is_said():
    fit = toy()
    assert fit.intervals()[["sd", "low", "high"]].isna().all(axis=None)
    assert fit.probability_above(0.1).isna().all(axis=None)
    assert "intervals: none" in str(fit)
    assert "intervals: none" not in str(toy(draws=some_draws()))
    with pytest.raises(InputError, match=r"^fit: must have a posterior; found method='toy'"):
        fit.posterior_draws()


@pytest.mark.parametrize("wrong", [0, 1, 95, -0.1, True, "0.9", float("nan")])
def test_probabilities_lie_between_zero_and_one(wrong):
    fit = toy(draws=some_draws())
    with pytest.raises(InputError, match=r"^prob: must "):
        fit.intervals(wrong)
    with pytest.raises(InputError, match=r"^threshold: must "):
        fit.probability_above(wrong)


def test_draws_are_pooled_chain_by_chain():
    draws = some_draws()
    found = toy(draws=draws).posterior_draws()
    np.testing.assert_array_equal(found.p[1], np.concatenate([draws[1, 0], draws[1, 1]]))
    assert list(found.samples) == ["s0", "s1", "s2"]
    assert list(found.cell_types) == list("abcd")
    assert (found.prior, found.quantity, found.per_cell) == (FLAT, "parts", None)


def test_the_record_and_the_text_say_what_the_numbers_are():
    fit = toy(n_types=10, notes=["one", "two", "three", "four", "five"])
    settings = fit.record(prob=0.8)["settings"]
    assert (settings["quantity"], settings["interval_probability"]) == ("parts", 0.8)
    assert fit.settings == {"method": "toy", "seed": 3}  # not touched
    text = str(fit)
    assert text.startswith("Proportions: 3 samples x 10 cell types, method: toy")
    mean = fit.proportions.mean()
    assert f"mean proportions: {mean.idxmax()} {mean.max():.3f}, " in text
    assert ", ..." in text
    assert text.endswith("note: three\n  ... and 2 more notes (.notes)")
    assert "more notes" not in str(replace(fit, notes=("one", "two", "three")))
    tables = fit.tables(0.5)
    assert set(tables) == {"proportions", "intervals", "diagnostics"}
    assert tables["proportions"].index.name == tables["diagnostics"].index.name == "sample"
