"""Markup in names in every page: nothing of it is more than text, in a real browser too."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.benchmarking import Case, benchmark
from bayesdecov.benchmarking.report import render
from bayesdecov.errors import BayesdecovWarning
from bayesdecov.gating.gates import Clustering, Gate
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.regions import Box

pytestmark = pytest.mark.slow

SIGN = "document.documentElement.setAttribute('data-hacked','yes')"
EVIL = [
    f"<script>{SIGN}</script>",
    f"<img src=x onerror=\"{SIGN}\">",
    f"\"><svg onload={SIGN}>",
    f"'><body onload={SIGN}>",
    f"</title></style></svg><script>{SIGN}</script>",
    f"javascript:{SIGN}",
    "{{ 7*7 }}{% raw %}",
]  # fmt: skip
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Reports of proportions, effects and gating, and the page of a benchmark."""
    folder = tmp_path_factory.mktemp("pages")
    rng = np.random.default_rng(0)
    cohort = bd.simulate.convolution(
        n_samples=8, n_genes=40, n_types=3, seed=1, cell_types=EVIL[:3]
    )
    samples, genes = pd.Index([*EVIL, "plain"]), pd.Index([*EVIL, *cohort.bulk.index[len(EVIL) :]])
    bulk = cohort.bulk.set_axis(samples, axis=1).set_axis(genes)
    bulk["stranger"] = bulk.iloc[::-1, 0].to_numpy()
    purified = cohort.purified.set_axis(genes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesdecovWarning)
        reference = bd.Reference.from_samples(purified, cohort.labels, "diagonal")
        fit = bd.deconvolve(bulk, reference, "laplace", seed=1, sampling=bd.Sampling(draws=100))
        fit.write(folder / "<b>run")
        found = [
            bd.report(fit, folder / "memory.html"),
            bd.report(folder / "<b>run", folder / "proportions.html"),
        ]
        Y = pd.DataFrame(
            rng.normal(size=(60, 30)),
            [*EVIL, *(f"g{i}" for i in range(53))],
            [*EVIL, *(f"s{i}" for i in range(23))],
        )
        P = pd.DataFrame(rng.dirichlet([4, 3, 2], 30), Y.columns, EVIL[3:6])
        D = pd.DataFrame(
            {EVIL[0]: [EVIL[1], EVIL[2]] * 15, EVIL[6]: rng.normal(size=30)}, Y.columns
        )
        found.append(bd.report(bd.fastmix(Y, P, D, "mixture"), folder / "effects.html"))
        events = pd.DataFrame(rng.integers(0, 4096, (300, 2)), columns=EVIL[:2])
        gates = tuple(Gate(name, *EVIL[:2], Box(0, 200, 0, 120)) for name in EVIL)
        hierarchy = Hierarchy(gates, EVIL[4], clustering=Clustering(k=5))
        gated = bd.gate({EVIL[0]: events, EVIL[4]: events}, hierarchy, draws=50)
        found.append(bd.report(gated, folder / "gating.html"))
        case = Case(
            scenario=EVIL[0],
            level=EVIL[1],
            bulk=bulk.iloc[:, :8],
            truth=cohort.proportions.set_axis(samples),
            purified=purified,
            labels=cohort.labels,
            genes=30,
        )
        scored = benchmark([case], {EVIL[1]: "nnls", EVIL[4]: "map"}, quick=True)
        page = render(scored, EVIL[0], scored.record(arguments=EVIL))
        (folder / "benchmark.html").write_text(page, "utf-8")
        found.append(folder / "benchmark.html")
        compared = bd.compare((EVIL[0], fit), (EVIL[1], bd.deconvolve(bulk, reference)))
        compared.write(folder / "compared")
        (folder / "compared.html").write_text(compared.summary.to_html(), "utf-8")
        found.append(folder / "compared.html")
    return found


class Elements(HTMLParser):
    """Whatever could act."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "iframe", "object", "embed", "form", "base", "body onload"):
            self.bad.append(tag)
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.bad.append(f"{tag} {name}")
            if tag == "img" and name == "src" and not (value or "").startswith("data:image/png"):
                self.bad.append(f"img {value}")


def test_nothing_in_a_page_acts(pages):
    for page in pages:
        text = page.read_text("utf-8")
        assert Elements(text).bad == [], page
        assert "49{% raw" not in text
        assert "data-hacked" in text  # the names are there, as text


def test_the_search_finds_what_it_should():
    for name in EVIL[:5]:
        assert Elements(f"<p>{name}</p>").bad


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_in_a_browser(pages, tmp_path):
    def document(page):
        return subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-quic", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
             page.as_uri()], capture_output=True, text=True, timeout=120, check=True,
        ).stdout  # fmt: skip

    evil = tmp_path / "evil.html"
    evil.write_text(f"<html><body>{EVIL[0]}</body></html>")
    assert 'data-hacked="yes"' in document(evil).split(">")[0]  # it would be seen
    for page in pages:
        assert "data-hacked" not in document(page).split(">", 2)[1], page
