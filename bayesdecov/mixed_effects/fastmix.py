"""The function `fastmix`: cell-type-specific differential expression from tables."""

from __future__ import annotations

from typing import Any

from bayesdecov.mixed_effects.result import MixedEffects
from bayesdecov.mixed_effects.run import Request, run
from bayesdecov.options import (
    DesignOptions,
    EstimatorOptions,
    Sampling,
    moved_into,
    of_class,
)


@moved_into(design=DesignOptions, estimator=EstimatorOptions, sampling=Sampling)
def fastmix(
    expression: Any,
    proportions: Any,
    covariates: Any,
    method: str = "moments",
    preset: str | None = None,
    *,
    standard_errors: Any = None,
    errors: str | None = None,
    formula: str | None = None,
    subject: Any = None,
    design: DesignOptions | None = None,
    estimator: EstimatorOptions | None = None,
    sampling: Sampling | None = None,
    seed: Any = None,
    progress: bool = False,
) -> MixedEffects:
    r"""Estimate cell-type-specific effects of covariates, transcriptome-wide and gene by gene.

    .. math:: y_g = X(\beta + \gamma_g) + \varepsilon_g,\quad \varepsilon_g \sim N(0, \sigma^2 I),
              \quad \gamma_g \sim N(0, \Psi) \text{ except for a minority of genes}

    (FastMix, medRxiv 2021.09.14.21263182, Eq. 4-10.) ``X`` holds the cell-type proportions, the
    covariates and all their products, and is the same for every gene: :math:`\beta` is the effect
    on the whole transcriptome, :math:`\gamma_g` the deviation of gene ``g``, and the genes that
    respond are outliers of :math:`N(0, \Psi)`.

    Parameters
    ----------
    expression
        Genes x samples: a DataFrame, an AnnData (samples in obs) or the path of a table. Any scale
        on which the effects of cell types add up; normalise counts first.
    proportions
        Samples x cell types, fractions between 0 and 1: a table or its path; or, with their
        uncertainty, the result of `deconvolve` or `gate`, the folder of such a run, an ArviZ
        container with ``proportions`` in its posterior, or a table and its standard errors.
    covariates
        Samples x covariates: numbers or labels. Aligned by sample name, like everything else.
    method
        "moments": the paper's robust moment estimator. "map": maximum likelihood or REML of the
        normal model, exact. "mixture": a normal contaminated by shifted genes, fitted by EM, with
        the posterior probability of being differentially expressed; usually the best. "nuts": the
        posterior of the normal model (PyMC), at a cost that does not depend on the number of genes,
        or with ``contaminated=True`` of the mixture's, gene by gene. "joint": the mixture with
        proportions that have errors. Measured proportions are noisy measurements of the true ones,
        which are refined with all genes (``.refined``); their remaining errors are propagated to
        intervals, false-sign rates and tests. In all other methods, errors in the proportions
        shrink effects and reduce the power to detect genes.
    preset
        "fastmix-0.2.5" for the settings of the R program, "paper" for those in the paper's text,
        None for the defaults; options given in ``estimator`` take precedence.
    standard_errors
        Standard errors of a table of proportions: a table of the same form, or one number. Not
        for a posterior, which contains its own uncertainty.
    errors
        How the other methods treat proportions with errors. "ignore" (default): treat them as
        exact. "calibrate": replace them by their expectation given the measured ones under their
        distribution in the cohort (regression calibration), which removes the shrinkage on average;
        unstable where errors are as large as the differences between samples.
    formula
        The covariates to use, e.g. ``"~ group + age"`` or ``"~ group * `age at visit`"``; default:
        all columns. Labels are coded against their first value.
    subject
        Column of ``covariates`` (or a Series) that names repeatedly measured subjects. All samples
        from a subject have the same correlation, estimated by REML from the residuals.
    design
        Main effects, baseline, random effects, standardisation and weights, as
        `bayesdecov.DesignOptions`.
    estimator
        Residual variances, tests and options specific to one method, as
        `bayesdecov.EstimatorOptions`.
    sampling
        For ``method="nuts"``, as `bayesdecov.Sampling`: draws and warm-up steps per chain (1000
        each), chains (4), processes, target acceptance rate (.9) and the sampler.
    seed
        For NUTS, the parameter draws used for ``prob_deg`` and ``q_value`` (``method="mixture"``)
        and the random starts of ``covariance="mcd"``. None is 0, so that results are
        reproducible.
    progress
        Show the sampler's progress bar.

    Returns
    -------
    MixedEffects
        ``.fixed``, ``.genes``, ``.covariance``, ``.noise``, ``.scores(...)``,
        ``.to_inference_data()``.

    Raises
    ------
    InputError
        States the argument, the rule, what was found and what to do.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.fastmix("III", n_genes=300, n_samples=30, seed=1)
    >>> de = bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates, "mixture")
    >>> de.fixed.index.tolist()[:5]
    ['Cell1', 'Cell2', 'Cell3', 'Group', 'Cell1.Group']
    >>> de.top("Cell1.Group", 3).columns.tolist()[:4]
    ['effect', 'random_effect', 'sd', 'p_value']
    >>> cohort = bd.simulate.fastmix("III", n_genes=300, n_samples=30, proportions="dirichlet",
    ...                              error_sd=0.05, seed=1)
    >>> de = bd.fastmix(cohort.expression, cohort.measured, cohort.covariates, "joint",
    ...                 standard_errors=0.05)
    >>> de.refined.proportions.shape
    (30, 3)
    """
    request = Request(
        method=method,
        preset=preset,
        errors=errors,
        formula=formula,
        subject=subject,
        design=of_class(design, DesignOptions, "design"),
        estimator=of_class(estimator, EstimatorOptions, "estimator"),
        sampling=of_class(sampling, Sampling, "sampling"),
        seed=seed,
        progress=progress,
    )
    return run(expression, proportions, covariates, standard_errors, request)
