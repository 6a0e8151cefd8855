"""The whole service: directly, and as a real process over HTTP on a real warehouse."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from inspection.settings import Settings
from inspection.warehouse import transaction
from serving.process import REPOSITORY, serve_command
from tests.conftest import free_port
from tests.inspection.gauge.drawn import SIZES, png, stepped
from tests.serving.examples import GOOD, JPEG, METADATA, PNG, ROUTE, SCRATCHED, encode, picture
from tests.serving.plant import Plant, Service, environment, refused_start

GIGABYTE = 2**30
Until = Callable[[Callable[[], bool]], None]

DIRECT = """
import asyncio, os, sys, warnings, httpx
from serving.guard import Guard
from serving.service import InspectionService, app
from tests.serving.examples import SCRATCHED, METADATA, PNG, ROUTE

assert not {"onnxruntime", "torch"} & set(sys.modules), "loaded before it is needed"
service = InspectionService.inner()
assert service.__is_ready__()

async def ask():
    transport = httpx.ASGITransport(Guard(app, app.state))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.post(ROUTE, params=METADATA, content=SCRATCHED, headers=PNG)

print(asyncio.run(ask()).json()["prediction"])
heavy = {"torch", "timm", "ray", "dagster", "dbt", "dlt", "sklearn"} & set(sys.modules)
print(sorted(heavy))
service.close()
"""


def test_a_direct_call_judges_and_loads_nothing_heavy(offline: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIRECT],
        cwd=REPOSITORY,
        env=environment(offline),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["FAIL", "[]"]


def test_told_to_stop_it_answers_what_it_has(offline: Settings, until: Until) -> None:
    port = free_port()
    service = Service(offline.model_copy(update={"service_port": port}))
    try:
        service.wait()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as camera:
            camera.sendall(_head(f"Content-Length: {len(GOOD)}", kind="image/png") + GOOD[:50])
            service.process.terminate()
            until(lambda: not _answers(service))
            camera.sendall(GOOD[50:])
            assert camera.recv(65536).startswith(b"HTTP/1.1 200")
        assert service.process.wait(timeout=30) == 0
    finally:
        service.kill()


def _answers(service: Service) -> bool:
    try:
        return httpx.get(service.url + "/livez", timeout=1).is_success
    except httpx.TransportError:
        return False


def test_it_refuses_an_open_door_without_keys(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    command = serve_command(settings)
    command[command.index("--host") + 1] = "0.0.0.0"
    assert "VQI_API_KEYS" in refused_start(command, settings)


@pytest.fixture(scope="module")
def http(plant: Plant) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=plant.service.url, timeout=30) as client:
        yield client


def predict(http: httpx.Client, image: bytes = GOOD, **headers: str) -> httpx.Response:
    return http.post(ROUTE, params=METADATA, content=image, headers=PNG | headers)


def stored(plant: Plant, table: str, inspection: str) -> list[tuple[object, ...]]:
    with transaction(plant.settings.dsn("warehouse")) as cursor:
        cursor.execute(f"select to_jsonb(t) from inference.{table} t where inspection_id = %s", (inspection,))
        return cursor.fetchall()


def test_a_verdict_and_its_review_reach_the_warehouse(
    http: httpx.Client, plant: Plant, until: Callable[[Callable[[], bool]], None]
) -> None:
    told = predict(http, SCRATCHED).json()
    inspection = told["inspection_id"]
    body = {"inspector_id": "anna", "decision": "PASS"}
    assert http.post(f"/api/v1/inspections/{inspection}/review", json=body).json()["overrides"] is True

    until(lambda: len(stored(plant, "predictions", inspection)) == 1)
    until(lambda: len(stored(plant, "reviews", inspection)) == 1)
    ((prediction,),) = stored(plant, "predictions", inspection)
    assert isinstance(prediction, dict)
    assert prediction["defects"] == told["defects"]
    assert prediction["auto_action"] == "REWORK"
    assert prediction["model_version"] == told["model_version"]


def test_a_measured_part_over_http(
    http: httpx.Client, plant: Plant, until: Callable[[Callable[[], bool]], None]
) -> None:
    place = METADATA | {"camera_id": "cam-gauge", "part_type": "stepped"}
    image = png(stepped(SIZES | {"bore": 13.4}))
    told = http.post(ROUTE, params=place, content=image, headers=PNG).json()
    (defect,) = told["defects"]
    assert defect["measurement"]["dimension"] == "bore"
    assert defect["measurement"]["measured_mm"] == pytest.approx(13.4, abs=0.025)
    until(lambda: len(stored(plant, "predictions", told["inspection_id"])) == 1)
    ((prediction,),) = stored(plant, "predictions", told["inspection_id"])
    assert isinstance(prediction, dict)
    assert prediction["defects"] == told["defects"]
    assert prediction["timings_ms"]["gauge"] > 0


def test_multipart_over_http(http: httpx.Client) -> None:
    image = encode(picture((255, 0, 0), (32, 64, 48, 16)), ".jpg")
    raw = http.post(ROUTE, params=METADATA, content=image, headers=JPEG).json()
    form = http.post(ROUTE, data=METADATA, files={"image": ("p.jpg", image, "image/jpeg")}).json()
    assert form["defects"] == raw["defects"] != []


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/metrics", "/", "/docs.json", "/static_content/swagger-ui.css"]
)
def test_pages(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 200


def test_the_openapi_page_tells_every_route_of_the_contract(http: httpx.Client) -> None:
    paths = http.get("/docs.json").json()["paths"]
    assert set(paths[ROUTE]["post"]["requestBody"]["content"]) == {
        "image/jpeg",
        "image/png",
        "multipart/form-data",
    }
    one = "/api/v1/inspections/{inspection_id}"
    for path in (one, f"{one}/review", f"{one}/override", "/api/v1/queue", "/api/v1/models"):
        assert path in paths
    for path in (
        "/api/v1/models/{model}/approve",
        "/api/v1/models/{model}/rollback",
        "/api/v1/auto-pass/resume",
    ):
        assert path in paths


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/api/v1/nothing", 404), ("POST", "/livez", 405), ("GET", ROUTE, 405)],
)
def test_errors_of_bentoml_itself_are_problems_too(
    http: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = http.request(method, path)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_metrics_count_verdicts_and_steps(http: httpx.Client) -> None:
    def count() -> float:
        lines = http.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("vqi_predictions_total{"))

    before = count()
    predict(http)
    assert count() == before + 1
    text = http.get("/metrics").text
    assert 'action="ACCEPT",camera_id="cam-1",line_id="unknown",prediction="PASS"' in text
    for step in ("wait", "decode", "normalise", "infer", "decide", "store"):
        assert f'vqi_step_seconds_bucket{{le="0.2",line_id="unknown",step="{step}"}}' in text
        assert f'vqi_camera_step_seconds_count{{camera_id="cam-1",line_id="unknown",step="{step}"}}' in text


# Hostile clients


def worker_memory(plant: Plant) -> int:
    """Returns the resident bytes of the service's processes."""
    server = psutil.Process(plant.service.process.pid)
    return sum(process.memory_info().rss for process in (server, *server.children(recursive=True)))


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/form-data; boundary=x"])
def test_a_gigabyte_is_cut_off_early(http: httpx.Client, plant: Plant, kind: str) -> None:
    sent = 0

    def stream() -> Iterator[bytes]:
        nonlocal sent
        block = b"\0" * 2**20
        while sent < GIGABYTE:
            yield block
            sent += len(block)

    before = worker_memory(plant)
    try:
        answer = httpx.post(
            plant.service.url + ROUTE,
            params=METADATA,
            content=stream(),
            headers={"Content-Type": kind},
            timeout=30,
        )
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # the connection was closed on a client that did not stop to read
    assert sent < 200 * 2**20
    assert worker_memory(plant) - before < 100 * 2**20
    assert predict(http).status_code == 200


