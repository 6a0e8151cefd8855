"""How long a request's head may take, on a server in this process."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from serving import protocol
from serving.protocol import BoundedProtocol
from vqi.supervisor import wait_until


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    server = uvicorn.Server(uvicorn.Config(echo, port=0, http=BoundedProtocol, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, 20, "the server does not start")
    yield int(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nX-Name: va"])
def test_a_head_that_does_not_come_is_cut_off(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(sent)
        assert b"".join(iter(lambda: connection.recv(4096), b"")).startswith(b"HTTP/1.1 408")


def test_so_is_the_second_on_a_connection(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET / HTTP/1.1\r\nX-")
        assert b"".join(iter(lambda: connection.recv(4096), b"")).startswith(b"HTTP/1.1 408")


def test_a_slow_body_is_no_slow_head(port: int) -> None:
    gate = threading.Event()

    def body() -> Iterator[bytes]:
        yield b"a" * 100_000  # more than a head may have
        gate.wait(0.5)  # longer than a head may take
        yield b"b"

    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(2):
        client.request(
            "POST", "/", body=body(), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        assert client.getresponse().read() == b"a" * 100_000 + b"b"
    client.close()
