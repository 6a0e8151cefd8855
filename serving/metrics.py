"""What Prometheus can read at ``/metrics``.

BentoML has its processes keep their figures in files, which `prometheus_client` finds by itself.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.records import PredictionRecord, Role

MOST_CAMERAS = 200  # a client chooses the camera's name: it must not be able to fill the memory

UNKNOWN = "unknown"
# Close together around the limits that a camera is promised: 100, 150 and 200 ms.
BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.035,
    0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2, 0.25,
    0.35, 0.5, 1, 2.5, 5, 10,
)  # fmt: skip

REQUEST_SECONDS = Histogram(
    "vqi_request_seconds",
    "Time of a predict request as its camera sees it, from its header to the end of its answer.",
    ["line_id", "status"],
    buckets=BUCKETS,
)
STEP_SECONDS = Histogram(
    "vqi_step_seconds", "Time of each step of an inspection.", ["step", "line_id"], buckets=BUCKETS
)
# No histogram by camera: with 200 of them a scrape would take the interpreter for a second.
CAMERA_STEP_SECONDS = Summary(
    "vqi_camera_step_seconds", "Time of each step, by camera.", ["step", "camera_id", "line_id"]
)
PREDICTIONS = Counter(
    "vqi_predictions", "Parts that got a verdict.", ["prediction", "action", "camera_id", "line_id"]
)
ROUTED_TO_PERSON = Counter(
    "vqi_routed_to_person", "Parts that go to a person, by reason.", ["reason", "camera_id", "line_id"]
)
SHED = Counter("vqi_shed", "Requests that were refused because too many were waiting.")
IN_PROGRESS = Gauge("vqi_requests_in_progress", "Parts in work or waiting.", multiprocess_mode="mostrecent")
WAITING = Gauge("vqi_requests_waiting", "Parts that wait for a worker.", multiprocess_mode="mostrecent")
CUT_OFF = Counter(
    "vqi_cut_off", "Requests whose head or body was too slow or, for a head, too large.", ["part"]
)
OUTBOX_UNSENT = Gauge(
    "vqi_outbox_unsent", "Records that the warehouse does not have yet.", multiprocess_mode="mostrecent"
)
OUTBOX_SENT = Counter("vqi_outbox_sent", "Records that the warehouse has taken.")
OUTBOX_FULL = Gauge(
    "vqi_outbox_full",
    "1 while the outbox has so little room that every part goes to a person.",
    multiprocess_mode="mostrecent",
)
OUTBOX_FAILED_WRITES = Counter(
    "vqi_outbox_failed_writes",
    "Writes that the outbox could not take, at its bound or at its disk's; a part then gets no verdict.",
)
OUTBOX_REFUSED = Counter("vqi_outbox_refused", "Records that the warehouse will never take.")
KEPT_BYTES = Gauge(
    "vqi_kept_bytes", "Bytes of the kept images of parts for people.", multiprocess_mode="mostrecent"
)
IMAGES_NOT_KEPT = Counter("vqi_images_not_kept", "Parts for people whose image was not kept.")
MODEL_INFO = Gauge(
    "vqi_model_info",
    "1 for the model that is loaded in a role, 0 for those before it.",
    ["role", "model"],
    multiprocess_mode="mostrecent",
)
MODEL_REFUSED = Gauge(
    "vqi_model_refused", "1 while the model asked for is refused.", multiprocess_mode="mostrecent"
)
SHADOW_PARTS = Counter("vqi_shadow_parts", "Parts that the shadow model has judged.")
SHADOW_DROPPED = Counter("vqi_shadow_dropped", "Parts that it has not judged, by reason.", ["reason"])
SHADOW_REFUSED = Gauge(
    "vqi_shadow_refused", "1 while the shadow model asked for is refused.", multiprocess_mode="mostrecent"
)
AUTO_PASS_PAUSED = Gauge(
    "vqi_auto_pass_paused", "1 while no part passes without a person.", multiprocess_mode="mostrecent"
)


class CameraLines:
    """Which line a camera stands at, from the calibration file; keeps the number of labels bounded."""

    def __init__(self, folder: Path) -> None:
        """Reads ``camera_config.csv`` where there is one; the newest row of a camera counts."""
        self._lines: dict[str, str] = {}
        file = folder / "camera_config.csv"
        if file.exists():
            with file.open(encoding="utf-8", newline="") as rows:
                for row in sorted(csv.DictReader(rows), key=lambda row: row["effective_from"]):
                    self._lines[row["camera_id"]] = row["line_id"]

    def line(self, camera_id: str | None) -> str:
        """Returns the line that a camera stands at, or ``unknown``."""
        return self._lines.get(camera_id or "", UNKNOWN)

    def cameras(self, line_id: str) -> tuple[str, ...]:
        """Returns the cameras that stand at a line; none where the file does not know it."""
        found = [camera for camera, line in list(self._lines.items()) if line == line_id]
        return tuple(found) if line_id != UNKNOWN else ()

    def labels(self, camera_id: str) -> tuple[str, str]:
        """Returns the labels (camera, line) of a camera; beyond `MOST_CAMERAS` it is ``other``."""
        if camera_id not in self._lines:
            if len(self._lines) >= MOST_CAMERAS:
                return "other", UNKNOWN
            self._lines[camera_id] = UNKNOWN
        return camera_id, self._lines[camera_id]


class RequestTimer:
    """Times the requests of one route; its handler leaves ``line_id`` in the request's state."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything through, and notes when it was over and with which status."""
        if scope["type"] != "http" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500  # an exception becomes one further out

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        state = scope.setdefault("state", {})
        try:
            await self._app(scope, receive, watch)
        finally:
            line = state.get("line_id", UNKNOWN)
            REQUEST_SECONDS.labels(line, status).observe(time.perf_counter() - begun)


def count(record: PredictionRecord, laps: Mapping[str, float], cameras: CameraLines) -> None:
    """Counts a verdict, and the milliseconds of its steps by name."""
    prediction = record.prediction.value if record.prediction else "none"
    camera, line = cameras.labels(record.camera_id)
    PREDICTIONS.labels(prediction, record.recommended_action.value, camera, line).inc()
    if record.route_reason:
        ROUTED_TO_PERSON.labels(record.route_reason.value, camera, line).inc()
    for step, milliseconds in laps.items():
        STEP_SECONDS.labels(step, line).observe(milliseconds / 1000)
        CAMERA_STEP_SECONDS.labels(step, camera, line).observe(milliseconds / 1000)


def tell_model(role: Role, now: str | None, before: str | None = None) -> None:
    """Tells which model is loaded in a role, by the beginning of its id."""
    if before is not None:
        MODEL_INFO.labels(role, before[:12]).set(0)  # a label cannot be taken back
    if now is not None:
        MODEL_INFO.labels(role, now[:12]).set(1)


def exposition() -> bytes:
    """Returns all figures in Prometheus's text format."""
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError:  # there is no folder of such files: the app runs without BentoML
        registry = REGISTRY
    return generate_latest(registry)
