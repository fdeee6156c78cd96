"""Commands about proportions: demo, deconvolve."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bayesdecov import checks
from bayesdecov.cli.app import (
    AssumeLinear,
    Force,
    MaxMemory,
    Out,
    Progress,
    app,
    claim,
    console,
    guarded,
    whole,
    written,
)
from bayesdecov.cli.expand import expand
from bayesdecov.errors import InputError
from bayesdecov.options import Elsewhere, Sampling

_MANY = 3000  # samples that are streamed to disk


def _number_or_auto(value: str, argument: str) -> float | str | None:
    if value == "auto":
        return value
    if value == "none":
        return None
    try:
        return float(value)
    except ValueError:
        raise InputError(
            argument, "must be a number, 'auto' or 'none'", found=repr(value)
        ) from None


def _platform(name: str, elsewhere: Elsewhere) -> str | Elsewhere:
    """The name of the platform, or options that only "elsewhere" has."""
    if elsewhere == Elsewhere():
        return name
    if name == "same":
        raise InputError(
            "level_sd",
            "is an option of platform='elsewhere'",
            found="--platform same",
            fix="leave one of them out",
        )
    checks.check_choice(name, ("auto", "elsewhere"), "platform")
    return elsewhere


def _per_cell(given: str | None) -> Any:
    """What `deconvolve` takes: a table's only column, "none", or None."""
    from bayesdecov.io.tables import read_table

    if given in (None, "none"):
        return given
    table = checks.check_numeric(read_table(Path(given), "mrna-per-cell"), "mrna-per-cell")
    if table.shape[1] != 1:
        raise InputError(
            "mrna-per-cell",
            "must have two columns: cell type, mRNA per cell",
            found=f"the columns {checks.some(table.columns)}",
        )
    return table.iloc[:, 0]


def known_reference(value: str) -> tuple[Path | str, dict[str, Path]]:
    """A file, or the name of a published signature; and the files among the inputs."""
    from bayesdecov.reference.public import PUBLISHED

    if value in PUBLISHED:
        return value, {}
    return Path(value), {"reference": Path(value)}


def opened_reference(known: Path | str) -> Any:
    """The table of a signature; a saved reference and the name of a published one as they are."""
    from bayesdecov.io.tables import read_table

    if isinstance(known, Path) and known.suffix.lower() != ".nc":
        return read_table(known, "reference")
    return known


@app.command()
@guarded
def demo(
    data: Annotated[
        str, typer.Option(help="demo (simulated, offline) or sc_mixology (real, downloaded).")
    ] = "demo",
    out: Out = Path("bayesdecov-demo"),
    method: Annotated[
        str, typer.Option(help="Posterior: laplace (takes seconds) or nuts (one or two minutes).")
    ] = "laplace",
    genes: Annotated[
        int | None, typer.Option(help="Number of marker genes. Default: 300, with nuts 60.")
    ] = None,
    covariance: Annotated[str, typer.Option(help="Covariance of the reference.")] = "glasso",
    max_memory: MaxMemory = None,
    force: Force = False,
    progress: Progress = True,
) -> None:
    """Build a reference, estimate proportions and write a report, for data with a known truth."""
    from bayesdecov.demo import run_demo

    run_demo(
        data,
        out,
        method=method,
        genes=genes,
        covariance=covariance,
        force=force,
        progress=progress,
        console=console,
    )


