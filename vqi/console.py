"""The terminal: where commands write, and progress bars on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from inspection.progress import Clock, listening, spoken

PAGE_WIDTH = 130
"""Columns of a page that is written to a file."""


def terminal() -> Console:
    """Returns a console on standard error, so that what a command prints stays clean for pipes."""
    return Console(file=sys.stderr, highlight=False)


def page() -> Console:
    """Returns a console on standard output, for what a command is asked to tell; wide enough for tables."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PAGE_WIDTH)


@contextmanager
def progress_bars() -> Iterator[None]:
    """Shows what the work below reports as bars; without a terminal it shows nothing."""
    console = terminal()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns,
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bars, clock = {}, Clock()

        def show(task: str, done: int, total: int, note: str) -> None:
            seconds = clock.left(task, done, total)
            left = f"{spoken(seconds)} left" if seconds else ""
            if task not in bars:
                bars[task] = progress.add_task(task, total=total, note=note, left=left)
            progress.update(bars[task], completed=done, total=total, note=note, left=left)

        with listening(show):
            yield
