"""Clients: some that ask again as soon as they are answered, and some that ask by the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from bench.serve.stacks import Asking, Stack


class Answer(NamedTuple):
    """What became of one request.

    Attributes:
        status: of HTTP.
        milliseconds: from the first byte sent to the last byte read.
    """

    status: int
    milliseconds: float


def crowd(stack: Stack, images: Sequence[bytes], clients: int, seconds: float) -> float:
    """Returns the images a second that so many clients get judged, each asking one after the other.

    Raises:
        RuntimeError: a request was refused: a rate of refusals says nothing.
    """
    end = time.perf_counter() + seconds
    answers: list[Answer] = []

    def client(number: int) -> None:
        asking, count = stack.asking(), number
        while time.perf_counter() < end:
            answers.append(timed(asking, images[count % len(images)]))
            count += 1
        asking.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    if refused := [answer.status for answer in answers if answer.status != 200]:
        raise RuntimeError(f"{stack.name} answered {refused[0]} to {len(refused)} of {len(answers)} requests")
    return len(answers) / took


def by_the_clock(stack: Stack, images: Sequence[bytes], rate: float, seconds: float) -> list[Answer]:
    """Returns the answers to requests that begin at a steady rate, whether earlier ones are answered or not.

    Args:
        stack: is asked.
        images: in turn.
        rate: requests a second.
        seconds: for how long.
    """

    def ask(number: int) -> Answer:
        asking = stack.asking()
        try:
            return timed(asking, images[number % len(images)])
        finally:
            asking.close()

    with ThreadPoolExecutor(128) as pool:
        begun, asked = time.perf_counter(), []
        for number in range(round(rate * seconds)):
            time.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            asked.append(pool.submit(ask, number))
        return [answer.result() for answer in asked]


def timed(asking: Asking, image: bytes) -> Answer:
    """Asks once and takes the time."""
    begun = time.perf_counter()
    status = asking(image)
    return Answer(status, 1000 * (time.perf_counter() - begun))
