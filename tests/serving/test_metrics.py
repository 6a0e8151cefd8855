"""What Prometheus reads: counted where it belongs, bounded, and all that alerts and dashboard ask for."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY

from inspection.settings import Settings
from serving.lanes import Lanes
from serving.metrics import BUCKETS, MOST_CAMERAS, CameraLines, tell_model
from serving.station import Station, open_station
from tests.deploy.metric_names import series_in_tests, used_metrics
from tests.house.repository import ROOT
from tests.serving.conftest import Client, connect
from tests.serving.examples import GOOD, METADATA, PNG, RED, ROUTE, UNSURE, encode, picture
from tests.serving.plant import Plant

TARGET = {"job", "instance"}  # labels that Prometheus adds


@pytest.fixture
def line(offline: Settings) -> str:
    """A line of its own for each test, with the cameras cam-1 and cam-2."""
    name = f"line-{uuid.uuid4()}"
    offline.calibration.mkdir()
    rows = ["camera_id,line_id,effective_from", f"cam-1,{name},2026-02-01", "cam-1,old,2026-01-01"]
    file = offline.calibration / "camera_config.csv"
    file.write_text("\n".join([*rows, f"cam-2,{name},2026-01-01"]), encoding="utf-8")
    return name


@pytest.fixture
def lined_up(offline: Settings, line: str) -> Iterator[Station]:
    opened = open_station(offline)
    yield opened
    opened.close()


@pytest.fixture
def client(lined_up: Station) -> Iterator[Client]:
    with connect(lined_up) as connected:
        yield connected


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def post(client: Client, image: bytes = GOOD, camera: str = "cam-1") -> int:
    place = METADATA | {"camera_id": camera}
    return client("POST", ROUTE, params=place, content=image, headers=PNG).status_code


def test_a_verdict_and_its_steps_are_counted_by_line_and_camera(client: Client, line: str) -> None:
    assert [post(client), post(client, camera="cam-2"), post(client, camera="cam-2")] == [200] * 3
    for camera, count in [("cam-1", 1), ("cam-2", 2)]:
        place = {"line_id": line, "camera_id": camera}
        assert value("vqi_predictions_total", prediction="PASS", action="ACCEPT", **place) == count
        for step in ("wait", "look_up", "decode", "normalise", "infer", "gauge", "decide", "store"):
            assert value("vqi_camera_step_seconds_count", step=step, **place) == count
    assert value("vqi_step_seconds_count", step="infer", line_id=line) == 3


def test_a_part_for_a_person_is_counted_by_reason(client: Client, line: str) -> None:
    post(client, UNSURE)
    place = {"line_id": line, "camera_id": "cam-1"}
    assert value("vqi_routed_to_person_total", reason="low_confidence", **place) == 1


def test_a_request_is_timed_by_line_and_status(client: Client, line: str) -> None:
    assert post(client) == 200
    assert post(client, b"no image") == 400
    form = {"data": METADATA | {"camera_id": "cam-2"}, "files": {"image": ("p.png", GOOD, "image/png")}}
    assert client("POST", ROUTE, **form).status_code == 200
    assert value("vqi_request_seconds_count", line_id=line, status="200") == 2
    assert value("vqi_request_seconds_count", line_id=line, status="400") == 1
    assert value("vqi_request_seconds_bucket", line_id=line, status="200", le="10.0") == 2
    seconds = value("vqi_request_seconds_sum", line_id=line, status="200")
    steps = value("vqi_camera_step_seconds_sum", step="decode", line_id=line, camera_id="cam-1")
    assert steps < seconds < 20


def test_a_request_of_a_camera_that_nobody_knows_is_timed_too(client: Client) -> None:
    before = value("vqi_request_seconds_count", line_id="unknown", status="422")
    assert client("POST", ROUTE, content=GOOD, headers=PNG).status_code == 422
    assert value("vqi_request_seconds_count", line_id="unknown", status="422") == before + 1


def test_a_failure_inside_is_a_500(
    client: Client, line: str, lined_up: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(lined_up.lanes, "inspect", fail)
    assert post(client) == 500
    assert value("vqi_request_seconds_count", line_id=line, status="500") == 1


def test_what_is_too_much_is_counted_where_it_came_from(lined_up: Station, line: str) -> None:
    shed = value("vqi_shed_total")
    full = Lanes(lined_up.lanes._inspector, lined_up.settings.model_copy(update={"service_queue": 1}), 1)
    with connect(replace(lined_up, lanes=full)) as client, full.place(), full.place():
        assert (value("vqi_requests_in_progress"), value("vqi_requests_waiting")) == (2, 1)
        assert post(client) == 503
    assert value("vqi_shed_total") == shed + 1
    assert value("vqi_request_seconds_count", line_id=line, status="503") == 1
    assert (value("vqi_requests_in_progress"), value("vqi_requests_waiting")) == (0, 0)
    full.close()


def test_the_model_in_force_is_the_one_with_a_one() -> None:
    before, now = uuid.uuid4().hex, uuid.uuid4().hex
    tell_model("production", before)
    tell_model("production", now, before)
    assert REGISTRY.get_sample_value("vqi_model_info", {"role": "production", "model": before[:12]}) == 0
    assert REGISTRY.get_sample_value("vqi_model_info", {"role": "production", "model": now[:12]}) == 1


def test_clients_cannot_fill_the_memory_with_names_of_cameras(tmp_path: Path) -> None:
    cameras = CameraLines(tmp_path)
    found = {cameras.labels(f"cam-{number}") for number in range(MOST_CAMERAS + 100)}
    assert len(found) == MOST_CAMERAS + 1
    assert ("other", "unknown") in found
    assert cameras.line("cam-1") == cameras.line(None) == "unknown"


# A real process


@pytest.fixture(scope="module")
def scraped(plant: Plant) -> dict[str, set[str]]:
    """The label names of each metric that a running service tells."""
    url = plant.service.url
    for image in (GOOD, UNSURE, encode(picture(RED, (0, 0, 16, 16)))):
        httpx.post(url + ROUTE, params=METADATA, content=image, headers=PNG, timeout=30).raise_for_status()
    samples = re.findall(r"^(vqi_\w+)(?:\{(.*)\})? ", httpx.get(url + "/metrics").text, re.MULTILINE)
    return {name: set(re.findall(r'(\w+)="', labels)) for name, labels in samples}


def test_a_running_service_has_every_metric_that_is_asked_for(scraped: dict[str, set[str]]) -> None:
    assert len(used_metrics()) > 10
    assert used_metrics() - scraped.keys() == set()


def test_the_alerts_are_tested_on_series_as_a_service_has_them(scraped: dict[str, set[str]]) -> None:
    wrong = [(name, labels) for name, labels in series_in_tests() if labels - TARGET != scraped[name]]
    assert wrong == []


def test_the_outbox_is_told_until_it_is_empty(
    plant: Plant, scraped: dict[str, set[str]], until: Callable[[Callable[[], bool]], None]
) -> None:
    until(lambda: re.search(r"^vqi_outbox_unsent 0.0$", metrics(plant), re.MULTILINE) is not None)
    sent = re.search(r"^vqi_outbox_sent_total (\S+)$", metrics(plant), re.MULTILINE)
    assert sent
    assert float(sent[1]) >= 3


def metrics(plant: Plant) -> str:
    return httpx.get(plant.service.url + "/metrics").text


def test_the_reference_tells_every_metric_and_bucket() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    told = {name.removesuffix("_total") for name in re.findall(r"`(vqi_\w+)`", page)}
    assert told == {metric.name for metric in REGISTRY.collect() if metric.name.startswith("vqi_")}
    assert ", ".join(f"{bound:g}" for bound in BUCKETS) in " ".join(page.split())
