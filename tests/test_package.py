"""The public names and what keeps the floors apart."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bayesdecov as bd

ROOT = Path(bd.__file__).parent


def test_every_public_name_is_there():
    assert len(bd.__all__) <= 18  # verbs, nouns, options, what is raised and warned
    for name in bd.__all__:
        assert getattr(bd, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        bd.nonesuch  # noqa: B018
    assert set(bd.__all__) <= set(dir(bd))


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", sorted((ROOT / "algebra").glob("*.py")), ids=lambda p: p.stem)
def test_algebra_imports_nothing_from_above(path):
    for name in _imports(path):
        assert not name.startswith(("pymc", "pytensor", "arviz", "pandas")), name
        if name.startswith("bayesdecov"):
            assert name.startswith("bayesdecov.algebra"), name


def test_models_import_only_algebra_and_checks():
    allowed = tuple(f"bayesdecov.{each}" for each in ("algebra", "models", "checks", "errors"))
    for path in (ROOT / "models").glob("*.py"):
        for name in _imports(path):
            if name.startswith("bayesdecov"):
                assert name.startswith(allowed), name
