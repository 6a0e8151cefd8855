"""A run is killed in a process of its own; the next one must not wait for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from dagster import DagsterRunStatus, Definitions, asset

from inspection.settings import Settings, get_settings
from vqi.dagster_home import instance
from vqi.dead_runs import end_dead_runs
from vqi.environment import variables
from vqi.materialize import materialize
from vqi.supervisor import wait_until

POOL = "dbt"
PROGRAM = f"""
from inspection.settings import get_settings
from vqi.materialize import materialize
materialize(get_settings(), "key:patient", module={__name__!r})
"""


def started(settings: Settings) -> Path:
    return settings.root / "started"


def released(settings: Settings) -> Path:
    return settings.root / "released"


@asset(pool=POOL)
def patient() -> None:
    """Holds the pool until the test lets it go."""
    settings = get_settings()
    started(settings).touch()
    wait_until(released(settings).exists, 120, "the test never let go")


@asset(pool=POOL)
def next_one() -> None:
    """Needs the pool."""


defs = Definitions(assets=[patient, next_one])


@pytest.fixture
def running(settings: Settings) -> subprocess.Popen[bytes]:
    """A process whose run holds the pool."""
    environment = {**os.environ, **variables(settings)}
    settings.dsn("dagster")
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment)
    wait_until(started(settings).exists, 60, "the run does not begin")
    return process


def statuses(settings: Settings) -> list[DagsterRunStatus]:
    with instance(settings) as home:
        return [run.status for run in home.get_runs()]


def test_a_killed_run_is_failed_and_gives_back_its_pool(
    running: subprocess.Popen[bytes], settings: Settings
) -> None:
    running.kill()
    running.wait()
    assert statuses(settings) == [DagsterRunStatus.STARTED]
    assert materialize(settings, "key:next_one", module=__name__).success
    assert statuses(settings) == [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]


def test_a_living_run_is_left_alone(running: subprocess.Popen[bytes], settings: Settings) -> None:
    with instance(settings) as home:
        assert end_dead_runs(home, unwatched=True) == []
    released(settings).touch()
    assert running.wait(timeout=60) == 0
    assert statuses(settings) == [DagsterRunStatus.SUCCESS]


def test_a_run_of_the_daemon_is_dead_only_when_nobody_watches(settings: Settings) -> None:
    with instance(settings) as home:
        run = home.create_run_for_job(
            defs.resolve_implicit_global_asset_job_def(), status=DagsterRunStatus.STARTED
        )
        assert end_dead_runs(home, unwatched=False) == []
        assert end_dead_runs(home, unwatched=True) == [run.run_id]
        assert end_dead_runs(home, unwatched=True) == []


def test_a_run_that_is_asked_to_end_does(running: subprocess.Popen[bytes], settings: Settings) -> None:
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=60) != 0
    assert statuses(settings) != [DagsterRunStatus.STARTED]
    assert materialize(settings, "key:next_one", module=__name__).success
