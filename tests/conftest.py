"""What many tests need: one real PostgreSQL for the session, fresh databases on it for each user."""

from __future__ import annotations

import itertools
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

from inspection.settings import DATABASES, Settings
from inspection.warehouse import ensure_warehouse
from vqi.postgres import answers, create_cluster, run_as, server_command
from vqi.supervisor import wait_until

_numbers = itertools.count()
_made: set[str] = set()


def pytest_configure() -> None:
    """Takes signals as a program in the foreground does.

    A shell lets what it starts in the background ignore SIGINT, Dagster then treats SIGTERM alike, and
    what the tests start inherits both.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Settings]:
    """A running embedded server; its settings give the address."""
    with server_home() as home:
        yield from _running_server(Settings(home=home, postgres_port=free_port()))


@contextmanager
def server_home() -> Iterator[Path]:
    """A folder for a server's data.

    Not under pytest's own temporary folder: the server of root runs as another user, and each new pytest
    session shuts that folder to all but its owner.
    """
    with tempfile.TemporaryDirectory(prefix="vqi-test-") as folder:
        yield Path(folder)


def _running_server(settings: Settings) -> Iterator[Settings]:
    create_cluster(settings)
    with (settings.root / "log").open("wb") as log:
        # Nothing here has to survive a power cut, and many databases are made.
        command = [*server_command(settings), "-c", "fsync=off", "-c", "full_page_writes=off"]
        process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **run_as())
        try:
            wait_until(lambda: answers(settings), 60, "PostgreSQL does not start")
            yield settings
        finally:
            process.send_signal(signal.SIGINT)  # the fast shutdown: does not wait for clients
            process.wait(timeout=60)


class FreshSettings(Settings):
    """Settings whose databases are made, empty, when their address is first asked for.

    A database is 300 files, and most tests want one of the five.
    """

    def dsn(self, database: str) -> str:
        """Returns the address as the base class does."""
        dsn = super().dsn(database)
        if dsn not in _made:
            server, name = dsn.rsplit("/", 1)
            connection = psycopg2.connect(f"{server}/postgres")
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"create database {name}")
            connection.close()
            _made.add(dsn)
        return dsn


def fresh_settings(server: Settings, home: Path, **overrides: object) -> Settings:
    """Returns settings that point to databases of their own, each empty but for the warehouse's tables."""
    number = next(_numbers)
    dsns = {f"{name}_dsn": server.embedded_dsn(f"{name}_{number}") for name in DATABASES}
    settings = FreshSettings(home=home, **dsns, **overrides)  # type: ignore[arg-type]
    ensure_warehouse(settings.dsn("warehouse"))
    return settings


@pytest.fixture
def settings(postgres: Settings, tmp_path: Path) -> Settings:
    """Settings on empty databases, for one test."""
    return fresh_settings(postgres, tmp_path)


@pytest.fixture(scope="module")
def module_settings(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings on empty databases, for all tests of a module."""
    return fresh_settings(postgres, tmp_path_factory.mktemp("home"))
