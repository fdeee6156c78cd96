"""Other methods for cell-type-specific differential expression: one file each, one record."""

from bayesdecov.rivals.differential import differential
from bayesdecov.rivals.registry import RIVALS
from bayesdecov.rivals.rival import Rival

__all__ = ["RIVALS", "Rival", "differential"]
