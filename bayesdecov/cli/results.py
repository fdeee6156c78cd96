"""Commands about finished runs and about the methods: report, compare, calibrate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bayesdecov.cli.app import (
    Force,
    MaxMemory,
    Out,
    Progress,
    app,
    claim,
    console,
    guarded,
    whole,
)
from bayesdecov.cli.expand import expand
from bayesdecov.errors import InputError
from bayesdecov.options import NUTS_ONLY, Sampling


@app.command()
@guarded
def report(
    run: Annotated[Path, typer.Argument(help="Folder written by deconvolve, fastmix or gate.")],
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write. Default: report.html in the folder.")
    ] = None,
    max_memory: MaxMemory = None,
    force: Force = False,
) -> None:
    """Write a diagnostics report of a finished run: one HTML file, readable offline."""
    from bayesdecov.reporting.build import report as write

    if not run.is_dir():
        raise InputError("run", "must be the folder of a finished run", found=repr(str(run)))
    path = write(run, run / "report.html" if out is None else out, force=force)
    console.print(f"written: {path} ({path.stat().st_size / 1e6:.1f} MB)", markup=False)


@app.command()
@guarded
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more folders of finished runs.")],
    out: Out,
    yardstick: Annotated[
        str | None,
        typer.Option(help="Folder name of the run to compare with. Default: the best posterior."),
    ] = None,
    max_memory: MaxMemory = None,
    force: Force = False,
) -> None:
    """Compare runs of the same data: MLE, MAP, Laplace, NUTS, baselines."""
    from bayesdecov.comparison import compare as run_compare
    from bayesdecov.plots.folder import draw

    claim(out, force=force)
    found = run_compare(*runs, yardstick=yardstick)
    with whole(found, out, force=force) as folder:
        draw(found, folder)


@app.command()
@guarded
@expand(Sampling, only=("draws", *NUTS_ONLY), usual={"draws": 500, "tune": 300, "chains": 2})
def calibrate(
    out: Out,
    model: Annotated[
        str, typer.Option(help="proportions (convolution) or effects (collapsed mixed model).")
    ] = "proportions",
    method: Annotated[str, typer.Option(help="map, laplace or nuts.")] = "laplace",
    simulations: Annotated[int, typer.Option(help="Number of simulated data sets.")] = 200,
    reference: Annotated[
        Path | None, typer.Option(help="reference.nc, with moments that are treated as exact.")
    ] = None,
    cell_types: Annotated[int, typer.Option(help="Cell types, without a reference.")] = 4,
    genes: Annotated[int, typer.Option(help="Genes, without a reference.")] = 60,
    df: Annotated[
        float | None, typer.Option(help="Degrees of freedom of a multivariate t.")
    ] = None,
    *,
    sampling: Sampling,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    n_jobs: Annotated[int, typer.Option(help="Parallel workers; -1 for all cores.")] = 1,
    max_memory: MaxMemory = None,
    force: Force = False,
    progress: Progress = True,
) -> None:
    """Check the coverage of intervals: simulate from the model, fit, compare with the truth."""
    from bayesdecov.calibration.calibrate import calibrate as run
    from bayesdecov.plots.folder import draw

    claim(out, force=force)
    found = run(
        model,
        method,
        simulations,
        reference=reference,
        n_types=cell_types,
        n_genes=genes,
        df=df,
        sampling=sampling,
        seed=seed,
        n_jobs=n_jobs,
        progress=progress and sys.stderr.isatty(),
    )
    inputs = {} if reference is None else {"reference": reference}
    with whole(found, out, force=force, inputs=inputs) as folder:
        draw(found, folder)
