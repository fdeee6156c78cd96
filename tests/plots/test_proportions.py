"""Pictures: they draw what they are given."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdecov as bd


@pytest.fixture(scope="module")
def fitted():
    cohort = bd.simulate.convolution(n_samples=8, n_genes=60, n_types=4, seed=1)
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal")
    return cohort, {
        m: bd.deconvolve(cohort.bulk, reference, m, seed=1) for m in ("laplace", "nnls")
    }


def test_bars_add_up_to_one(fitted, tmp_path):
    _, fits = fitted
    figure = bd.plots.stacked_bars(fits["laplace"])
    (axes,) = figure.axes
    heights = np.array([bar.get_height() for bar in axes.patches]).reshape(4, 8)
    np.testing.assert_allclose(heights.sum(axis=0), 1)
    figure.savefig(tmp_path / "bars.png")
    assert (tmp_path / "bars.png").stat().st_size > 5000


def test_one_colour_means_one_type_in_every_picture(fitted):
    cohort, fits = fitted
    bars = bd.plots.stacked_bars(fits["laplace"]).axes[0]
    of_bar = {h.get_label(): h.patches[0].get_facecolor() for h in bars.containers}
    panels = bd.plots.intervals(fits["laplace"], truth=cohort.proportions).axes
    for panel, name in zip(panels, fits["laplace"].proportions, strict=False):
        assert panel.containers[0].lines[0].get_color()[:3] == of_bar[name][:3]


def test_names_with_dollars_are_no_mathematics(tmp_path):
    cohort = bd.simulate.convolution(n_samples=3, n_genes=40, cell_types=["$a_{$", "b$^"], seed=1)
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal")
    bulk = cohort.bulk.set_axis(["$x_{$", "$", "z$$"], axis=1)
    fit = bd.deconvolve(bulk, reference)
    bd.plots.stacked_bars(fit).savefig(tmp_path / "a.png")
    bd.plots.intervals(fit).savefig(tmp_path / "b.png")


def test_coverage_is_in_the_title_and_missing_intervals_are_no_error(fitted):
    cohort, fits = fitted
    titles = [
        a.get_title(loc="left")
        for a in bd.plots.intervals(fits["laplace"], truth=cohort.proportions).axes
    ]
    assert sum("contain the truth" in title for title in titles) == 4
    assert bd.plots.intervals(fits["nnls"]).axes
