"""The sensor with a real Dagster instance behind it."""

from __future__ import annotations

import dagster as dg
import pytest

from inspection.annotations import Annotated
from sensors.annotations import annotation_sensor


@dg.asset
def model() -> None:
    """Stands for what is trained."""


def tick(annotated: Annotated, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    sensor = annotation_sensor("training", read=lambda: annotated, enough=lambda: 500)
    with dg.DagsterInstance.ephemeral() as instance:
        result = sensor(dg.build_sensor_context(instance=instance, cursor=cursor))
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


@pytest.mark.parametrize(
    ("annotated", "cursor"),
    [
        pytest.param(Annotated("r1", 0), None, id="nothing new"),
        pytest.param(Annotated("r1", 499), None, id="too few"),
        pytest.param(Annotated("r1", 600), "r1-1", id="the same again"),
    ],
)
def test_no_training(annotated: Annotated, cursor: str | None) -> None:
    assert isinstance(tick(annotated, cursor), dg.SkipReason)


@pytest.mark.parametrize(
    ("annotated", "cursor", "key"),
    [
        pytest.param(Annotated("r1", 500), None, "r1-1", id="enough"),
        pytest.param(Annotated("r2", 500), "r1-1", "r2-1", id="enough after a new release"),
        pytest.param(Annotated("r1", 600), None, "r1-1", id="cursor lost"),
    ],
)
def test_training(annotated: Annotated, cursor: str | None, key: str) -> None:
    result = tick(annotated, cursor)
    assert isinstance(result, dg.SensorResult)
    assert [request.run_key for request in result.run_requests or ()] == [key]
    assert result.cursor == key
