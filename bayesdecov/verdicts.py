"""Problems of an estimate: codes with the value that breaks a rule, and their wording.

Code tests for the code of a finding; the wording is made here and never parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

GOOD = "good"
R_HAT = 1.01
ESS = 400.0
E_BFMI = 0.3
PARETO_K = 0.7
TAU = 0.15  # log-sd of genes' factors above which platforms differ
FAR_TAU = 0.8
LEVEL_ERROR = 0.05  # of tissue: a shared standard deviation above which levels are uncertain
MISSING_GENES = 0.5
OTHER_SURE = 0.95  # probability of unknown content above which a sample is flagged

_KINDS = {
    "not_converged": "the optimiser did not converge",
    "divergences": "divergent transitions",
    "convergence_unknown": "convergence cannot be assessed (fewer than two chains)",
    "r_hat": f"chains disagree (R-hat above {R_HAT:g})",
    "ess_bulk": f"fewer than {ESS:.0f} effective draws",
    "ess_tail": f"fewer than {ESS:.0f} effective draws",
    "e_bfmi": f"E-BFMI below {E_BFMI:g}",
    "pareto_k": "Laplace approximation refused (Pareto-k too large)",
    "other": f"contains cells that the reference lacks (P > {OTHER_SURE:g})",
    "levels_uncertain": "levels uncertain, differences between samples good",
    "levels_unknown": "levels unknown: too few samples to learn how platforms differ",
    "far_platform": "bulks and reference are far apart: use more markers",
    "missing_genes": "most genes of the reference are missing",
    "not_a_mixture": "does not look like a mixture of these cell types",
}


class Finding(NamedTuple):
    """A rule that is broken: its code, the value that was found and the limit."""

    code: str
    value: float = np.nan
    limit: float = np.nan

    @property
    def kind(self) -> str:
        """The problem, without the values of the single case."""
        return _KINDS[self.code]

    def __str__(self) -> str:
        value, limit = self.value, self.limit
        if self.code == "divergences":
            return f"{value:.0f} divergences: raise target_accept"
        if self.code == "convergence_unknown":
            return "convergence cannot be assessed: needs at least two chains"
        if self.code == "r_hat":
            return f"R-hat {value:.3f} > {limit:g}: chains disagree, draw more"
        if self.code in ("ess_bulk", "ess_tail"):
            return f"{self.code} {value:.0f} < {limit:.0f}: draw more"
        if self.code == "e_bfmi":
            return f"E-BFMI {value:.2f} < {limit:g}: heavy tails, interpret with care"
        if self.code == "far_platform":
            return f"{self.kind} (genes differ by exp(+-{value:.2f}))"
        if self.code == "missing_genes":
            return f"{value:.0%} of the reference's genes are missing"
        if self.code == "pareto_k":
            return f"approximation refused: Pareto-k {value:.2f} > {limit:g}, use nuts"
        return self.kind


def rendered(findings: Iterable[Finding]) -> str:
    """All findings as text; `GOOD` where there are none."""
    return "; ".join(map(str, findings)) or GOOD


def findings_of_chains(measures: Mapping[str, Any]) -> list[Finding]:
    """Findings for draws with these measures; empty if they can be trusted."""
    found = []
    if measures.get("divergences", 0):
        found.append(Finding("divergences", float(measures["divergences"])))
    if np.isnan(measures.get("r_hat", 1.0)):
        return [*found, Finding("convergence_unknown")]
    if not measures.get("r_hat", 1.0) <= R_HAT:
        found.append(Finding("r_hat", measures["r_hat"], R_HAT))
    for name in ("ess_bulk", "ess_tail"):
        if not measures.get(name, np.inf) >= ESS:
            found.append(Finding(name, measures[name], ESS))
    if not measures.get("e_bfmi", 1.0) >= E_BFMI:
        found.append(Finding("e_bfmi", measures["e_bfmi"], E_BFMI))
    return found
