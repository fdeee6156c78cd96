"""Options objects on the command line: each field of `bayesdecov.options` is one option."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

# types of fields that the command line cannot express
_TYPES: dict[str, Any] = {
    "include_covariates": str,
    "random": list[str] | None,
    "weights": Path | None,
    "nu": str | None,
    "screen": str | None,
}


def expand(
    group: type, *, only: tuple[str, ...] = (), usual: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace the parameter of a command that is annotated with ``group`` by one option per field.

    Parameters
    ----------
    group
        A class of `bayesdecov.options`.
    only
        Names of the fields to use; default: all.
    usual
        Defaults of the command, shown in the help.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        parameters = list(inspect.signature(command).parameters.values())
        place = next(i for i, each in enumerate(parameters) if hints[each.name] is group)
        name = parameters[place].name
        kinds = get_type_hints(group)
        made = [
            _parameter(each, kinds[each.name], (usual or {}).get(each.name))
            for each in fields(group)
            if not only or each.name in only
        ]
        parameters[place : place + 1] = made
        parameters = [
            each.replace(
                annotation=hints.get(each.name, each.annotation),
                kind=inspect.Parameter.KEYWORD_ONLY,
            )
            for each in parameters
        ]

        @functools.wraps(command)
        def run(**values: Any) -> None:
            own = {each.name: values.pop(each.name) for each in made}
            command(**values, **{name: group(**own)})

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _parameter(of: Field[Any], kind: Any, usual: Any) -> inspect.Parameter:
    """A keyword parameter with the option of a field."""
    kind = _TYPES.get(of.name, kind)
    said = of.metadata["help"] + ("" if usual is None else f" Default: {usual}.")
    flag = f"--{of.name.replace('_', '-')}"
    if _is_switch(kind):  # unset is not the same as off
        option = typer.Option(f"{flag}/--no-{flag[2:]}", help=said, show_default=of.default is True)
    else:
        option = typer.Option(flag, help=said)
    return inspect.Parameter(
        of.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=of.default,
        annotation=Annotated[kind, option],
    )


def _is_switch(kind: Any) -> bool:
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return bool in parts
