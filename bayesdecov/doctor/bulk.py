r"""How finely these bulks can be deconvolved with this reference.

Everything is computed from the model itself: the expected information about the proportions at the
cohort's mean composition shows which cell types are confused, and bulks drawn from the fitted model
show the smallest proportion of a cell type that is detected.
"""

from __future__ import annotations

import warnings
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import nct
from scipy.stats import t as student

from bayesdecov import checks
from bayesdecov.algebra.density import evaluate
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.fit import Estimates, maximum_a_posteriori
from bayesdecov.deconvolution.model import Model
from bayesdecov.deconvolution.predictive import replicate
from bayesdecov.deconvolution.prepare import prepare
from bayesdecov.deconvolution.run import as_reference
from bayesdecov.doctor.examination import Examination
from bayesdecov.doctor.platform import TITLE, examine_platform
from bayesdecov.errors import BayesdecovWarning, Notes
from bayesdecov.io.tables import expression_frame
from bayesdecov.reference.reference import Reference

LEVEL, POWER = 0.05, 0.8
_BULKS = 100  # simulated bulks per share
_NULL = 400  # simulated bulks without the cell type
_CONFUSED = 0.1  # undetected exchange between two types above which they count as confused
_CORRELATED = -0.7  # correlation of their errors, at most
_LARGEST_MISFIT = 3.0
_ILL = 30.0  # condition number that is reported
_PLAIN, _WEIGHTED = "condition of the mean profiles", "condition as the model weighs genes"


class Typical(NamedTuple):
    """The cohort's mean composition and the errors of a bulk of that composition."""

    p: Array  # (cell_type,)
    covariance: Array  # (cell_type, cell_type)
    phi: float


def examine_bulk(
    bulk: Any, reference: Any, *, seed: Any = 0, assume_linear: bool = False
) -> Examination:
    """Examine bulks and a reference before (or after) deconvolving.

    Parameters
    ----------
    bulk, reference
        As for `bayesdecov.deconvolve`.
    seed
        Seed of the simulated bulks.
    assume_linear
        As for `bayesdecov.deconvolve`.

    Returns
    -------
    Examination
        ``str()`` is one page. Sections: the mean composition with the error of a typical bulk, the
        smallest detectable proportion (80 % power at 5 % false alarms) and the smallest
        difference between two halves of the cohort; the pairs of cell types that are confused; the
        condition numbers; from three samples on, the errors that all samples share because genes
        of bulks and reference differ by factors (`bayesdecov.platform`).

    Examples
    --------
    >>> import bayesdecov as bd
    >>> from bayesdecov.doctor import examine_bulk
    >>> cohort = bd.simulate.convolution(n_samples=6, n_genes=60, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    >>> found = examine_bulk(cohort.bulk, reference)
    >>> list(found.sections)[0]
    'Cell types'
    """
    rng = checks.make_generator(seed)
    notes = Notes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesdecovWarning)  # they are in the notes
        prepared = prepare(
            expression_frame(bulk, "bulk"),
            as_reference(reference, assume_linear),
            platform="same",
            assume_linear=assume_linear,
            notes=notes,
        )
    model, data, reference = prepared.model, prepared.data, prepared.reference
    fitted = maximum_a_posteriori(model, data)
    at = _typical(model, fitted, data.unit, rng)
    types = _cell_types(model, reference, fitted, at, rng)
    pairs = confusable(at, model.mu, [str(name) for name in reference.cell_types])
    conditions = pd.DataFrame(
        {"value": [_plain_condition(model.mu), _weighted_condition(model, at)]},
        pd.Index([_PLAIN, _WEIGHTED], name="condition"),
    )
    n, n_genes = data.y.shape
    said = _verdict(types, pairs, conditions["value"], fitted.quad / n_genes, n)
    sections = {
        "Cell types": types,
        "Pairs of cell types, the hardest first": pairs,
        "Condition numbers": conditions,
    }
    apart = examine_platform(prepared, rng)
    if apart is not None:
        said.append(apart.sentence)
        sections[TITLE] = apart.types
    return Examination(
        f"{n} bulks, {n_genes} genes, {len(types)} cell types",
        tuple(said),
        sections,
        {
            "seed": seed if not hasattr(seed, "random") else "generator",
            "level": LEVEL,
            "power": POWER,
        },
        (str(prepared.alignment), f"scale: {prepared.scale}", *notes.lines, *reference.notes),
    )


