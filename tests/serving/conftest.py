"""A service on the tiny model, at three depths: its parts, its ASGI app, its process."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from inspection.runtime import OnnxModel
from inspection.settings import RateLimits, Settings
from inspection.store import open_store
from serving.api import create_app
from serving.guard import Guard
from serving.headers import AnswerHeaders
from serving.keys import KeyRole, create_key
from serving.lanes import Lanes
from serving.station import Station, open_station
from serving.uploads import Uploads
from tests.conftest import free_port, server_home
from tests.serving.examples import store_bundle
from tests.serving.plant import NO_AUDIT, Plant, Service, approve
from vqi.supervisor import wait_until


@pytest.fixture
def offline(tmp_path: Path) -> Settings:
    """Settings of a service whose warehouse is away, with a tiny model in production."""
    return without_warehouse(tmp_path)


def without_warehouse(home: Path, **changes: object) -> Settings:
    """Puts a tiny model into production in a home whose warehouse is away."""
    away = "postgresql://127.0.0.1:1/none?connect_timeout=1"
    settings = Settings(home=home, warehouse_dsn=away, audit_share=NO_AUDIT, **changes)  # type: ignore[arg-type]
    approve(settings, store_bundle(open_store(settings.artifacts_url)))
    return settings


@pytest.fixture
def station(offline: Settings) -> Iterator[Station]:
    opened = open_station(offline)
    yield opened
    opened.close()


@pytest.fixture
def client(station: Station) -> Iterator[Client]:
    with connect(station) as connected:
        yield connected


class Client:
    """The ASGI app without a server, for tests that are not asynchronous."""

    def __init__(self, station: Station, **headers: str) -> None:
        app = create_app()
        app.state.station = station
        guarded = AnswerHeaders(Guard(app, app.state))
        self._transport = httpx.ASGITransport(guarded, raise_app_exceptions=False)
        self._headers = headers
        self.runner = asyncio.Runner()

    def __call__(self, method: str, url: str, **options: object) -> httpx.Response:
        return self.runner.run(self.send(method, url, **options))

    async def send(self, method: str, url: str, **options: object) -> httpx.Response:
        async with httpx.AsyncClient(
            transport=self._transport, base_url="http://127.0.0.1", headers=self._headers
        ) as client:
            return await client.request(method, url, **options)  # type: ignore[arg-type]


@contextmanager
def connect(station: Station, **headers: str) -> Iterator[Client]:
    client = Client(station, **headers)
    with client.runner:
        yield client


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Holds every inference until it is set."""
    release = threading.Event()
    run = OnnxModel.run

    def wait_and_run(self: OnnxModel, images: NDArray[np.float32], *, crowded: bool) -> object:
        assert release.wait(20)
        return run(self, images, crowded=crowded)

    monkeypatch.setattr(OnnxModel, "run", wait_and_run)
    yield release
    release.set()


def narrow(station: Station, lanes: int = 1, **changes: object) -> Station:
    """The station with one lane, or so many."""
    settings = station.settings.model_copy(update=changes)
    return replace(
        station,
        settings=settings,
        lanes=Lanes(station.lanes._inspector, settings, lanes),
        uploads=Uploads(settings.upload_seconds),
    )


@pytest.fixture(scope="session")
def plant() -> Iterator[Plant]:
    """A running service and its database, which a test may kill if it starts them again."""
    with server_home() as data, tempfile.TemporaryDirectory(prefix="vqi-test-") as home:
        running = Plant(Settings(home=data, postgres_port=free_port()), Path(home))
        try:
            running.start()
            yield running
        finally:
            running.stop()


class Guarded:
    """A running service with a key of each role."""

    def __init__(self, settings: Settings) -> None:
        self.file = settings.keys_file
        self.secrets = {role: create_key(self.file, role, role) for role in get_args(KeyRole)}
        self.service = Service(settings)

    def ask(self, method: str, path: str, secret: str = "", **options: Any) -> httpx.Response:
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {secret}"} if secret else {})
        return httpx.request(method, self.service.url + path, headers=headers, timeout=30, **options)


@pytest.fixture(scope="session")
def guarded() -> Iterator[Guarded]:
    plenty = RateLimits(inspector=10**6, engineer=10**6, viewer=10**6, wrong_key=10**6)
    with tempfile.TemporaryDirectory(prefix="vqi-test-") as home:
        running = Guarded(without_warehouse(Path(home), service_port=free_port(), rate_limits=plenty))
        try:
            running.service.wait()
            yield running
        finally:
            running.service.kill()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Waits for a condition, up to 20 seconds."""
    return lambda condition: wait_until(condition, 20, "the condition does not come true")
