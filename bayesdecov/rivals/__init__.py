"""Other methods for cell-type-specific differential expression: one file each, one record."""

from __future__ import annotations

from bayesdecov.rivals import cssam, interaction, ridge
from bayesdecov.rivals.differential import differential
from bayesdecov.rivals.rival import Rival

RIVALS: dict[str, Rival] = {
    module.RIVAL.name: module.RIVAL for module in (interaction, ridge, cssam)
}

__all__ = ["RIVALS", "Rival", "differential"]
