"""Who is let in, how often, and what a browser may be made to do."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import State
from starlette.types import Message, Receive, Scope, Send

from inspection.settings import RateLimits, Settings
from serving.guard import CHALLENGES, Guard
from serving.keys import KeyFollower, create_key, revoke_key
from serving.station import Station
from tests.serving.conftest import Client, connect
from tests.serving.examples import GOOD, METADATA, PNG, ROUTE

QUEUE = "/api/v1/queue"
LIMITS = RateLimits(line=3, viewer=100, wrong_key=4)
Connect = Callable[..., Client]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "own" / "keys.json"


@pytest.fixture
def behind(station: Station, keys: Path) -> Iterator[Connect]:
    """Connects clients to one service that has the keys now in the file."""
    with ExitStack() as stack:

        def start(**headers: str) -> Client:
            settings = station.settings.model_copy(update={"rate_limits": LIMITS})
            follower = KeyFollower(Settings(home=settings.home, api_keys=keys))
            return stack.enter_context(connect(replace(station, settings=settings, keys=follower), **headers))

        yield start


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def basic(text: str | bytes) -> dict[str, str]:
    raw = text.encode() if isinstance(text, str) else text
    return {"Authorization": "Basic " + base64.b64encode(raw).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("nonsense"),
        bearer(""),
        bearer("\xe9\xff"),
        {"Authorization": "Bearer"},
        {"Authorization": "Digest x"},
        {"Authorization": "Basic ???"},
        basic(b"\xff\xfe:\xff"),
        basic("no colon"),
        basic("viewer:nonsense"),
    ],
)
def test_no_valid_key_no_answer(behind: Connect, keys: Path, headers: dict[str, str]) -> None:
    create_key(keys, "v", "viewer")
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = behind()("GET", QUEUE, headers=raw)
    assert answer.status_code == 401
    assert answer.headers.get_list("www-authenticate") == list(CHALLENGES)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_browser_may_send_the_key_as_a_password(behind: Connect, keys: Path) -> None:
    secret = create_key(keys, "v", "viewer")
    client = behind()
    assert client("GET", QUEUE, headers=bearer(secret)).status_code == 200
    assert client("GET", QUEUE, headers=basic(f"anybody:{secret}")).status_code == 200
    assert client("GET", QUEUE, headers=basic(f"{secret}:")).status_code == 401


def test_the_last_key_revoked_shuts_the_door(behind: Connect, keys: Path) -> None:
    secret = create_key(keys, "v", "viewer")
    revoke_key(keys, "v")
    client = behind()
    assert client("GET", QUEUE, headers=bearer(secret)).status_code == 401
    assert client("GET", "/").status_code == 401


def test_without_keys_another_machine_is_turned_away(client: Client) -> None:
    assert client("GET", "/api/v1/models").status_code == 200
    client._transport.client = ("192.168.1.5", 1234)
    answer = client("GET", "/api/v1/models")
    assert answer.status_code == 403
    assert "VQI_API_KEYS" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:3000", 200),
        ("localhost", 200),
        ("[::1]:3000", 200),
        ("evil.example:3000", 403),
        ("", 403),
        ("[::1", 403),
    ],
)
def test_without_keys_a_name_from_elsewhere_does_not_lead_here(
    client: Client, host: str, status: int
) -> None:
    assert client("GET", QUEUE, headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://127.0.0.1", 200),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1.evil.example", 403),
    ],
)
def test_a_page_of_another_site_cannot_write(client: Client, origin: str | None, status: int) -> None:
    headers = {"Origin": origin} if origin else {}
    form = {"data": METADATA, "files": {"image": ("p.png", GOOD, "image/png")}}
    assert client("POST", ROUTE, headers=headers, **form).status_code == status
    assert client("GET", QUEUE, headers=headers).status_code == 200


# How often


def test_each_key_has_its_own_rate(behind: Connect, keys: Path) -> None:
    one, other, viewer = (
        create_key(keys, name, role) for name, role in (("a", "line"), ("b", "line"), ("v", "viewer"))
    )
    client = behind()

    def post(secret: str) -> Any:
        return client("POST", ROUTE, params=METADATA, content=GOOD, headers=PNG | bearer(secret))

    assert [post(one).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    late = post(one)
    assert late.headers["content-type"] == "application/problem+json"
    assert 1 <= int(late.headers["retry-after"]) <= 60
    assert "VQI_RATE_LIMITS" in late.json()["detail"]
    assert post(other).status_code == 200
    assert client("GET", QUEUE, headers=bearer(viewer)).status_code == 200


def test_wrong_keys_are_counted_by_address_and_stop_nobody_else(behind: Connect, keys: Path) -> None:
    secret = create_key(keys, "v", "viewer")
    client = behind()

    def ask(address: str, key: str = "wrong") -> int:
        client._transport.client = (address, 1234)
        return client("GET", QUEUE, headers=bearer(key)).status_code

    assert [ask("10.0.0.5") for _ in range(6)] == [401] * 4 + [429] * 2
    assert ask("10.0.0.5", secret) == 200
    assert ask("10.0.0.6") == 401
    # A site has 2^64 addresses of its own.
    assert [ask(f"2001:db8::{number}") for number in range(1, 7)] == [401] * 4 + [429] * 2
    assert ask("2001:db8:0:1::1") == 401


def test_websockets_are_refused() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def never(*_: object) -> Any:
        raise AssertionError("it got through")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await never()

    asyncio.run(Guard(app, State())({"type": "websocket", "path": "/livez"}, never, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
