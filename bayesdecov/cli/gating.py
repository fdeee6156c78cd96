"""The commands about flow cytometry: gate, and hierarchy (show and convert)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
from bayesdecov.errors import InputError

Exclusion = Annotated[
    Path | None, typer.Option(help="DAFi's exclusion file, for a .config hierarchy.")
]


@app.command()
@guarded
def gate(
    files: Annotated[
        list[Path],
        typer.Argument(help="FCS files, event tables (.txt .csv, also .gz), or a folder of FCS."),
    ],
    hierarchy: Annotated[
        Path, typer.Option(help="Gates: .toml, DAFi's .config, Gating-ML .xml or FlowJo .wsp.")
    ],
    out: Out,
    exclusion: Exclusion = None,
    k: Annotated[
        int | None, typer.Option(help="Clusters per sample, for a .config hierarchy. Default: 500.")
    ] = None,
    k_sub: Annotated[
        int | None, typer.Option(help="Clusters where Recluster is 2, for a .config hierarchy.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="First seed of k-means. Default: the hierarchy's.")
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            help="Number of seeds; with 5 or more, intervals include the spread over seeds."
        ),
    ] = 1,
    draws: Annotated[int, typer.Option(help="Number of posterior draws per sample.")] = 1000,
    prob: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.95,
    members: Annotated[
        str | None,
        typer.Option(help="Also write each event's populations: csv, parquet, or fcs."),
    ] = None,
    n_jobs: Annotated[int, typer.Option(help="Files at a time; -1 for all cores.")] = 1,
    plots: Annotated[bool, typer.Option(help="Also draw plots/*.png.")] = True,
    max_memory: MaxMemory = None,
    force: Force = False,
    progress: Progress = True,
) -> None:
    """Turn flow-cytometry files into cell-type proportions (DAFi gating)."""
    from bayesdecov import checks
    from bayesdecov.gating.gate import gate as run
    from bayesdecov.gating.members import MEMBERS, check_members
    from bayesdecov.plots.folder import draw

    inputs = {"hierarchy": hierarchy}
    if exclusion is not None:
        inputs["exclusion"] = exclusion
    claim(out, force=force, inputs=[*inputs.values(), *files])
    checks.check_probability(prob, "prob")
    if members is not None:
        checks.check_choice(members, MEMBERS, "members")
    gates = _read(hierarchy, exclusion=exclusion, k=k, k_sub=k_sub)
    result = run(
        files, gates, seed=seed, seeds=seeds, draws=draws, n_jobs=n_jobs, progress=progress
    )
    check_members(members, result.counts.index, result.files)
    with whole(result, out, force=force, prob=prob, inputs=inputs) as folder:
        if members is not None:
            result.write_members(folder / "members", members)
        if plots:
            draw(result, folder / "plots", progress=progress)


@app.command()
@guarded
def hierarchy(
    source: Annotated[
        Path, typer.Argument(help="Gates: .toml, DAFi's .config, Gating-ML .xml or FlowJo .wsp.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Convert: .toml, .config (DAFi) or .xml (Gating-ML 2.0).")
    ] = None,
    exclusion: Exclusion = None,
    out_exclusion: Annotated[
        Path | None, typer.Option(help="File for excluded regions, for a .config target.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="Comma-separated column names of the event table, for a .config target."),
    ] = None,
    k: Annotated[
        int | None, typer.Option(help="Clusters, for a .config source. Default: 500.")
    ] = None,
    k_sub: Annotated[
        int | None, typer.Option(help="Clusters where Recluster is 2, for a .config source.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="Imported gates select events (default) or clusters: events or cluster."),
    ] = None,
    sample: Annotated[
        str | None, typer.Option(help="Sample of a FlowJo workspace whose gates are read.")
    ] = None,
    max_memory: MaxMemory = None,
    force: Force = False,
) -> None:
    """Check and show a gating hierarchy, and convert it between formats."""
    from bayesdecov.gating.files import write_hierarchy

    gates = _read(source, exclusion=exclusion, k=k, k_sub=k_sub, mode=mode, sample=sample)
    console.print(str(gates), markup=False)
    if out is not None:
        named = None if columns is None else [name.strip() for name in columns.split(",")]
        write_hierarchy(gates, out, out_exclusion, columns=named, force=force)
        console.print(f"written: {out}", markup=False)


def _read(source: Path, **options: Any) -> Any:
    """A hierarchy; options that do not apply to its format are refused."""
    from bayesdecov.gating.files import read_hierarchy

    given = {name: value for name, value in options.items() if value is not None}
    kind = source.suffix.lower()
    mine = {".toml": (), ".xml": ("mode",), ".wsp": ("mode", "sample")}.get(
        kind, ("exclusion", "k", "k_sub")
    )
    for name in given:
        if name not in mine:
            fix = "set it in the file" if kind == ".toml" else "omit it"
            raise InputError(
                name.replace("_", "-"), f"must not be used with a {kind} hierarchy", fix=fix
            )
    return read_hierarchy(source, **given)
