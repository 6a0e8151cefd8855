"""The pictures of the profile: they can be drawn, whatever there is, and show what they are asked to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import pytest

from inspection import profile_plots
from inspection.label_profile import CameraShare, LineTrend, LineWeek, MissingValues, PlantLabels

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
CLASSES = ("dent", "mark", "scrape", "stain")


def plants(count: int) -> list[PlantLabels]:
    return [
        PlantLabels(f"p{n}", name, 3, 0.25, 0.1, 0.5, 12) for n in range(count) for name in ("fine", *CLASSES)
    ]


def weeks(count: int) -> list[LineWeek]:
    return [
        LineWeek(line, MONDAY + timedelta(weeks=week), name, 2, 0.1, 20)
        for name in CLASSES
        for line in ("l1", "l2")
        for week in range(count)
    ]


def trends(count: int, *, elevated: bool = False) -> list[LineTrend]:
    return [
        LineTrend(
            f"l{n}", name, 9, 30, 0.3, 0.17, 0.48, 2, 30 if count > 1 else 0, 1, 30,
            4.5, 1.2, 0.01, 0.01, elevated, rising=False,
        )
        for name in CLASSES
        for n in range(count)
    ]  # fmt: skip


def cameras(count: int) -> list[CameraShare]:
    return [CameraShare(f"c{n}", "l1", 10, 1 / count, 0, None) for n in range(count)]


def missing(count: int) -> list[MissingValues]:
    return [MissingValues("stg_images", f"column_{n}", n, n / 50, 50) for n in range(count)]


DRAW: dict[str, Callable[[int], bytes]] = {
    "labels": lambda count: profile_plots.labels_by_plant(plants(count)),
    "weeks": lambda count: profile_plots.rates_by_week(weeks(count), trends(2, elevated=True)),
    "lines": lambda count: profile_plots.line_comparison(trends(count, elevated=True)),
    "cameras": lambda count: profile_plots.camera_shares(cameras(count)),
    "missing": lambda count: profile_plots.missing_values(missing(count)),
}


@pytest.mark.parametrize("count", [0, 1, 8])
@pytest.mark.parametrize("name", DRAW)
def test_nothing_one_and_many_can_be_drawn(name: str, count: int) -> None:
    picture = cv2.imdecode(np.frombuffer(DRAW[name](count), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert min(picture.shape[:2]) > 100


def test_an_elevated_line_looks_other() -> None:
    flagged = np.array([int(profile_plots.FLAGGED[i : i + 2], 16) for i in (5, 3, 1)])  # BGR
    for elevated in (False, True):
        png = profile_plots.line_comparison(trends(3, elevated=elevated))
        picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert (picture == flagged).all(axis=2).any() == elevated