@app.command()
@guarded
@expand(Elsewhere, usual={"level_sd": 0.2})
@expand(
    Sampling,
    usual={"draws": 1000, "tune": 300, "chains": 4, "target_accept": 0.85, "max_pareto_k": 0.7},
)
def deconvolve(
    bulk: Annotated[Path, typer.Argument(help="Bulk expression, genes x samples, linear scale.")],
    reference: Annotated[
        str,
        typer.Option(
            help="reference.nc, a signature table (genes x cell types), or the name of a published "
            "signature (bayesdecov references)."
        ),
    ],
    out: Out,
    method: Annotated[
        str,
        typer.Option(
            help="map, laplace, nuts; or, for comparison: nnls, simplex, ols, rlm, fardeep, nusvr, "
            "epic, quantiseq."
        ),
    ] = "map",
    platform: Annotated[
        str,
        typer.Option(
            help="auto, same (bulks and reference come from one laboratory and protocol) or "
            "elsewhere (learn from the cohort how they differ)."
        ),
    ] = "auto",
    prior: Annotated[
        str, typer.Option(help="auto, flat, jeffreys, decovart (DeCovarT Eq. 8) or normal.")
    ] = "auto",
    noise: Annotated[str, typer.Option(help="auto, none or counting.")] = "auto",
    size_factor: Annotated[str, typer.Option(help="auto, fixed or free.")] = "auto",
    df: Annotated[
        str, typer.Option(help="Tail of the multivariate t: a number, auto or none.")
    ] = "auto",
    prob: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.95,
    *,
    elsewhere: Elsewhere,
    sampling: Sampling,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Widen intervals until they reach their nominal coverage on "
            "pseudo-bulks of replicates that are left out of the reference.",
        ),
    ] = False,
    other: Annotated[
        bool,
        typer.Option(
            "--other",
            help="Add a cell type 'other' for cells that are absent from the reference, "
            "learned jointly from all bulks.",
        ),
    ] = False,
    leave_one_out: Annotated[
        bool,
        typer.Option(
            "--leave-one-out",
            help="Also write sensitivity.csv: the cell types to which the share of each "
            "cell type would be attributed if the reference lacked it.",
        ),
    ] = False,
    groups: Annotated[
        Path | None,
        typer.Option(
            help="Table: cell type, group. Also write sums.csv: the groups' proportions with "
            "intervals."
        ),
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="A level of the reference's hierarchy (0: the coarsest) or a group. Also write "
            "sums.csv."
        ),
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(
            help="Samples in memory at a time: results are streamed to disk, and a run "
            "that was killed resumes. Default: 1024 from 3000 samples on."
        ),
    ] = None,
    mrna_per_cell: Annotated[
        str | None,
        typer.Option(
            help="Table: cell type, mRNA per cell. Gives fractions of cells. Default: what a "
            "reference of single cells knows; none: fractions of mRNA."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the draws.")] = None,
    n_jobs: Annotated[int, typer.Option(help="Parallel workers; -1 for all cores.")] = 1,
    assume_linear: AssumeLinear = False,
    plots: Annotated[bool, typer.Option(help="Also draw plots/*.png.")] = True,
    max_memory: MaxMemory = None,
    force: Force = False,
    progress: Progress = True,
) -> None:
    """Estimate the cell-type proportions of bulk samples."""
    from bayesdecov.deconvolution.options import DeconvolutionRequest
    from bayesdecov.deconvolution.run import as_reference, run
    from bayesdecov.deconvolution.streaming import SHARD, deconvolve_to
    from bayesdecov.io.blocks import Blocks
    from bayesdecov.io.tables import read_table, write_table
    from bayesdecov.reference.hierarchy import groups_of
    from bayesdecov.results.sums import membership

    known, reference_files = known_reference(reference)
    inputs = {"bulk": bulk, **reference_files}
    if mrna_per_cell not in (None, "none"):
        inputs["mrna_per_cell"] = Path(mrna_per_cell)
    claim(out, force=force, inputs=inputs.values())
    checks.check_probability(prob, "prob")
    tail = _number_or_auto(df, "df")
    per_cell = _per_cell(mrna_per_cell)
    opened = opened_reference(known)
    blocks = Blocks(bulk, "bulk")
    sums = None
    if groups is not None:
        sums = read_table(groups, "groups", text=True)
        inputs["groups"] = groups
    summed = groups is not None or level is not None
    if groups is not None and level is not None:
        raise InputError("level", "cannot be combined with --groups", fix="leave one of them out")
    whole_cohort = calibrate or other or leave_one_out or summed
    if shard_size is None and blocks.n_samples >= _MANY and not whole_cohort:
        shard_size = SHARD
    for name, given in (
        ("leave-one-out", leave_one_out),
        ("groups" if groups else "level", summed),
    ):
        if shard_size is not None and given:
            raise InputError(name, "needs the whole cohort in memory", fix="omit --shard-size")
    options: dict[str, Any] = {
        "prior": prior,
        "noise": noise,
        "seed": seed,
        "n_jobs": n_jobs,
        "size_factor": size_factor,
        "df": tail,
        "platform": _platform(platform, elsewhere),
        "sampling": sampling,
        "calibrate": calibrate,
        "other": other,
        "mrna_per_cell": per_cell,
        "assume_linear": assume_linear,
    }
    if level is not None or sums is not None:  # wrong groups are found before the fit
        opened = as_reference(opened, assume_linear)
        if level is not None:
            sums = groups_of(opened, int(level) if level.isdigit() else level)
        membership(sums, opened.cell_types)
    if shard_size is not None:
        deconvolve_to(
            out,
            blocks,
            opened,
            method,
            shard_size=shard_size,
            prob=prob,
            force=force,
            inputs=inputs,
            arguments=sys.argv[1:],
            progress=progress and sys.stderr.isatty(),
            **options,
        )
        verdicts = read_table(out / "diagnostics.csv", "diagnostics", text=True)["verdict"]
        console.print(
            f"{blocks.n_samples} samples; all diagnostics are good for "
            f"{int((verdicts == 'good').sum())} of them (diagnostics.csv)",
            markup=False,
        )
        written(out)
        return
    request = DeconvolutionRequest(method=method, progress=progress, **options)
    fit = run(blocks.take(0, blocks.n_samples), opened, request)
    sensitivity = fit.leave_one_type_out() if leave_one_out else None
    added = None if sums is None else fit.sum(sums).intervals(prob)
    with whole(fit, out, force=force, prob=prob, inputs=inputs) as folder:
        if sensitivity is not None:
            write_table(sensitivity, folder / "sensitivity.csv")
        if added is not None:
            write_table(added, folder / "sums.csv")
        if plots:
            from bayesdecov.plots.folder import draw

            draw(fit, folder / "plots", prob=prob)
