"""The command that examines data before an analysis: doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayesdecov.cli.app import (
    AssumeLinear,
    Force,
    MaxMemory,
    app,
    claim,
    console,
    guarded,
    whole,
)
from bayesdecov.errors import InputError


@app.command()
@guarded
def doctor(
    bulk: Annotated[
        Path | None, typer.Argument(help="Bulk expression, genes x samples (with --reference).")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="reference.nc, a signature table, or a published signature's name."),
    ] = None,
    proportions: Annotated[
        Path | None,
        typer.Option(help="Instead of BULK: a table of proportions, or the folder of a run."),
    ] = None,
    covariates: Annotated[
        Path | None, typer.Option(help="Table: samples x covariates (with --proportions).")
    ] = None,
    formula: Annotated[
        str | None, typer.Option(help="Covariates to use, e.g. '~ group + age'. Default: all.")
    ] = None,
    standard_errors: Annotated[
        str | None,
        typer.Option(
            help="Standard errors of --proportions: a table of the same shape, or one number."
        ),
    ] = None,
    rest: Annotated[
        str | None,
        typer.Option(
            help="Cell type to leave out, or a name for the remainder of the proportions to 1."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write the verdict and tables to this folder.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated bulks.")] = 0,
    assume_linear: AssumeLinear = False,
    max_memory: MaxMemory = None,
    force: Force = False,
) -> None:
    """Report what data can show: confusable cell types, smallest proportions and effects."""
    from bayesdecov.cli.deconvolution import known_reference, opened_reference
    from bayesdecov.cli.mixed_effects import number_or_table
    from bayesdecov.doctor import examine_bulk, examine_cohort
    from bayesdecov.io.tables import read_table

    known, of_reference = (None, {}) if reference is None else known_reference(reference)
    given = {
        "bulk": bulk,
        **of_reference,
        "proportions": proportions,
        "covariates": covariates,
    }
    inputs = {name: path for name, path in given.items() if path is not None}
    if out is not None:
        claim(out, force=force, inputs=inputs.values())
    if bulk and known and not (proportions or covariates):
        for name, value in (
            ("formula", formula),
            ("standard-errors", standard_errors),
            ("rest", rest),
        ):
            if value is not None:
                raise InputError(name, "must be used together with --proportions and --covariates")
        found = examine_bulk(
            read_table(bulk, "bulk"),
            opened_reference(known),
            seed=seed,
            assume_linear=assume_linear,
        )
    elif proportions and covariates and not (bulk or reference):
        stated, _ = number_or_table(standard_errors)
        found = examine_cohort(
            proportions if proportions.is_dir() else read_table(proportions, "proportions"),
            read_table(covariates, "covariates"),
            formula=formula,
            standard_errors=stated,
            rest=rest,
        )
    else:
        raise InputError(
            "doctor",
            "must be BULK with --reference, or --proportions with --covariates",
            found=", ".join(inputs) or "nothing",
        )
    if out is None:
        console.print(str(found), markup=False)
        return
    files = {name: path / "run.json" if path.is_dir() else path for name, path in inputs.items()}
    with whole(found, out, force=force, inputs=files):
        pass
