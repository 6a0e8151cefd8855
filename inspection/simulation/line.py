"""Cameras of a line: they post parts to the service and act on nothing but a clear answer."""

from __future__ import annotations

import itertools
import queue
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import numpy as np

from inspection.errors import InsufficientDataError

ROUTE = "/api/v1/ml/predict/visual-inspection"
CAMERAS = 8
ATTEMPTS = 6
BACK_OFF_S = 0.2
LONGEST_WAIT_S = 5.0
TIMEOUT_S = 10.0
TO_HUMAN = "HUMAN_INSPECTION"

Outcome = Literal["answered", "to human"]


@dataclass(frozen=True)
class LinePart:
    """One part in front of a camera."""

    image_id: str
    image_path: Path
    camera_id: str
    part_type: str
    part_serial: str


@dataclass(frozen=True)
class LineAnswer:
    """What became of one part.

    Attributes:
        inspection_id: the idempotency key, the same in each attempt.
        status: HTTP status of the last attempt; None when none was answered.
        attempts: requests sent.
        latency_ms: of the attempt that was answered, send to end of body; None without one.
        body: the verdict, or the problem that the service told; None without one.
        outcome: everything but 200 goes to a person.
    """

    inspection_id: str
    image_id: str
    camera_id: str
    status: int | None
    attempts: int
    latency_ms: float | None
    body: dict[str, Any] | None = field(repr=False)
    outcome: Outcome


@dataclass(frozen=True)
class LineReport:
    """A run of the line.

    Attributes:
        answers: by time of capture.
        seconds: from the first part to the last answer.
        rate: parts per second that were really handled.
        p50_ms: median latency of the answered parts, None without any; likewise `p95_ms`, `p99_ms`.
        actions: parts by the recommended action; those without an answer count as HUMAN_INSPECTION.
        answered: parts with a verdict; `to_human` are the others.
        retried: parts that took more than one attempt.
    """

    answers: tuple[LineAnswer, ...]
    seconds: float
    rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    actions: dict[str, int]
    answered: int
    to_human: int
    retried: int


def run_line(
    url: str,
    parts: Sequence[LinePart],
    *,
    rate: float,
    seconds: float | None = None,
    api_key: str | None = None,
    verify: ssl.SSLContext | bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> LineReport:
    """Posts parts to the service at a steady total rate, several cameras at a time.

    A part that finds all cameras busy waits: the rate is an upper bound. A lost connection, 429 and 503
    are tried again with the same key, `ATTEMPTS` times in all; what stays unanswered goes to a person.

    Args:
        url: of the service.
        parts: in the order of capture.
        rate: parts per second of all cameras together.
        seconds: length of the run, in which the parts come round again under new keys; None shows each
            part once.
        api_key: of the role ``line``.
        verify: how the service's certificate is checked (see `inspection.tls`).
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
    limits = httpx.Limits(max_connections=CAMERAS, max_keepalive_connections=CAMERAS)
    start = time.monotonic()
    with httpx.Client(
        base_url=url, headers=headers, timeout=TIMEOUT_S, limits=limits, verify=verify
    ) as client:
        answers = _Run(client, shown, rate, start, progress).finish()
    return summarise(answers, time.monotonic() - start)


def summarise(answers: Iterable[LineAnswer], seconds: float) -> LineReport:
    """Counts answers; `seconds` is how long the run took."""
    answers = tuple(answers)
    latencies = [a.latency_ms for a in answers if a.outcome == "answered" and a.latency_ms is not None]
    p50, p95, p99 = np.percentile(latencies, [50, 95, 99]).tolist() if latencies else (None, None, None)
    actions: dict[str, int] = {}
    for answer in answers:
        body = answer.body if answer.outcome == "answered" else None
        action = str(body.get("recommended_action", TO_HUMAN)) if body else TO_HUMAN
        actions[action] = actions.get(action, 0) + 1
    answered = sum(answer.outcome == "answered" for answer in answers)
    return LineReport(
        answers=answers,
        seconds=seconds,
        rate=len(answers) / seconds if seconds > 0 else 0.0,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        actions=actions,
        answered=answered,
        to_human=len(answers) - answered,
        retried=sum(answer.attempts > 1 for answer in answers),
    )


def inspect(client: httpx.Client, part: LinePart) -> LineAnswer:
    """Posts one part until it is answered or `ATTEMPTS` are used up."""
    key = str(uuid.uuid4())
    data = part.image_path.read_bytes()
    captured = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    query = {
        "image_id": part.image_id,
        "camera_id": part.camera_id,
        "part_serial": part.part_serial,
        "part_type": part.part_type,
        "captured_at": captured,
    }
    headers = {"Idempotency-Key": key, "Content-Type": content_type(part.image_path)}
    status: int | None = None
    latency: float | None = None
    body: dict[str, Any] | None = None
    attempt = 0
    for attempt in range(1, ATTEMPTS + 1):
        wait = min(LONGEST_WAIT_S, BACK_OFF_S * 2 ** (attempt - 1))
        sent = time.perf_counter()
        try:
            response = client.post(ROUTE, params=query, content=data, headers=headers)
        except httpx.TransportError:
            status, latency, body = None, None, None
        else:
            status, latency, body = (
                response.status_code,
                (time.perf_counter() - sent) * 1000,
                _object(response),
            )
            if status not in (429, 503):
                break
            wait = max(wait, min(LONGEST_WAIT_S, _retry_after(response)))
        if attempt < ATTEMPTS:
            time.sleep(wait)
    outcome: Outcome = "answered" if status == 200 and body is not None else "to human"
    return LineAnswer(key, part.image_id, part.camera_id, status, attempt, latency, body, outcome)


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

    def finish(self) -> list[LineAnswer]:
        """Shows all parts and returns the answers in their order."""
        for number in range(len(self._parts)):
            self._waiting.put(number)
        cameras = [threading.Thread(target=self._camera, daemon=True) for _ in range(CAMERAS)]
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
            time.sleep(max(0.0, self._start + number / self._rate - time.monotonic()))
            try:
                answer = inspect(self._client, self._parts[number])
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
