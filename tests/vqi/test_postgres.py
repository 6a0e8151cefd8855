"""The embedded server, really started, killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

from inspection.errors import SettingsError
from inspection.settings import DATABASES, Settings
from tests.conftest import free_port, server_home
from vqi.postgres import (
    answers,
    clear_stale_lock,
    create_cluster,
    data_folder,
    ensure_databases,
    run_as,
    server_command,
)
from vqi.supervisor import wait_until


@contextmanager
def running(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(server_command(settings), cwd="/", stderr=subprocess.DEVNULL, **run_as())
    try:
        wait_until(lambda: answers(settings), 60, "PostgreSQL does not start")
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


@pytest.fixture
def home() -> Iterator[Path]:
    with server_home() as folder:
        yield folder


def test_a_killed_server_starts_again_with_its_rows(home: Path) -> None:
    settings = Settings(home=home, postgres_port=free_port())
    (home / "postgres.new").mkdir()  # what a cut-off first start leaves behind
    assert create_cluster(settings)
    assert not create_cluster(settings)
    with running(settings) as process:
        assert ensure_databases(settings) == sorted(DATABASES)
        assert ensure_databases(settings) == []
        execute(settings, "create table kept (x int); insert into kept values (7)")
        process.kill()
        process.wait()
    lock = data_folder(settings) / "postmaster.pid"
    lock.write_text(lock.read_text().replace(str(process.pid), str(os.getpid()), 1))  # a reused number
    clear_stale_lock(settings)
    assert not lock.exists()
    with running(settings):
        assert execute(settings, "select x from kept") == [(7,)]


def test_the_password_is_private_and_needed(postgres: Settings) -> None:
    assert postgres.password_file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(psycopg2.OperationalError, match=r"password|fe_sendauth"):
        psycopg2.connect(f"postgresql://vqi:wrong@127.0.0.1:{postgres.postgres_port}/postgres")


def test_no_server_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="vqi up"):
        Settings(home=tmp_path).dsn("warehouse")
