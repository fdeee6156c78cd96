"""Over-representation against counting by hand, and what bad input gets."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

import bayesdecov as bd
from bayesdecov.enrichment import enrich
from bayesdecov.errors import BayesdecovWarning, InputError
from tests.test_cli import run


@pytest.fixture
def tests_of_genes():
    """100 genes, two effects; g0 to g19 are significant in the first, half of them up."""
    names = [f"g{i}" for i in range(100)]
    first = pd.DataFrame(
        {
            "gene": names,
            "covariate": "A.x",
            "effect": np.where(np.arange(100) % 2, -1.0, 1.0) * np.linspace(3, 1, 100),
            "q_value": np.where(np.arange(100) < 20, 0.01, 0.5),
        }
    )
    return pd.concat([first, first.assign(covariate="B.x", q_value=0.9)], ignore_index=True)


SETS = {
    "hit": [*(f"g{i}" for i in range(10, 30)), "absent"],
    "miss": [f"g{i}" for i in range(60, 80)],
    "tiny": ["g1", "g2"],
}


def test_by_hand(tests_of_genes):
    found = enrich(tests_of_genes, SETS)
    row = found.table.set_index("gene_set").loc["hit"]
    expected = sum(comb(20, k) * comb(80, 20 - k) for k in range(10, 21)) / comb(100, 20)
    assert row["p_value"] == pytest.approx(expected)
    assert (row["overlap"], row["selected"], row["set_size"], row["background"]) == (
        10,
        20,
        20,
        100,
    )
    assert row["fold"] == pytest.approx(10 / 4)
    assert row["genes"].split(";") == [f"g{i}" for i in range(10, 20)]
    p = found.table["p_value"]
    assert np.allclose(found.table["q_value"], multipletests(p, method="fdr_bh")[1])
    assert found.table["gene_set"].tolist() == ["hit", "miss"]
    assert "no gene of B.x is selected" in found.notes
    assert "1 sets with fewer than 5" in found.notes[0]
    assert "A.x: hit (10 of 20, 2.5 times the expected" in str(found)


def test_selection(tests_of_genes):
    up = enrich(tests_of_genes, SETS, direction="up").table
    assert up["selected"].unique().tolist() == [10]
    top = enrich(tests_of_genes, SETS, top=30).table
    assert top["selected"].unique().tolist() == [30]
    assert set(top["covariate"]) == {"A.x", "B.x"}
    with pytest.warns(BayesdecovWarning, match="no gene is selected for any effect"):
        none = enrich(tests_of_genes, SETS, fdr=0.001)
    assert none.table.empty


def test_p_values_of_random_lists_are_not_too_small():
    """Under the null P(p < .05) is at most .05, in Monte-Carlo standard errors."""
    rng = np.random.default_rng(0)
    names = np.array([f"g{i}" for i in range(400)])
    sets = {"s": list(rng.choice(names, 60, replace=False))}
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "gene": names,
                    "covariate": f"c{i}",
                    "effect": 1.0,
                    "q_value": rng.uniform(size=400),
                }
            )
            for i in range(600)
        ]
    )
    rate = (enrich(table, sets, top=50).table["p_value"] < 0.05).mean()
    assert rate < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def test_fit_folder_and_command(tmp_path):
    cohort = bd.simulate.fastmix("III", "code", 400, 60, seed=1)
    fit = bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates, "mixture")
    fit.write(tmp_path / "effects")
    true = cohort.differential["Cell1.Group"]
    names = list(true.index[true]) + list(true.index[:10])
    (tmp_path / "sets.gmt").write_text("reacting\tsimulated\t" + "\t".join(names) + "\n")
    direct = enrich(fit, tmp_path / "sets.gmt", top=20)
    run(
        "enrich",
        tmp_path / "effects",
        "--gmt",
        tmp_path / "sets.gmt",
        "--top",
        "20",
        "--out",
        tmp_path / "out",
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "enrichment.csv",
        "enrichment.png",
        "run.json",
    }
    written = pd.read_csv(tmp_path / "out" / "enrichment.csv")
    assert np.allclose(written["p_value"], direct.table["p_value"])
    best = direct.table.set_index("covariate")["p_value"]
    assert best.idxmin() == "Cell1.Group"
    wrong = run(
        "enrich",
        tmp_path / "effects",
        "--gmt",
        tmp_path / "none.gmt",
        "--out",
        tmp_path / "x",
        expect=2,
    )
    assert "does not exist" in wrong.stderr


def test_dots(tests_of_genes):
    figure = bd.plots.enrichment(enrich(tests_of_genes, SETS, top=25), top=1)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["A.x", "B.x"]
    assert len(axes.collections[0].get_offsets()) == 2


@pytest.mark.parametrize(("change", "said"), [
    ({"genes": 5}, "must be a result of fastmix"),
    ({"genes": pd.DataFrame({"gene": ["a"]})}, "no covariate, effect, q_value"),
    ({"genes": "nowhere.csv"}, "does not exist"), ({"fdr": 5}, "between 0 and 1"),
    ({"top": 0}, "top"), ({"direction": "left"}, "must be one of"),
    ({"smallest": 50}, "at least one must have 50"),
    ({"sets": {"a": ["x", "y"]}}, "must share genes with the expression"),
])  # fmt: skip
def test_bad_input(tests_of_genes, change, said):
    options = {"genes": tests_of_genes, "sets": SETS} | change
    with pytest.raises(InputError, match=said):
        enrich(options.pop("genes"), options.pop("sets"), **options)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "cannot be read as a table of genes"), (b"\xff\xfe\x80\x81", "cannot be read"),
     (b'gene,covariate,effect,q_value\n"a,b\n', "cannot be read"),
     (b"gene,covariate,effect,q_value\na,b,1,.1\na,b,1,.1,3,4,5\n", "cannot be read"),
     (b'gene,covariate,effect,q_value\na,"b\x1b[31m",1,.1\n', "control characters"),
     (b"gene,covariate,effect,q_value\na,b,1,7\n", "between 0 and 1"),
     (b"gene,covariate,effect,q_value\na,b,1,.1\na,b,1,.1\n", "twice")],
)  # fmt: skip
def test_damaged_tables_of_genes(content, said, tmp_path):
    (tmp_path / "genes.csv").write_bytes(content)
    with pytest.raises(InputError, match=f"genes: .*{said}"):
        enrich(tmp_path / "genes.csv", {"set": ["a", "b"]})
