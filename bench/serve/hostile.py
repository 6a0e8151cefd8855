"""What the line notices of hostile requests: the service at a steady rate, with and without them, in turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.serve.memory import sampled
from bench.serve.stacks import Stack
from inspection.simulation.line import LinePart, run_line
from inspection.simulation.line_report import LineReport

LOAD = 0.4
"""Of what the service can do."""
SHARE = 0.2
TURNS, SECONDS = 2, 40.0
CAMERAS = 8
LOOK_SECONDS = 0.1
UPLOAD_SECONDS = 3
"""Within which the service cuts slow clients off, so that each turn ends soon after its last part."""


def measure(
    stack: Stack, images: Sequence[bytes], folder: Path, capacity: float, seconds: float = SECONDS
) -> dict[str, float]:
    """Measures a service.

    Memory that was taken once is rarely given back: only the first turn, which is clean, tells what the
    service needs without hostile requests.

    Args:
        stack: the service.
        images: to ask with.
        folder: keeps them meanwhile.
        capacity: images a second that it judges.
        seconds: of a turn.
    """
    parts = line_parts(images, folder)
    reports: dict[float, list[LineReport]] = {0.0: [], SHARE: []}
    peaks: list[float] = []
    for _ in range(TURNS):
        for share, found in reports.items():
            with sampled(stack, LOOK_SECONDS) as memory:
                found.append(drive(stack, parts, LOAD * capacity, seconds, share))
            peaks.append(max(sample.mib for sample in memory))
    clean, mixed = (np.concatenate([latencies(report) for report in found]) for found in reports.values())
    answers = [answer.verdict for report in reports[SHARE] for answer in report.hostile]
    return {
        "hostile_line_per_s": LOAD * capacity,
        "hostile_requests": len(answers),
        "hostile_wrong": answers.count("wrong"),
        "hostile_busy": answers.count("busy"),
        "hostile_parts": len(mixed),
        "hostile_clean_p50_ms": float(np.percentile(clean, 50)),
        "hostile_clean_p99_ms": float(np.percentile(clean, 99)),
        "hostile_p50_ms": float(np.percentile(mixed, 50)),
        "hostile_p99_ms": float(np.percentile(mixed, 99)),
        "hostile_clean_peak_mib": peaks[0],
        "hostile_peak_mib": max(peaks),
    }


def line_parts(images: Sequence[bytes], folder: Path) -> list[LinePart]:
    """Writes images to a folder; returns the parts that they show."""
    folder.mkdir(parents=True)
    parts = []
    for number, image in enumerate(images):
        file = folder / f"{number}.jpg"
        file.write_bytes(image)
        parts.append(LinePart(file.name, file, f"cam-{number}", None, f"SN-{number}"))
    return parts


def drive(
    stack: Stack, parts: Sequence[LinePart], rate: float, seconds: float, hostile_share: float = 0.0
) -> LineReport:
    """Posts parts to our service as the cameras of a line do."""
    return run_line(
        f"http://127.0.0.1:{stack.port}",
        parts,
        rate=rate,
        seconds=seconds,
        cameras=CAMERAS,
        api_key=stack.headers["Authorization"].removeprefix("Bearer "),
        hostile_share=hostile_share,
    )


def latencies(report: LineReport) -> list[float]:
    """Returns the milliseconds of each part.

    Raises:
        RuntimeError: a part got no answer.
    """
    if report.to_human:
        raise RuntimeError(f"{report.to_human} of {len(report.answers)} parts got no answer")
    return [answer.latency_ms for answer in report.answers if answer.latency_ms is not None]
