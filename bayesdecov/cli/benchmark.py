"""The command that compares methods on problems with a known truth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesdecov.cli.app import (
    Force,
    MaxMemory,
    Progress,
    app,
    claim,
    guarded,
    whole,
)
from bayesdecov.errors import InputError

if TYPE_CHECKING:
    from bayesdecov.benchmarking import Case


@app.command()
@guarded
def benchmark(
    out: Annotated[Path, typer.Option(help="Folder for tables, plots and the HTML page.")],
    problem: Annotated[
        list[str] | None,
        typer.Option(
            "--problem",
            "--data",
            "-p",
            help="noise, donors, 'unknown content', 'missing type', spill-over, resolution, "
            "platforms, sc_mixology, abis_pbmc, or real (every real data set at hand); repeat for "
            "several. Default: all available, or only your own data.",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="E.g. map or laplace:covariance=factor,size_factor=free; repeat for several. "
            "Default: map, laplace and all baselines.",
        ),
    ] = None,
    bulk: Annotated[Path | None, typer.Option(help="Your own bulks, genes x samples.")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Their true proportions, samples x cell types.")
    ] = None,
    purified: Annotated[
        Path | None, typer.Option(help="Purified samples, genes x samples (with --labels).")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Table: sample, cell type.")] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Instead of purified samples: reference.nc or a signature table."),
    ] = None,
    merge: Annotated[
        Path | None,
        typer.Option(help="Table: cell type in the reference, cell type in the true proportions."),
    ] = None,
    genes: Annotated[
        int, typer.Option(help="Number of markers selected from your purified samples.")
    ] = 200,
    repeats: Annotated[
        int | None, typer.Option(help="Simulated cohorts per scenario. Default: 2, with --quick 1.")
    ] = None,
    bootstrap: Annotated[
        int | None,
        typer.Option(help="Intervals for baselines: number of bootstrap samples of genes."),
    ] = None,
    prob: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.95,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer samples, genes, levels.")] = False,
    memory: Annotated[
        bool, typer.Option(help="Measure memory, which runs every estimate twice.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of simulations and draws.")] = 1,
    n_jobs: Annotated[
        int, typer.Option(help="Parallel workers; times are most accurate with 1.")
    ] = 1,
    max_memory: MaxMemory = None,
    force: Force = False,
    progress: Progress = True,
) -> None:
    """Compare methods on simulated scenarios, real data or your own data with a known truth."""
    from bayesdecov.benchmarking import benchmark as run
    from bayesdecov.benchmarking.report import render
    from bayesdecov.plots.folder import draw

    own = {
        "bulk": bulk,
        "truth": truth,
        "purified": purified,
        "labels": labels,
        "reference": reference,
        "merge": merge,
    }
    inputs = {name: path for name, path in own.items() if path is not None}
    claim(out, force=force, inputs=inputs.values())
    problems: list[str | Case] | None = None if problem is None else list(problem)
    if inputs:
        problems = [*(problem or []), _own(inputs, genes)]
    found = run(
        problems,
        method,
        repeats=repeats,
        quick=quick,
        bootstrap=bootstrap,
        prob=prob,
        memory=memory,
        seed=seed,
        n_jobs=n_jobs,
        progress=None if progress else False,
    )
    with whole(found, out, force=force, inputs=inputs, read_first="benchmark.html") as folder:
        draw(found, folder / "plots")
        record = found.record(inputs=inputs, arguments=sys.argv[1:])
        html = render(found, out.resolve().name, record)
        (folder / "benchmark.html").write_text(html, encoding="utf-8")


def _own(inputs: dict[str, Path], genes: int) -> Case:
    """The user's tables as a case."""
    from bayesdecov import checks
    from bayesdecov.benchmarking import Case
    from bayesdecov.io.tables import read_labels, read_table
    from bayesdecov.reference.reference import Reference

    for name in ("bulk", "truth"):
        if name not in inputs:
            raise InputError(
                name, "is needed in addition to your other tables", fix=f"add --{name} FILE"
            )
    if ("reference" in inputs) == ("purified" in inputs):
        raise InputError("purified", "must be given with --labels, or replaced by --reference")
    if ("labels" in inputs) != ("purified" in inputs):
        raise InputError("labels", "must be given together with --purified")
    checks.check_whole(genes, "genes")
    reference = None
    if "reference" in inputs:
        path = inputs["reference"]
        reference = (
            Reference.load(path) if path.suffix.lower() == ".nc" else read_table(path, "reference")
        )
    return Case(
        scenario="own data",
        level="",
        bulk=checks.check_numeric(read_table(inputs["bulk"], "bulk"), "bulk"),
        truth=read_table(inputs["truth"], "truth"),
        purified=read_table(inputs["purified"], "purified") if "purified" in inputs else None,
        labels=read_labels(inputs["labels"]) if "labels" in inputs else None,
        reference=reference,
        genes=genes,
        merge=dict(read_labels(inputs["merge"], "merge")) if "merge" in inputs else None,
    )
