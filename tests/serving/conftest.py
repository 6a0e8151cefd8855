"""A service on the tiny model, at three depths: its parts, its ASGI app, its process."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from inspection.runtime import OnnxModel
from inspection.settings import Settings
from inspection.store import open_store
from serving.api import create_app
from serving.lanes import Lanes
from serving.station import Station, open_station
from serving.uploads import Uploads
from tests.conftest import free_port, server_home
from tests.serving.examples import store_bundle
from tests.serving.plant import NO_AUDIT, Plant, approve
from vqi.supervisor import wait_until


@pytest.fixture
def offline(tmp_path: Path) -> Settings:
    """Settings of a service whose warehouse is away, with a tiny model in production."""
    settings = Settings(
        home=tmp_path, warehouse_dsn="postgresql://127.0.0.1:1/none?connect_timeout=1", audit_share=NO_AUDIT
    )
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
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)
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


def narrow(station: Station, **changes: object) -> Station:
    """The station with one lane."""
    settings = station.settings.model_copy(update=changes)
    lanes, uploads = Lanes(station.lanes._inspector, settings, 1), Uploads(settings.upload_seconds)
    return replace(station, settings=settings, lanes=lanes, uploads=uploads)


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


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Waits for a condition, up to 20 seconds."""
    return lambda condition: wait_until(condition, 20, "the condition does not come true")
