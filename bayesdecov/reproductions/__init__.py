"""The papers' figures and tables, reproduced from the papers' descriptions."""

from __future__ import annotations

from bayesdecov.reproductions import decovart_figure2, fastmix_figure1c, fastmix_table1
from bayesdecov.reproductions.reproduction import Reproduction

REPRODUCTIONS: dict[str, Reproduction] = {
    module.REPRODUCTION.name: module.REPRODUCTION
    for module in (decovart_figure2, fastmix_figure1c, fastmix_table1)
}

__all__ = ["REPRODUCTIONS", "Reproduction"]
