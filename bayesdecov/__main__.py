"""The ``bayesdecov`` command and ``python -m bayesdecov``.

Little is imported here, so that an interrupt or a lack of memory while the rest is imported ends
with one line too.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from bayesdecov.faults import CLOSED_PIPE, interrupted, listen, short_of_memory, told

_INTERRUPTED = "interrupted; nothing was written"


def main() -> None:
    """Run the command line and exit."""
    listen()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a letter shows its number
            stream.reconfigure(errors="backslashreplace")
    code: object = 0
    try:
        from bayesdecov.cli import run

        run()
    except SystemExit as end:
        code = end.code
        if interrupted() and code and not told:  # while the command line was parsed
            code = _end(_INTERRUPTED, 130)
    except BrokenPipeError:
        code = CLOSED_PIPE
    except (KeyboardInterrupt, Exception) as error:
        if interrupted() or isinstance(error, KeyboardInterrupt):
            code = _end(_INTERRUPTED, 130)
        elif short_of_memory(error):
            code = _end("not enough memory to start", 1)
        elif isinstance(error, OSError):
            code = _end(error.strerror or str(error), 1)
        else:
            raise
    try:
        if sys.stdout is not None:  # it can be closed from the beginning
            sys.stdout.flush()
    except BrokenPipeError:
        code = code or CLOSED_PIPE
        _silence()
    except OSError as error:  # results are written, but nobody was told
        code = code or _end(f"standard output: {error.strerror}", 1)
        _silence()
    sys.exit(code)  # type: ignore[arg-type]


def _end(message: str, code: int) -> int:
    told.append(message)
    with suppress(OSError):
        print(f"error: {message}", file=sys.stderr)
    return code


def _silence() -> None:
    """Keep the interpreter from trying once more at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
