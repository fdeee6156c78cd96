"""Gene sets: from GMT files or mappings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.io.files import read_lines


def read_gmt(path: str | Path, argument: str = "gmt") -> dict[str, list[str]]:
    """Gene sets from a GMT file: name, description and genes, tab-separated, one set per line.

    Raises
    ------
    InputError
        The file is missing or not a GMT file, or two sets have the same name.
    """
    path = Path(path)
    lines = read_lines(path, argument)
    sets: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *rest = (cell.strip() for cell in line.split("\t"))
        if len(rest) < 2 or not name:
            raise InputError(
                argument,
                f"line {number} of {path.name!r} must be a name, a description and genes",
                found=repr(line[:40]),
                fix="separate them by tabs",
            )
        if name in sets:
            raise InputError(argument, "names of gene sets must be unique", found=repr(name))
        sets[name] = [gene for gene in rest[1:] if gene]
    if not sets:
        raise InputError(argument, f"{str(path)!r} contains no gene sets")
    checks.check_plain_names(sets, argument, "gene set")
    return gene_sets(sets, argument)


def gene_sets(value: Any, argument: str) -> dict[str, list[str]]:
    """Gene sets as lists of distinct names, from a mapping or the path of a GMT file."""
    if isinstance(value, (str, Path)):
        return read_gmt(value, argument)
    if not isinstance(value, Mapping) or not value:
        raise InputError(
            argument,
            "must map names to genes, or be the path of a GMT file",
            found=type(value).__name__,
        )
    sets = {}
    for name, genes in value.items():
        if isinstance(genes, str):
            raise InputError(f"{argument}[{name!r}]", "must be a list of genes", found=repr(genes))
        sets[str(name)] = list(dict.fromkeys(str(gene).strip() for gene in genes))
        if not sets[str(name)]:
            raise InputError(argument, "gene sets must not be empty", found=repr(name))
    return sets


def known_genes(
    sets: Mapping[str, list[str]], genes: Any, argument: str
) -> tuple[dict[str, list[str]], list[str]]:
    """The measured genes of every set, and the names of sets without any.

    Raises
    ------
    InputError
        No set has a measured gene.
    """
    measured = {str(gene) for gene in genes}
    kept = {name: [g for g in own if g in measured] for name, own in sets.items()}
    lost = [name for name, own in kept.items() if not own]
    if len(lost) == len(kept):
        example = next(iter(sets.values()))
        raise InputError(
            argument,
            "must share genes with the expression",
            found=f"{checks.some(example, 3)} in the sets, "
            f"{checks.some(sorted(measured), 3)} in the expression",
            fix="use the same kind of identifier in both",
        )
    return {name: own for name, own in kept.items() if own}, lost
