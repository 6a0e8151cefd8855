"""Three times as many parts as the service can judge: who is answered is answered in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.serve.load import by_the_clock
from bench.serve.stacks import Stack

FACTOR, SECONDS = 3, 12.0
DEADLINE_MS = 200


def measure(stack: Stack, images: Sequence[bytes], capacity: float) -> dict[str, float]:
    """Measures a service whose deadline is `DEADLINE_MS`.

    Args:
        stack: the service.
        images: to ask with.
        capacity: images a second that it judges.
    """
    answers = by_the_clock(stack, images, FACTOR * capacity, SECONDS)
    answered = [answer.milliseconds for answer in answers if answer.status == 200]
    shed = [answer.milliseconds for answer in answers if answer.status == 503]
    shares = {"answered": answered, "shed": shed}
    times = {
        f"overload_{name}_p{level}_ms": float(np.percentile(taken, level))
        for name, taken in shares.items()
        for level in (50, 99)
        if taken
    }
    return {
        "overload_deadline_ms": DEADLINE_MS,
        "overload_requests": len(answers),
        "overload_answered": len(answered),
        "overload_shed": len(shed),
        "overload_other": len(answers) - len(answered) - len(shed),
    } | times
