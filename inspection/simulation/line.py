"""Cameras of a line: they post parts to the service and act on nothing but a clear answer."""

from __future__ import annotations

import itertools
import queue
import random
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from inspection.errors import InsufficientDataError
from inspection.simulation.hostile import ROUTE, HostileAnswer, attack
from inspection.simulation.line_report import LineAnswer, LineReport, Outcome

MOST_HOSTILE = 128
SEED = 0
ATTEMPTS = 6
BACK_OFF_S = 0.2
LONGEST_WAIT_S = 5.0
TIMEOUT_S = 10.0


@dataclass(frozen=True)
class LinePart:
    """One part in front of a camera."""

    image_id: str
    image_path: Path
    camera_id: str
    part_type: str | None
    part_serial: str | None


def run_line(
    url: str,
    parts: Sequence[LinePart],
    *,
    rate: float,
    seconds: float | None = None,
    cameras: int = 8,
    api_key: str | None = None,
    verify: ssl.SSLContext | bool = True,
    hostile_share: float = 0.0,
    patience: float = 20.0,
    progress: Callable[[int, int], None] | None = None,
) -> LineReport:
    """Posts parts to the service at a steady total rate, several cameras at a time.

    A part that finds all cameras busy waits, and its latency counts from when it was due. A lost connection,
    429 and 503 are tried again with the same key, `ATTEMPTS` times in all; what stays unanswered goes to a
    person.

    Args:
        url: of the service.
        parts: in the order of capture.
        rate: parts per second of all cameras together.
        seconds: length of the run, in which the parts come round again under new keys; None shows each
            part once.
        cameras: that post at a time, each on a connection of its own.
        api_key: of the role ``line``.
        verify: how the service's certificate is checked (see `inspection.tls`).
        hostile_share: of all requests; hostile ones come on top of the parts (see `hostile`).
        patience: seconds that a hostile request waits for its answer.
        progress: called with (parts done, parts).

    Raises:
        InsufficientDataError: there are no parts.
        OSError: an image file cannot be read.
    """
    if not parts:
        raise InsufficientDataError("the line has no parts: fill the plant or import images first")
    count = len(parts) if seconds is None else max(1, round(rate * seconds))
    shown = list(itertools.islice(itertools.cycle(parts), count))
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    limits = httpx.Limits(max_connections=cameras, max_keepalive_connections=cameras)
    more = round(count * hostile_share / (1 - hostile_share))
    with (
        hostile_traffic(url, api_key, more, count / rate, patience, verify) as hostile,
        httpx.Client(
            base_url=url, headers=headers, timeout=TIMEOUT_S, limits=limits, verify=verify
        ) as client,
    ):
        start = time.monotonic()
        answers = _Run(client, shown, rate, start, progress).finish(cameras)
        seconds = time.monotonic() - start
    return LineReport(tuple(answers), seconds, tuple(answer.result() for answer in hostile))


@contextmanager
def hostile_traffic(
    url: str, api_key: str | None, count: int, seconds: float, patience: float, verify: ssl.SSLContext | bool
) -> Iterator[list[Future[HostileAnswer]]]:
    """Sends hostile requests of all kinds beside what the block does; at its end they are all answered.

    Args:
        url: of the service.
        api_key: of the role ``line``.
        count: requests.
        seconds: over which they are spread evenly.
        patience: seconds that each waits for its answer.
        verify: how the service's certificate is checked.
    """
    from inspection.simulation.hostile_requests import hostile_kinds

    kinds = list(hostile_kinds(api_key)) if count else []
    random.Random(SEED).shuffle(kinds)  # noqa: S311 (no secret)
    answers: list[Future[HostileAnswer]] = []
    begun, ended = time.monotonic(), threading.Event()

    def send() -> None:
        for number in range(count):
            if ended.wait(max(0.0, begun + (number + 0.5) * seconds / count - time.monotonic())):
                return
            answers.append(pool.submit(attack, url, kinds[number % len(kinds)], patience, verify))

    clock = threading.Thread(target=send)
    with ThreadPoolExecutor(MOST_HOSTILE) as pool:
        clock.start()
        try:
            yield answers
        except BaseException:
            ended.set()
            raise
        finally:
            clock.join()


def inspect(client: httpx.Client, part: LinePart, due: float) -> LineAnswer:
    """Posts one part until it is answered or `ATTEMPTS` are used up; `due` is of `time.monotonic`."""
    key = str(uuid.uuid4())
    data = part.image_path.read_bytes()
    captured = datetime.now(UTC) - timedelta(seconds=time.monotonic() - due)
    told = {
        "image_id": part.image_id,
        "camera_id": part.camera_id,
        "part_serial": part.part_serial,
        "part_type": part.part_type,
        "captured_at": captured.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    query = {name: value for name, value in told.items() if value}
    headers = {"Idempotency-Key": key, "Content-Type": content_type(part.image_path)}
    status: int | None = None
    latency: float | None = None
    request: float | None = None
    body: dict[str, Any] | None = None
    attempt = 0
    for attempt in range(1, ATTEMPTS + 1):
        wait = min(LONGEST_WAIT_S, BACK_OFF_S * 2 ** (attempt - 1))
        sent = time.monotonic()
        try:
            response = client.post(ROUTE, params=query, content=data, headers=headers)
        except httpx.TransportError:
            status, latency, request, body = None, None, None, None
        else:
            now = time.monotonic()
            latency, request = (now - due) * 1000, (now - sent) * 1000
            status, body = response.status_code, _object(response)
            if status not in (429, 503):
                break
            wait = max(wait, min(LONGEST_WAIT_S, _retry_after(response)))
        if attempt < ATTEMPTS:
            time.sleep(wait)
    outcome: Outcome = "answered" if status == 200 and body is not None else "to human"
    return LineAnswer(key, part.image_id, part.camera_id, status, attempt, latency, request, body, outcome)


def content_type(path: Path) -> str:
    """Returns the media type of an image file by its name."""
    return "image/png" if path.suffix.lower() == ".png" else "image/jpeg"


class _Run:
    """Parts on their way: a clock hands them to cameras, which are threads."""

    def __init__(
        self,
        client: httpx.Client,
        parts: Sequence[LinePart],
        rate: float,
        start: float,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._client, self._parts, self._rate, self._start = client, parts, rate, start
        self._progress = progress
        self._waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._answers: dict[int, LineAnswer] = {}
        self._failure: Exception | None = None
        self._lock = threading.Lock()

    def finish(self, count: int) -> list[LineAnswer]:
        """Shows all parts to so many cameras and returns the answers in their order."""
        for number in range(len(self._parts)):
            self._waiting.put(number)
        cameras = [threading.Thread(target=self._camera, daemon=True) for _ in range(count)]
        for camera in cameras:
            camera.start()
        for camera in cameras:
            camera.join()
        if self._failure is not None:
            raise self._failure
        return [self._answers[number] for number in range(len(self._parts))]

    def _camera(self) -> None:
        while self._failure is None:
            try:
                number = self._waiting.get_nowait()
            except queue.Empty:
                return
            due = self._start + number / self._rate
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                answer = inspect(self._client, self._parts[number], due)
            except Exception as error:  # handed to the caller's thread by `finish`
                self._failure = error
                return
            with self._lock:
                self._answers[number] = answer
                if self._progress is not None:
                    self._progress(len(self._answers), len(self._parts))


def _object(response: httpx.Response) -> dict[str, Any] | None:
    """The JSON object of an answer, None when it holds none (a proxy's page, say)."""
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the service asks to wait; 0 when it tells none or a date."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0
