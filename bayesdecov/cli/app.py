"""The application: common options, and the reporting of errors and warnings."""

from __future__ import annotations

import errno
import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from bayesdecov._version import __version__
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.faults import CLOSED_PIPE, interrupted, short_of_memory, told

if TYPE_CHECKING:  # pandas takes half a second to load
    from bayesdecov.results.result import Result

app = typer.Typer(
    name="bayesdecov",
    help="Cell-type proportions and cell-type-specific expression, with their uncertainty.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Terminal(Console):
    """Plain text; a closed pipe ends the command quietly."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, highlight=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """Exit as if ended by SIGPIPE."""
        with suppress(SystemExit):
            super().on_broken_pipe()
        raise typer.Exit(CLOSED_PIPE)


console, err = Terminal(), Terminal(stderr=True)
_MEMORY = "not enough memory; use fewer genes or samples"
# errors of the machine, not of the user
_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EMFILE)

Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
MaxMemory = Annotated[  # `guarded` sets it for every command that has it
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="Maximum memory for one input, e.g. 8GB. Default: half of the machine's "
        "(BAYESDECOV_MAX_MEMORY).",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace the output of an earlier run, but no other files.")
]
Progress = Annotated[bool, typer.Option(help="Show a progress bar.")]
AssumeLinear = Annotated[
    bool,
    typer.Option(
        "--assume-linear",
        help="Use tables as they are, on the linear scale, even if they look like logarithms "
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


_held: ContextVar[ExitStack] = ContextVar("_held")


def claim(out: Path, *, force: bool, inputs: Iterable[Path] = ()) -> None:
    """Check an output folder, and lock it for other runs until the command ends."""
    from bayesdecov.io.outputs import claimed

    _held.get().enter_context(claimed(out, force=force, inputs=inputs))


@contextmanager
def whole(
    result: Result,
    out: Path,
    *,
    force: bool,
    inputs: Mapping[str, Path] | None = None,
    prob: float = 0.95,
    read_first: str = "",
) -> Iterator[Path]:
    """A result's folder with its files, to which more can be added; then print its summary."""
    from bayesdecov.io.outputs import whole_folder

    with whole_folder(out, force=force) as folder:
        result.fill(folder, prob=prob, inputs=inputs, arguments=sys.argv[1:])
        yield folder
    console.print(str(result), markup=False)
    written(out, read_first)


def written(out: Path, read_first: str = "") -> None:
    """Print where the results are, and which file to open first."""
    hint = f" (open {out}/{read_first})" if read_first else ""
    console.print(f"written: {out}{hint}", markup=False)


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Errors as one message on standard error: exit 2 for input errors, 1 for other errors."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings(), ExitStack() as stack:
            _held.set(stack)
            warnings.simplefilter("ignore", FutureWarning)
            warnings.filterwarnings("ignore", "Glyph .* missing")  # in plots of names
            warnings.simplefilter("always", BayesdecovWarning)
            usual = warnings.showwarning

            def show(message: Any, category: Any, *rest: Any, **more: Any) -> None:
                if issubclass(category, BayesdecovWarning):
                    err.print(f"warning: {message}", style="yellow", markup=False)
                else:
                    usual(message, category, *rest, **more)

            warnings.showwarning = show
            try:
                from bayesdecov.io.limits import at_most
                from bayesdecov.io.outputs import finished

                finished.clear()
                stack.enter_context(at_most(kwargs.get("max_memory")))
                command(*args, **kwargs)
            except InputError as error:
                fail(str(error), 2)
            except typer.Exit:
                raise
            except KeyboardInterrupt:
                fail(f"interrupted; {_written()}", 130)
            except BrokenPipeError:
                raise typer.Exit(CLOSED_PIPE) from None
            except OSError as error:
                if short_of_memory(error):
                    fail(_MEMORY, 1)
                where = f" {os.fspath(error.filename)!r}" if error.filename else ""
                full = error.errno in _MACHINE
                said = f"; {_written()}" if full else ""
                fail(f"{error.strerror or error}{where}{said}", 1 if full else 2)
            except Exception as error:
                if interrupted():
                    fail(f"interrupted; {_written()}", 130)
                if short_of_memory(error):
                    fail(_MEMORY, 1)
                fail(
                    f"unexpected {type(error).__name__}: {error}\nThis is a defect of bayesdecov "
                    f"{__version__}; please report it with the command you ran.",
                    1,
                )

    return run


def _written() -> str:
    """A phrase that lists the folders written by the command."""
    from bayesdecov.io.outputs import finished

    return (
        f"already written: {', '.join(map(str, finished))}" if finished else "nothing was written"
    )


def fail(message: str, code: int) -> None:
    """One message on standard error, and the exit status."""
    told.append(message)
    err.print(f"error: {message}", style="bold red", markup=False)
    raise typer.Exit(code)
