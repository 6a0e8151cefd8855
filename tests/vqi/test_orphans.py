"""Processes that outlived what had started them."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from vqi.orphans import PROGRAM, SERVER, end, find_orphans
from vqi.supervisor import REPOSITORY

WAITS = [sys.executable, "-c", "import sys; print('ready', flush=True); sys.stdin.read()"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True);"
    "sys.stdin.read()",
]


@contextmanager
def started(command: list[str], server: str, program: str) -> Iterator[subprocess.Popen[bytes]]:
    marks = {SERVER: server, PROGRAM: program}
    with subprocess.Popen(command, env=marks, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


@pytest.fixture
def server() -> str:
    return f"unix:///nowhere/{uuid.uuid4()}"


def test_only_what_carries_the_mark_is_found(server: str) -> None:
    with ExitStack() as stack:
        one = stack.enter_context(started(WAITS, server, "one"))
        two = stack.enter_context(started(WAITS, server, "two"))
        stack.enter_context(started(WAITS, f"{server}x", "one"))
        assert {process.pid for process in find_orphans(server)} == {one.pid, two.pid}
        assert [process.pid for process in find_orphans(server, "one")] == [one.pid]


def test_what_ignores_the_request_is_killed(server: str) -> None:
    with started(STUBBORN, server, "one") as process:
        end([psutil.Process(process.pid)], seconds=0.2)
        assert process.wait(timeout=20) == -9


def test_the_way_is_cleared_and_the_command_follows(server: str) -> None:
    with started(WAITS, server, "one") as left, started(WAITS, server, "two") as other:
        done = subprocess.run(
            [sys.executable, "-m", "vqi.orphans", "one", sys.executable, "-c", "print('next')"],
            env={SERVER: server, PROGRAM: "one"},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "next\n"
        assert left.wait(timeout=20) == -15
        assert other.poll() is None
