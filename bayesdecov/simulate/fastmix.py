r"""Expression of mixtures with known cell-type-specific effects of covariates.

:math:`y_g = X(\beta + \gamma_g + \text{shift}_g) + \varepsilon_g`, the simulations of the FastMix
paper (Table 1): 5,000 genes, 50 samples, three measured cell types that constitute .6 to .9 of the
tissue, and a twentieth of the genes shifted in each of a few effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.mixed_effects.design import build


class _Setting(NamedTuple):
    covariates: tuple[str, ...]
    shifted: tuple[str, ...]
    moved: dict[str, float]  # nonzero fixed effects


_TWO = _Setting(
    ("Severity", "Sex"),
    ("Cell1", "Severity", "Cell2.Severity", "Cell2.Sex"),
    {"Cell1": 1.5, "Cell1.Severity": 0.75},
)
_SETTINGS = {
    "I": _TWO._replace(shifted=()),
    "II": _TWO,
    "III": _Setting(
        ("Group",), ("Cell1.Group", "Cell2.Group"), {"Cell1": 1.5, "Cell1.Group": 0.75}
    ),
}
# standard deviation of covariate main effects, and shift in standard deviations
_VERSIONS = {"paper": (0.8, 3.0), "code": (0.6, 3.5)}
_NOISE_SD = 0.25
_DIRICHLET = (4.0, 3.0, 3.0, 2.0)  # the fourth cell type is not measured
_SHARE = 0.05


@dataclass(frozen=True)
class MixedCohort:
    """A simulated cohort. All data in it are simulated.

    Attributes
    ----------
    expression, proportions, covariates
        The input of `bayesdecov.fastmix`.
    effects
        True effects, fixed + random + shift, genes x design columns.
    differential
        True where the gene is shifted in that effect.
    fixed, covariance
        True fixed effects and covariance of the random effects.
    noise
        True residual variances, one per gene.
    measured
        Proportions with errors (``error_sd``), or the true ones if there are none.
    """

    expression: pd.DataFrame
    proportions: pd.DataFrame
    covariates: pd.DataFrame
    effects: pd.DataFrame
    differential: pd.DataFrame
    fixed: pd.Series
    covariance: pd.DataFrame
    noise: pd.Series
    measured: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"MixedCohort (simulated): {len(self.expression)} genes x "
            f"{len(self.proportions)} samples, {self.effects.shape[1]} effects, "
            f"{int(self.differential.to_numpy().sum())} shifted"
        )


def fastmix(
    simulation: str = "II",
    version: str = "paper",
    n_genes: int = 5000,
    n_samples: int = 50,
    *,
    correlation: float = 0.0,
    up: float = 0.5,
    variance_df: float | None = None,
    proportions: str = "uniform",
    error_sd: float = 0.0,
    hidden: int = 0,
    seed: Any = None,
) -> MixedCohort:
    """Simulate expression from the mixed model.

    Parameters
    ----------
    simulation
        "II": Severity (0 to 10) and Sex, 11 effects, genes shifted in four of them. "III": one
        binary Group, 7 effects, genes shifted in Cell1.Group and Cell2.Group. "I": as II
        without shifted genes (the case "no DEGs" of Table 1).
    version
        "paper": standard deviation .8 of covariate main effects and shifts of 3 standard
        deviations. "code": .6 and 3.5, as in the R program.
    n_genes, n_samples
        Numbers of genes and samples. A twentieth of the genes (rounded down) is shifted in each
        effect, no gene in two.
    correlation
        Correlation between the random effects of a gene.
    up
        Fraction of the shifted genes that is shifted up.
    variance_df
        Gene-specific residual variances from a scaled inverse chi-squared with these degrees of
        freedom; None: one variance, as in the paper.
    proportions
        "uniform": three proportions of .2 to .3 each, as in the paper. "dirichlet": the first three
        of four Dirichlet(4, 3, 3, 2) proportions, which vary as much as in real tissue.
    error_sd
        Standard deviation of the normal errors in ``measured``, which can then be negative.
    hidden
        Number of hidden factors, each with independent normal loadings of sd .3 on all genes.
    seed
        None, an int or a Generator.

    Returns
    -------
    MixedCohort

    Examples
    --------
    >>> from bayesdecov import simulate
    >>> simulate.fastmix("III", n_genes=100, n_samples=20, seed=0).effects.shape
    (100, 7)
    """
    setting = _SETTINGS[checks.check_choice(simulation, tuple(_SETTINGS), "simulation")]
    covariate_sd, shift = _VERSIONS[checks.check_choice(version, tuple(_VERSIONS), "version")]
    n_genes = checks.check_whole(n_genes, "n_genes", at_least=20)
    n_samples = checks.check_whole(n_samples, "n_samples", at_least=4)
    rng = checks.make_generator(seed)
    samples = pd.Index([f"sample{i + 1:03d}" for i in range(n_samples)], name="sample")
    genes = pd.Index([f"gene{g + 1:05d}" for g in range(n_genes)], name="gene")
    cells = ["Cell1", "Cell2", "Cell3"]
    if checks.check_choice(proportions, ("uniform", "dirichlet"), "proportions") == "uniform":
        drawn_p = rng.uniform(0.2, 0.3, (n_samples, 3))
    else:
        drawn_p = rng.dirichlet(_DIRICHLET, n_samples)[:, :3]
    P = pd.DataFrame(drawn_p, samples, cells)
    half = np.repeat([0, 1], [n_samples // 2, n_samples - n_samples // 2])
    drawn = {name: rng.permutation(half) for name in setting.covariates if name != "Severity"}
    if "Severity" in setting.covariates:
        drawn["Severity"] = np.round(rng.uniform(0, 10, n_samples), 1)
    D = pd.DataFrame({name: drawn[name] for name in setting.covariates}, index=samples)
    scaled = (D - D.mean()) / D.std(ddof=1)
    X = build(P, scaled)

    per_kind = [len(cells), len(setting.covariates), len(cells) * len(setting.covariates)]
    sd = np.repeat([1.0, covariate_sd, 1.2], per_kind)
    R = np.full((len(sd), len(sd)), float(correlation))
    np.fill_diagonal(R, 1.0)
    Psi = R * np.outer(sd, sd)
    beta = pd.Series(0.0, index=X.columns)
    beta.update(pd.Series(setting.moved))
    effects = beta.to_numpy() + rng.multivariate_normal(
        np.zeros(len(sd)), Psi, n_genes, method="cholesky"
    )
    differential = np.zeros(effects.shape, dtype=bool)
    count, order = int(_SHARE * n_genes), rng.permutation(n_genes)
    for i, name in enumerate(setting.shifted):
        rows, column = order[i * count : (i + 1) * count], X.columns.get_loc(name)
        sign = np.where(np.arange(count) < round(up * count), 1.0, -1.0)
        effects[rows, column] += sign * shift * sd[column]
        differential[rows, column] = True
    noise = np.full(n_genes, _NOISE_SD**2)
    if variance_df is not None:
        df = checks.check_positive(variance_df, "variance_df")
        noise = noise * df / rng.chisquare(df, n_genes)
    Y = effects @ X.to_numpy().T + np.sqrt(noise)[:, None] * rng.normal(size=(n_genes, n_samples))
    measured = P
    if error_sd:
        measured = P + checks.check_positive(error_sd, "error_sd") * rng.normal(size=P.shape)
    if hidden:
        scores = rng.normal(size=(checks.check_whole(hidden, "hidden"), n_samples))
        Y += 0.3 * rng.normal(size=(n_genes, hidden)) @ scores
    return MixedCohort(
        expression=pd.DataFrame(Y, genes, samples),
        proportions=P,
        covariates=D,
        effects=pd.DataFrame(effects, genes, X.columns),
        differential=pd.DataFrame(differential, genes, X.columns),
        fixed=beta,
        covariance=pd.DataFrame(Psi, X.columns, X.columns),
        noise=pd.Series(noise, genes, name="residual_variance"),
        measured=measured,
    )
