"""The command about cell-type-specific expression: fastmix."""

from __future__ import annotations

from dataclasses import replace
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
from bayesdecov.cli.expand import expand
from bayesdecov.errors import InputError
from bayesdecov.options import NUTS_ONLY, DesignOptions, EstimatorOptions, Sampling


@app.command()
@guarded
@expand(DesignOptions)
@expand(EstimatorOptions)
@expand(
    Sampling,
    only=("draws", *NUTS_ONLY),
    usual={"draws": 1000, "tune": 1000, "chains": 4, "target_accept": 0.9},
)
def fastmix(
    expression: Annotated[Path, typer.Argument(help="Expression, genes x samples, normalised.")],
    proportions: Annotated[
        Path,
        typer.Option(
            help="Table: sample, cell types (fractions); or the folder of a finished run "
            "of deconvolve or gate, whose uncertainty is used."
        ),
    ],
    covariates: Annotated[Path, typer.Option(help="Table: sample, covariates.")],
    out: Out,
    method: Annotated[
        str | None,
        typer.Option(
            help="moments (the paper), map (REML), mixture (usually best), nuts, joint "
            "(the mixture with errors of proportions). Default: joint if errors are "
            "known (mixture with --errors), otherwise moments."
        ),
    ] = None,
    standard_errors: Annotated[
        str | None,
        typer.Option(
            help="Standard errors of a table of proportions: a table of its shape, or one number."
        ),
    ] = None,
    errors: Annotated[
        str | None,
        typer.Option(
            help="Treatment of errors of proportions in other methods: ignore or calibrate."
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="fastmix-0.2.5 (the R program) or paper (its text).")
    ] = None,
    formula: Annotated[
        str | None, typer.Option(help="Covariates to use, e.g. '~ group + age'. Default: all.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Covariate that names subjects with repeated measurements.")
    ] = None,
    *,
    design: DesignOptions,
    estimator: EstimatorOptions,
    sampling: Sampling,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    progress: Progress = True,
    plots: Annotated[bool, typer.Option(help="Also draw plots/*.png.")] = True,
    max_memory: MaxMemory = None,
    force: Force = False,
) -> None:
    """Find cell-type-specific effects of covariates, overall and gene by gene."""
    from bayesdecov import checks
    from bayesdecov.io.blocks import stays_on_disk
    from bayesdecov.io.tables import read_table
    from bayesdecov.mixed_effects.fastmix import fastmix as run
    from bayesdecov.plots.folder import draw

    inputs = {"expression": expression, "proportions": proportions, "covariates": covariates}
    if design.weights is not None:
        inputs["weights"] = design.weights
    if proportions.is_dir():
        inputs["proportions"] = proportions / "run.json"
    stated, table_of_errors = number_or_table(standard_errors)
    if table_of_errors is not None:
        inputs["standard_errors"] = table_of_errors
    claim(out, force=force, inputs=inputs.values())
    checks.check_choice(design.include_covariates, ("auto", "yes", "no"), "include-covariates")
    if proportions.suffix.lower() == ".h5ad":
        raise InputError("proportions", "must be a table of samples x cell types, not .h5ad")
    chosen = method or _default(proportions, stated, preset, errors)
    fit = run(
        expression if stays_on_disk(expression) else read_table(expression, "expression"),
        proportions if proportions.is_dir() else read_table(proportions, "proportions"),
        read_table(covariates, "covariates"),
        chosen,
        preset,
        standard_errors=stated,
        errors=errors,
        formula=formula,
        subject=subject,
        design=_design(design),
        estimator=replace(estimator, nu=_number_or_estimate(estimator.nu)),
        sampling=sampling,
        seed=seed,
        progress=progress,
    )
    if method is None and chosen != "moments":
        console.print(
            f"proportions come with errors: method {chosen} (change it with --method)",
            markup=False,
        )
    with whole(fit, out, force=force, inputs=inputs) as folder:
        if plots:
            draw(fit, folder / "plots")


def _design(asked: DesignOptions) -> DesignOptions:
    """Options of the command line as Python arguments."""
    from bayesdecov.io.tables import read_table

    wanted = asked.include_covariates
    weights = None if asked.weights is None else read_table(asked.weights, "weights")
    return replace(
        asked,
        include_covariates="auto" if wanted == "auto" else wanted == "yes",
        random=asked.random or None,
        weights=weights,
    )


def number_or_table(value: str | None) -> tuple[Any, Path | None]:
    """Standard errors: one number, or a table and its path."""
    from bayesdecov.io.tables import read_table

    if value is None:
        return None, None
    try:
        return float(value), None
    except ValueError:
        return read_table(Path(value), "standard-errors"), Path(value)


def _default(proportions: Path, given: Any, preset: str | None, errors: str | None) -> str:
    """The joint model if proportions come with errors, unless options choose another method."""
    from bayesdecov.mixed_effects.uncertain import states

    if preset is not None or not (
        given is not None or (proportions.is_dir() and states(proportions))
    ):
        return "moments"
    return "joint" if errors is None else "mixture"


def _number_or_estimate(value: Any) -> float | str | None:
    if value is None or value == "estimate":
        return value
    try:
        return float(value)
    except ValueError:
        raise InputError("nu", "must be a number or 'estimate'", found=repr(value)) from None
