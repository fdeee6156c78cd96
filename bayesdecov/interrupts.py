"""Ctrl-C, remembered: libraries swallow the exception while they are imported or call back."""

from __future__ import annotations

import signal
import sys
from typing import Any

_seen: list[int] = []


def listen() -> None:
    """Remember interrupts from now on; where a library swallows one, nothing is printed."""
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
    """Raise an interrupt that was swallowed, before anything takes its final name."""
    if _seen:
        raise KeyboardInterrupt
