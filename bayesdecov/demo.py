"""The demonstration: an analysis from purified samples to plots, with a known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from bayesdecov import checks, datasets, simulate
from bayesdecov.comparison import compare
from bayesdecov.deconvolution.options import DeconvolutionRequest
from bayesdecov.deconvolution.result import Deconvolution
from bayesdecov.deconvolution.run import run
from bayesdecov.io.outputs import check_folder, whole_folder
from bayesdecov.io.tables import write_table
from bayesdecov.mixed_effects.fastmix import fastmix
from bayesdecov.mixed_effects.result import MixedEffects
from bayesdecov.options import Sampling
from bayesdecov.plots.folder import draw
from bayesdecov.reference.reference import Reference
from bayesdecov.reporting.build import report

_METHODS = ("laplace", "nuts")
_OTHERS = ("map", "nnls", "simplex")
_GENES = {"laplace": 300, "nuts": 60}
_FOREIGN = "laplace, foreign reference"
_FACTOR = 0.6  # standard deviation of a foreign platform's factors, in logarithms
_DRAWS = 500  # of each of four chains
_SEED = 1


def run_demo(
    name: str,
    out: Path,
    *,
    method: str,
    genes: int | None,
    covariance: str,
    force: bool,
    progress: bool,
    console: Console,
) -> None:
    """Load, build the reference, deconvolve with several methods, print a table, write ``out``."""
    checks.check_choice(method, _METHODS, "method")
    check_folder(out, force=force)
    genes = _GENES[method] if genes is None else genes
    data = datasets.load(name)
    console.print(data.description, markup=False)
    reference = Reference.from_samples(data.purified, data.labels, covariance, genes=genes)
    console.print(str(reference), markup=False)
    methods = (method, *_OTHERS) if method == "laplace" else (method, "laplace", *_OTHERS)
    fits = {}
    for name_of in methods:
        draws = _DRAWS if name_of == "nuts" else 1000
        request = DeconvolutionRequest(
            method=name_of,
            seed=_SEED,
            sampling=Sampling(draws=draws),
            progress=None if progress else False,
        )
        fits[name_of] = run(data.bulk, reference, request)
    if name == "demo":
        fits |= _foreign(data, covariance, genes)
    scores = score(fits, data.proportions, groups=_groups(data.samples))
    console.print(_as_rich(scores))
    best = fits[method]
    console.print(str(best), markup=False)
    found = compare(*fits.items())
    console.print(str(found), markup=False)
    with whole_folder(out, force=force) as folder:
        best.fill(folder)
        reference.save(folder / "reference.nc")
        write_table(scores, folder / "scores.csv")
        write_table(data.proportions, folder / "truth.csv", index_label="sample")
        draw(best, folder / "plots", truth=data.proportions)
        report(best, folder / "report.html")
        found.write(folder / "comparison")
        draw(found, folder / "comparison")
        if _FOREIGN in fits:
            (folder / "foreign").mkdir()
            draw(fits[_FOREIGN], folder / "foreign" / "plots", truth=data.proportions)
            report(fits[_FOREIGN], folder / "foreign" / "report.html")
        if name == "demo":  # small and free to copy: the tables that a user would have
            _write_input(data, folder / "input")
            console.print("\nsimulated effects of a group on the genes of three cell types:")
            console.print(str(_fastmix(folder)), markup=False)
    _say_what_next(name, out, console)


def _foreign(data: datasets.Dataset, covariance: str, genes: int) -> dict[str, Deconvolution]:
    """Fits with a reference of another platform, whose genes differ by factors from the bulks'.

    Once with what the cohort tells of them, and once as if both were of one platform.
    """
    assert data.purified is not None
    rng = np.random.default_rng(_SEED)
    factors = np.exp(_FACTOR * rng.standard_normal(len(data.purified)))
    purified = data.purified.mul(factors, axis=0).round()  # counts
    reference = Reference.from_samples(purified, data.labels, covariance, genes=genes)
    fits = {}
    for title, platform in ((_FOREIGN, "elsewhere"), (f"{_FOREIGN}, one platform", "same")):
        request = DeconvolutionRequest(
            method="laplace",
            seed=_SEED,
            platform=platform,
            sampling=Sampling(max_pareto_k=np.inf),
            progress=False,
        )
        fits[title] = run(data.bulk, reference, request)
    return fits


def _write_input(data: datasets.Dataset, folder: Path) -> None:
    folder.mkdir()
    write_table(data.bulk, folder / "bulk.csv", index_label="gene")
    write_table(data.purified, folder / "purified.csv", index_label="gene")
    write_table(pd.DataFrame(data.labels), folder / "labels.csv", index_label="sample")


def _say_what_next(name: str, out: Path, console: Console) -> None:
    console.print(
        f"\nwritten: {out} (open {out}/report.html first; proportions, intervals, "
        "posterior, comparison, plots)",
        markup=False,
    )
    if name == "demo":
        console.print(
            f"a reference of another platform: {out}/foreign/report.html (section 'Bulks and "
            "reference'), and the last rows of the table above\n"
            "try it by hand:\n"
            f"  bayesdecov reference {out}/input/purified.csv --labels {out}/input/labels.csv "
            "--out reference.nc\n"
            f"  bayesdecov deconvolve {out}/input/bulk.csv --reference reference.nc --out result\n"
            f"  bayesdecov fastmix {out}/input/expression.csv --proportions "
            f"{out}/input/proportions.csv --covariates {out}/input/covariates.csv "
            "--method mixture --out effects\n"
            "  bayesdecov report result",
            markup=False,
            soft_wrap=True,
        )


def _fastmix(folder: Path) -> MixedEffects:
    """Effects in a simulated cohort, in a separate folder inside ``folder``."""
    cohort = simulate.fastmix("III", "code", 1500, 50, correlation=0.5, seed=_SEED)
    fit = fastmix(cohort.expression, cohort.proportions, cohort.covariates, "mixture")
    (folder / "fastmix").mkdir()
    fit.fill(folder / "fastmix")
    draw(fit, folder / "fastmix" / "plots")
    report(fit, folder / "fastmix" / "report.html")
    write_table(cohort.differential, folder / "fastmix" / "truth.csv", index_label="gene")
    for name in ("expression", "proportions", "covariates"):
        label = "gene" if name == "expression" else "sample"
        write_table(getattr(cohort, name), folder / "input" / f"{name}.csv", index_label=label)
    return fit


def score(
    fits: dict[str, Deconvolution], truth: pd.DataFrame, *, groups: pd.Series | None = None
) -> pd.DataFrame:
    """RMSE and bias against the truth, coverage and width of 95 % intervals, per method.

    With ``groups`` (sample -> group), also one row for each group.
    """
    rows = []
    for method, fit in fits.items():
        order = fit.proportions.columns
        error = fit.proportions - truth.loc[fit.proportions.index, order]
        table = fit.intervals(0.95)
        shape = fit.proportions.shape
        low = table["low"].to_numpy().reshape(shape)
        high = table["high"].to_numpy().reshape(shape)
        target = truth.loc[fit.proportions.index, order].to_numpy()
        inside = np.where(np.isfinite(low), (low <= target) & (target <= high), np.nan)
        parts: dict[str, np.ndarray] = {"all": np.ones(shape[0], dtype=bool)}
        if groups is not None:
            mine = groups.loc[fit.proportions.index]
            parts |= {str(g): (mine == g).to_numpy() for g in sorted(mine.unique())}
        for name, rows_of in parts.items():
            chosen = error.to_numpy()[rows_of]
            rows.append(
                {
                    "method": method,
                    "group": name,
                    "samples": int(rows_of.sum()),
                    "rmse": float(np.sqrt(np.mean(chosen**2))),
                    "mae": float(np.mean(np.abs(chosen))),
                    "coverage_95": float(np.mean(inside[rows_of])),
                    "width_95": float(np.mean((high - low)[rows_of])),
                }
            )
    return pd.DataFrame(rows)


def _groups(samples: pd.DataFrame) -> pd.Series | None:
    if "mRNA_amount" not in samples:
        return None
    return samples["mRNA_amount"].map(lambda amount: f"{amount:5.2f} pg RNA")


def _as_rich(scores: pd.DataFrame) -> Table:
    table = Table(title="against the known truth")
    for name in scores.columns:
        numbers = pd.api.types.is_numeric_dtype(scores[name])
        table.add_column(name, justify="right" if numbers else "left")
    for row in scores.itertuples(index=False):
        table.add_row(
            *(("-" if np.isnan(v) else f"{v:.4f}") if isinstance(v, float) else str(v) for v in row)
        )
    return table
