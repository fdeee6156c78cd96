"""The command line: parse, call, write. All of its functions are also available from Python."""

from bayesdecov.cli import (
    benchmark,
    cohort,
    deconvolution,
    doctor,
    enrichment,
    gating,
    mixed_effects,
    reference,
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
    "reference",
    "reproduce",
    "results",
    "run",
]


def run() -> None:
    """Parse and run a command line."""
    app(prog_name="bayesdecov")
