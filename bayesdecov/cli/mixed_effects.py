"""The command about cell-type-specific expression: fastmix."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bayesdecov.cli.app import Force, MaxMemory, Out, Progress, app, claim, guarded
from bayesdecov.cli.app import out as console
from bayesdecov.errors import InputError


@app.command()
@guarded
def fastmix(
    expression: Annotated[Path, typer.Argument(help="Expression, genes x samples, normalised.")],
    proportions: Annotated[
        Path,
        typer.Option(
            help="Table: sample, cell types (fractions); or the folder of a finished run "
            "of deconvolve or gate, with its uncertainty."
        ),
    ],
    covariates: Annotated[Path, typer.Option(help="Table: sample, covariates.")],
    out: Out,
    method: Annotated[
        str | None,
        typer.Option(
            help="moments (the paper), map (REML), mixture (usually best), nuts, joint "
            "(the mixture with errors of proportions). Default: joint where errors are "
            "known (mixture with --errors), else moments."
        ),
    ] = None,
    standard_errors: Annotated[
        str | None,
        typer.Option(help="Of a table of proportions: a table like it, or one number."),
    ] = None,
    errors: Annotated[
        str | None,
        typer.Option(help="Errors of proportions in the other methods: ignore or calibrate."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="fastmix-0.2.5 (the R program) or paper (its text).")
    ] = None,
    formula: Annotated[
        str | None, typer.Option(help="Covariates to use, e.g. '~ group + age'. Default: all.")
    ] = None,
    include_covariates: Annotated[
        str, typer.Option(help="Main effects of covariates: auto, yes or no.")
    ] = "auto",
    rest: Annotated[
        str | None,
        typer.Option(help="Cell type to leave out, or a name for what the proportions leave to 1."),
    ] = None,
    reference_cell_type: Annotated[
        str | None, typer.Option(help="Cell type whose effects the main effects then are.")
    ] = None,
    random: Annotated[
        list[str] | None,
        typer.Option(help="Design column with a random effect (repeat). Default: all."),
    ] = None,
    standardise: Annotated[bool, typer.Option(help="Centre and scale the covariates.")] = True,
    weights: Annotated[
        Path | None, typer.Option(help="Table: covariance of the samples, samples x samples.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Covariate that names repeatedly measured subjects.")
    ] = None,
    variance: Annotated[
        str | None, typer.Option(help="Residual variances (mixture): gene or common.")
    ] = None,
    screen: Annotated[
        str | None,
        typer.Option(help="Test of normality (moments): mixture, anderson, shapiro, none."),
    ] = None,
    trim: Annotated[
        float | None, typer.Option(help="Share of genes trimmed (moments), default 0.5.")
    ] = None,
    diagonal: Annotated[
        bool, typer.Option("--diagonal", help="Independent random effects (moments, map).")
    ] = False,
    draws: Annotated[int | None, typer.Option(help="Draws per chain (nuts), 1000.")] = None,
    tune: Annotated[int | None, typer.Option(help="Warm-up per chain (nuts), 1000.")] = None,
    chains: Annotated[int | None, typer.Option(help="Chains (nuts), 4.")] = None,
    target_accept: Annotated[float | None, typer.Option(help="Acceptance (nuts), .9.")] = None,
    cores: Annotated[int | None, typer.Option(help="Chains at a time (nuts).")] = None,
    nuts_sampler: Annotated[str | None, typer.Option(help="auto, nutpie or pymc.")] = None,
    contaminated: Annotated[
        bool, typer.Option("--contaminated", help="A minority of shifted genes (nuts).")
    ] = False,
    nu: Annotated[
        str | None, typer.Option(help="Heavy tails (nuts): degrees of freedom, or estimate.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    progress: Progress = True,
    plots: Annotated[bool, typer.Option(help="Also draw plots/*.png.")] = True,
    max_memory: MaxMemory = None,
    force: Force = False,
) -> None:
    """Find cell-type-specific effects of covariates, overall and gene by gene."""
    from bayesdecov import checks
    from bayesdecov.io.blocks import stays_on_disk
    from bayesdecov.io.outputs import whole_folder
    from bayesdecov.io.tables import read_table
    from bayesdecov.mixed_effects.fastmix import fastmix as run
    from bayesdecov.mixed_effects.write import draw, fill_mixed_effects

    inputs = {"expression": expression, "proportions": proportions, "covariates": covariates}
    if weights is not None:
        inputs["weights"] = weights
    if proportions.is_dir():
        inputs["proportions"] = proportions / "run.json"
    stated, table_of_errors = number_or_table(standard_errors)
    if table_of_errors is not None:
        inputs["standard_errors"] = table_of_errors
    claim(out, force=force, inputs=inputs.values())
    checks.choice(include_covariates, ("auto", "yes", "no"), "include-covariates")
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
        include_covariates="auto" if include_covariates == "auto" else include_covariates == "yes",
        rest=rest,
        reference_cell_type=reference_cell_type,
        random=random or None,
        standardise=standardise,
        weights=None if weights is None else read_table(weights, "weights"),
        subject=subject,
        variance=variance,
        screen=screen,
        trim=trim,
        diagonal=diagonal or None,
        draws=draws,
        tune=tune,
        chains=chains,
        cores=cores,
        target_accept=target_accept,
        nuts_sampler=nuts_sampler,
        contaminated=contaminated or None,
        nu=_number_or_estimate(nu),
        seed=seed,
        progress=progress,
    )
    with whole_folder(out, force=force) as folder:
        fill_mixed_effects(fit, folder, inputs=inputs, arguments=sys.argv[1:])
        if plots:
            draw(fit, folder / "plots")
    console.print(str(fit), markup=False)
    if method is None and chosen != "moments":
        console.print(f"proportions come with errors: method {chosen} (--method chooses otherwise)",
                      markup=False)  # fmt: skip
    console.print(f"written: {out}", markup=False)


def number_or_table(value: str | None) -> tuple[Any, Path | None]:
    """Standard errors: one number, or a table and where it lies."""
    from bayesdecov.io.tables import read_table

    if value is None:
        return None, None
    try:
        return float(value), None
    except ValueError:
        return read_table(Path(value), "standard-errors"), Path(value)


def _default(proportions: Path, given: Any, preset: str | None, errors: str | None) -> str:
    """The joint model where proportions say how sure they are, unless options choose otherwise."""
    from bayesdecov.mixed_effects.uncertain import states

    if preset is not None or not (
        given is not None or (proportions.is_dir() and states(proportions))
    ):
        return "moments"
    return "joint" if errors is None else "mixture"


def _number_or_estimate(value: str | None) -> float | str | None:
    if value is None or value == "estimate":
        return value
    try:
        return float(value)
    except ValueError:
        raise InputError("nu", "must be a number or 'estimate'", found=repr(value)) from None
