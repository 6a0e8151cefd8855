"""The memory of a stack while it works."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bench.serve.stacks import Stack


class Sample(NamedTuple):
    """What a stack's processes held that was theirs alone."""

    seconds: float
    mib: float


@contextmanager
def sampled(stack: Stack, every: float) -> Iterator[list[Sample]]:
    """Looks each `every` seconds while the block runs, and once at its end."""
    samples: list[Sample] = []
    ended, begun = threading.Event(), time.monotonic()

    def look() -> None:
        samples.append(Sample(time.monotonic() - begun, stack.memory_mib()))

    def watch() -> None:
        while not ended.wait(every):
            look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield samples
        look()
    finally:
        ended.set()
        watcher.join()
