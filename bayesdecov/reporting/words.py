"""Sentences of a report: the methods paragraph and the citations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DECOVART = (
    "Chassagnol, Nuel and Becht (2023). DeCovarT, a multidimensional probabilistic model "
    "for the deconvolution of heterogeneous transcriptomic samples. arXiv:2309.09557.",
    "https://arxiv.org/abs/2309.09557",
)
FASTMIX = (
    "Zhang et al. (2022). FastMix: a versatile data integration pipeline for cell "
    "type-specific biomarker inference. Bioinformatics; medRxiv 2021.09.14.21263182.",
    "https://doi.org/10.1101/2021.09.14.21263182",
)
DAFI = (
    "Lee et al. (2018). DAFi: a directed recursive data filtering and clustering approach for "
    "improving and interpreting data clustering identification of cell populations from "
    "polychromatic flow cytometry data. Cytometry A 93(6), 597-610.",
    "https://doi.org/10.1002/cyto.a.23371",
)
_PYMC = (
    "Abril-Pla et al. (2023). PyMC: a modern and comprehensive probabilistic programming "
    "framework in Python. PeerJ Computer Science 9, e1516.",
    "https://doi.org/10.7717/peerj-cs.1516",
)
_ARVIZ = (
    "Kumar, Carroll, Hartikainen and Martin (2019). ArviZ, a unified library for exploratory "
    "analysis of Bayesian models in Python. JOSS 4(33), 1143.",
    "https://doi.org/10.21105/joss.01143",
)
_NUTS = (
    "Hoffman and Gelman (2014). The No-U-Turn sampler. JMLR 15, 1593-1623.",
    "https://jmlr.org/papers/v15/hoffman14a.html",
)
_RHAT = (
    "Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021). Rank-normalization, folding, "
    "and localization: an improved R-hat. Bayesian Analysis 16(2), 667-718.",
    "https://doi.org/10.1214/20-BA1221",
)
_PSIS = (
    "Vehtari, Simpson, Gelman, Yao and Gabry (2024). Pareto smoothed importance sampling. "
    "JMLR 25(72), 1-58.",
    "https://jmlr.org/papers/v25/19-556.html",
)


def citations(method: str, paper: tuple[str, str]) -> list[tuple[str, str]]:
    """Papers to cite for a run, with their addresses."""
    if method == "nuts":
        return [paper, _PYMC, _ARVIZ, _NUTS, _RHAT]
    return [paper, _PSIS] if method == "laplace" else [paper]


def of_proportions(settings: Mapping[str, Any], n_genes: int, n_types: int, version: str) -> str:
    """A methods paragraph about proportions."""
    method = str(settings["method"])
    reference = settings.get("reference") or {}
    made = reference.get("covariance") or reference.get("source") or "given moments"
    elsewhere = settings.get("platform") == "elsewhere"
    text = (
        f"Cell-type proportions were estimated with bayesdecov {version} from {n_genes} genes and "
        f"{n_types} cell types. "
    )
    if elsewhere:
        text += _of_platform(settings)
    else:
        text += (
            "A bulk profile is modelled as normal with mean equal to the mixture of the cell "
            "types' mean profiles and covariance equal to the sum of their gene-gene covariances "
            f"weighted by squared proportions (DeCovarT; reference covariance: {made})"
        )
    if settings.get("noise") == "counting" and not elsewhere:
        text += ", plus the counting noise of the bulk"
    df = settings.get("df")
    if df not in (None, "none"):
        text += f", with a per-sample scale (multivariate t, {float(df):g} degrees of freedom)"
    text += f". The prior of the proportions was {prior(str(settings.get('prior')))}. "
    if method == "nuts":
        text += (
            f"Posteriors were sampled by NUTS ({settings['nuts_sampler']}): {settings['chains']} "
            f"chains of {settings['draws']} draws after {settings['tune']} warm-up steps for every "
            "sample. Estimates are posterior means, intervals equal-tailed quantiles."
        )
    elif method == "laplace":
        text += (
            "Posteriors were approximated by a normal at the mode on the log-ratio scale, "
            "refined by adaptive importance sampling; approximations with a Pareto-k above "
            f"{float(settings['max_pareto_k']):g} were refused. Estimates are posterior means."
        )
    elif method == "map":
        text += (
            "Estimates maximise likelihood times prior (Levenberg-Marquardt); intervals are Wald "
            "intervals from the expected information."
        )
    else:
        text = (
            f"Cell-type proportions were estimated with bayesdecov {version} by the baseline "
            f"{method!r} from {n_genes} genes and {n_types} cell types."
        )
    if float(settings.get("inflation") or 1) > 1:
        text += (
            f" Intervals were widened {float(settings['inflation']):.2f}-fold (by a power of the "
            f"likelihood) so that they cover 95 % of the proportions in {settings['pseudo_bulks']} "
            f"pseudo-bulks of {settings['left_out']} left out of the reference."
        )
    return text


def _of_platform(settings: Mapping[str, Any]) -> str:
    """The model of bulks and reference of different platforms."""
    learned = (
        "Factors, scatter and tails were learned from the cohort in two stages, the level of the "
        "cell types first; their common uncertainty is part of all intervals"
    )
    if settings.get("tau") == "not learned":
        learned = (
            "Scatter and tails were learned from the samples, factors were not, because there are "
            "too few"
        )
    return (
        "A bulk profile is modelled as the mixture of the cell types' mean profiles, each gene "
        "times a factor between the platforms of bulks and reference that all samples share, with "
        "a background, counting noise, and a heavy-tailed scatter proportional to expression "
        f"beside the reference's covariances. {learned}" + of_yields(settings)
    )


def of_yields(settings: Mapping[str, Any]) -> str:
    """The continuation of a sentence: what no gene shows, how much a cell type yields."""
    sd = float(settings.get("level_sd") or 0)
    if not sd:
        return ""
    return (
        f". Intervals allow for a log-sd of {sd:g} in what a cell type yields (mRNA per cell, "
        "efficiency of extraction) relative to the others, which no gene shows"
    )


def prior(name: str) -> str:
    """A prior's name in words."""
    known = {
        "jeffreys": "Jeffreys' (Dirichlet with all concentrations 1/2)",
        "flat": "flat (Dirichlet with all concentrations 1)",
        "decovart": "flat times |V|^(-1/2), the paper's Eq. 8",
        "normal": "a softmax of a zero-sum normal",
    }
    return known.get(name, name)


