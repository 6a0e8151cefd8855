"""Tells in the run's log how far long work is."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from inspection.progress import Clock, listening, spoken

STEPS = 20
"""Lines that one task writes at most; the event log keeps each for good."""


@contextmanager
def progress_in_log(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Writes what the work below reports into the run's log."""
    told: dict[str, int] = {}
    clock = Clock()

    def write(task: str, done: int, total: int, note: str) -> None:
        seconds = clock.left(task, done, total)
        step = done * STEPS // max(total, 1)
        if step > told.get(task, 0):
            told[task] = step
            left = f"{spoken(seconds)} left" if seconds else ""
            context.log.info(" ".join(filter(None, [task, f"{done}/{total}", left, note])))

    with listening(write):
        yield
