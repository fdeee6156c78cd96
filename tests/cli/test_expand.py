"""Commands whose options are the fields of an object, called as from a shell."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, fields

import pytest
import typer
from typer.testing import CliRunner

from bayesdecov.cli.expand import expand
from bayesdecov.options import DesignOptions, EstimatorOptions, Sampling, _option


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Options of a toy."""

    hue: str | None = _option("The hue.")
    depth: int = _option("How deep.", 3)
    bright_red: bool | None = _option("Whether red is bright.")


def command(**options):
    """An application with one command that keeps what it was called with."""
    calls = []

    def paint(where: str, colours: Colours, size: float = 1.0) -> None:
        """Paint it."""
        calls.append((where, colours, size))

    paint.__annotations__ = {"where": str, "colours": Colours, "size": float, "return": None}
    app = typer.Typer(rich_markup_mode=None)
    app.command()(expand(Colours, **options)(paint))

    def call(*arguments):
        found = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "TERM": "dumb"})
        return found, (calls[-1] if calls else None)

    return call


def test_every_field_becomes_an_option_of_its_type():
    call = command()
    found, said = call("wall", "--hue", "blue", "--depth", "5", "--bright-red")
    assert found.exit_code == 0, found.output
    assert said == ("wall", Colours(hue="blue", depth=5, bright_red=True), 1.0)
    found, _ = call("wall", "--depth", "deep")
    assert found.exit_code == 2


def test_what_is_not_given_stays_the_default_and_unset_is_not_off():
    call = command()
    assert call("wall")[1] == ("wall", Colours(), 1.0)
    assert call("wall", "--no-bright-red")[1][1].bright_red is False
    assert call("wall")[1][1].bright_red is None
    assert call("wall", "--size", "2.5")[1] == ("wall", Colours(), 2.5)


def test_only_some_fields_can_be_offered():
    call = command(only=("hue",))
    assert call("x", "--hue", "red")[1][1] == Colours(hue="red")
    found, _ = call("x", "--depth", "5")
    assert found.exit_code == 2


def test_the_help_is_that_of_the_fields_with_what_is_usual():
    found, _ = command(usual={"hue": "grey"})("--help")
    text = re.sub(r"\s+", " ", found.output)
    assert "Paint it." in text
    assert "The hue. Default: grey." in text
    assert "How deep." in text
    assert "--bright-red" in text
    assert "--no-bright-red" in text


@pytest.mark.parametrize("group", [Sampling, DesignOptions, EstimatorOptions])
def test_the_groups_of_the_package_can_be_expanded_and_are_put_together_again(group):
    seen = []

    def work(first: int, options: group) -> None:
        seen.append((first, options))

    work.__annotations__ = {"first": int, "options": group, "return": None}
    made = expand(group)(work)
    parameters = inspect.signature(made).parameters
    assert list(parameters) == ["first", *(each.name for each in fields(group))]
    defaults = {each.name: parameters[each.name].default for each in fields(group)}
    made(first=1, **defaults)
    assert seen == [(1, group())]
    app = typer.Typer(rich_markup_mode=None)
    app.command()(made)
    assert CliRunner().invoke(app, ["2"]).exit_code == 0
    assert seen[1] == (2, group())


def test_groups_stand_beside_each_other():
    seen = []

    def work(one: Colours, two: Sampling) -> None:
        seen.append((one, two))

    work.__annotations__ = {"one": Colours, "two": Sampling, "return": None}
    app = typer.Typer(rich_markup_mode=None)
    app.command()(expand(Colours)(expand(Sampling, only=("draws",))(work)))
    found = CliRunner().invoke(app, ["--draws", "7", "--hue", "red"])
    assert found.exit_code == 0, found.output
    assert seen == [(Colours(hue="red"), Sampling(draws=7))]