def confusable(at: Typical, mu: Array, names: list[str]) -> pd.DataFrame:
    """Every pair: similarity of profiles, correlation of errors, largest undetected exchange."""
    with np.errstate(divide="ignore"):
        logs = np.log2(mu + 1e-3 * mu.mean(axis=0))
    alike = np.corrcoef(logs.T)
    sd = np.sqrt(np.maximum(np.diag(at.covariance), 1e-300))
    rows = []
    for i, j in combinations(range(len(names)), 2):
        of_difference = at.covariance[i, i] + at.covariance[j, j] - 2 * at.covariance[i, j]
        rows.append(
            (
                f"{names[i]} - {names[j]}",
                alike[i, j],
                at.covariance[i, j] / (sd[i] * sd[j]),
                (1.96 + 0.84) * 0.5 * np.sqrt(max(of_difference, 0.0)),
            )
        )
    table = pd.DataFrame(
        rows, columns=["pair", "profile_correlation", "error_correlation", "smallest_exchange"]
    )
    return table.sort_values("smallest_exchange", ascending=False).set_index("pair")


def _typical(model: Model, fitted: Estimates, unit: Array, rng: np.random.Generator) -> Typical:
    p = np.nanmean(fitted.p, axis=0)
    p = 0.98 * p / p.sum() + 0.02 / len(p)  # inside the simplex, where errors are two-sided
    phi = float(np.nanmedian(fitted.phi / unit))
    at = Typical(p, np.eye(len(p)), phi)
    drawn = _simulated(model, np.repeat(p[None], _BULKS, axis=0), at, rng)
    return at._replace(covariance=np.nanmean(drawn.covariance, axis=0))


def _simulated(model: Model, p: Array, at: Typical, rng: np.random.Generator) -> Estimates:
    """Estimates from bulks drawn from the fitted model at ``p``."""
    phi = np.full(len(p), at.phi)
    return maximum_a_posteriori(model, model.data(replicate(model, phi, p, rng), phi))


def _cell_types(
    model: Model, reference: Reference, fitted: Estimates, at: Typical, rng: np.random.Generator
) -> pd.DataFrame:
    names = [str(name) for name in reference.cell_types]
    J = len(names)
    without = np.stack([_with(at.p, j, 0.0) for j in range(J)])
    null = _simulated(model, np.repeat(without, _NULL, axis=0), at, rng).p.reshape(J, _NULL, J)
    threshold = np.array([np.quantile(null[j, :, j], 1 - LEVEL) for j in range(J)])
    smallest = np.array([_smallest(model, at, j, threshold[j], rng) for j in range(J)])
    # one bulk has no spread and cannot be halved
    spread = np.nanstd(fitted.p, axis=0, ddof=1) if len(fitted.p) > 1 else np.full(J, np.nan)
    table = pd.DataFrame(
        {
            "mean": np.nanmean(fitted.p, axis=0),
            "sd_of_a_bulk": np.sqrt(np.diag(at.covariance)),
            "smallest_proportion": smallest,
            "smallest_difference": detectable_difference(len(fitted.p)) * spread,
            "replicates": reference.replicates.to_numpy(),
        },
        pd.Index(names, name="cell_type"),
    )
    return table.sort_values("mean", ascending=False)


def _with(p: Array, j: int, share: float) -> Array:
    """The composition with ``share`` of type ``j``, the ratios of the others unchanged."""
    rest = np.where(np.arange(len(p)) == j, 0.0, p)
    whole = (1 - share) * rest / rest.sum()
    whole[j] = share
    return np.asarray(whole)


def _smallest(
    model: Model, at: Typical, j: int, threshold: float, rng: np.random.Generator
) -> float:
    """The proportion of type ``j`` that exceeds the threshold with the required power.

    Bulks at several shares around the error of a typical one; their shortfall from the true share
    is interpolated. NaN where half of the tissue would not be enough.
    """
    error = float(np.sqrt(at.covariance[j, j]))
    shares = np.unique(
        np.clip(threshold + error * np.array([0.0, 0.5, 1.0, 1.5, 2.5, 4.0]), 1e-3, 0.5)
    )
    p = np.stack([_with(at.p, j, share) for share in shares])
    found = _simulated(model, np.repeat(p, _BULKS, axis=0), at, rng).p[:, j]
    low = np.quantile(found.reshape(len(shares), _BULKS), 1 - POWER, axis=1)
    if low[-1] < threshold:
        return float("nan")
    return float(np.interp(threshold, np.maximum.accumulate(low), shares))


