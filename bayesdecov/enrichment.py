"""Over-representation of gene sets among genes that respond, against all tested genes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, hypergeom

from bayesdecov import checks
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.files import check_file, readable
from bayesdecov.io.gene_sets import gene_sets, known_genes
from bayesdecov.io.tables import EXACT, opened
from bayesdecov.results.result import Result

DIRECTIONS = ("both", "up", "down")
_NEEDED = ("gene", "covariate", "effect", "q_value")


@dataclass(frozen=True)
class Enrichment(Result):
    """Result of `enrich`.

    Attributes
    ----------
    table
        Tidy, best first within each covariate: covariate, gene_set, overlap, selected (genes of
        the list), set_size (the set's tested genes), background (tested genes), expected, fold,
        p_value, q_value, genes.
    settings, notes, facts
        Options, notes, and the number of sets tested.
    """

    table: pd.DataFrame
    settings: dict[str, Any]
    notes: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    command = "enrich"

    def tables(self, prob: float = 0.95) -> dict[str, pd.DataFrame]:
        """``enrichment``."""
        return {"enrichment": self.table}

    def __str__(self) -> str:
        found = self.table[self.table["q_value"] < self.settings["fdr"]]
        lines = [
            f"Enrichment: {self.table['gene_set'].nunique()} gene sets, "
            f"{self.table['covariate'].nunique()} effects, {len(found)} with "
            f"q < {self.settings['fdr']:g}"
        ]
        for _, row in found.sort_values("p_value").head(8).iterrows():
            lines.append(
                f"  {row['covariate']}: {row['gene_set']} ({row['overlap']} of "
                f"{row['set_size']}, {row['fold']:.1f} times the expected, "
                f"q = {row['q_value']:.2g})"
            )
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__


def enrich(
    genes: Any,
    sets: Any,
    *,
    fdr: float = 0.05,
    top: int | None = None,
    direction: str = "both",
    smallest: int = 5,
    largest: int = 500,
) -> Enrichment:
    r"""Over-representation of the genes that respond, per effect, in the user's gene sets.

    With :math:`N` tested genes, :math:`K` of them in the set and :math:`n` selected, the overlap
    under the null is hypergeometric: :math:`p = P(X \ge k)`. The background is the tested genes,
    never all genes of a database. False-discovery rates (Benjamini-Hochberg) are over the sets of
    one effect.

    Parameters
    ----------
    genes
        The table ``genes`` of a `fastmix` result, the result itself, or the path of its
        ``genes.csv`` or folder.
    sets
        Mapping of names to genes, or the path of a GMT file; the same identifiers as the genes.
    fdr
        Genes with a ``q_value`` below this are selected.
    top
        Select this many genes of smallest ``q_value`` instead (ties by effect).
    direction
        "up" and "down" select by the sign of the effect.
    smallest, largest
        Sets with fewer or more tested genes are left out.

    Returns
    -------
    Enrichment

    Examples
    --------
    >>> import bayesdecov as bd
    >>> from bayesdecov.enrichment import enrich
    >>> cohort = bd.simulate.fastmix("III", n_genes=400, n_samples=60, seed=1)
    >>> de = bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates, "mixture")
    >>> true = cohort.differential["Cell1.Group"]
    >>> found = enrich(de, {"reacting": list(true.index[true])}, top=20)
    >>> found.table.set_index("covariate").loc["Cell1.Group", "p_value"] < 0.05
    np.True_
    """
    table = _genes(genes)
    fdr = checks.check_probability(fdr, "fdr")
    checks.check_choice(direction, DIRECTIONS, "direction")
    if top is not None:
        checks.check_whole(top, "top")
    smallest = checks.check_whole(smallest, "smallest")
    largest = checks.check_whole(largest, "largest", at_least=smallest)
    notes = Notes()
    named, lost = known_genes(gene_sets(sets, "sets"), table["gene"].unique(), "sets")
    sizes = {name: len(own) for name, own in named.items()}
    kept = {name: set(own) for name, own in named.items() if smallest <= sizes[name] <= largest}
    left = len(named) - len(kept) + len(lost)
    if not kept:
        raise InputError(
            "sets",
            f"at least one must have {smallest} to {largest} tested genes",
            found=f"sizes {min(sizes.values())} to {max(sizes.values())}",
            fix="change smallest or largest",
        )
    if left:
        notes.info(
            f"{left} sets with fewer than {smallest} or more than {largest} tested genes "
            "are left out"
        )
    rows = []
    for covariate, part in table.groupby("covariate", sort=False):
        chosen = _selected(part, fdr, top, direction)
        if not chosen:
            notes.info(f"no gene of {covariate} is selected")
            continue
        rows += _of_effect(str(covariate), chosen, set(part["gene"]), kept)
    columns = [
        "covariate",
        "gene_set",
        "overlap",
        "selected",
        "set_size",
        "background",
        "expected",
        "fold",
        "p_value",
        "q_value",
        "genes",
    ]
    if not rows:
        notes.warn("no gene is selected for any effect; give top= or a larger fdr=")
    settings = {
        "fdr": fdr,
        "top": top,
        "direction": direction,
        "smallest": smallest,
        "largest": largest,
    }
    return Enrichment(
        pd.DataFrame(rows, columns=columns), settings, tuple(notes.lines), {"sets": len(kept)}
    )


def _of_effect(
    covariate: str, chosen: list[str], background: set[str], sets: dict[str, set[str]]
) -> list[dict[str, Any]]:
    """All sets of one effect, best first."""
    found = []
    for name, own in sets.items():
        tested = own & background
        overlap = [gene for gene in chosen if gene in tested]
        expected = len(chosen) * len(tested) / len(background)
        p = hypergeom.sf(len(overlap) - 1, len(background), len(tested), len(chosen))
        found.append(
            {
                "covariate": covariate,
                "gene_set": name,
                "overlap": len(overlap),
                "selected": len(chosen),
                "set_size": len(tested),
                "background": len(background),
                "expected": expected,
                "fold": len(overlap) / expected if expected else np.nan,
                "p_value": float(p),
                "genes": ";".join(overlap),
            }
        )
    adjusted = false_discovery_control([row["p_value"] for row in found])
    for row, q in zip(found, adjusted, strict=True):
        row["q_value"] = float(q)
    return sorted(found, key=lambda row: (row["p_value"], row["gene_set"]))


def _selected(part: pd.DataFrame, fdr: float, top: int | None, direction: str) -> list[str]:
    if direction != "both":
        part = part[part["effect"] > 0] if direction == "up" else part[part["effect"] < 0]
    order = part.assign(size=-part["effect"].abs()).sort_values(["q_value", "size"])
    chosen = order[order["q_value"] < fdr] if top is None else order.head(top)
    return [str(gene) for gene in chosen["gene"]]


def _genes(value: Any) -> pd.DataFrame:
    """gene, covariate, effect, q_value of every test."""
    if isinstance(value, (str, Path)):
        path = Path(value)
        path = path / "genes.csv" if path.is_dir() else path
        check_file(path, "genes")
        with readable(path, "a table of genes", "genes"), opened(path, "genes") as raw:
            value = pd.read_csv(
                raw,
                dtype={"gene": str, "covariate": str},
                keep_default_na=False,
                na_values={"effect": [""], "q_value": [""]},
                **EXACT,
            )
    table = getattr(value, "genes", value)
    if not isinstance(table, pd.DataFrame):
        raise InputError(
            "genes",
            "must be a result of fastmix, its table of genes, or genes.csv",
            found=type(value).__name__,
        )
    absent = [name for name in _NEEDED if name not in table]
    if absent:
        raise InputError(
            "genes", f"needs the columns {', '.join(_NEEDED)}", found=f"no {', '.join(absent)}"
        )
    if not len(table):
        raise InputError("genes", "must not be empty")
    table = table[list(_NEEDED)].copy()
    for name in ("gene", "covariate"):
        table[name] = table[name].astype(str)
        checks.check_plain_names(table[name].unique(), "genes", name)
    for name in ("effect", "q_value"):
        table[name] = table[name].map(checks.to_number)
    if ((table["q_value"] < 0) | (table["q_value"] > 1)).any():
        raise InputError(
            "genes", "q-values must lie between 0 and 1", found=f"{table['q_value'].max():g}"
        )
    if table.duplicated(["gene", "covariate"]).any():
        raise InputError("genes", "must not contain a gene twice for one covariate")
    return table
