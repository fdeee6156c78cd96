"""Questions about cohorts: contrast."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bayesdecov.cli.app import Force, MaxMemory, Out, app, claim, guarded
from bayesdecov.cli.app import out as console
from bayesdecov.errors import InputError


@app.command()
@guarded
def contrast(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder that deconvolve (laplace or nuts) or gate wrote, or a table of "
            "proportions, which is taken as exact."
        ),
    ],
    covariates: Annotated[Path, typer.Option(help="Table: samples x covariates.")],
    out: Out,
    formula: Annotated[
        str | None, typer.Option(help="Such as '~ group' or '~ group * age'. Default: all columns.")
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(help="What to compare, such as age=30,60; again for more covariates."),
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Column that names the subject (paired, repeated).")
    ] = None,
    rope: Annotated[
        float, typer.Option(help="Region of practical equivalence, percentage points.")
    ] = 0.0,
    prob: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.95,
    draws: Annotated[int | None, typer.Option(help="Draws of each chain.")] = None,
    chains: Annotated[int | None, typer.Option(help="Chains (4).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the draws.")] = None,
    max_memory: MaxMemory = None,
    force: Force = False,
) -> None:
    """Do proportions differ between conditions? With the proportions' own uncertainty."""
    from bayesdecov.cohort.contrast import contrast as ask
    from bayesdecov.io.tables import read_table

    inputs = {"run": run / "posterior.nc" if run.is_dir() else run, "covariates": covariates}
    claim(out, force=force, inputs=inputs.values())
    found = ask(
        run if run.is_dir() else read_table(run, "proportions"),
        read_table(covariates, "covariates"), formula,
        at=_at(at or []), subject=subject, rope=rope, prob=prob, draws=draws, chains=chains,
        seed=seed,
    )  # fmt: skip
    found.write(out, force=force, arguments=sys.argv[1:],
                inputs={name: path for name, path in inputs.items() if path.is_file()}
                )  # fmt: skip
    console.print(str(found), markup=False)
    console.print(f"written: {out}", markup=False)


def _at(texts: list[str]) -> dict[str, tuple[object, object]] | None:
    """``age=30,60`` as a covariate and two values."""
    asked: dict[str, tuple[object, object]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        parts = [part.strip() for part in values.split(",")]
        if not equals or len(parts) != 2 or not all(parts):
            raise InputError("at", "must be written name=first,second", found=repr(text))
        asked[name.strip()] = (parts[0], parts[1])
    return asked or None