def detectable_difference(n: int) -> float:
    """Difference between two halves of ``n`` samples that a t-test detects, in sd."""
    first, second = n // 2, n - n // 2
    if first < 2:
        return float("nan")
    df, scale = n - 2, np.sqrt(1 / first + 1 / second)
    reach = student.isf(LEVEL / 2, df)

    def shortfall(effect: float) -> float:
        return float(nct.sf(reach, df, effect / scale)) - POWER

    return float(brentq(shortfall, 0.0, 20.0))


def visible_differences(smallest: pd.Series, n: int) -> list[str]:
    """A sentence about two halves of a cohort, if it can be halved."""
    known = smallest.dropna()
    if not len(known):
        return []
    return [
        f"Two groups of {n // 2} samples differ detectably in their proportions from "
        f"{known.min():.1%} ({known.idxmin()}) to {known.max():.1%} ({known.idxmax()}) of "
        "tissue."
    ]


def _plain_condition(mu: Array) -> float:
    return float(np.linalg.cond(mu / np.linalg.norm(mu, axis=0)))


def _weighted_condition(model: Model, at: Typical) -> float:
    """Condition number of the profiles, weighted by the covariance in a typical bulk."""
    y = model.density.project((at.p @ model.mu.T)[None])
    pieces = evaluate(model.density, at.p[None], y, np.array([at.phi]))
    F = pieces.information_mean[0]
    scale = 1 / np.sqrt(np.diag(F))
    return float(np.sqrt(np.linalg.cond(F * np.outer(scale, scale))))


def _verdict(
    types: pd.DataFrame, pairs: pd.DataFrame, conditions: pd.Series, misfit: NDArray[Any], n: int
) -> list[str]:
    said = []
    confused = pairs[
        (pairs["smallest_exchange"] > _CONFUSED) & (pairs["error_correlation"] < _CORRELATED)
    ]
    if len(confused):
        worst = confused.iloc[0]
        said.append(
            f"Not distinguishable with these genes: {checks.some(confused.index)}. In the worst "
            f"pair an exchange of {worst['smallest_exchange']:.0%} of the tissue is undetected: "
            "merge the types, or add genes that differ between them."
        )
    else:
        said.append(
            "All pairs of cell types can be distinguished in a typical bulk: exchanges of "
            f"{pairs['smallest_exchange'].max():.1%} or more are detected."
        )
    never = types.index[types["smallest_proportion"].isna()]
    seen = types["smallest_proportion"].dropna().sort_values()
    if len(seen):
        said.append(
            f"Smallest detectable proportions (80 % power at 5 % false alarms): from "
            f"{seen.iloc[0]:.1%} of {seen.index[0]} to {seen.iloc[-1]:.1%} of {seen.index[-1]}."
        )
    if len(never):
        said.append(f"Half of the tissue would not be enough to detect {checks.some(never)}.")
    hidden = types.index[types["mean"] < types["smallest_proportion"]]
    if len(hidden):
        said.append(
            f"The average share of {checks.some(hidden, 8)} is below that: these "
            "estimates provide little information about a single bulk."
        )
    said += visible_differences(types["smallest_difference"], n)
    if conditions[_PLAIN] > _ILL:
        said.append(
            f"The mean profiles are ill-conditioned ({conditions[_PLAIN]:.3g}); weighted as in the "
            f"model, their condition number is {conditions[_WEIGHTED]:.3g}."
        )
    strange = int((misfit > _LARGEST_MISFIT).sum())
    if strange:
        said.append(
            f"{strange} of {n} bulks lie farther from every mixture than the model allows: "
            "possible causes are content that the reference lacks, another platform, or too few "
            "donors in the reference."
        )
    few = types.index[types["replicates"].between(1, 2)]
    if len(few):
        said.append(
            f"One or two replicates only: {checks.some(few)}. Their variability is inferred "
            "from the others; intervals cannot be calibrated."
        )
    return said
