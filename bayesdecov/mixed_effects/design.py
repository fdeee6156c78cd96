r"""The design shared by all genes: proportions, covariates and their products.

Columns are ``cell``, ``covariate`` and ``cell.covariate``, the products with all cells for the
first covariate, then the second (FastMix Eq. 4-5). There is no intercept: the proportions take its
place. If they add up to the same number in every sample, the products of a covariate add up to a
multiple of the covariate itself, and its main effect is aliased with them. A measured cell type can
be made the baseline (``rest``): an intercept replaces its column, and main effects replace its
products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError, Notes
from bayesdecov.mixed_effects.covariates import Coding

INTERCEPT = "Intercept"
_SAME_TOTAL = 0.02  # coefficient of variation of the row sums below which they count as equal
_INFLATED = 1000.0  # variance inflation above which a warning is issued
_ALIASED = 1e-7  # fraction of a column's length not explained by the columns before it


@dataclass(frozen=True)
class Design:
    """The shared design and how it was built.

    Attributes
    ----------
    table
        Samples x columns.
    columns
        One row per column: ``kind`` ("cell", "intercept", "covariate", "product"), ``cell_type``,
        ``covariate`` and ``vif``, the variance of its coefficient relative to a design with
        orthogonal columns.
    coding
        How covariates were coded and standardised.
    rest
        Name of the population used as the baseline or added, or None.
    proportions_given
        Cell types of the fit, before applying ``rest``.
    """

    table: pd.DataFrame
    columns: pd.DataFrame
    coding: Coding
    rest: str | None
    proportions_given: list[str]

    def encode(self, proportions: pd.DataFrame, covariates: pd.DataFrame) -> pd.DataFrame:
        """The design of new samples, standardised as the training samples were."""
        missing = [name for name in self.proportions_given if name not in proportions.columns]
        if missing:
            raise InputError(
                "new_proportions",
                "must have the cell types of the fit",
                found=f"no column {checks.some(missing)}",
            )
        cells = with_rest(proportions[self.proportions_given], self.rest)
        coded = self.coding.apply(covariates)
        return build(cells, coded)[list(self.table.columns)]

    def lifts(self, coded: pd.DataFrame) -> np.ndarray:
        """Derivative of each design row in the proportions, (sample, column, cell_type).

        The design is linear in the proportions: every column of a cell type is its proportion (for
        ``rest``, 1 minus the sum of the others) times 1 or a covariate.
        """
        given = self.proportions_given
        by_cell = {name: np.eye(len(given))[j] for j, name in enumerate(given)}
        if self.rest is not None and self.rest not in given:
            by_cell[self.rest] = -np.ones(len(given))
        found = np.zeros((len(coded), len(self.columns), len(given)))
        for j, (kind, cell, covariate) in enumerate(
            self.columns[["kind", "cell_type", "covariate"]].itertuples(index=False)
        ):
            if kind == "cell":
                found[:, j] = by_cell[cell]
            elif kind == "product":
                found[:, j] = coded[covariate].to_numpy()[:, None] * by_cell[cell]
        return found


def with_rest(proportions: pd.DataFrame, rest: str | None, *, unsure: bool = False) -> pd.DataFrame:
    """Replace a measured ``rest`` by an intercept; otherwise add 1 minus the sum of the others.

    With errors in the proportions (``unsure``) this remainder may be negative.
    """
    if rest is None:
        return proportions
    names = list(proportions.columns)
    if rest in names:
        if len(names) < 2:
            raise InputError("rest", "cannot be the only cell type", found=repr(rest))
        return proportions.drop(columns=rest).assign(**{INTERCEPT: 1.0})
    left = 1.0 - proportions.sum(axis=1)
    unknown = (
        f"{rest!r} is not a cell type ({checks.some(names, 20)}) and the proportions add up to "
    )
    over = left.index[left < -1e-6]
    if len(over) and not unsure:
        raise InputError(
            "rest",
            "must be a cell type, unless proportions add up to no more than 1",
            found=f"{unknown}more than 1 in {checks.some(over)}",
        )
    if float(left.abs().max()) < 1e-9:
        raise InputError(
            "rest",
            "must be a cell type if the proportions add up to 1",
            found=f"{unknown}1 in every sample",
        )
    return proportions.assign(**{rest: left if unsure else left.clip(lower=0.0)})


def build(cells: pd.DataFrame, covariates: pd.DataFrame) -> pd.DataFrame:
    """All columns: cells, covariates, products.

    Raises
    ------
    InputError
        Two columns would have the same name.
    """
    pairs = [
        (cell, name) for name in covariates.columns for cell in cells.columns if cell != INTERCEPT
    ]
    names = pd.Index([*cells.columns, *covariates.columns, *(f"{a}.{b}" for a, b in pairs)])
    if not names.is_unique:
        twice = names[names.duplicated()].unique()
        raise InputError(
            "covariates",
            "must not lead to two design columns with the same name",
            found=checks.some(twice),
            fix="rename cell types or covariates",
        )
    products = pd.DataFrame(
        {f"{a}.{b}": cells[a].to_numpy() * covariates[b].to_numpy() for a, b in pairs},
        index=cells.index,
    )
    return pd.concat([cells, covariates, products], axis=1)


def make_design(
    proportions: pd.DataFrame,
    coded: pd.DataFrame,
    coding: Coding,
    *,
    include_covariates: bool | str,
    rest: str | None,
    reference: str | None,
    notes: Notes,
    unsure: bool = False,
) -> Design:
    """Build the design, choose whether covariates keep main effects, and check its rank."""
    cells = with_rest(proportions, rest, unsure=unsure)
    names = [name for name in cells.columns if name != INTERCEPT]
    baseline = INTERCEPT in cells
    _check_reference(reference, rest, names)
    include_covariates = _has_main_effects(
        include_covariates, cells[names].sum(axis=1), reference is not None or baseline, notes
    )
    if baseline:
        notes.info(
            f"{rest} is the baseline: the intercept is its expression, covariate main effects are "
            "the effects in it, and the other effects are differences from it"
        )
    _enough_of_each(coded, len(names))
    everything = build(cells, coded)
    kinds = (
        [("cell", cell, "") if cell != INTERCEPT else ("intercept", "", "") for cell in cells]
        + [("covariate", "", name) for name in coded.columns]
        + [("product", cell, name) for name in coded.columns for cell in names]
    )
    columns = pd.DataFrame(
        kinds,
        columns=["kind", "cell_type", "covariate"],
        index=pd.Index(everything.columns, name="column"),
    )
    checks.check_unique(columns.index, "covariates", "design column")
    keep = (columns["kind"] != "covariate") | bool(include_covariates)
    if reference is not None:
        if not include_covariates:
            raise InputError(
                "reference_cell_type",
                "needs covariate main effects, which become the effects in that cell type",
                found="include_covariates=False",
                fix="leave one of them out",
            )
        keep &= ~((columns["kind"] == "product") & (columns["cell_type"] == reference))
        notes.info(
            f"covariate main effects are the effects in {reference}; products are differences "
            "from it"
        )
    table, columns = everything.loc[:, keep.to_numpy()], columns[keep]
    _enough_samples(table, columns)
    _full_rank(table)
    columns = columns.assign(vif=inflation(table.to_numpy()))
    high = columns.index[columns["vif"] > _INFLATED]
    if len(high):
        notes.warn(
            f"nearly aliased design columns (variance inflation above {_INFLATED:g}): "
            f"{checks.some(high)}; their effects are poorly distinguished"
        )
    return Design(table, columns, coding, rest, list(proportions.columns))


def _check_reference(reference: str | None, rest: str | None, names: list[str]) -> None:
    if reference is not None and rest is not None:
        raise InputError(
            "reference_cell_type",
            "cannot be combined with rest",
            found=f"{reference!r} and rest={rest!r}",
        )
    if reference is not None and reference not in names:
        raise InputError(
            "reference_cell_type",
            f"must be one of {checks.some(names, 20)}",
            found=repr(reference),
        )


def _has_main_effects(
    asked: bool | str, totals: pd.Series, has_baseline: bool, notes: Notes
) -> bool:
    """Whether covariates keep main effects; "auto": unless aliased with the sum of products."""
    if isinstance(asked, bool):
        return asked
    same = float(totals.std(ddof=1) / totals.mean()) < _SAME_TOTAL
    if has_baseline or not same:
        return True
    notes.info(
        f"covariates have no separate main effects: the proportions add up to "
        f"{totals.mean():.3g} in every sample, so a main effect would be aliased with the sum "
        "of the products with the cell types (set include_covariates=True, rest= or "
        "reference_cell_type= to include main effects)"
    )
    return False


def _enough_samples(table: pd.DataFrame, columns: pd.DataFrame) -> None:
    n, n_columns = table.shape
    if n > n_columns:
        return
    sources = columns.loc[columns["covariate"] != "", "covariate"].str.split("[").str[0]
    counts = ", ".join(f"{name} {count}" for name, count in sources.value_counts().items())
    raise InputError(
        "covariates",
        "must leave more samples than design columns",
        found=f"{n} samples and {n_columns} columns (by covariate: {counts[:200]})",
        fix="use fewer covariates (a label has one column for each value but the first, times the "
        "number of cell types) or merge cell types",
    )


def _enough_of_each(coded: pd.DataFrame, cells: int) -> None:
    """Effects in every cell type are not estimable for a label with fewer samples than types."""
    for name, column in coded.items():
        counts = column.round(9).value_counts()
        if len(counts) == 2 and counts.min() < cells:
            raise InputError(
                "covariates",
                "must have, for every value of a label, at least as many samples as cell types",
                found=f"{name} separates {counts.min()} samples from {counts.max()}, with {cells} "
                "cell types",
                fix="drop it, merge its values, or pass it as subject if it identifies individuals",
            )


def _full_rank(table: pd.DataFrame) -> None:
    """Refuse columns that are zero or linear combinations of the columns before them."""
    size = np.linalg.norm(table.to_numpy(), axis=0)
    if (size == 0).any():
        raise InputError(
            "covariates",
            "must give every design column a nonzero value",
            found=f"only zeros in {checks.some(table.columns[size == 0])}",
            fix="standardise the covariates, or drop a cell type",
        )
    X = table.to_numpy() / size
    found = []
    for j in range(1, X.shape[1]):
        weights = np.linalg.lstsq(X[:, :j], X[:, j], rcond=1e-10)[0]
        if np.linalg.norm(X[:, j] - X[:, :j] @ weights) < _ALIASED:
            others = table.columns[:j][np.abs(weights) > 1e-6]
            found.append(f"{table.columns[j]} is determined by {' + '.join(map(str, others))}")
    if found:
        raise InputError(
            "covariates",
            "must not lead to aliased design columns",
            found="; ".join(found[:3]),
            fix="drop a covariate, leave a cell type out (rest=), choose a reference_cell_type, or "
            "drop the covariates' main effects (include_covariates=False)",
        )


def inflation(X: np.ndarray) -> np.ndarray:
    """Variance of each coefficient relative to orthogonal columns of the same length."""
    R = np.linalg.qr(X / np.linalg.norm(X, axis=0), mode="r")
    return np.asarray(np.square(np.linalg.inv(R)).sum(axis=1))
