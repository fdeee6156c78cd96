"""The application: its options, and how errors and warnings are told."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console

from bayesdecov import __version__
from bayesdecov.errors import BayesdecovWarning, InputError

app = typer.Typer(
    name="bayesdecov",
    help="Cell-type proportions and cell-type-specific expression, and how sure they are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console(soft_wrap=True, highlight=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)

Force = Annotated[bool, typer.Option("--force", help="Replace the output of an earlier run.")]
Progress = Annotated[bool, typer.Option(help="Show a progress bar.")]
AssumeLinear = Annotated[
    bool,
    typer.Option(
        "--assume-linear",
        help="Take tables as linear and as they are, although they look like logs "
        "(or, in a reference, like counts).",
    ),
]


def _version(show: bool) -> None:
    if show:
        typer.echo(f"bayesdecov {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Errors as one message on standard error: exit 2 for input, 1 for what should not happen."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("always", BayesdecovWarning)
            usual = warnings.showwarning

            def show(message: Any, category: Any, *rest: Any, **more: Any) -> None:
                if issubclass(category, BayesdecovWarning):
                    err.print(f"warning: {message}", style="yellow", markup=False)
                else:
                    usual(message, category, *rest, **more)

            warnings.showwarning = show
            try:
                command(*args, **kwargs)
            except InputError as error:
                fail(str(error), 2)
            except KeyboardInterrupt:
                fail("interrupted; nothing was written", 130)
            except MemoryError:
                fail("not enough memory; use fewer genes", 1)
            except OSError as error:
                where = f" {error.filename!r}" if error.filename else ""
                fail(f"{error.strerror or error}{where}", 2)
            except Exception as error:
                fail(
                    f"unexpected {type(error).__name__}: {error}\nThis is a defect of bayesdecov "
                    f"{__version__}; please report it with the command you ran.", 1,
                )  # fmt: skip

    return run


def fail(message: str, code: int) -> None:
    """One message on standard error, and the exit status."""
    err.print(f"error: {message}", style="bold red", markup=False)
    raise typer.Exit(code)
