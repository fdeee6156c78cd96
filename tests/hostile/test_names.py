"""Any text as a name passes through every verb and comes back the same, or is refused."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager, suppress

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import bayesdecov as bd
from bayesdecov.doctor import examine_cohort
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.gating.files import read_hierarchy, write_hierarchy
from bayesdecov.gating.gates import Clustering, Gate
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.regions import Box
from bayesdecov.io.tables import read_labels, read_table
from bayesdecov.plots.folder import draw

NAMES = [
    "=1+1", "+1", "-1", "@SUM(A1)", "'", "\"", "\"a", "a,b", "a;b", "a\tb", "a\nb", "a\rb",
    "a\x00b", "\x1b[31mred", "\x7f", "\x85", "\u2028", "\u202eabc", "\ufeffa", "NA", "nan",
    "None", "inf", "1e5", "007", "1", "TRUE", "<script>alert(1)</script>", "&lt;", "{{ 1 }}",
    "{% x %}", "${x}", "$x^", "$\\frac{$", "\\", "\\n", "%s", "{0}", "a/b", "../../x", "~",
    ".", "..", "CON", "x" * 300, "名" * 100, "ä", "ä", "😀", "\ud800", "`", "``", "a`b",
    "`{1/0}`", "[T.a]", "a:b", "a.b", "Intercept", "sample", "gene", "cell_type", "#gene",
    "# comment", "--out", "C(a)", "bdv0_", "İ",
]  # fmt: skip
TEXT = st.one_of(
    st.sampled_from(NAMES),
    st.text(max_size=12),
    st.text("\"'`,;$\\{}<>&=+-@#:.~ \t\n\r\0ab", min_size=1, max_size=8),
)
FEW = settings(  # more of them with BAYESDECOV_EXAMPLES
    max_examples=int(os.environ.get("BAYESDECOV_EXAMPLES", "5")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@contextmanager
def allowed():
    """Right, or refused; what is noted on the way does not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesdecovWarning)
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        with suppress(InputError):
            yield


COHORT = bd.simulate.convolution(n_samples=4, n_genes=30, n_types=3, seed=1)


def renamed(index: pd.Index, name: str) -> pd.Index:
    return pd.Index([name, *index[1:]])


def seen_by_people(name, folder, pictures):
    """Pictures and the report, where the name could matter to them."""
    if len(name) > 40 or not name.isascii() or set("$\\") & set(name):
        pictures(folder / "plots")
    if set("<>&{") & set(name):
        text = bd.report(folder / "run", folder / "run" / "report.html").read_text("utf-8")
        assert "<script" not in text


@pytest.mark.slow
@pytest.mark.parametrize("axis", ["gene", "sample", "type"])
@FEW
@given(name=TEXT)
@example(name="=1+1")
@example(name='"')
@example(name="#gene")
def test_deconvolve(axis, name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    bulk, purified, labels = COHORT.bulk.copy(), COHORT.purified.copy(), COHORT.labels.copy()
    if axis == "gene":
        bulk.index = purified.index = renamed(bulk.index, name)
    elif axis == "sample":
        bulk.columns = renamed(bulk.columns, name)
    else:
        labels = labels.replace(labels.iloc[0], name)
    with allowed():
        reference = bd.Reference.from_samples(purified, labels, "diagonal", genes=None)
        reference.save(folder / "reference.nc")
        again = bd.Reference.load(folder / "reference.nc")
        assert list(again.genes) == list(reference.genes)
        assert list(again.cell_types) == list(reference.cell_types)
        fit = bd.deconvolve(bulk, again, "laplace", seed=1, sampling=bd.Sampling(draws=30))
        seen = {
            "gene": again.genes,
            "sample": fit.proportions.index,
            "type": fit.proportions.columns,
        }[axis]
        assert name.strip() in list(seen) or not name.strip()  # nameless genes are left out
        fit.write(folder / "run")
        read = read_table(folder / "run" / "proportions.csv", text=True)
        assert list(read.index) == list(fit.proportions.index)
        assert list(read.columns) == list(fit.proportions.columns)
        bulk.to_csv(folder / "bulk.csv", index_label="gene")
        table = read_table(folder / "bulk.csv")
        assert [*table.index, *table.columns] == [
            str(part).strip() for part in (*bulk.index, *bulk.columns)
        ]
        labels.to_csv(folder / "labels.csv", index_label="sample")
        read_back = [str(part).strip() for part in read_labels(folder / "labels.csv")]
        assert read_back == [str(part).strip() for part in labels]
        seen_by_people(name, folder, lambda place: draw(fit, place))
        found = bd.compare(fit, folder / "run")
        assert len(found.summary) == 2


@pytest.mark.slow
@pytest.mark.parametrize("axis", ["gene", "sample", "type", "covariate", "label"])
@FEW
@given(name=TEXT)
@example(name="Group` + {1/0} + `Group")
@example(name="a.b")
@example(name="x" * 300)
def test_fastmix_and_contrast(axis, name, tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    rng = np.random.default_rng(0)
    samples, types = [f"s{i}" for i in range(24)], ["A", "B", "C"]
    Y = pd.DataFrame(rng.normal(size=(30, 24)), [f"g{i}" for i in range(30)], samples)
    P = pd.DataFrame(rng.dirichlet([4, 3, 2], 24), samples, types)
    D = pd.DataFrame({"arm": ["x", "y"] * 12, "age": rng.uniform(20, 80, 24)}, samples)
    if axis == "gene":
        Y.index = renamed(Y.index, name)
    elif axis == "sample":
        Y.columns = P.index = D.index = renamed(Y.columns, name)
    elif axis == "type":
        P.columns = renamed(P.columns, name)
    elif axis == "covariate":
        D.columns = [name, "age"]
    else:
        D["arm"] = D["arm"].replace("x", name)
    with allowed():
        fit = bd.fastmix(Y, P, D, "mixture")
        fit.write(folder / "run")
        read = read_table(folder / "run" / "fixed.csv")
        assert list(read.index) == list(fit.fixed.index)
        seen_by_people(name, folder, lambda place: draw(fit, place, most=1))
        again = fit.design.encode(P, D)
        assert np.allclose(again, fit.design.table)
        D.to_csv(folder / "D.csv", index_label="sample")
        table = read_table(folder / "D.csv", text=True)
        assert list(table.columns) == [str(part).strip() for part in D.columns]
    with allowed():
        found = bd.contrast(P, D, seed=1, sampling=bd.Sampling(draws=60, chains=1))
        found.write(folder / "contrast")
        examine_cohort(P, D)


@FEW
@given(name=TEXT, sample=TEXT)
@example(name="x" * 300, sample="名" * 100)
@example(name="$\\frac{$", sample="../../x")
def test_gate(name, sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    rng = np.random.default_rng(0)
    events = pd.DataFrame(rng.integers(0, 4096, (200, 2)), columns=["CD3", "CD4"])
    with allowed():
        gates = (Gate(name, "CD3", "CD4", Box(0, 200, 0, 120)),)
        hierarchy = Hierarchy(gates, clustering=Clustering(k=5))
        write_hierarchy(hierarchy, folder / "gates.toml")
        assert read_hierarchy(folder / "gates.toml").names == [name]
        gated = bd.gate({sample: events, "other": events}, hierarchy, draws=50)
        gated.write(folder / "run", members="csv")
        read = read_table(folder / "run" / "counts.csv")
        assert list(read.index) == [str(part).strip() for part in gated.counts.index]
        assert list(read.columns) == list(gated.counts.columns)
        text = bd.report(folder / "run", folder / "run" / "report.html").read_text("utf-8")
        assert "<script" not in text
