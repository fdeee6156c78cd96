"""Contrasts of proportions: what is compared, what comes out, what is refused."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.cohort.question import design
from bayesdecov.errors import BayesdecovWarning, InputError
from tests.options import of_deconvolve
from tests.test_cli import run

N = 30
# short chains are enough here, and say that they are short
pytestmark = pytest.mark.filterwarnings("ignore:.*draw more:bayesdecov.errors.BayesdecovWarning")


@pytest.fixture(scope="module")
def cohort():
    """Two groups, of which the second has more of type1."""
    rng = np.random.default_rng(1)
    z = np.log([0.3, 0.4, 0.3]) + 0.3 * rng.normal(size=(N, 3))
    z[N // 2 :, 0] += 1.0
    data = bd.simulate.tissue(
        n_genes=200,
        lineages={"a": ["type1"], "b": ["type2"], "c": ["type3"]},
        proportions=np.exp(z),
        seed=1,
    )
    reference = bd.Reference.from_samples(data.purified, data.labels, "factor", genes=60)
    fit = bd.deconvolve(
        data.bulk, reference, "laplace", seed=1, sampling=bd.Sampling(max_pareto_k=np.inf)
    )
    table = pd.DataFrame(
        {"group": np.repeat(["A", "B"], N // 2), "age": rng.integers(20, 80, N)},
        index=fit.proportions.index,
    )
    return fit, table, data.proportions


@pytest.fixture(scope="module")
def found(cohort):
    fit, table, _ = cohort
    return bd.contrast(fit, table[["group"]], seed=1, rope=2.0, sampling=bd.Sampling(draws=400))


def test_differences_are_those_of_the_truth(found, cohort):
    _, table, truth = cohort
    means = 100 * truth.groupby(table["group"]).mean()
    rows = found.table.set_index("cell_type")
    true = means.loc["B"] - means.loc["A"]
    # the interval is of the population, the truth here of 30 donors: no tighter than that
    assert ((rows["low"] < true) & (true < rows["high"])).all()
    assert rows.loc["type1", "low"] > 5
    assert rows.loc["type1", "lfsr"] < 0.001
    assert rows.loc["type1", "p_greater"] > 0.999
    assert rows["difference"].sum() == pytest.approx(0, abs=1e-9)
    assert rows["log_ratio"].sum() == pytest.approx(0, abs=1e-9)
    assert np.allclose(rows["second"] - rows["first"], rows["difference"])
    assert found.facts["verdict"] == "good"
    assert found.samples.sum(axis=1).to_numpy() == pytest.approx(100)


def test_container_and_files(found, tmp_path):
    from bayesdecov._arviz import load

    found.write(tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "contrasts.csv")
    pd.testing.assert_frame_equal(table, found.table, check_dtype=False)
    again = load(tmp_path / "out" / "posterior.nc")
    draws = again["posterior"]["difference"]
    assert draws.dims == ("chain", "draw", "contrast", "cell_type")
    assert float(draws.mean(("chain", "draw")).sel(cell_type="type1").squeeze()) == pytest.approx(
        found.table["difference"][0]
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "contrasts.csv",
        "samples.csv",
        "posterior.nc",
        "run.json",
    }
    assert "group: B - A" in str(found)
    assert len(bd.plots.contrast(found).axes) == 1


def test_same_seed_same_table(cohort):
    fit, table, _ = cohort
    one, two = (
        bd.contrast(fit, table, "~ group", seed=3, sampling=bd.Sampling(draws=60)).table
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.slow
def test_names_of_cell_types_and_their_order_do_not_matter(cohort):
    fit, table, _ = cohort
    order = [2, 0, 1]
    turned = replace(
        fit,
        proportions=fit.proportions.iloc[:, order],
        draws=fit.draws._replace(proportions=fit.draws.proportions[..., order]),
        shared_shift=fit.shared_shift[..., order],
    )
    one = bd.contrast(fit, table[["group"]], seed=1).table.set_index("cell_type")
    two = bd.contrast(turned, table[["group"]], seed=1).table.set_index("cell_type").loc[one.index]
    # other random numbers, the same posterior: 4,000 draws, so .03 sd at most a few times over
    assert np.abs((one["difference"] - two["difference"]) / one["sd"]).max() < 0.12
    assert two["sd"].to_numpy() == pytest.approx(one["sd"].to_numpy(), rel=0.1)


def test_pairs_of_a_subject_are_told_from_donors():
    """A shift of .4 within subjects that differ with sd 1: the subject effect takes that out."""
    rng = np.random.default_rng(4)
    subject = np.repeat(np.arange(15), 2)
    z = np.log([0.4, 0.3, 0.3]) + rng.normal(size=(15, 3))[subject] + 0.1 * rng.normal(size=(N, 3))
    z[1::2, 0] += 0.4
    p = np.exp(z)
    names = [f"s{i}" for i in range(N)]
    P = pd.DataFrame(p / p.sum(axis=1, keepdims=True), names, list("abc"))
    table = pd.DataFrame(
        {"time": np.tile(["before", "after"], 15), "who": subject.astype(str)}, names
    )
    with pytest.warns(BayesdecovWarning, match="treated as exact"):
        paired = bd.contrast(P, table, subject="who", at={"time": ("before", "after")}, seed=1)
    with pytest.warns(BayesdecovWarning, match="treated as exact"):
        plain = bd.contrast(P, table[["time"]], at={"time": ("before", "after")}, seed=1)
    one, two = (t.table.set_index("cell_type") for t in (paired, plain))
    assert one.loc["a", "lfsr"] < 0.005
    assert one.loc["a", "sd"] < 0.5 * two.loc["a", "sd"]
    clr = np.array([0.4, 0, 0]) - 0.4 / 3
    assert one["log_ratio"].to_numpy() == pytest.approx(clr, abs=0.1)


def test_what_is_compared():
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "group": np.repeat(["c", "a", "b"], 10),
            "age": np.arange(30.0),
            "sex": [0, 1] * 15,
            "grade": pd.Categorical(rng.choice(["low", "high"], 30), ["low", "high"]),
        }
    )
    asked = design(table, None, None)
    assert [one.name for one in asked.questions] == [
        "group: b - a",
        "group: c - a",
        "age: 21.75 - 7.25",
        "sex: 1 - 0",
        "grade: high - low",
    ]
    one = design(table, "~ group * age", {"age": (0, 29)}).questions
    assert [each.name for each in one] == ["group: b - a", "group: c - a", "age: 29 - 0"]
    # averaged over the groups as they are in the samples
    step = one[2].X_second - one[2].X_first
    assert step[:, 3] == pytest.approx(29 / table["age"].std())
    assert step.shape == (3, 6)
    assert one[2].weights.sum() == pytest.approx(1)
    # numbers within C() are labels
    table["batch"] = [2018, 2019, 2023] * 10
    codes = design(table, "~ C(batch) + sex", {"sex": ("0", 1)}).questions
    assert [each.name for each in codes] == [
        "sex: 1 - 0",
        "batch: 2019 - 2018",
        "batch: 2023 - 2018",
    ]


@pytest.mark.parametrize("n", [199, 200])
def test_the_order_of_samples_does_not_matter(n):
    """Alternating labels, so that every second sample would be of one sex."""
    rng = np.random.default_rng(9)
    table = pd.DataFrame({"sex": np.resize(["F", "M"], n), "age": rng.uniform(20, 80, n)})
    one = design(table, "~ sex * age", {"age": (30, 60)}).questions[1]
    two = design(table.sort_values("sex"), "~ sex * age", {"age": (30, 60)}).questions[1]
    assert one.step == pytest.approx(two.step)
    shares = dict(zip(map(tuple, one.X_first.round(6)), one.weights, strict=True))
    again = dict(zip(map(tuple, two.X_first.round(6)), two.weights, strict=True))
    assert shares == pytest.approx(again)
    assert sorted(shares.values()) == pytest.approx(
        sorted((table["sex"].value_counts() / n).tolist())
    )


@pytest.mark.parametrize(
    ("at", "match"),
    [
        ({"grade": (1, 7)}, "must be labels of 'grade': 1, 2, 3a, 3b, x"),
        ({"grade": ("1", "1")}, "two different"),
        ({"age": ("old", 3)}, "must be numbers"),
        ({"age": (0, 30)}, "must give a finite design"),
        ("age=1,2", "must map"),
    ],
)
def test_values_that_a_covariate_cannot_have(at, match):
    rng = np.random.default_rng(10)
    table = pd.DataFrame(
        {
            "grade": rng.choice(["1", "2", "3a", "3b", "x"], 30),
            "flag": [True, False] * 15,
            "age": np.arange(30.0) + 1,
        }
    )
    with pytest.raises(InputError, match=match):
        design(table, "~ grade + flag + np.log(age)", at)
    fine = design(table, None, {"grade": (1.0, "2"), "flag": ("False", "True")}).questions
    assert [one.name for one in fine][:2] == ["grade: 2 - 1", "flag: True - False"]


def test_gaps_where_nobody_looks_and_text_columns_of_pandas():
    table = pd.DataFrame(
        {"group": pd.array(["a", "b"] * 6, dtype="string"), "other": [np.nan] * 12}
    )
    assert design(table, "~ group", None).columns == ["Intercept", "group[T.b]"]


def test_tables_that_were_rounded_or_are_percentages():
    rng = np.random.default_rng(11)
    names = [f"s{i}" for i in range(20)]
    P = pd.DataFrame(rng.dirichlet([9, 6, 3], 20), names, list("abc"))
    group = pd.DataFrame({"group": ["A", "B"] * 10}, names)

    def table(given):
        with pytest.warns(BayesdecovWarning, match="treated as exact"):
            return bd.contrast(given, group, seed=1, sampling=bd.Sampling(draws=200))

    exact, rounded, percent = (table(one).table for one in (P, P.round(3), 100 * P))
    assert rounded["log_ratio"].to_numpy() == pytest.approx(exact["log_ratio"].to_numpy(), abs=0.01)
    assert percent["difference"].to_numpy() == pytest.approx(exact["difference"].to_numpy())
    some = table(P[["a", "b"]]).table
    assert some["difference"].to_numpy() == pytest.approx(exact["difference"].to_numpy(), abs=0.01)
    assert list(some["cell_type"]) == ["a", "b", "rest"]
    mixed = P.copy()
    mixed.iloc[:5] *= 0.7
    warnings.simplefilter("ignore", BayesdecovWarning)
    with pytest.raises(InputError, match="clearly less"):
        bd.contrast(mixed, group)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda fit, t: (fit, t.assign(group="A")), "must vary"),
        (lambda fit, t: (fit, t.assign(copy=2.0 * t["age"])), "must not determine"),
        (lambda fit, t: (fit, t.set_axis([f"x{i}" for i in range(N)])), "share sample names"),
        (lambda fit, t: (fit, t.assign(name=[f"n{i}" for i in range(N)])), "must have at most 12"),
        (lambda fit, t: (fit.proportions * 0, t), "positive"),
        (lambda fit, t: (3, t), "must be a result of deconvolve"),
        (lambda fit, t: (replace(fit, draws=None), t), "must have a posterior"),
        (
            lambda fit, t: (replace(fit, model=replace(fit.model, logdet_weight=1.0)), t),
            "divided out",
        ),
        (lambda fit, t: (fit.proportions.iloc[14:17], t.iloc[14:17]), "more samples"),
    ],
)
def test_bad_input(cohort, change, match):
    fit, table, _ = cohort
    source, covariates = change(fit, table)
    warnings.simplefilter("ignore", BayesdecovWarning)
    with pytest.raises(InputError, match=match):
        bd.contrast(source, covariates, seed=1, sampling=bd.Sampling(draws=20))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"rope": -1}, "rope"),
        ({"prob": 95}, "prob"),
        ({"method": "luck"}, "method"),
        ({"at": {"luck": (1, 2)}}, "at"),
        ({"at": {"age": 3}}, "two values"),
        ({"subject": "age", "method": "nuts"}, "not an option"),
        ({"nuts_sampler": "pymc"}, "not an option"),
        ({"formula": "~ luck"}, "formula"),
    ],
)
def test_bad_options(cohort, options, match):
    fit, table, _ = cohort
    with pytest.raises(InputError, match=match):
        bd.contrast(fit, table, seed=1, **of_deconvolve(options))


def test_samples_left_out_are_said(cohort):
    fit, table, _ = cohort
    with pytest.warns(BayesdecovWarning, match="2 samples without covariates"):
        found = bd.contrast(fit, table.iloc[2:], "~ group", seed=1, sampling=bd.Sampling(draws=40))
    assert len(found.samples) == N - 2


def test_gating_counts_are_a_posterior_too():
    rng = np.random.default_rng(6)
    from bayesdecov.results.proportions import Draws, Proportions

    p = rng.dirichlet([5, 3, 2], 20)
    draws = np.stack([rng.dirichlet(500 * row + 0.5, 300) for row in p])[:, :, :2]
    names = [f"s{i}" for i in range(20)]
    fit = Proportions(
        proportions=pd.DataFrame(p[:, :2], names, ["T", "B"]),
        diagnostics=pd.DataFrame(index=names),
        method="gate",
        quantity="fractions of events",
        settings={},
        notes=(),
        draws=Draws(draws[:, None], {}),
    )
    found = bd.contrast(
        fit, pd.DataFrame({"x": np.arange(20.0)}, names), seed=1, sampling=bd.Sampling(draws=200)
    )
    assert list(found.cell_types) == ["T", "B", "rest"]
    assert any("rest" in note for note in found.notes)


def test_many_samples_take_normal_likelihoods(cohort, monkeypatch):
    import bayesdecov.cohort.fit as home

    fit, table, _ = cohort
    particles = bd.contrast(fit, table[["group"]], seed=1).table
    monkeypatch.setattr(home, "MANY", 10)
    normals = bd.contrast(fit, table[["group"]], seed=1).table
    gap = (particles["difference"] - normals["difference"]) / particles["sd"]
    assert gap.abs().max() < 0.15  # .02-.03 of it Monte Carlo
    assert normals["sd"].to_numpy() == pytest.approx(particles["sd"].to_numpy(), rel=0.15)


@pytest.mark.slow
def test_nuts_on_all_bulks_agrees(cohort):
    fit, table, _ = cohort
    fast = bd.contrast(fit, table[["group"]], seed=1).table
    nuts = bd.contrast(fit, table[["group"]], method="nuts", seed=1)
    assert nuts.facts["r_hat"] < 1.03
    assert np.abs((fast["difference"] - nuts.table["difference"]) / nuts.table["sd"]).max() < 0.2
    assert fast["sd"].to_numpy() == pytest.approx(nuts.table["sd"].to_numpy(), rel=0.15)


def test_command(cohort, tmp_path):
    fit, table, _ = cohort
    fit.write(tmp_path / "run")
    table.to_csv(tmp_path / "covariates.csv", index_label="sample")
    result = run(
        "contrast",
        tmp_path / "run",
        "--covariates",
        tmp_path / "covariates.csv",
        "--formula",
        "~ group + age",
        "--at",
        "age=30,60",
        "--rope",
        "1",
        "--seed",
        "1",
        "--draws",
        "100",
        "--out",
        tmp_path / "out",
    )
    assert "age: 60 - 30" in result.stdout
    direct = bd.contrast(
        fit,
        table,
        "~ group + age",
        at={"age": (30.0, 60.0)},
        rope=1.0,
        seed=1,
        sampling=bd.Sampling(draws=100),
    ).table
    written = pd.read_csv(tmp_path / "out" / "contrasts.csv")
    assert written["difference"].to_numpy() == pytest.approx(direct["difference"].to_numpy())
    result = run(
        "contrast",
        tmp_path / "run",
        "--covariates",
        tmp_path / "covariates.csv",
        "--at",
        "age",
        "--out",
        tmp_path / "none",
        expect=2,
    )
    assert "name=first,second" in result.stderr
    assert not (tmp_path / "none").exists()
