"""The command line: parse, call, write. Everything it does can be done from Python too."""

from bayesdecov.cli import (
    benchmark,
    cohort,
    deconvolution,
    doctor,
    enrichment,
    gating,
    mixed_effects,
    reproduce,
    results,
)
from bayesdecov.cli.app import app

__all__ = [
    "app",
    "benchmark",
    "cohort",
    "deconvolution",
    "doctor",
    "enrichment",
    "gating",
    "mixed_effects",
    "reproduce",
    "results",
    "run",
]


def run() -> None:
    """Parse the command line and do what it says."""
    app(prog_name="bayesdecov")
