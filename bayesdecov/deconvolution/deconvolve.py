"""The verb: bulk table and reference in, proportions with intervals out."""

from __future__ import annotations

from typing import Any

from bayesdecov.algebra.priors import Prior
from bayesdecov.deconvolution.options import DeconvolutionRequest
from bayesdecov.deconvolution.result import Deconvolution
from bayesdecov.deconvolution.run import run
from bayesdecov.options import Elsewhere, Sampling, moved_into, of_class


@moved_into(sampling=Sampling, platform=Elsewhere)
def deconvolve(
    bulk: Any,
    reference: Any,
    method: str = "map",
    prior: str | Prior = "auto",
    noise: str = "auto",
    seed: Any = None,
    n_jobs: int = 1,
    *,
    size_factor: str = "auto",
    df: float | str | None = "auto",
    platform: str | Elsewhere = "auto",
    sampling: Sampling | None = None,
    calibrate: bool = False,
    other: bool = False,
    mrna_per_cell: Any = None,
    assume_linear: bool = False,
) -> Deconvolution:
    r"""Estimate the cell-type proportions of bulk samples.

    The model of bulks and reference on one platform is DeCovarT's (arXiv:2309.09557, Eq. 7) with
    technical noise,

    .. math:: y_i \sim N\big(s_i\mu p_i,\; s_i^2 \textstyle\sum_j p_{ij}^2
              (\Sigma_j + \Sigma_j^{tot} / n_j) + \mathrm{diag}(\varphi_i s_i\mu p_i
              + \varphi_i^2 / 4)\big).

    A reference from elsewhere differs from the bulks by factors of its genes, :math:`a_g`, which
    all samples share, and genes scatter more around a mixture than its replicates tell:

    .. math:: y_{gi} \sim t_\nu\big(f_{gi}, \lambda_g V_{gi}\big), \quad
              f_{gi} = a_g \big(s_i (\mu p_i)_g + q_{i0}\bar\mu\big), \quad
              V_{gi} = c^2 f_{gi}^2 + \varphi_i f_{gi} + b^2
              + a_g^2 s_i^2 \textstyle\sum_j p_{ij}^2 \sigma^2_{gj} ,

    with everything but :math:`s_i p_i` learned from the cohort (`bayesdecov.platform`).

    Parameters
    ----------
    bulk
        Expression, genes x samples, linear scale: a DataFrame, an AnnData (samples in obs) or the
        path of a table. Genes are matched by name.
    reference
        A `Reference`, the path of a saved one, a signature table (genes x cell types), or the name
        of a published signature (`bayesdecov.datasets.references`).
    method
        "map": the maximum of likelihood times prior by Levenberg-Marquardt; with ``prior="flat"``
        the MLE, and the mode of log-ratios where the prior's density has no maximum inside the
        simplex ("jeffreys"). "laplace": a normal approximation of the posterior at its mode,
        refined by importance sampling, with draws. "nuts": the exact posterior by Hamiltonian
        Monte Carlo, chains for every sample. Published methods to compare with: "nnls",
        "simplex", "ols", "rlm", "fardeep", "nusvr", "epic", "quantiseq" (see
        `bayesdecov.baselines`; their estimates beside proportions, like ``other``, the share that
        no cell type explains, are in the diagnostics).
    prior
        "auto": "jeffreys" where a platform is learned, otherwise "flat". "flat": Dirichlet(1).
        "jeffreys": Dirichlet(1/2), which lets few of many cell types dominate. "decovart": DeCovarT
        Eq. 8, the likelihood times :math:`|V|^{-1/2}`, needed to reproduce the paper; it pulls
        proportions together. "normal": softmax of a zero-sum normal. Or a `Dirichlet` or a
        `SoftmaxNormal` of
        `bayesdecov.algebra.priors`.
    noise
        "none": all variability is biology, as in the paper. "counting": adds the counting noise of
        the bulk, :math:`\varphi_i` per unit of mean expression, and subtracts the replicates'
        counting noise from their covariance; phi is 1e6 / library size for counts, and estimated
        where it is unknown (it then also absorbs background and differences between platforms).
        "auto": "none" for exact moments and for ``factor`` references where phi is unknown,
        otherwise "counting".
    seed
        None, an int or a Generator, for the draws. Results do not depend on ``n_jobs``.
    n_jobs
        Parallel workers through joblib.
    size_factor
        "fixed": :math:`s_i = 1`. "free": estimated per sample. "auto": fixed where bulk and
        reference are known to be on one scale (both per million over the same genes, or exact
        moments), otherwise free.
    df
        Degrees of freedom of the per-sample scale that turns the normal into a multivariate t;
        None for the normal. "auto": None for exact moments, 4 for estimated references.
    platform
        Whether bulks and reference come from one platform, laboratory and protocol. "same": the
        covariances of the reference are all there is. "elsewhere": factors between the platforms,
        a background, the scatter of genes and its tails are learned from the cohort (fewer than
        three samples: only the scatter), and size factors are free. The error that all samples
        share is in every interval (column ``shared`` of ``intervals``); differences between samples
        are free of it. Part of that error is what cell types yield, mRNA per cell or efficiency of
        extraction, which no gene shows: a log-sd of .2, or the ``level_sd`` of a
        `bayesdecov.Elsewhere` that is given here instead of the name. "auto": "elsewhere" for
        references made from data, unless an option is chosen that is part of the other model
        (``prior="normal"`` or ``"decovart"``, ``noise``, ``size_factor``, ``df``, ``other``,
        ``calibrate``), which a note says.
    sampling
        How draws are made: posterior draws per sample ("laplace", 1000) or chain ("nuts", 1000),
        warm-up steps of a chain (300), chains per sample (4), worker processes (default:
        ``n_jobs``, or if that is 1 all cores, at most 4), acceptance (.85) and sampler of NUTS, the
        largest Pareto-k of "laplace" (.7), and a ``bootstrap`` of baselines: a
        `bayesdecov.Sampling`. Both samplers run on the same NumPy density: nothing is compiled.
    calibrate
        Widen intervals until they reach their nominal coverage on pseudo-bulks: one donor at a
        time (where donors are not known, one replicate of every cell type) is taken out of the
        reference and mixed in proportions like those of the cohort. The likelihood is raised to the
        power that this requires; the factor, and the coverage before and after, are in ``facts``
        and ``notes``. Needs three donors with all cell types, or three replicates of each.
    other
        Add a cell type "other" for cells that are absent from the reference. Their mean profile is
        learned from the cohort (on all genes that the reference was made from, if they are known:
        markers of known cells provide little information about others), its level from the
        difference of the known shares from one, and the uncertainty of both by resampling genes
        and samples. ``fit.probability_above(.05)`` and ``p_other`` of the diagnostics give the
        probability that a sample contains them. Needs bulk and reference on one scale. In a few
        samples with the same share, other cells are hard to distinguish from an error of the
        reference: intervals are then wide. Unknown cells that resemble a known cell type are
        detected only as far as they differ from it.
    mrna_per_cell
        Amount of mRNA per cell of each type (Series or dict, any unit): turns fractions of mRNA
        into fractions of cells; `fit.mrna_fractions` still has those of mRNA. None: what a
        reference of single cells knows of it; "none": fractions of mRNA.
    assume_linear
        Treat the bulk as linear although it looks log-transformed.

    Returns
    -------
    Deconvolution
        ``.proportions``, ``.intervals(prob)``, ``.diagnostics``, ``.to_inference_data()``. The
        diagnostics are, per sample: ``converged``, ``iterations``, ``rdm`` (relative distance to
        maximum), ``log_likelihood``, ``rmse`` and ``correlation`` between the bulk and its fit,
        ``misfit`` (Mahalanobis distance / number of genes; 1 is expected), ``predictive_p``
        (probability that replicated data lie farther away, under the posterior or at the
        estimate), ``modes`` (distinct maxima found), ``at_zero`` (cell types estimated as absent;
        posterior means are never zero), ``size_factor``, ``counting_noise``; "laplace":
        ``pareto_k``; "nuts": ``r_hat``, ``ess_bulk``, ``ess_tail``, ``mcse`` (worst of the cell
        types), ``divergences``, ``e_bfmi``, ``step_size``, ``tree_depth``; ``other=True``:
        ``p_other``, the probability that more than 5 % is other cells; where a platform was
        learned: ``background`` (its share of the bulk), ``shared_sd`` (the largest shared error of
        a cell type), ``platform_sd`` (the part of it that comes from the genes' factors) and
        ``tau`` (the scale of the genes' log-factors); ``missing_genes``, their share in the
        reference's; and a ``verdict`` in words, "good" if no problem was found.

    Raises
    ------
    InputError
        States the argument, the rule, what was found and what to do.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.convolution(n_samples=4, n_genes=60, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    >>> fit = bd.deconvolve(cohort.bulk, reference, method="laplace", seed=1)
    >>> fit.proportions.shape, list(fit.intervals().columns)
    ((4, 3), ['sample', 'cell_type', 'mean', 'sd', 'low', 'high', 'shared'])
    """
    request = DeconvolutionRequest(
        method=method,
        prior=prior,
        noise=noise,
        seed=seed,
        n_jobs=n_jobs,
        size_factor=size_factor,
        df=df,
        platform=platform,
        sampling=of_class(sampling, Sampling, "sampling"),
        calibrate=calibrate,
        other=other,
        mrna_per_cell=mrna_per_cell,
        assume_linear=assume_linear,
    )
    return run(bulk, reference, request)
