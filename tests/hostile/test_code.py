"""No way leads from a file to code: what we call of the language and of our dependencies."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import bayesdecov as bd
from bayesdecov.cli import app
from bayesdecov.errors import InputError
from bayesdecov.formulas.expressions import CONTRASTS, FUNCTIONS, render
from bayesdecov.formulas.grammar import parse

ROOT = Path(bd.__file__).parent
SOURCES = sorted(path for path in ROOT.rglob("*.py"))

# Entry points of the language and of libraries that run code from data, whatever the object.
NEVER = {
    "eval", "exec", "compile", "__import__", "execfile", "system", "popen", "read_pickle",
    "unsafe_load", "literal_eval", "read_hdf", "read_sql", "read_clipboard",
    "run_path", "run_module", "Interpreter",
}  # fmt: skip
# Modules that have no business here, and the only homes of some that have one.
MODULES_NEVER = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "code", "runpy",
                 "patsy", "statsmodels.formula", "statsmodels.formula.api", "numexpr", "yaml",
                 "xmlrpc"}  # fmt: skip
HOMES = {
    "formulaic": {"formulas/engine.py"},
    "formulaic.errors": {"formulas/engine.py"},
    "formulaic.parser.types": {"formulas/engine.py"},
    "subprocess": {"io/hdf5.py"},
    "zarr": {"io/anndata.py", "io/probe.py"},
    "h5py": {"io/anndata.py", "io/probe.py", "io/tenx.py", "reference/storage.py"},
    "flowkit": {"gating/interchange.py"},
    "xml.parsers": {"io/xml.py"},
}


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path.relative_to(ROOT).as_posix(), node


def test_nothing_that_runs_code_is_called():
    found = []
    for place, call in calls():
        name = _name(call.func)
        pattern = isinstance(call.func, ast.Attribute) and _name(call.func.value) == "re"
        if name in NEVER and not pattern:
            found.append(f"{place}:{call.lineno} {name}")
        if name == "query" and not isinstance(call.args[0], ast.Constant):
            found.append(f"{place}:{call.lineno} query of a text that is put together")
        if name == "import_module" and place != "__init__.py":
            found.append(f"{place}:{call.lineno} import_module")
        for keyword in call.keywords:
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            if keyword.arg in ("allow_pickle", "shell") and value is not False:
                found.append(f"{place}:{call.lineno} {keyword.arg}")
        if name == "load" and _name(getattr(call.func, "value", call.func)) in ("np", "joblib"):
            found.append(f"{place}:{call.lineno} load")
    assert found == []


def test_libraries_that_evaluate_or_open_are_called_in_one_place():
    found = []
    for path in SOURCES:
        place = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                if name in MODULES_NEVER or place not in HOMES.get(name, {place}):
                    found.append(f"{place}:{node.lineno} {name}")
    assert found == []


def test_the_search_finds_what_it_should(tmp_path, monkeypatch):
    bad = tmp_path / "bad.py"
    bad.write_text("import pickle\nframe.eval('x')\nnp.load(f, allow_pickle=True)\n")
    module = __import__("sys").modules[__name__]
    monkeypatch.setattr(module, "SOURCES", [bad])
    monkeypatch.setattr(module, "ROOT", tmp_path)
    with pytest.raises(AssertionError):
        test_nothing_that_runs_code_is_called()
    with pytest.raises(AssertionError):
        test_libraries_that_evaluate_or_open_are_called_in_one_place()


WORDS = {
    part
    for name, options in (FUNCTIONS | CONTRASTS).values()
    for part in (*name.split("."), *options)
} | {"True", "False", "None"}
SAFE = re.compile(r"[\w.,=()\[\]+*/ -]*\Z")


def _is_ours(code: str, mark: str = "bdv") -> bool:
    names = re.findall(r"[^\W\d]\w*", re.sub(r"\d[\d.]*e[+-]?\d+", "0", code))
    return bool(SAFE.match(code)) and all(
        name in WORDS or re.fullmatch(rf"{mark}v*(text)?\d+_?", name) for name in names
    )


@settings(max_examples=300, deadline=None)
@given(
    st.text("abC(),=+-*/:~.^ 12e'\"`\\[]{}\n_np.os", max_size=40)
    | st.from_regex(
        r"~ (C|log|I|bs)\(`[^`]{1,12}`(, (df=4|Treatment\(.{1,6}\)))?\)", fullmatch=True
    )
)
def test_code_for_the_engine_is_made_of_our_words(text):
    columns = ["a", "b", *re.findall(r"`([^`]+)`", text)]
    try:
        formula = parse(text, columns)
    except InputError:
        return
    names = {name: f"bdv{i}_" for i, name in enumerate(formula.columns)}
    texts = {label: f"bdvtext{i}" for i, label in enumerate(formula.texts)}
    for term in formula.terms:
        for factor in term:
            assert _is_ours(render(factor, names, texts))


ATTACKS = [
    "Group` + {__import__('os').system('touch PWNED')+np.arange(40)} + `Group",
    "{__import__('os').system('touch PWNED')}",
    "`{open('PWNED','w')}`",
    "Q(open('PWNED','w'))",
    "__import__('os').system('touch PWNED')",
    "[open('PWNED','w') for _ in [1]]",
    "x\\`+{open('PWNED','w')}+\\`",
    "I(open('PWNED','w'))",
    "').__class__; open('PWNED','w'); ('",
]


@pytest.fixture
def tables(tmp_path, monkeypatch):
    cohort = bd.simulate.fastmix("III", n_genes=60, n_samples=40, seed=1)
    for name in ("expression", "proportions", "covariates"):
        getattr(cohort, name).to_csv(tmp_path / f"{name}.csv")
    monkeypatch.chdir(tmp_path)
    return cohort


@pytest.mark.parametrize("name", ATTACKS)
def test_a_header_is_never_evaluated(name, tables, tmp_path, monkeypatch):
    import formulaic.materializers.base as engine

    evaluated: list[str] = []
    usual = engine.stateful_eval

    def watched(expr, *rest, **more):
        evaluated.append(expr)
        return usual(expr, *rest, **more)

    monkeypatch.setattr(engine, "stateful_eval", watched)
    D = tables.covariates.copy()
    D[name] = np.random.default_rng(0).normal(size=len(D))
    D[f"label {name}"] = np.where(D[name] > 0, name, "other")
    D.to_csv("evil.csv", index_label="sample")
    given_ = ["--proportions", "proportions.csv", "--covariates", "evil.csv"]
    for verb in (["fastmix", "expression.csv", *given_, "--out", "effects", "--no-plots"],
                 ["contrast", "proportions.csv", *given_[2:], "--out", "contrast", "--draws", "40"],
                 ["doctor", *given_]):  # fmt: skip
        result = CliRunner().invoke(app, verb)
        assert result.exit_code == 0, result.stderr
        assert name in result.output or verb[0] != "doctor"
    fixed = pd.read_csv("effects/fixed.csv")["covariate"]
    assert any(name in row for row in fixed)
    for formula in (f"~ {name}", f"~ Group + {name}", f"~ Group + {{{name}}}"):
        result = CliRunner().invoke(
            app, ["fastmix", "expression.csv", *given_, "--out", "no", "--formula", formula]
        )
        assert result.exit_code in (0, 2), result.output
        assert "Traceback" not in result.stderr
    assert not list(tmp_path.rglob("PWNED"))
    assert all(map(_is_ours, evaluated)), evaluated
