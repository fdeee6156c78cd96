r"""Effects that can be detected with these proportions and covariates.

The standard error of a coefficient is :math:`\sigma\sqrt{V_{ll}}` with :math:`V = (X^\top X)^{-1}`
for every gene, so a design can be judged before any gene is measured. Errors of proportions
attenuate the effects by :math:`I - V\sum_i A_i\Delta_iA_i^\top`, with :math:`\Delta_i` their
covariances and :math:`A_i` the design's derivative.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.doctor.bulk import LEVEL, POWER, detectable_difference, visible_differences
from bayesdecov.doctor.examination import Examination
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.io.tables import expression_frame
from bayesdecov.mixed_effects.covariates import encode
from bayesdecov.mixed_effects.design import make_design
from bayesdecov.mixed_effects.prepare import check_proportions, sample_table, whole
from bayesdecov.mixed_effects.uncertain import uncertain

_REACH = 1.96 + 0.84  # standard errors: 5 % level, 80 % power
_INFLATED = 10.0
_ATTENUATED = 0.9


def examine_cohort(
    proportions: Any,
    covariates: Any,
    *,
    formula: str | None = None,
    standard_errors: Any = None,
    include_covariates: bool | str = "auto",
    rest: str | None = None,
    reference_cell_type: str | None = None,
) -> Examination:
    """Examine proportions and covariates before `bayesdecov.fastmix` or `bayesdecov.contrast`.

    Parameters
    ----------
    proportions, standard_errors, covariates, formula, include_covariates, rest, reference_cell_type
        As for `bayesdecov.fastmix`.

    Returns
    -------
    Examination
        ``str()`` is one page. Sections: the design's columns with their variance inflation,
        standard error and smallest effect in residual standard deviations of a gene, and the share
        of it that errors of proportions leave; the cell types with their spread between samples,
        the error of a proportion and the smallest difference between two halves of the cohort.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> from bayesdecov.doctor import examine_cohort
    >>> cohort = bd.simulate.fastmix("III", n_genes=50, n_samples=40, seed=1)
    >>> found = examine_cohort(cohort.proportions, cohort.covariates, standard_errors=0.02)
    >>> found.sections["Design columns"].columns.tolist()
    ['kind', 'vif', 'std_error', 'smallest_effect', 'left_of_effect']
    """
    notes = Notes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesdecovWarning)  # they are in the notes
        source = uncertain(proportions, standard_errors, notes, needed=True)
        cells = check_proportions(source.table, "proportions", unsure=source.stated)
        table = sample_table(expression_frame(covariates, "covariates"), "covariates")
        samples = cells.index[cells.index.isin(table.index)]
        if not len(samples):
            raise InputError(
                "proportions, covariates",
                "must share sample names",
                found=f"{checks.some(cells.index, 3)} / {checks.some(table.index, 3)}",
                fix="use the same sample names in both",
            )
        for name, index in (("proportions", cells.index), ("covariates", table.index)):
            spare = index.difference(samples)
            if len(spare):
                notes.info(
                    f"{len(spare)} samples of the {name} are missing in the other table and "
                    f"were left out: {checks.some(spare)}"
                )
        cells = whole(cells.loc[samples], notes, unsure=source.stated)
        coded, coding = encode(table.loc[samples], formula)
        design = make_design(
            cells,
            coded,
            coding,
            include_covariates=include_covariates,
            rest=rest,
            reference=reference_cell_type,
            notes=notes,
            unsure=source.stated,
        )
    X = design.table.to_numpy()
    V = np.linalg.inv(X.T @ X)
    columns = design.columns[["kind", "vif"]].assign(std_error=np.sqrt(np.diag(V)))
    columns["smallest_effect"] = _REACH * columns["std_error"]
    n = len(samples)
    spread = cells.std(ddof=1)
    types = pd.DataFrame(
        {
            "mean": cells.mean(),
            "sd_between_samples": spread,
            "smallest_difference": detectable_difference(n) * spread,
        }
    ).rename_axis("cell_type")
    if source.covariance is not None and source.covariance.any():
        _add_errors(columns, types, source.aligned(cells), design.lifts(coded), V)
    condition = float(np.linalg.cond(X / np.linalg.norm(X, axis=0)))
    return Examination(
        f"{n} samples, {len(types)} cell types, {coded.shape[1]} covariate columns, "
        f"{X.shape[1]} design columns",
        tuple(_verdict(columns, types, condition, n, source.stated)),
        {
            "Design columns": columns.sort_values("vif", ascending=False),
            "Cell types": types.sort_values("mean", ascending=False),
        },
        {"formula": formula or "all", "level": LEVEL, "power": POWER, "condition": condition},
        tuple(notes.lines),
    )


def _add_errors(
    columns: pd.DataFrame, types: pd.DataFrame, covariance: Array, lifts: Array, V: Array
) -> None:
    """Share of effects, and of differences between samples, left by errors of proportions."""
    lost = np.einsum("iak,ikl,ibl->ab", lifts, covariance, lifts, optimize=True)
    columns["left_of_effect"] = np.clip(1 - np.diag(V @ lost), 0.0, 1.0)
    types["error"] = np.sqrt(np.einsum("ikk->k", covariance) / len(covariance))
    ratio = types["error"] / types["sd_between_samples"]
    types["reliability"] = np.clip(1 - ratio**2, 0.0, 1.0)


def _verdict(
    columns: pd.DataFrame, types: pd.DataFrame, condition: float, n: int, stated: bool
) -> list[str]:
    said = []
    inflated = columns.index[columns["vif"] > _INFLATED]
    if len(inflated):
        said.append(
            f"Poorly distinguished from other columns (variance inflation above {_INFLATED:g}): "
            f"{checks.some(inflated, 8)}; condition number {condition:.3g}. Fewer cell types or "
            "covariates, or proportions that differ more between samples, would help."
        )
    else:
        said.append(f"The columns are well distinguished (condition number {condition:.3g}).")
    products = columns[columns["kind"] == "product"]
    if len(products):
        effect = products["smallest_effect"]
        said.append(
            f"In a single gene, the smallest detectable effect of a covariate in a cell type is "
            f"{effect.min():.2g} ({effect.idxmin()}) to {effect.max():.2g} ({effect.idxmax()}) "
            "residual standard deviations, per unit of proportion and standard deviation "
            "of the covariate; methods that share strength between genes detect somewhat less."
        )
    per_column = n / len(columns)
    if per_column < 3:
        said.append(
            f"{n} samples for {len(columns)} columns are few: residual variances will be "
            "estimated poorly."
        )
    if "left_of_effect" in columns:
        worst = columns.loc[products.index, "left_of_effect"] if len(products) else None
        if worst is not None and worst.min() < _ATTENUATED:
            said.append(
                f"If ignored, errors of proportions would shrink effects in cell types to "
                f"{worst.min():.0%} to {worst.max():.0%}: use method='joint'."
            )
        else:
            said.append("Errors of proportions shrink effects negligibly.")
    elif not stated:
        said.append(
            "The errors of the proportions are unknown; if they are not small, provide them "
            "(a posterior, or standard errors)."
        )
    return said + visible_differences(types["smallest_difference"], n)
