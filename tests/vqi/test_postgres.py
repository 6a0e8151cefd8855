"""The embedded server, really started, killed and started again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

from inspection.errors import ServiceError, SettingsError
from inspection.settings import DATABASES, Settings
from tests.conftest import free_port
from vqi.postgres import create_cluster, ensure_databases, run_as, server_command, wait_ready


@contextmanager
def running(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(server_command(settings), cwd="/", stderr=subprocess.DEVNULL, **run_as())
    try:
        wait_ready(settings)
        yield process
    finally:
        process.send_signal(signal.SIGINT)  # the fast shutdown: does not wait for clients
        process.wait(timeout=60)


def execute(settings: Settings, query: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(settings.dsn("warehouse"))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_a_killed_server_starts_again_with_its_rows(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, postgres_port=free_port())
    assert create_cluster(settings)
    assert not create_cluster(settings)
    with running(settings) as process:
        assert ensure_databases(settings) == sorted(DATABASES)
        assert ensure_databases(settings) == []
        execute(settings, "create table kept (x int); insert into kept values (7)")
        process.kill()
    with running(settings):
        assert execute(settings, "select x from kept") == [(7,)]


def test_the_password_is_private_and_needed(postgres: Settings) -> None:
    assert postgres.password_file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(psycopg2.OperationalError, match=r"password|fe_sendauth"):
        psycopg2.connect(f"postgresql://vqi:wrong@127.0.0.1:{postgres.postgres_port}/postgres")


def test_no_server_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="vqi up"):
        Settings(home=tmp_path).dsn("warehouse")
    settings = Settings(home=tmp_path, postgres_port=free_port())
    settings.password_file.write_text("x")
    with pytest.raises(ServiceError, match=str(settings.postgres_port)):
        wait_ready(settings, seconds=0)
