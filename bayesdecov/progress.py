"""A progress bar for long computations, on standard error and only if requested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def track(
    results: Iterable[T], sizes: Sequence[int], title: str, *, show: bool, unit: str
) -> Iterator[T]:
    """Yield results; ``sizes`` is the amount of work for each of them."""
    if not show:
        yield from results
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=sum(sizes))
        for result, size in zip(results, sizes, strict=True):
            bar.advance(task, size)
            yield result
