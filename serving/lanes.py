"""How many parts are worked on, how many may wait, and how long: bounded, so that no part waits unseen.

A part whose turn would come too late for its deadline is refused at once: a person can have it now, and those
before it keep their time.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from inspection.errors import OverloadError
from inspection.settings import Settings
from serving import metrics
from serving.inspector import Inspector, Part
from serving.records import PredictionRecord

SMOOTHING = 0.1
HEADROOM = 0.7  # of the deadline: what a part takes varies
GIVING_UP = 0.04  # seconds: to write down that a person must look, and say so, with all cores busy


class Lanes:
    """Worker threads behind a bounded queue; the public methods belong to the event loop's thread.

    Attributes:
        idle: set while no part is in work or waiting; other threads may wait for it.
    """

    def __init__(self, inspector: Inspector, settings: Settings, lanes: int) -> None:
        self._inspector = inspector
        self._lanes = lanes
        self._places = lanes + settings.service_queue
        self._taken = 0
        self.idle = threading.Event()
        self.idle.set()
        self._seconds = 0.0  # that a part takes of a lane, of late
        self._deadline = settings.deadline_ms / 1000
        self._workers = ThreadPoolExecutor(lanes, thread_name_prefix="lane")

    def check(self) -> None:
        """Refuses a part that would find no place, so that its body need not be read.

        Raises:
            OverloadError: all places are taken, or those before it leave it no time.
        """
        if self._taken >= self._places or not self._in_time():
            metrics.SHED.inc()
            raise OverloadError(f"{self._taken} parts are waiting already: let a person look, or try again")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Holds a place for one part, whose image has come.

        Raises:
            OverloadError: as `check`.
        """
        self.check()
        self._take(1)
        try:
            yield
        finally:
            self._take(-1)

    async def inspect(self, part: Part) -> PredictionRecord:
        """Returns the verdict on a part, or, just before the deadline, that a person must look at it.

        Raises:
            InspectionError: as `Inspector.inspect`.
        """
        work = self._workers.submit(self._inspect, part)
        if not self._is_crowded():
            _ = part.image_sha256  # on the second core, so that the lane finds it when it has decoded
        remaining = patience(self._deadline) - (time.perf_counter() - part.received)
        try:
            # A part that still waits for a worker is taken back; one in work runs on, and what it
            # finds no longer counts, because the first verdict stands.
            return await asyncio.wait_for(asyncio.wrap_future(work), remaining)
        except TimeoutError:
            return await asyncio.to_thread(self._inspector.give_up, part)

    def _in_time(self) -> bool:
        return in_time(self._taken, self._lanes, self._seconds, self._deadline)

    def _inspect(self, part: Part) -> PredictionRecord:
        begun = time.perf_counter()
        try:
            return self._inspector.inspect(part, self._is_crowded)
        finally:
            # Smoothed over some ten parts; a torn read or write of another lane's costs one sample.
            taken = time.perf_counter() - begun
            self._seconds += (SMOOTHING if self._seconds else 1) * (taken - self._seconds)

    def _is_crowded(self) -> bool:
        return min(self._taken, self._lanes) > 1

    def _take(self, places: int) -> None:
        self._taken += places
        if self._taken:
            self.idle.clear()
        else:
            self.idle.set()
        metrics.IN_PROGRESS.set(self._taken)
        metrics.WAITING.set(max(0, self._taken - self._lanes))

    def close(self) -> None:
        """Ends the worker threads once the parts in work are done."""
        self._workers.shutdown()


def patience(deadline: float) -> float:
    """Returns the seconds after which a person is asked, so that the answer is there by the deadline."""
    return max(deadline / 2, deadline - GIVING_UP)


def in_time(before: int, lanes: int, seconds: float, deadline: float) -> bool:
    """Tells whether one more part would have its verdict before its deadline.

    Where a lane is free it is tried in any case: that is how the service notices that parts go faster again.

    Args:
        before: parts that have a place.
        lanes: parts in work at a time.
        seconds: that a part takes of a lane.
        deadline: seconds from now.
    """
    if before < lanes:
        return True
    # The parts in work are halfway on the average.
    wait = (before - lanes + 1) * seconds / lanes
    return wait + seconds <= HEADROOM * deadline
