"""External reasons that end a command: interrupts, lack of memory, closed pipes.

Interrupts are recorded, because libraries suppress the exception during their import or in
callbacks.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

CLOSED_PIPE = 141  # exit status, in a shell, of a program ended by SIGPIPE
_NO_MEMORY = ("failed to map segment", "cannot allocate memory", "unable to allocate")
_seen: list[int] = []
told: list[str] = []  # messages of errors that were printed


def listen() -> None:
    """Record interrupts from now on; if a library suppresses one, nothing is printed."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    signal.signal(signal.SIGINT, _interrupt)
    usual = sys.unraisablehook

    def quiet(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            usual(unraisable)

    sys.unraisablehook = quiet


def _interrupt(number: int, frame: Any) -> None:
    _seen.append(number)
    raise KeyboardInterrupt


def interrupted() -> bool:
    """Whether the user has interrupted the command."""
    return bool(_seen)


def check() -> None:
    """Raise an interrupt that was suppressed, before any output gets its final name."""
    if _seen:
        raise KeyboardInterrupt


def short_of_memory(error: BaseException | None) -> bool:
    """Whether the error is a lack of memory, also in the loading of a library."""
    while error is not None:
        said = str(error).lower()
        if isinstance(error, MemoryError) or any(sign in said for sign in _NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False
