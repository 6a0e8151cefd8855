"""What Prometheus can read at ``/metrics``.

BentoML has its processes keep their figures in files, which `prometheus_client` finds by itself.
"""

from __future__ import annotations

import csv
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from serving.records import PredictionRecord

MOST_CAMERAS = 200  # a client chooses the camera's name: it must not be able to fill the memory

PREDICTIONS = Counter(
    "vqi_predictions", "Parts that got a verdict.", ["prediction", "action", "camera_id", "line_id"]
)
ROUTED_TO_PERSON = Counter("vqi_routed_to_person", "Parts that go to a person, by reason.", ["reason"])
STEP_SECONDS = Histogram(
    "vqi_step_seconds",
    "Time of each step of an inspection.",
    ["step"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.35, 0.5, 1, 2.5, 5),
)
SHED = Counter("vqi_shed", "Requests that were refused because too many were waiting.")
OUTBOX_UNSENT = Gauge(
    "vqi_outbox_unsent", "Records that the warehouse does not have yet.", multiprocess_mode="mostrecent"
)
OUTBOX_REFUSED = Counter("vqi_outbox_refused", "Records that the warehouse will never take.")


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

    def labels(self, camera_id: str) -> tuple[str, str]:
        """Returns the labels (camera, line) of a camera; beyond `MOST_CAMERAS` it is ``other``."""
        if camera_id not in self._lines:
            if len(self._lines) >= MOST_CAMERAS:
                return "other", "unknown"
            self._lines[camera_id] = "unknown"
        return camera_id, self._lines[camera_id]


def count(record: PredictionRecord, cameras: CameraLines) -> None:
    """Counts a verdict."""
    prediction = record.prediction.value if record.prediction else "none"
    PREDICTIONS.labels(prediction, record.recommended_action.value, *cameras.labels(record.camera_id)).inc()
    if record.route_reason:
        ROUTED_TO_PERSON.labels(record.route_reason.value).inc()
    for step, milliseconds in record.timings_ms.items():
        STEP_SECONDS.labels(step).observe(milliseconds / 1000)


def exposition() -> bytes:
    """Returns all figures in Prometheus's text format."""
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    except ValueError:  # there is no folder of such files: the app runs without BentoML
        registry = REGISTRY
    return generate_latest(registry)
