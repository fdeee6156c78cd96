"""All rivals by their names."""

from __future__ import annotations

from bayesdecov.rivals import cssam, interaction, ridge
from bayesdecov.rivals.rival import Rival

RIVALS: dict[str, Rival] = {
    module.RIVAL.name: module.RIVAL for module in (interaction, ridge, cssam)
}
