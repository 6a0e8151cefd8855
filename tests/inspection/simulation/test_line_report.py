"""Figures of a run, by hand."""

from __future__ import annotations

import pytest

from inspection.simulation.hostile import HostileAnswer
from inspection.simulation.line_report import BINS_MS, LineAnswer, LineReport


def answered(camera: str, latency: float, action: str = "ACCEPT", attempts: int = 1) -> LineAnswer:
    body = {"prediction": "PASS", "recommended_action": action, "route_reason": None}
    return LineAnswer("key", "img", camera, 200, attempts, latency, latency / 2, body, "answered")


def unanswered(camera: str, status: int | None) -> LineAnswer:
    return LineAnswer("key", "img", camera, status, 6, None, None, None, "to human")


def test_nothing_happened() -> None:
    figures = LineReport((), 0).figures()
    assert figures.parts == figures.rate == 0
    assert figures.latency.p50_ms is None
    assert [found.parts for found in figures.histogram] == [0] * (len(BINS_MS) + 1)
    assert figures.cameras == figures.hostile == ()


def test_figures_by_hand() -> None:
    report = LineReport(
        (
            answered("b", 10),
            answered("a", 30, "REWORK", attempts=2),
            answered("a", 50),
            unanswered("a", 503),
            unanswered("a", None),
        ),
        seconds=2,
    )
    figures = report.figures()
    assert (figures.parts, figures.answered, figures.to_human, figures.retried) == (5, 3, 2, 3)
    assert figures.rate == 2.5
    assert (figures.latency.p50_ms, figures.latency.max_ms) == (30, 50)
    assert figures.latency.p95_ms == pytest.approx(48)  # 30 + 0.9 x 20
    assert figures.request.p50_ms == 15
    assert figures.actions == {"ACCEPT": 2, "HUMAN_INSPECTION": 2, "REWORK": 1}
    assert figures.predictions == {"PASS": 3}
    assert figures.route_reasons == {}
    assert figures.statuses == {"200": 3, "503": 1, "None": 1}
    first, second = figures.cameras
    assert (first.camera_id, first.parts, first.answered, first.latency.max_ms) == ("a", 4, 2, 50)
    assert (second.camera_id, second.actions) == ("b", {"ACCEPT": 1})


@pytest.mark.parametrize(
    ("latency", "up_to"), [(0.1, 5), (5, 5), (5.1, 10), (5000, 5000), (5000.1, None), (1e9, None)]
)
def test_bins_hold_their_upper_edge(latency: float, up_to: float | None) -> None:
    histogram = LineReport((answered("a", latency),), 1).figures().histogram
    assert [found.up_to_ms for found in histogram if found.parts] == [up_to]


def test_hostile_requests_are_counted_by_themselves() -> None:
    hostile = (
        HostileAnswer("b", "400", "right", 0.1),
        HostileAnswer("b", "503", "busy", 0.1),
        HostileAnswer("a", "500", "wrong", 0.1),
        HostileAnswer("b", "400", "right", 0.1),
    )
    figures = LineReport((answered("a", 10),), 1, hostile).figures()
    assert (figures.parts, figures.statuses) == (1, {"200": 1})
    first, second = figures.hostile
    assert (first.kind, first.sent, first.wrong, first.answers) == ("a", 1, 1, {"500": 1})
    assert (second.kind, second.sent, second.right, second.busy, second.wrong) == ("b", 3, 2, 1, 0)
    assert second.answers == {"400": 2, "503": 1}
