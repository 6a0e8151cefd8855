"""A service on the tiny model, at three depths: its parts, its ASGI app, its process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import open_store
from serving.api import create_app
from serving.process import REPOSITORY, serve_command, serve_environment
from serving.station import Station, open_station
from tests.conftest import free_port, fresh_settings
from tests.serving.examples import store_bundle
from vqi.supervisor import wait_until

NO_AUDIT = 1e-12  # so that a verdict does not depend on the draw


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


def approve(settings: Settings, model: str) -> None:
    ModelRegistry(open_store(settings.artifacts_url)).approve(model, actor="test", reason="a test needs it")


class Service:
    """A real process of `bentoml serve`."""

    def __init__(self, settings: Settings, target: str | None = None, folder: Path = REPOSITORY) -> None:
        self.settings = settings
        self.url = f"http://127.0.0.1:{settings.service_port}"
        self._log = settings.root / "service.log"
        command = serve_command(settings, target) if target else serve_command(settings)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=_environment(settings),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, path: str = "/readyz", status: int = 200, seconds: float = 60) -> None:
        def answers() -> bool:
            assert self.process.poll() is None, self._log.read_text()
            try:
                return httpx.get(self.url + path, timeout=5).status_code == status
            except httpx.TransportError:
                return False

        wait_until(answers, seconds, f"{path} is not {status}; the log: {self._log.read_text()[-2000:]}")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends the server and its worker at once."""
        os.killpg(self.process.pid, number)
        self.process.wait(timeout=30)

    def log(self) -> str:
        return self._log.read_text()


def _environment(settings: Settings) -> dict[str, str]:
    own = settings.model_dump(
        include={"artifacts", "warehouse_dsn", "audit_share", "api_keys", "deadline_ms", "upload_seconds"},
        exclude_none=True,
    )
    return (
        os.environ
        | {f"VQI_{name.upper()}": str(value) for name, value in own.items()}
        | serve_environment(settings)
    )


@contextmanager
def serving(settings: Settings) -> Iterator[Service]:
    """A service that is ready."""
    service = Service(settings)
    try:
        service.wait()
        yield service
    finally:
        if service.process.poll() is None:
            service.kill(signal.SIGTERM)


@pytest.fixture(scope="session")
def served(postgres: Settings) -> Iterator[Service]:
    """One running service on a real warehouse, for all tests that leave it as it was."""
    with tempfile.TemporaryDirectory(prefix="vqi-test-") as folder:
        settings = served_settings(postgres, Path(folder))
        with serving(settings) as service:
            yield service


def served_settings(server: Settings, home: Path, **overrides: object) -> Settings:
    settings = fresh_settings(
        server,
        home,
        **{"service_port": free_port(), "audit_share": NO_AUDIT, "upload_seconds": 2, **overrides},
    )
    approve(settings, store_bundle(open_store(settings.artifacts_url)))
    return settings


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Waits for a condition, up to 20 seconds."""
    return lambda condition: wait_until(condition, 20, "the condition does not come true")
