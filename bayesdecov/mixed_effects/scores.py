r"""Discriminant scores of new samples whose binary response is unknown.

With :math:`\mu_r` the expected expression under response ``r`` (all other covariates as measured,
standardised with the training means and standard deviations),
:math:`\Delta = \mu_1 - \mu_0` and :math:`e = y - \mu_0`:

* single :math:`= e^\top\Delta/|\Delta|`, near 0 for response 0 and near :math:`|\Delta|` for 1;
* multi :math:`= e \odot \Delta`, gene by gene.

The sparse versions use the fixed effects and only selected random effects in :math:`\Delta`.
Source: FastMix, section "Discriminant Analysis after FastMix".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.io.tables import expression_frame
from bayesdecov.mixed_effects.fitted import FittedEffects
from bayesdecov.mixed_effects.prepare import check_proportions, sample_table


@dataclass(frozen=True)
class Scores:
    r"""Scores of new samples.

    Attributes
    ----------
    single
        Samples x (single, single_sparse, midpoint, midpoint_sparse); a score above its midpoint
        :math:`|\Delta|/2` favours response 1.
    multi
        Genes x samples.
    multi_sparse
        The row "fixed" for the fixed part, then the genes with significant interactions.
    response
        The two values compared.
    """

    single: pd.DataFrame
    multi: pd.DataFrame
    multi_sparse: pd.DataFrame
    response: tuple[Any, ...]


def discriminant_scores(
    fit: FittedEffects,
    new_expression: pd.DataFrame,
    new_proportions: pd.DataFrame,
    new_covariates: pd.DataFrame | None,
    response: str,
    *,
    level: float = 0.05,
    sparse: str = "interactions",
) -> Scores:
    """Score new samples.

    Parameters
    ----------
    new_expression, new_proportions, new_covariates
        New samples, as for `fastmix`. The column of the response may be missing from
        ``new_covariates``, which may be None if the response is the only covariate.
    response
        A covariate with two values in the training data.
    level
        Quasi-p-value below which a random effect is used in the sparse versions.
    sparse
        "interactions": only random effects of products are selected, and the main effect of the
        response is used for all genes (as in the R program). "all": both are selected (as in
        the paper).

    Returns
    -------
    Scores
    """
    checks.check_probability(level, "level")
    checks.check_choice(sparse, ("interactions", "all"), "sparse")
    Y, X0, X1 = _aligned(fit, new_expression, new_proportions, new_covariates, response)
    samples = Y.columns
    effects = fit.effects.to_numpy()
    residual = Y.to_numpy() - effects @ X0.T  # (gene, sample)
    step = (X1 - X0).T  # (column, sample)
    delta = effects @ step

    fixed, part, order = _sparse(fit, step, level, sparse)
    rows = np.vstack([(residual * fixed).sum(axis=0), (residual * part)[order]])
    single, size = _projection(residual, delta)
    thin, thin_size = _projection(residual, fixed + part)
    return Scores(
        pd.DataFrame(
            {
                "single": single,
                "single_sparse": thin,
                "midpoint": size / 2,
                "midpoint_sparse": thin_size / 2,
            },
            index=pd.Index(samples, name="sample"),
        ),
        pd.DataFrame(residual * delta, fit.gene_names, samples),
        pd.DataFrame(rows, ["fixed", *fit.gene_names[order]], samples),
        tuple(fit.design.coding.binary[response]),
    )


def _aligned(
    fit: FittedEffects,
    new_expression: pd.DataFrame,
    new_proportions: pd.DataFrame,
    new_covariates: pd.DataFrame | None,
    response: str,
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Expression of the fit's genes, and the designs (sample, column) under either response."""
    frame = checks.check_numeric(
        expression_frame(new_expression, "new_expression"), "new_expression"
    )
    checks.check_unique(frame.index, "new_expression", "gene")
    missing = fit.gene_names.difference(frame.index)
    if len(missing):
        raise InputError(
            "new_expression",
            "must have every gene of the fit",
            found=f"{len(missing)} missing: {checks.some(missing)}",
        )
    samples = frame.columns
    cells = check_proportions(
        expression_frame(new_proportions, "new_proportions"), "new_proportions"
    )
    if new_covariates is None:
        new_covariates = pd.DataFrame({response: 0}, index=samples)  # overwritten below
    table = sample_table(expression_frame(new_covariates, "new_covariates"), "new_covariates")
    for name, index in (("new_proportions", cells.index), ("new_covariates", table.index)):
        lacking = samples.difference(index)
        if len(lacking):
            raise InputError(
                name, "must include every new sample", found=f"none for {checks.some(lacking)}"
            )
    cells, table = cells.loc[samples], table.loc[samples]
    X0, X1 = (design.to_numpy() for design in _imputed(fit, cells, table, response))
    return frame.loc[fit.gene_names], X0, X1


def _sparse(
    fit: FittedEffects, step: np.ndarray, level: float, sparse: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The fixed and the random part of the difference, and the genes with selected effects."""
    chosen = (step != 0).any(axis=1)  # the columns that depend on the response
    kinds = fit.design.columns["kind"]
    fixed = fit.estimate.beta[chosen] @ step[chosen]
    gamma, picked = np.zeros((len(fit.gene_names), len(step))), []
    for j, (k, name) in enumerate(zip(fit.least_squares.random, fit.random, strict=True)):
        if not chosen[k]:
            continue
        significant = fit.estimate.p[:, j] < level
        if kinds[name] != "product" and sparse == "interactions":
            significant = np.ones_like(significant)
        else:
            picked.append(np.flatnonzero(significant))
        gamma[significant, k] = fit.estimate.gamma[significant, j]
    part = gamma @ step
    order = pd.unique(np.concatenate(picked)) if picked else np.array([], dtype=int)
    return fixed, part, order


def _projection(residual: np.ndarray, delta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = np.sqrt(np.square(delta).sum(axis=0))
    return (residual * delta).sum(axis=0) / np.maximum(size, 1e-300), size


def _imputed(
    fit: FittedEffects, cells: pd.DataFrame, table: pd.DataFrame, response: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The design of the new samples under either response."""
    values = fit.design.coding.binary.get(response)
    if values is None:
        raise InputError(
            "response",
            "must be a covariate with two values in the training data",
            found=repr(response),
            fix=f"choose one of {checks.some(fit.design.coding.binary, 20)}",
        )
    low, high = (
        fit.design.encode(
            cells,
            table.assign(**{response: pd.Series(values.iloc[[i] * len(table)].array, table.index)}),
        )
        for i in (0, 1)
    )
    return low, high
