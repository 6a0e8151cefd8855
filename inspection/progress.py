"""How long work says how far it is, without knowing who looks.

Work calls `report`; whoever shows progress (a bar on the terminal, a run's log) listens for the time
of the work:

    with listening(show):
        ...  # anything below may call report("render", 10, 200)
"""

from __future__ import annotations

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
