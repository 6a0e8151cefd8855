"""Every hostile kind against the real service, and what the line notices of it: nothing."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from inspection.simulation.hostile import attack
from inspection.simulation.hostile_requests import hostile_kinds
from tests.serving.examples import GOOD, METADATA, PNG, ROUTE
from tests.serving.plant import Plant

KINDS = {hostile.kind: hostile for hostile in hostile_kinds()}
SLOW_CLIENTS = 60  # more than there are places in the lanes


def predict(plant: Plant) -> httpx.Response:
    return httpx.post(plant.service.url + ROUTE, params=METADATA, content=GOOD, headers=PNG, timeout=20)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_gets_its_answer(plant: Plant, kind: str) -> None:
    found = attack(plant.service.url, KINDS[kind], patience=plant.settings.upload_seconds + 10)
    assert found.verdict == "right", found
    assert predict(plant).status_code == 200


def test_sixty_slow_clients_and_the_line_flows(plant: Plant) -> None:
    begun = threading.Barrier(SLOW_CLIENTS + 1)

    def client() -> str:
        begun.wait(20)
        return attack(plant.service.url, KINDS["slow client"], plant.settings.upload_seconds + 10).answer

    with ThreadPoolExecutor(SLOW_CLIENTS) as pool:
        slow = [pool.submit(client) for _ in range(SLOW_CLIENTS)]
        begun.wait(20)
        statuses = []
        while not all(answer.done() for answer in slow):
            statuses.append(predict(plant).status_code)
        assert set(statuses) == {200}
        assert len(statuses) > 10  # while each slow client is waited for, for two seconds
        assert {answer.result() for answer in slow} == {"408"}


def test_what_is_no_http_gets_a_problem(plant: Plant) -> None:
    with connect(plant) as connection:
        connection.sendall(b"\x16\x03\x01\r\n\r\n")
        head, _, body = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in head
    assert b'"status":400' in body


@pytest.mark.parametrize(
    "start",
    [
        b"GET /livez HTTP/1.1\r\nX-Filler: ",
        b"GET /",
        f"POST {ROUTE} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ".encode(),
        f"POST {ROUTE} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x=".encode(),
    ],
    ids=["header", "address", "trailer", "chunk extension"],
)
def test_a_head_without_end_is_cut_off(plant: Plant, start: bytes) -> None:
    sent = 0
    with connect(plant) as connection, pytest.raises(ConnectionError):  # noqa: PT012
        connection.sendall(start)
        while sent < 64 * 2**20:
            connection.sendall(b"x" * 2**16)
            sent += 2**16
    assert sent < 16 * 2**20  # what lies in the sockets' buffers
    assert predict(plant).status_code == 200


def test_who_is_cut_off_is_counted(plant: Plant) -> None:
    def counted(part: str) -> float:
        lines = httpx.get(plant.service.url + "/metrics", timeout=20).text.splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith(f'vqi_cut_off_total{{part="{part}')
        )

    before = counted("body"), counted("head")
    for kind in ("slow client", "oversized header"):
        attack(plant.service.url, KINDS[kind], plant.settings.upload_seconds + 10)
    assert (counted("body"), counted("head")) == (before[0] + 1, before[1] + 1)


def connect(plant: Plant) -> socket.socket:
    return socket.create_connection(("127.0.0.1", plant.settings.service_port), timeout=20)


def received(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(2**16), b""))
