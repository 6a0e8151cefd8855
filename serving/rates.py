"""How often somebody may ask: counted in this process, which is the only one of a service."""

from __future__ import annotations

import math
import time

from fastapi import HTTPException
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter


class Rates:
    """Requests of the last minute by who sent them."""

    def __init__(self) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def take(self, per_minute: int, *who: str) -> None:
        """Counts a request.

        Raises:
            HTTPException: 429, that was one too many.
        """
        limit = RateLimitItemPerMinute(per_minute)
        if not await self._limiter.hit(limit, *who):
            window = await self._limiter.get_window_stats(limit, *who)
            wait = math.ceil(window.reset_time - time.time())
            raise HTTPException(
                429,
                f"more than {per_minute} requests a minute (VQI_RATE_LIMITS): try again later",
                headers={"Retry-After": str(max(1, wait))},
            )
