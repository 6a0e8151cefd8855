"""A real S3 server for tests, and a proxy before it that fails as networks and servers fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, NamedTuple

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def aws(url: str) -> dict[str, str]:
    """Returns the environment that leads to a server."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_S3": url,
    }


def connect(url: str, attempts: int = 1) -> S3Client:
    """Returns a client."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
        config=Config(retries={"mode": "standard", "total_max_attempts": attempts}),
    )


@contextmanager
def s3_server() -> Iterator[str]:
    """Runs a server; gives its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Request(NamedTuple):
    """What a client asks."""

    method: str
    path: str


# "busy": the server answers 503. "cut": the connection breaks when half of the request's body has come.
Fault = Literal["busy", "cut"]


def sound(request: Request) -> Fault | None:
    """Lets everything through."""
    return None


@dataclass
class Proxy:
    """What the proxy does, and what it has seen.

    Attributes:
        url: its address.
        fault: called with each request; tells what goes wrong with it.
        edit: called with each answer's body; returns what is passed on.
        seen: requests in the order of their arrival.
        received: bytes of the bodies of all answers.
    """

    url: str = ""
    fault: Callable[[Request], Fault | None] = sound
    edit: Callable[[bytes], bytes] = bytes
    seen: list[Request] = field(default_factory=list)
    received: int = 0


@contextmanager
def proxy_before(server: str) -> Iterator[Proxy]:
    """Runs a proxy before a server."""
    proxy, lock = Proxy(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:  # the client was killed
                self.close_connection = True

        def answer(self) -> None:
            request, length = Request(self.command, self.path), int(self.headers.get("Content-Length", 0))
            with lock:
                proxy.seen.append(request)
            fault = proxy.fault(request)
            if fault == "cut":
                self.rfile.read(length // 2)
                self.close_connection = True
                return
            if fault == "busy":
                self.rfile.read(length)
                self.reply(503, {}, b"<Error><Code>SlowDown</Code></Error>")
                return
            upstream = HTTPConnection(server.removeprefix("http://"))
            upstream.request(self.command, self.path, self.rfile.read(length), dict(self.headers))
            found = upstream.getresponse()
            body = proxy.edit(found.read())
            with lock:
                proxy.received += len(body)
            self.reply(found.status, dict(found.headers), body)
            upstream.close()

        def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                    self.send_header(name, value)
            if self.command == "HEAD":  # tells the length of what it does not send
                body = b""
                self.send_header("Content-Length", headers.get("Content-Length", "0"))
            else:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    proxy.url = f"http://127.0.0.1:{listener.server_port}"
    try:
        yield proxy
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
