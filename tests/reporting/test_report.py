"""The report: one file, nothing outside of it, and every section that a run can fill."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.reporting.proportions import verdict
from bayesdecov.results.run import run_of
from tests.options import of_deconvolve


class Page(HTMLParser):
    """What a browser would load, show and link to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.alts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("img", "script", "link", "iframe"):
            self.loaded.append(given.get("src") or given.get("href") or "")
        if tag == "img":
            self.alts.append(given.get("alt") or "")
        if tag == "a":
            self.links.append(given["href"])
        if "id" in given:
            self.ids.add(given["id"])
        if tag not in ("meta", "link", "img", "path", "line", "circle", "rect", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def fits():
    cohort = bd.simulate.convolution(
        n_samples=6,
        n_genes=80,
        n_types=3,
        depth=1e5,
        seed=1,
        cell_types=["<b>B</b>", "T & NK", "Mono"],
    )
    bulk = cohort.bulk.copy()
    bulk["stranger"] = np.random.default_rng(0).permutation(bulk.iloc[:, 0].to_numpy())
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=40)
    made = {}
    with warnings.catch_warnings():  # a stranger among the samples, few draws
        warnings.simplefilter("ignore", bd.BayesdecovWarning)
        for method in ("map", "laplace", "nuts", "nnls"):
            options = {"draws": 150, "tune": 100, "chains": 2, "cores": 1}
            made[method] = bd.deconvolve(
                bulk,
                reference,
                method,
                seed=1,
                **of_deconvolve(options if method == "nuts" else {}),
            )
    return made


@pytest.mark.parametrize("method", ["map", "laplace", "nuts", "nnls"])
def test_one_file_with_everything(method, fits, tmp_path):
    path = bd.report(fits[method], tmp_path / "out" / "report.html")
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 5e6
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]
    page = Page(text)
    assert all(address.startswith("data:") for address in page.loaded)
    assert not re.search(r"(src|url)\s*[=(]\s*[\"']?(https?:|/)", text)
    assert all(page.alts)
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    assert page.open == []
    assert "<b>B</b>" not in text  # names are text, not markup
    assert "does not look like a mixture of these cell types: 1 (stranger)" in text
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles[0] == "Data at a glance"
    expected = {
        "map": "Convergence",
        "laplace": "Quality of the approximation",
        "nuts": "Chains",
        "nnls": "Convergence",
    }[method]
    assert expected in titles
    assert ("MLE, MAP and posterior" in titles) == (method in ("laplace", "nuts"))
    assert ("Worst-fitting genes" in titles) == (method != "nnls")
    assert "arXiv:2309.09557" in text


def test_from_the_folder_of_a_run(fits, tmp_path):
    fits["nuts"].write(tmp_path / "run")
    text = bd.report(tmp_path / "run", tmp_path / "report.html").read_text(encoding="utf-8")
    assert "2 chains of 150 draws after 100 warm-up steps" in text
    with pytest.raises(InputError, match="exists"):
        bd.report(tmp_path / "run", tmp_path / "report.html")
    bd.report(tmp_path / "run", tmp_path / "report.html", force=True)
    (tmp_path / "run" / "intervals.csv").unlink()
    with pytest.raises(InputError, match=r"found no intervals\.csv"):
        bd.report(tmp_path / "run", tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()


def test_bad_targets(fits, tmp_path):
    with pytest.raises(InputError, match=r"must be an \.html file"):
        bd.report(fits["map"], tmp_path / "report.pdf")
    with pytest.raises(InputError, match="a result of deconvolve, fastmix or gate"):
        bd.report(3, tmp_path / "report.html")


def test_verdict_comes_in_words(fits):
    said = verdict(run_of(fits["map"]))
    assert (said["colour"], said["text"]) == (
        "mixed",
        "6 of 7 samples are good; inspect the other 1.",
    )
    good = bd.deconvolve(
        fits["map"].bulk.drop(columns="stranger"), fits["map"].reference, assume_linear=True
    )
    assert verdict(run_of(good))["colour"] == "good"


def test_uncertain_levels_are_a_verdict_of_their_own(fits):
    run = run_of(fits["map"])
    table = run.tables["diagnostics"].drop(index="stranger").assign(tau=0.6, platform_sd=0.1)
    said = verdict(replace(run, tables=run.tables | {"diagnostics": table}))
    assert said["colour"] == "mixed"
    assert said["text"].startswith("Levels are uncertain in 6 of 6 samples, differences between")


@pytest.mark.parametrize("method", ["moments", "mixture"])
def test_effects(method, group_cohort, tmp_path):
    tables = group_cohort.expression, group_cohort.proportions, group_cohort.covariates
    fit = bd.fastmix(*tables, method)
    fit.write(tmp_path / "run")
    text = bd.report(tmp_path / "run", tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles[1:4] == ["Effects on the whole transcriptome", "Genes that respond", "Design"]
    assert "variance inflation above 100" in text
