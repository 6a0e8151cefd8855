"""Cameras against a real local HTTP server that misbehaves as told."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from inspection.errors import InsufficientDataError
from inspection.simulation import line
from inspection.simulation.line import ATTEMPTS, LinePart, run_line


@dataclass
class Service:
    """What the server saw, and the statuses that it answers a key with, in turn (200 at their end)."""

    url: str = ""
    script: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    authorizations: set[str | None] = field(default_factory=set)
    connections: set[tuple[str, int]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


@pytest.fixture
def service() -> Iterator[Service]:
    seen = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            key = self.headers["Idempotency-Key"]
            with seen.lock:
                turn = seen.keys.count(key)
                seen.keys.append(key)
                seen.bodies.append(body)
                seen.queries.append(parse_qs(urlsplit(self.path).query))
                seen.authorizations.add(self.headers.get("Authorization"))
                seen.connections.add(self.client_address)
            status = seen.script[turn] if turn < len(seen.script) else 200
            if status == 0:
                self.close_connection = True
                return
            answer = json.dumps({"inspection_id": key, "recommended_action": "ACCEPT"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield seen
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def parts(tmp_path: Path) -> list[LinePart]:
    result = []
    for number in range(12):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(bytes([number]) * 100)
        result.append(LinePart(f"img-{number}", path, f"cam-{number % 8}", "shaft", f"SN-{number}"))
    return result


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "BACK_OFF_S", 0.001)


def test_each_part_is_posted_once_with_its_bytes(service: Service, parts: list[LinePart]) -> None:
    told: list[tuple[int, int]] = []
    report = run_line(
        service.url, parts, rate=500, cameras=3, api_key="k", progress=lambda *now: told.append(now)
    )
    figures = report.figures()
    assert report.answered == 12
    assert report.to_human == figures.retried == 0
    assert figures.actions == {"ACCEPT": 12}
    assert [answer.image_id for answer in report.answers] == [part.image_id for part in parts]
    assert sorted(service.bodies) == [bytes([number]) * 100 for number in range(12)]
    assert len(set(service.keys)) == 12
    assert {answer.inspection_id for answer in report.answers} == set(service.keys)
    assert service.authorizations == {"Bearer k"}
    assert sorted(told) == [(done, 12) for done in range(1, 13)]
    for taken in (figures.latency, figures.request):
        assert all(taken.model_dump().values())
        assert list(taken.model_dump().values()) == sorted(taken.model_dump().values())
    query = service.queries[0]
    assert set(query) == {"image_id", "camera_id", "part_serial", "part_type", "captured_at"}
    assert query["captured_at"][0].endswith("Z")
    assert len(service.connections) <= 3


@pytest.mark.parametrize("trouble", [[503, 503], [0, 503], [429], [0]])
def test_trouble_is_tried_again_with_the_same_key(
    service: Service, parts: list[LinePart], trouble: list[int]
) -> None:
    service.script = trouble
    report = run_line(service.url, parts[:3], rate=500)
    assert report.answered == report.figures().retried == 3
    assert set(Counter(service.keys).values()) == {len(trouble) + 1}


@pytest.mark.parametrize(
    ("status", "attempts"), [(503, ATTEMPTS), (0, ATTEMPTS), (500, 1), (400, 1), (401, 1)]
)
def test_what_stays_unanswered_goes_to_a_person(
    service: Service, parts: list[LinePart], status: int, attempts: int
) -> None:
    service.script = [status] * 10
    report = run_line(service.url, parts[:1], rate=500)
    (answer,) = report.answers
    assert answer.attempts == attempts == len(service.keys)
    assert answer.outcome == "to human"
    assert answer.status == (status or None)
    figures = report.figures()
    assert figures.actions == {"HUMAN_INSPECTION": 1}
    assert figures.latency.p50_ms is None


def test_nobody_listens(parts: list[LinePart]) -> None:
    report = run_line("http://127.0.0.1:1", parts[:2], rate=500)
    assert report.to_human == 2
    assert report.answers[0].status is None


def test_a_run_of_a_given_length_keeps_its_rate(service: Service, parts: list[LinePart]) -> None:
    report = run_line(service.url, parts[:2], rate=40, seconds=0.25)
    assert len(report.answers) == 10
    assert len(set(service.keys)) == 10
    assert report.seconds >= 9 / 40


def test_no_parts(service: Service) -> None:
    with pytest.raises(InsufficientDataError, match="no parts"):
        run_line(service.url, [], rate=1)


def test_an_unreadable_file_stops_the_run(service: Service, parts: list[LinePart]) -> None:
    parts[0].image_path.unlink()
    with pytest.raises(FileNotFoundError):
        run_line(service.url, parts, rate=500)
