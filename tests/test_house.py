"""The rules of the house: floors, circles, sizes, and a test beside every module of the core."""

from __future__ import annotations

import ast
import tomllib
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "bayesdecov"

# From the ground up; an import goes to the same floor or to a lower one. A module that is named
# stands on its own floor, all others on that of their folder. "." is the package's __init__.
FLOORS = [
    ("words", "errors _version progress _caches", "no other module"),
    ("options and checks", "algebra checks faults options verdicts", "no PyMC, no ArviZ"),
    ("tools", "io optimize formulas sampling models", "`models` is plain PyMC, one file a model"),
    ("ArviZ", "_arviz", "the only file that depends on the installed version of ArviZ"),
    ("common to the verbs", "baselines cells diagnostics nuts reference results",
     "references, results, draws"),
    ("learned from a cohort", "platform unknown_content", "platforms, unknown cell types"),
    ("the verbs", "deconvolution gating mixed_effects", "prepare, fit, result; not each other"),
    ("on top of the verbs", "cohort rivals simulate", "contrasts, other methods, simulated data"),
    ("questions", "calibration comparison datasets doctor enrichment benchmarking.result "
     "benchmarking.metrics", "about data, results and methods"),
    ("pictures", "plots", "draw results, know no command"),
    ("pages", "reporting", "HTML from finished runs"),
    ("studies", "benchmarking demo reproductions", "whole analyses"),
    ("faces", "cli", "parse, call, write"),
    ("entrance", ". __main__ cli.__main__", "lazy public names, the command"),
]  # fmt: skip

MOST_PARAMETERS = 15
LONGEST = 60  # lines of a function's body, without its docstring
LONG = {
    "cli.deconvolution.deconvolve": "a command: from its options to the call",
    "simulate.tissue.tissue": "a simulation is read from top to bottom",
}
MANY = {  # the parameters of a command are its options
    "cli.benchmark.benchmark",
    "cli.deconvolution.deconvolve",
    "cli.reference.reference",
    "cli.gating.gate",
    "cli.mixed_effects.fastmix",
}

CORE = ("algebra", "cells", "reference", "deconvolution", "mixed_effects", "gating", "cohort",
        "unknown_content", "platform", "formulas")  # fmt: skip
OF_THE_VERB = {  # what a test of the verb is the test of
    "deconvolution": "assemble fitted inference_data options result run",
    "mixed_effects": "estimate fitted inference_data result run",
    "gating": "picture result",
    "cohort": "result",
}


@cache
def modules() -> dict[str, Path]:
    """All modules by their names within the package; "." is its __init__."""
    found = {}
    for base, prefix in ((ROOT / PACKAGE, ""), (ROOT / "models", "models.")):
        for path in base.rglob("*.py"):
            parts = path.relative_to(base).with_suffix("").parts
            if not prefix and parts[0] == "models":  # a link to the folder above
                continue
            name = (prefix + ".".join(parts)).removesuffix("__init__").strip(".")
            found[name or "."] = path
    return found


@cache
def imports() -> dict[str, set[str]]:
    """What each module imports from the package: late imports and those for types count too."""
    found = defaultdict(set)
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{name} imports relatively"
                targets = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for target in targets:
                if target == PACKAGE or target.startswith(f"{PACKAGE}."):
                    found[name].add(home(target.removeprefix(PACKAGE).strip(".")))
        found[name].discard(name)
    return found


def home(target: str) -> str:
    """The module that a dotted name belongs to."""
    parts = target.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in modules():
            return ".".join(parts[:end])
    return "."


def floor(name: str) -> int:
    """The number of a module's floor."""
    places = {each: number for number, (_, names, _) in enumerate(FLOORS) for each in names.split()}
    parts = name.split(".") if name != "." else ["."]
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in places:
            return places[".".join(parts[:end])]
    raise AssertionError(f"{name} stands on no floor")


def test_imports_only_go_down():
    up = [
        f"{name} -> {target}"
        for name, targets in imports().items()
        for target in targets
        if floor(target) > floor(name)
    ]
    assert up == []


def test_the_verbs_do_not_know_each_other():
    rooms = set(FLOORS[6][1].split())
    across = [
        f"{name} -> {target}"
        for name, targets in imports().items()
        for target in targets
        if {name.split(".")[0], target.split(".")[0]} <= rooms
        and name.split(".")[0] != target.split(".")[0]
    ]
    assert across == []


def test_no_module_imports_itself_by_a_detour():
    state: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        state[name] = 1
        for target in sorted(imports()[name]):
            if state.get(target) == 1:
                circle = (*path[path.index(target) :], target) if target in path else (target,)
                raise AssertionError(" -> ".join(circle))
            if target not in state:
                visit(target, (*path, target))
        state[name] = 2

    for name in sorted(modules()):
        if name not in state:
            visit(name, (name,))


def test_the_algebra_knows_neither_pymc_nor_tables():
    for name, path in modules().items():
        if name.split(".")[0] not in ("algebra", "optimize"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else ([str(node.module)] if isinstance(node, ast.ImportFrom) else [])
            )
            for each in names:
                assert each.split(".")[0] not in {"pymc", "pytensor", "arviz", "pandas"}, name


def functions() -> list[tuple[str, ast.FunctionDef]]:
    """All functions and methods with their dotted names."""
    found = []
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found.append((f"{name}.{node.name}", node))
    return found


def test_functions_are_short():
    long = set()
    for name, node in functions():
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        if body and body[-1].end_lineno - body[0].lineno + 1 > LONGEST:
            long.add(name)
    assert long == set(LONG)


def test_functions_have_few_parameters():
    many = set()
    for name, node in functions():
        args = node.args
        if len([*args.posonlyargs, *args.args, *args.kwonlyargs]) > MOST_PARAMETERS:
            many.add(name)
    assert many == MANY


def test_a_class_name_has_one_meaning():
    homes = defaultdict(list)
    for name, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(name)
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


@pytest.mark.parametrize("room", CORE)
def test_every_module_of_the_core_has_a_test_of_its_name(room):
    own = {path.stem for path in (ROOT / PACKAGE / room).glob("*.py")} - {"__init__"}
    exempt = set(OF_THE_VERB.get(room, "").split())
    assert exempt <= own
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / room).glob("*.py")}
    assert own - exempt - tested == set()
    assert not exempt & tested, "has a test of its own now"


def test_every_folder_is_packaged():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path.parent.relative_to(ROOT / PACKAGE).as_posix().replace("/", ".")
               for path in modules().values() if path.is_relative_to(ROOT / PACKAGE)}  # fmt: skip
    expected = {PACKAGE, f"{PACKAGE}.models", *(f"{PACKAGE}.{each}" for each in folders - {"."})}
    assert set(listed["tool"]["setuptools"]["packages"]) == expected


def test_contributing_shows_these_floors():
    rows = ["| floor | what stands there | rule |", "| --- | --- | --- |"]
    for title, names, rule in reversed(FLOORS):
        shown = " ".join(f"`{name}`" for name in names.split())
        rows.append(f"| {title} | {shown} | {rule} |")
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "\n".join(rows) in text
