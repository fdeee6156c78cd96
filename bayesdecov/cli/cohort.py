"""The command about cohorts: contrast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayesdecov.cli.app import Force, MaxMemory, Out, app, claim, guarded, whole
from bayesdecov.cli.expand import expand
from bayesdecov.errors import InputError
from bayesdecov.options import Sampling


@app.command()
@guarded
@expand(Sampling, only=("draws", "tune", "chains"), usual={"draws": 1000, "tune": 200, "chains": 4})
def contrast(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder written by deconvolve (laplace or nuts) or gate, or a table of "
            "proportions, which is treated as exact."
        ),
    ],
    covariates: Annotated[Path, typer.Option(help="Table: samples x covariates.")],
    out: Out,
    formula: Annotated[
        str | None, typer.Option(help="E.g. '~ group' or '~ group * age'. Default: all columns.")
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(help="Values to compare, e.g. age=30,60; repeat for more covariates."),
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Column that names the subject (paired or repeated samples).")
    ] = None,
    rope: Annotated[
        float, typer.Option(help="Region of practical equivalence, percentage points.")
    ] = 0.0,
    prob: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.95,
    *,
    sampling: Sampling,
    seed: Annotated[int | None, typer.Option(help="Seed of the draws.")] = None,
    max_memory: MaxMemory = None,
    force: Force = False,
) -> None:
    """Test whether proportions differ between conditions, given their uncertainty."""
    from bayesdecov.cohort.contrast import contrast as ask
    from bayesdecov.io.tables import read_table
    from bayesdecov.plots.folder import draw

    inputs = {"run": run / "posterior.nc" if run.is_dir() else run, "covariates": covariates}
    claim(out, force=force, inputs=inputs.values())
    found = ask(
        run if run.is_dir() else read_table(run, "proportions"),
        read_table(covariates, "covariates"),
        formula,
        at=_at(at or []),
        subject=subject,
        rope=rope,
        prob=prob,
        sampling=sampling,
        seed=seed,
    )
    files = {name: path for name, path in inputs.items() if path.is_file()}
    with whole(found, out, force=force, inputs=files) as folder:
        draw(found, folder)


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
