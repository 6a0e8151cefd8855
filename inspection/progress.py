"""How long work says how far it is, without knowing who looks.

Work calls `report`; whoever shows progress (a bar on the terminal, a run's log) listens for the time
of the work:

    with listening(show):
        ...  # anything below may call report("render", 10, 200)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int, str], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("progress_listeners", default=())


def report(task: str, done: int, total: int, note: str = "") -> None:
    """Tells the listeners that `done` of `total` units of `task` are finished, with a short note."""
    for listener in _listeners.get():
        listener(task, done, total, note)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Adds a listener for the time of the block."""
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


class Clock:
    """Estimates how long a task will still take, from its pace since it was first heard of.

    Not from its beginning: work that goes on where it was cut off begins in the middle.
    """

    def __init__(self) -> None:
        self._first: dict[str, tuple[float, int]] = {}

    def left(self, task: str, done: int, total: int) -> float | None:
        """Returns the seconds left, or None when nothing can be told yet."""
        begun, first = self._first.setdefault(task, (time.monotonic(), done))
        if done <= first:
            return None
        return (time.monotonic() - begun) / (done - first) * max(total - done, 0)


def spoken(seconds: float) -> str:
    """Returns a duration as a person says it: 42 s, 7 min, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