def of_gating(settings: Mapping[str, Any], n_samples: int, version: str) -> str:
    """A methods paragraph about gating."""
    tree = settings["hierarchy"]
    cluster, read = tree["cluster"], tree["read"]
    clustered = [gate for gate in tree["gate"] if gate["mode"] == "cluster"]
    text = (
        f"Cell populations of {n_samples} flow-cytometry samples were identified with bayesdecov "
        f"{version} by {len(tree['gate'])} gates (DAFi)"
    )
    if clustered:
        text += (
            f", {len(clustered)} of them applied to k-means clusters (k = {cluster['k']}, "
            f"initialisation {cluster['init']}) by their centroids"
        )
    if read["transform"] != "none":
        text += f"; fluorescence was transformed to the scale {read['transform']}"
    seeds = int(settings["seeds"])
    text += ". Intervals are equal-tailed quantiles of Dirichlet(counts + 1/2) draws"
    if clustered and seeds > 1:
        text += f" over {seeds} seeds of k-means"
    return text + "."


def of_effects(settings: Mapping[str, Any], n_genes: int, n_samples: int, version: str) -> str:
    """A methods paragraph about effects."""
    method = str(settings["method"])
    how = {
        "moments": "the robust moment estimator of FastMix",
        "map": "restricted maximum likelihood of the normal model",
        "mixture": "a normal distribution contaminated by shifted genes, fitted by EM",
        "nuts": "NUTS",
        "joint": "a normal distribution contaminated by shifted genes, fitted by EM to proportions "
        "that were refined within their errors from all genes jointly",
    }[method]
    if method == "nuts":
        how += (
            f" ({settings.get('nuts_sampler')}, {settings.get('chains')} chains of "
            f"{settings.get('draws')} draws after {settings.get('tune')} warm-up steps)"
        )
        if settings.get("contaminated"):
            how += " of a normal distribution contaminated by shifted genes"
    return (
        f"Cell-type-specific effects on {n_genes} genes in {n_samples} samples were estimated with "
        f"bayesdecov {version}: every gene is regressed on proportions, covariates and their "
        "products, with coefficients that are random over the genes (FastMix), by "
        f"{how}."
    )
