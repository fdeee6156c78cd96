"""The command about gene sets: enrich."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayesdecov.cli.app import Force, MaxMemory, Out, app, claim, guarded, whole


@app.command()
@guarded
def enrich(
    genes: Annotated[Path, typer.Argument(help="genes.csv of fastmix, or its folder.")],
    gmt: Annotated[Path, typer.Option(help="Gene sets: a GMT file of your own.")],
    out: Out,
    fdr: Annotated[float, typer.Option(help="Select genes with a q-value below this.")] = 0.05,
    top: Annotated[
        int | None, typer.Option(help="Instead, select this number of genes for each effect.")
    ] = None,
    direction: Annotated[str, typer.Option(help="both, up or down.")] = "both",
    smallest: Annotated[int, typer.Option(help="Minimum number of tested genes in a set.")] = 5,
    largest: Annotated[int, typer.Option(help="Maximum number of tested genes in a set.")] = 500,
    max_memory: MaxMemory = None,
    force: Force = False,
) -> None:
    """Test your gene sets for enrichment in the responding genes of each effect."""
    from bayesdecov.enrichment import enrich as run
    from bayesdecov.plots.folder import draw

    claim(out, force=force, inputs=[gmt])
    found = run(
        genes, gmt, fdr=fdr, top=top, direction=direction, smallest=smallest, largest=largest
    )
    with whole(found, out, force=force) as folder:
        draw(found, folder)
