"""Pictures of effects: they draw what they are given."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError


@pytest.fixture(scope="module")
def fitted():
    cohort = bd.simulate.fastmix("III", "code", 800, 60, correlation=0.5, seed=2)
    return bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates, "mixture")


def test_volcano_shows_every_gene_once(fitted, tmp_path):
    figure = bd.plots.volcano(fitted, "Cell1.Group", labels=5)
    (axes,) = figure.axes
    points = np.concatenate([line.get_xdata() for line in axes.lines[:3]])
    assert sorted(points) == sorted(fitted.effects["Cell1.Group"])
    called = (fitted.q_values["Cell1.Group"] < 0.05).sum()
    assert sum(len(line.get_xdata()) for line in axes.lines[1:3]) == called
    assert len(axes.texts) == min(5, called)
    figure.savefig(tmp_path / "volcano.png")
    assert (tmp_path / "volcano.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="covariate: must be one of"):
        bd.plots.volcano(fitted, "Group.Cell1")


def test_effects_shows_fixed_effects_and_the_spread_of_genes(fitted):
    panels = bd.plots.effects(fitted, prob=0.9).axes
    labels = [text.get_text() for axes in panels for text in axes.get_yticklabels()]
    assert labels == list(fitted.fixed.index)
    widths = [bar.get_width() for axes in panels for bar in axes.patches]
    spread = np.ptp(fitted.effects.quantile([0.05, 0.95]).to_numpy(), axis=0)
    np.testing.assert_allclose(widths, spread)
