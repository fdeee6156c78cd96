"""Commands about references: reference, references."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bayesdecov.cli.app import AssumeLinear, Force, MaxMemory, app, console, guarded, written
from bayesdecov.errors import InputError


def _genes(value: str) -> int | list[str] | None:
    """A number, "all", or a file with one gene name per line."""
    if value.lower() == "all":
        return None
    if value.lstrip("-").isdigit():
        return int(value)
    from bayesdecov.io.files import read_lines

    path = Path(value)
    if not path.is_file():
        raise InputError(
            "genes",
            "must be a number, 'all' or a file with one gene name per line",
            found=repr(value),
        )
    names = [line.strip() for line in read_lines(path, "genes") if line.strip()]
    if not names:
        raise InputError("genes", f"the file {value!r} contains no gene names")
    return names


@app.command()
@guarded
def reference(
    purified: Annotated[
        list[Path],
        typer.Argument(
            help="Expression of purified samples, genes x samples (with --labels); or single cells "
            "(with --cell-type): .h5ad, .zarr, a 10x .h5 or a folder with matrix.mtx, also several."
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(help="Purified samples: table of sample, cell_type (and donor, if known)."),
    ] = None,
    cell_type: Annotated[
        str | None, typer.Option(help="Single cells: the column of obs with the cell types.")
    ] = None,
    donor: Annotated[
        str | None, typer.Option(help="Single cells: the column of obs with the donors.")
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(
            help="Single cells: the column of obs with the batches, within which the mRNA of cell "
            "types is compared."
        ),
    ] = None,
    obs: Annotated[
        Path | None,
        typer.Option(help="Single cells: a table of the cells, for files without annotations."),
    ] = None,
    layer: Annotated[
        str, typer.Option(help="Single cells: auto, X, raw or the name of a layer with counts.")
    ] = "auto",
    gene_names: Annotated[
        str | None, typer.Option(help="Single cells: the column of var with the genes' names.")
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            help="Single cells: a cell type to leave out (repeatable), besides missing ones. "
            "Default: unknown, unassigned, doublet."
        ),
    ] = None,
    min_cells: Annotated[
        int, typer.Option(help="Single cells: the fewest cells of a profile or a cell type.")
    ] = 10,
    hierarchy: Annotated[
        Path | None,
        typer.Option(
            help="Table: cell type or group, its parent. Every level gets its markers; "
            "deconvolve --level sums."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("reference.nc"),
    covariance: Annotated[
        str | None,
        typer.Option(
            help="glasso, glasso-refit, shrinkage, diagonal or factor. Default: glasso; for single "
            "cells diagonal."
        ),
    ] = None,
    genes: Annotated[
        str, typer.Option(help="Number of markers, 'all', or a file of gene names.")
    ] = "300",
    assume_linear: AssumeLinear = False,
    max_memory: MaxMemory = None,
    force: Force = False,
) -> None:
    """Build a reference from replicates of purified cell types, or from single cells."""
    from bayesdecov.io.tables import read_donors, read_labels, read_table
    from bayesdecov.reference.reference import Reference
    from bayesdecov.reference.storage import check_target

    check_target(out, force=force)
    if (labels is None) == (cell_type is None):
        raise InputError(
            "labels",
            "a reference needs either --labels (purified samples) or --cell-type (single cells)",
            found="both" if labels is not None else "neither",
        )
    parents = None if hierarchy is None else read_table(hierarchy, "hierarchy", text=True)
    if cell_type is not None:
        dropped = {"drop": drop} if drop else {}
        built = Reference.from_cells(
            purified if len(purified) > 1 else purified[0],
            cell_type,
            donor,
            batch=batch,
            obs=obs,
            layer=layer,
            gene_names=gene_names,
            min_cells=min_cells,
            hierarchy=parents,
            covariance=covariance or "diagonal",
            genes=_genes(genes),
            **dropped,
        )
    else:
        assert labels is not None
        _check_purified(purified, labels)
        built = Reference.from_samples(
            read_table(purified[0], "purified"),
            read_labels(labels),
            covariance or "glasso",
            genes=_genes(genes),
            donors=read_donors(labels),
            hierarchy=parents,
            assume_linear=assume_linear,
        )
    built.save(out)
    console.print(str(built), markup=False)
    written(out)


def _check_purified(purified: list[Path], labels: Path) -> None:
    """One table of purified samples, with its labels in a file."""
    if len(purified) > 1:
        raise InputError(
            "purified", "must be one table with --labels", found=f"{len(purified)} files"
        )
    if not labels.exists() and not labels.suffix:
        raise InputError(
            "labels",
            "must be a file: sample, cell_type",
            found=f"no file {str(labels)!r}",
            fix=f"for a column of single cells use --cell-type {labels}",
        )


@app.command()
@guarded
def references() -> None:
    """List published signatures that --reference takes by name, with their licences."""
    from bayesdecov.reference.public import references as known

    for name, row in known().iterrows():
        console.print(
            f"{name}\n  {row['title']}; {row['platform']}, {row['unit']}: {row['quantity']}\n"
            f"  {row['source']}; licence of the numbers: {row['licence']}"
            f"{'' if row['offline'] else '; will be downloaded'}",
            markup=False,
        )
