"""Telling people, through a real local web server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from inspection.alerts import Alert
from inspection.notifier import notify
from tests.line import NOON

# apprise looks for a module that Python 3.13 no longer has.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

ALERT = Alert(
    "id", "throughput", "A", "high", 5, None, 20, "investigate", "throughput (A): 5", [], None, NOON
)


class Receiver(HTTPServer):
    """Keeps what is posted to ``/ok`` and refuses the rest."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[Any] = []

    def url(self, path: str) -> str:
        return f"json://user:secret@127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received += [json.loads(body)] if self.path == "/ok" else []
        self.send_response(200 if self.path == "/ok" else 500)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_without_an_address_it_says_so() -> None:
    delivery = notify(SecretStr(""), [ALERT])
    assert (delivery.told, delivery.addresses, delivery.failures) == ((), 0, ())
    assert delivery.summary == "nobody can be told: no notification URL is configured (VQI_NOTIFY)"


def test_nothing_to_tell(receiver: Receiver) -> None:
    assert notify(SecretStr(receiver.url("ok")), []).summary == "0 alerts told by 1 addresses"
    assert receiver.received == []


def test_told(receiver: Receiver) -> None:
    delivery = notify(SecretStr(receiver.url("ok")), [ALERT])
    assert (delivery.told, delivery.failures) == ((ALERT,), ())
    ((title, message),) = [(r["title"], r["message"]) for r in receiver.received]
    assert (title, message) == ("[high] throughput", "throughput (A): 5")


def test_a_failure_is_counted_and_logged_without_secrets(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    urls = SecretStr(f"{receiver.url('refused')}  nonsense://user:secret@host {receiver.url('ok')}")
    delivery = notify(urls, [ALERT])
    assert delivery.told == (ALERT,)
    assert delivery.failures == (
        "throughput (A) to address 1, json",
        "throughput (A) to address 2, nonsense",
    )
    ours = [record.getMessage() for record in caplog.records if record.name == "inspection.notifier"]
    assert len(ours) == 2
    assert "secret" not in caplog.text + delivery.summary
    assert len(receiver.received) == 1


def test_an_alert_that_no_address_took_is_not_told(receiver: Receiver) -> None:
    delivery = notify(SecretStr(receiver.url("refused")), [ALERT])
    assert (delivery.told, len(delivery.failures)) == ((), 1)
