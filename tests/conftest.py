"""Shared fixtures. Algebra tests import no PyMC; models are compiled without a C compiler."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

import bayesdecov as bd

REFERENCE = Path(__file__).parent / "reference_values"


settings.register_profile("machine", deadline=None)  # shared and noisy
settings.load_profile("machine")


@pytest.fixture(scope="session")
def python_mode():
    """PyTensor in plain Python: slow to run, but nothing to compile."""
    from pytensor.compile.mode import Mode

    return Mode(linker="py", optimizer="fast_compile")


@pytest.fixture(scope="session")
def goldens() -> Path:
    """Numbers made with the original programs, where they are at hand."""
    return _folder("BAYESDECOV_GOLDENS", "decovart")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real data, where they are at hand."""
    return _folder("BAYESDECOV_DATA", "sc_mixology")


def _folder(variable: str, inside: str) -> Path:
    name = os.environ.get(variable)
    if not name:
        pytest.skip(f"{variable} is not set")
    if not (Path(name) / inside).is_dir():
        pytest.skip(f"{variable}={name} has no folder {inside!r}")
    return Path(name)


@pytest.fixture(scope="session")
def group_cohort():
    """A mixed-model cohort: one binary covariate, 600 genes, 40 samples."""
    return bd.simulate.fastmix("III", "code", 600, 40, seed=11)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Tests never download: data come from BAYESDECOV_DATA or not at all."""
    import pooch

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(pooch, "retrieve", refuse)
