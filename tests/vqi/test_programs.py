"""`vqi up` and `vqi down`, with the real supervisor and the real database under it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from inspection.errors import ServiceError, SettingsError
from inspection.settings import Settings
from tests.conftest import free_port, server_home
from vqi.postgres import answers
from vqi.programs import ensure_started, programs, states, stop_all
from vqi.supervisor import Supervisor, wait_until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Settings]:
    with server_home() as folder:
        yield Settings(home=folder, postgres_port=free_port(), docs_port=free_port())


@pytest.fixture
def home(cluster: Settings) -> Iterator[Settings]:
    """A home where nothing runs; the tests share its database, which takes seconds to make."""
    yield cluster
    stop_all(cluster)


def test_up_twice_down_twice(home: Settings) -> None:
    assert ensure_started(home, "postgres")
    assert not ensure_started(home, "postgres")
    assert states(home)["postgres"] == "running"
    pid = Supervisor(home.root).pid("postgres")
    assert stop_all(home)
    assert not stop_all(home)
    assert states(home)["postgres"] == "stopped"
    assert not psutil.pid_exists(pid)


def test_a_killed_database_is_started_again(home: Settings) -> None:
    ensure_started(home, "postgres")
    supervisor = Supervisor(home.root)
    first = supervisor.pid("postgres")
    os.kill(first, signal.SIGKILL)
    wait_until(
        lambda: supervisor.pid("postgres") not in (0, first) and answers(home), 60, "it does not come back"
    )


def test_a_killed_supervisor_does_not_block_the_next_start(home: Settings) -> None:
    ensure_started(home, "postgres")
    keeper = psutil.Process(Supervisor(home.root).pid("postgres")).parent()
    assert keeper is not None
    keeper.kill()
    keeper.wait(timeout=30)
    assert ensure_started(home, "postgres")
    assert answers(home)


def test_a_taken_port_is_named_with_the_variable_that_moves_it(home: Settings) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", home.postgres_port))
        other.listen()
        with pytest.raises(ServiceError, match=rf"port {home.postgres_port}.*VQI_POSTGRES_PORT"):
            ensure_started(home, "postgres")
    assert ensure_started(home, "postgres") == ["postgres"]


def test_what_a_killed_supervisor_left_is_stopped_too(home: Settings) -> None:
    ensure_started(home, "postgres", "dbt-docs")
    docs = psutil.Process(Supervisor(home.root).pid("dbt-docs"))
    keeper = docs.parent()
    assert keeper is not None
    keeper.kill()
    keeper.wait(timeout=30)
    assert docs.is_running()
    assert stop_all(home)
    assert not docs.is_running()


def test_a_program_with_another_port_starts_again(home: Settings) -> None:
    assert ensure_started(home, "postgres", "dbt-docs") == ["postgres", "dbt-docs"]
    moved = home.model_copy(update={"docs_port": free_port()})
    assert ensure_started(moved, "dbt-docs") == ["dbt-docs"]
    assert ensure_started(moved, "dbt-docs") == []


def test_the_addresses_stay_on_this_machine(home: Settings) -> None:
    for program in programs(home.model_copy(update={"host": "0.0.0.0"})).values():
        assert "0.0.0.0" not in " ".join(program.command)


def test_a_home_too_deep_for_a_socket_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="VQI_HOME"):
        Supervisor(tmp_path / ("x" * 100))


def test_settings_reach_a_program_with_quotation_marks(home: Settings) -> None:
    values = {"A": 'a "b" c, 100 %', "B": "x,y='z' &"}
    program = replace(programs(home)["dbt-docs"], environment=values)
    supervisor = Supervisor(home.root)
    supervisor.launch()
    supervisor.start(program)
    wait_until(program.ready, 60, "it does not start")
    environment = psutil.Process(supervisor.pid("dbt-docs")).environ()
    assert {name: environment[name] for name in values} == values
    with pytest.raises(SettingsError, match="C holds"):
        supervisor.start(replace(program, environment={"C": "'\""}))
