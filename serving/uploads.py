"""Bodies on their way in: bounded in number and in bytes, and who sends slowly makes room for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

MOST = 256
MOST_BYTES = 256 * 2**20


class Uploads:
    """The bodies that are coming in; the methods belong to the event loop's thread.

    A part gets a place in the lanes only when its body is complete: held from before, slow clients would
    keep the places from the others. When there are too many bodies, or too much of them, the one that has
    taken the longest is cut off: a camera is done in a fraction of a second.
    """

    def __init__(self, seconds: float, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        """Starts without any.

        Args:
            seconds: a client may take that long.
            most: bodies at a time.
            most_bytes: of all of them.
        """
        self.seconds = seconds
        self._most, self._most_bytes = most, most_bytes
        self._sizes: dict[asyncio.Timeout, int] = {}  # the oldest first

    async def collect(self, chunks: AsyncIterable[bytes], most: int, drain: int) -> bytes | None:
        """Returns a body; None when it is too large.

        Args:
            chunks: of the body.
            most: bytes that are kept.
            drain: bytes more that are read and thrown away, so that the client can read its answer.

        Raises:
            TimeoutError: the client took too long, or others needed the room.
        """
        kept: list[bytes] = []
        size = 0
        async with asyncio.timeout(self.seconds) as clock:
            self._sizes[clock] = 0
            try:
                async for chunk in chunks:
                    size += len(chunk)
                    if size <= most:
                        kept.append(chunk)
                    else:
                        kept.clear()
                    self._grow(clock, size if kept else 0)
                    if size > most + drain:
                        break
            finally:
                self._sizes.pop(clock, None)
        return b"".join(kept) if size <= most else None

    def _grow(self, clock: asyncio.Timeout, size: int) -> None:
        if clock not in self._sizes:
            raise TimeoutError("cut off")
        self._sizes[clock] = size
        while len(self._sizes) > self._most or sum(self._sizes.values()) > self._most_bytes:
            oldest = next(iter(self._sizes))
            del self._sizes[oldest]
            if not oldest.expired():
                oldest.reschedule(0)
