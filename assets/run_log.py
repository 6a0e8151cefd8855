"""Tells in the run's log how far long work is."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from inspection.progress import listening

STEPS = 20
"""Lines that one task writes at most; the event log keeps each for good."""


@contextmanager
def progress_in_log(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Writes what the work below reports into the run's log."""
    told: dict[str, int] = {}

    def write(task: str, done: int, total: int, note: str) -> None:
        step = done * STEPS // max(total, 1)
        if step > told.get(task, 0):
            told[task] = step
            context.log.info(f"{task} {done}/{total} {note}")

    with listening(write):
        yield
