"""Methods x problems: what is scored, what is refused, what a failure leaves behind."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.benchmarking import SCENARIOS, Case, benchmark
from bayesdecov.benchmarking.method import DEFAULT, methods_of
from bayesdecov.benchmarking.report import render
from bayesdecov.benchmarking.scenarios import simulated
from bayesdecov.errors import InputError
from bayesdecov.plots.benchmark import by_type, cost, heat_map, spill_over
from bayesdecov.plots.folder import draw
from tests.test_cli import run

pytestmark = pytest.mark.slow


def case_of(data, **options):
    given = {"scenario": "mine", "level": "one", "bulk": data.bulk, "truth": data.proportions,
             "purified": data.purified, "labels": data.labels, "genes": 80}  # fmt: skip
    return Case(**given | options)


def of(found, scenario):
    """The overall rows of a scenario, by method."""
    return found.overall.query("scenario == @scenario").set_index("method")


@pytest.fixture(scope="module")
def data():
    return bd.simulate.tissue(10, 300, depth=1e5, seed=1)


@pytest.fixture(scope="module")
def found(data):
    def broken(bulk, reference):
        raise ArithmeticError("no luck")

    def guess(bulk, reference):
        types = reference.cell_types
        return pd.DataFrame(1 / len(types), bulk.columns, types)

    problems = ["spill-over", "unknown content", case_of(data)]
    methods = {"map": "map", "nnls": "nnls", "factor": "map:covariance=factor",
               "epic": "epic", "broken": broken, "guess": guess}  # fmt: skip
    return benchmark(problems, methods, quick=True, bootstrap=20)


def test_scores_are_those_of_the_fits(found, data):
    reference = bd.Reference.from_samples(data.purified, data.labels, genes=80)
    fit = bd.deconvolve(data.bulk, reference, "map", seed=1)
    whole = of(found, "mine")
    row = whole.loc["map"]
    error = (fit.proportions - data.proportions).to_numpy()
    assert row["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-9)
    assert row["seconds"] > 0
    assert row["reference_seconds"] > 0
    assert row["memory_mb"] > 0
    assert whole.loc["guess", "rmse"] == pytest.approx(
        np.sqrt(((data.proportions - 1 / 8) ** 2).to_numpy().mean())
    )
    assert whole.loc["factor", "rmse"] != row["rmse"]


def test_a_failure_is_a_row(found):
    broken = found.overall[found.overall["method"] == "broken"]
    assert len(broken) == 5
    assert (broken["error"] == "ArithmeticError: no luck").all()
    assert broken["rmse"].isna().all()
    assert (broken["failed"] == 1).all()
    table = found.summary()
    assert table.index[-1] == "broken"
    assert table.loc["broken", "failures"] == 5
    assert table.loc["map", "failures"] == 0


def test_intervals_by_bootstrap_where_there_are_none(found):
    whole = of(found, "mine")
    assert whole.loc["nnls", "width"] > 0
    assert whole.loc["nnls", "interval_seconds"] > 0
    assert np.isnan(whole.loc["map", "interval_seconds"])
    assert np.isnan(whole.loc["guess", "width"])
    assert of(found, "spill-over")["coverage"].isna().all()  # truths of 0 and 1 only


def test_other_content_is_scored_where_a_method_says_it(found):
    other = found.scores[found.scores["cell_type"] == "other"]
    assert set(other["method"]) == {"epic"}
    assert set(other["level"]) == {"0% other", "40% other"}
    assert other["rmse"].notna().all()


def test_summary_is_over_the_best(found):
    levels = found.levels()
    table = found.summary()
    for name in ("map", "nnls"):
        own = levels[levels["method"] == name].set_index(["scenario", "level"])["rmse"]
        best = levels.groupby(["scenario", "level"])["rmse"].min().loc[own.index]
        assert table.loc[name, "rmse_to_best"] == pytest.approx(
            np.exp(np.log(own / best).mean()), rel=1e-9
        )
    assert table["best"].sum() >= 5


def test_pictures_and_page(found, tmp_path):
    figure = heat_map(found)
    texts = [text.get_text() for text in figure.axes[0].texts]
    rmse = found.levels().query("scenario == 'mine' and method == 'map'")["rmse"].item()
    assert f"{rmse:.3f}" in texts
    assert len(spill_over(found).axes) >= 5
    assert cost(found).axes[0].texts
    assert by_type(found, "mine").axes[0].get_title(loc="left").startswith("mine")
    found.write(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"scores.csv", "levels.csv", "summary.csv", "estimates.csv.gz",
                     "run.json"}  # fmt: skip
    draw(found, tmp_path / "plots")
    assert {path.stem for path in (tmp_path / "plots").iterdir()} >= {"rmse", "r_types"}
    page = render(found, "out")
    assert "Closest to the truth" in page
    assert "failed on a cohort: broken" in page
    assert "ArithmeticError: no luck" in page
    again = pd.read_csv(tmp_path / "out" / "estimates.csv.gz")
    assert len(again) == len(found.estimates)
    with pytest.raises(InputError, match="metric"):
        heat_map(found, "luck")
    with pytest.raises(InputError, match="scenario"):
        by_type(found, "luck")


@pytest.mark.slow
def test_workers_change_nothing_but_time(data):
    problems = [case_of(data), case_of(data, level="two", genes=60)]
    one, two = (benchmark(problems, ["laplace", "nnls"], memory=False, n_jobs=n) for n in (1, 2))
    assert one.estimates.equals(two.estimates)
    assert "several workers" in " ".join(two.notes)


def test_merge_adds_types_up_with_their_intervals(data):
    lineages = data.proportions.T.groupby(data.lineages, sort=False).sum().T
    found = benchmark([case_of(data, truth=lineages, merge=data.lineages)], "map", memory=False)
    assert set(found.scores["cell_type"]) == {"all", *lineages.columns}
    fit = bd.deconvolve(
        data.bulk, bd.Reference.from_samples(data.purified, data.labels, genes=80), seed=1
    )
    mine = found.estimates.pivot(index="sample", columns="cell_type", values="estimate")
    expected = fit.proportions[["B naive", "B memory"]].sum(axis=1)
    assert np.allclose(mine.loc[expected.index, "B cell"], expected)
    j = [fit.proportions.columns.get_loc(name) for name in ("B naive", "B memory")]
    sd = np.sqrt(fit.covariance[0][np.ix_(j, j)].sum())
    row = found.estimates.query("cell_type == 'B cell'").set_index("sample").iloc[0]
    if row["low"] > 0 and row["high"] < 1:
        assert row["high"] - row["low"] == pytest.approx(2 * 1.959964 * sd, rel=1e-6)


def test_reference_and_signature_as_cases(data):
    reference = bd.Reference.from_samples(data.purified, data.labels, genes=80)
    plain = {"purified": None, "labels": None}
    cases = [
        case_of(data, level="built", reference=reference, **plain),
        case_of(data, level="means", reference=reference.mean, **plain),
    ]
    found = benchmark(cases, ["nnls", "map:covariance=factor"], memory=False)
    whole = found.overall.set_index(["level", "method"]).sort_index()
    assert whole.loc[("built", "nnls"), "rmse"] < 0.1
    assert (
        "must only be given with purified samples"
        in whole.loc[("means", "map:covariance=factor"), "error"]
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenarios(scenario):
    cases = list(simulated(scenario, repeats=1, quick=True, seed=3))
    assert len({case.name for case in cases}) == len(cases) >= 2
    for case in cases:
        assert np.allclose(case.truth.sum(axis=1), 1)
        assert not set(case.bulk.columns) & set(case.purified.columns)
        merged = {(case.merge or {}).get(name, name) for name in case.labels.unique()}
        assert merged == set(case.truth.columns)
    again = list(simulated(scenario, repeats=1, quick=True, seed=3))
    assert all(a.bulk.equals(b.bulk) for a, b in zip(cases, again, strict=True))
    other = next(iter(simulated(scenario, repeats=1, quick=True, seed=4)))
    assert not other.bulk.equals(cases[0].bulk)


def test_missing_types_are_in_the_bulk_but_not_in_the_reference():
    sibling, lineage = simulated("missing type", repeats=1, quick=True)
    assert "CD8 T" not in set(sibling.labels)
    assert len(lineage.truth.columns) == 6
    assert sibling.other.between(0, 1).all()
    assert sibling.other.mean() > 0.01


def test_methods_of_text():
    assert tuple(one.name for one in methods_of(None)) == DEFAULT
    (one,) = methods_of("laplace:covariance=factor,draws=500,df=none")
    assert (one.method, one.covariance) == ("laplace", "factor")
    assert one.options == {"draws": 500, "df": None}


@pytest.mark.parametrize(
    ("methods", "match"),
    [
        (["luck"], "methods"),
        (["map:luck=1"], "name=value"),
        (["map:draws"], "name=value"),
        (["map:draws=many"], "draws must be a number"),
        (["map:df=many"], "df must be"),
        (["map:covariance=luck"], "covariance"),
        (["map", "map"], "unique"),
        ([], "at least one"),
        ([3], "texts or functions"),
    ],
)
def test_bad_methods(methods, match):
    with pytest.raises(InputError, match=match):
        benchmark("noise", methods)


def test_bad_cases(data):
    with pytest.raises(InputError, match="rows"):
        case_of(data, truth=data.proportions.set_axis([f"x{i}" for i in range(10)]))
    with pytest.raises(InputError, match="negative"):
        case_of(data, truth=data.proportions - 0.5)
    with pytest.raises(InputError, match="positive proportion"):
        case_of(data, truth=data.proportions * 0)
    with pytest.raises(InputError, match="either purified"):
        case_of(data, reference=data.purified)
    with pytest.raises(InputError, match="labels"):
        case_of(data, labels=None)
    with pytest.raises(InputError, match="problems"):
        benchmark("luck")
    with pytest.raises(InputError, match="at least one problem"):
        benchmark([])
    with pytest.raises(InputError, match="must differ"):
        benchmark([case_of(data), case_of(data)], "nnls")
    fewer = data.proportions.drop(columns="CD8 T")
    found = benchmark([case_of(data, truth=fewer)], "nnls", memory=False)
    assert "found CD8 T" in found.overall["error"].item()
    assert "merge" in found.overall["error"].item()


def test_own_method_must_return_proportions(data):
    found = benchmark([case_of(data)], {"list": lambda bulk, reference: [1]}, memory=False)
    assert "must return a DataFrame" in found.overall["error"].item()


def test_command_with_own_tables(data, tmp_path):
    data.bulk.to_csv(tmp_path / "bulk.csv")
    data.purified.to_csv(tmp_path / "purified.csv", index_label="gene")
    data.labels.to_csv(tmp_path / "labels.csv", index_label="sample")
    data.proportions.to_csv(tmp_path / "truth.csv")
    own = ("--bulk", tmp_path / "bulk.csv", "--truth", tmp_path / "truth.csv")
    sorted_cells = ("--purified", tmp_path / "purified.csv", "--labels", tmp_path / "labels.csv")
    result = run(
        "benchmark",
        *own,
        *sorted_cells,
        "-m",
        "nnls",
        "-m",
        "map",
        "--genes",
        "80",
        "--no-memory",
        "--out",
        tmp_path / "out",
        "--no-progress",
    )
    assert "2 methods x 1 problems, 1 cohorts" in result.stdout
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert set(scores["scenario"]) == {"own data"}
    result = run("benchmark", *own, "--out", tmp_path / "none", expect=2)
    assert "purified: must be given with --labels" in result.stderr
    result = run("benchmark", *sorted_cells, "--out", tmp_path / "none", expect=2)
    assert "bulk: is needed" in result.stderr
    result = run("benchmark", "-p", "luck", "--out", tmp_path / "none", expect=2)
    assert "'unknown content'" in result.stderr
    assert not (tmp_path / "none").exists()


def test_nothing_but_failures_is_still_a_table(data, tmp_path):
    def broken(bulk, reference):
        raise ArithmeticError("no luck")

    found = benchmark([case_of(data)], {"broken": broken}, memory=False)
    assert "broken" in str(found)
    found.write(tmp_path / "out")
    page = render(found, "out")
    assert "No method gave an estimate" in page


def test_leaving_out_what_is_hard_gains_nothing(data):
    def shy(bulk, reference):
        found = bd.deconvolve(bulk, reference, "nnls").proportions
        found.iloc[1:] = np.nan
        return found

    def fails_on_two(bulk, reference):
        if reference.mean.shape[0] == 60:
            raise ArithmeticError("no luck")
        return bd.deconvolve(bulk, reference, "map").proportions

    problems = [case_of(data), case_of(data, level="two", genes=60)]
    methods = {"shy": shy, "fails": fails_on_two, "nnls": "nnls"}
    found = benchmark(problems, methods, memory=False)
    assert list(found.summary().index) == ["nnls", "shy", "fails"]
    assert found.summary().loc["shy", "failed"] == pytest.approx(0.9)
    assert "0.90" in str(found)


def test_methods_of_ones_own_cannot_change_the_data_and_need_no_warming_up(data):
    def rough(bulk, reference):
        if bulk.shape[1] < 3:
            raise ValueError("needs 3 samples")
        bulk *= 0.0
        return pd.DataFrame(1 / 8, bulk.columns, reference.cell_types)

    one = benchmark([case_of(data)], "nnls", memory=False).overall["rmse"]
    two = benchmark([case_of(data)], {"rough": rough, "nnls": "nnls"}, memory=False).overall
    assert two["error"].tolist() == ["", ""]
    assert two["rmse"][1] == one[0]


def test_names_that_the_scores_use_and_percentages_are_refused(data):
    with pytest.raises(InputError, match="Rename them"):
        case_of(data, truth=data.proportions.rename(columns={"CD8 T": "all"}))
    assert case_of(data, level=3).level == "3"
    assert case_of(data, level=None).level == ""

    def percent(bulk, reference):
        return pd.DataFrame(100 / 8, bulk.columns, reference.cell_types)

    found = benchmark([case_of(data)], {"percent": percent}, memory=False)
    assert "must sum to 1" in found.overall["error"].item()
    with pytest.raises(InputError, match="metric"):
        by_type(found, "mine", "seconds")
