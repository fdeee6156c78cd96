"""The command that reproduces the papers' figures and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayesdecov.cli.app import Force, Progress, app, claim, console, guarded, written


@app.command()
@guarded
def reproduce(
    name: Annotated[
        str, typer.Argument(help="decovart-figure2, fastmix-figure1c or fastmix-table1.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for CSV, PNG and a summary.")],
    quick: Annotated[bool, typer.Option("--quick", help="Fewer simulated samples.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the simulations.")] = 1,
    force: Force = False,
    progress: Progress = True,
) -> None:
    """Reproduce a figure or table of the papers, and report where the numbers agree."""
    from bayesdecov import checks
    from bayesdecov.reproductions import REPRODUCTIONS

    checks.check_choice(name, tuple(REPRODUCTIONS), "name")
    claim(out, force=force)
    text = REPRODUCTIONS[name].write(out, quick=quick, seed=seed, force=force, progress=progress)
    console.print(text, markup=False)
    written(out)