def test_a_declared_gigabyte_is_refused_unread(http: httpx.Client, plant: Plant) -> None:
    with _connect(plant) as connection:
        connection.sendall(_head(f"Content-Length: {GIGABYTE}", "Expect: 100-continue"))
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "application/problem+json" in answer
    assert predict(http).status_code == 200


def test_seventeen_mebibytes_get_a_readable_answer(http: httpx.Client) -> None:
    answer = http.post(ROUTE, params=METADATA, content=b"\xff\xd8" + b"\0" * (17 << 20), headers=JPEG)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_client_that_stops_sending_is_cut_off(http: httpx.Client, plant: Plant) -> None:
    with _connect(plant) as connection:
        connection.sendall(_head("Content-Length: 1000") + b"\xff\xd8\xff")
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 408")
    assert predict(http).status_code == 200


def test_a_client_that_hangs_up_harms_nobody(http: httpx.Client, plant: Plant) -> None:
    for _ in range(60):  # more than there are places
        with _connect(plant) as connection:
            connection.sendall(_head("Content-Length: 1000") + b"\xff\xd8\xff")
    assert predict(http).status_code == 200


def test_hostile_requests_leave_the_service_as_it_was(http: httpx.Client) -> None:
    key = str(uuid.uuid4())
    first = predict(http, SCRATCHED, **{"Idempotency-Key": key})
    for content, kind in [
        (b"hello", "image/jpeg"),
        (b"\x80\x04N.", "application/vnd.bentoml+pickle"),
        (json.dumps({"image": "http://127.0.0.1:1/a.jpg"}).encode(), "application/json"),
        (b"\0" * 1000, "multipart/form-data; boundary=x"),
    ]:
        answer = http.post(ROUTE, params=METADATA, content=content, headers={"Content-Type": kind})
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"] == "application/problem+json"
    assert predict(http, SCRATCHED, **{"Idempotency-Key": key}).json() == first.json()


def _connect(plant: Plant) -> socket.socket:
    return socket.create_connection(("127.0.0.1", plant.settings.service_port), timeout=20)


def _head(*headers: str, kind: str = "image/jpeg") -> bytes:
    query = "&".join(f"{name}={value}" for name, value in METADATA.items())
    lines = [
        f"POST {ROUTE}?{query} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {kind}",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode()
