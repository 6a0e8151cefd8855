"""Killed at ten random moments: each answered part has one record. `vqi bench kills` does it 200 times."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.kills import campaign
from inspection.settings import Settings
from inspection.store import open_store
from inspection.warehouse import transaction
from serving.forwarder import Forwarder
from serving.outbox import Outbox
from serving.process import REPOSITORY
from tests.conftest import free_port
from tests.serving.examples import encode, picture, store_bundle
from tests.serving.plant import approve

pytestmark = pytest.mark.slow


def answered_until_killed(path: Path, dsn: str, answers: int) -> list[str]:
    """Starts a process that answers, kills it after so many answers, and returns all that it gave."""
    command = [sys.executable, "-m", "tests.serving.writer", str(path), dsn]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        read = [writer.stdout.readline() for _ in range(answers)]
        writer.kill()
        read += writer.stdout.readlines()
    return [line.strip() for line in read if line.endswith("\n")]


def test_the_outbox_and_its_forwarder_are_killed(
    settings: Settings, tmp_path: Path, until: Callable[[Callable[[], bool]], None]
) -> None:
    dsn, path = settings.dsn("warehouse"), tmp_path / "outbox.sqlite"
    draw = np.random.default_rng(0)
    answered = [key for _ in range(8) for key in answered_until_killed(path, dsn, int(draw.integers(1, 200)))]
    assert len(set(answered)) == len(answered) >= 8

    outbox = Outbox(path)
    forwarder = Forwarder(outbox, settings)
    forwarder.start()
    until(lambda: outbox.count_unsent() == 0)
    forwarder.stop()
    with transaction(dsn) as cursor:
        cursor.execute("select inspection_id::text from inference.predictions")
        stored = [key for (key,) in cursor.fetchall()]
    assert len(stored) == len(set(stored))
    assert set(answered) <= set(stored)
    (written,) = outbox._file.read("select count(*) from predictions")
    assert written == (len(stored),)
    outbox.close()


def test_the_service_is_killed(settings: Settings) -> None:
    own = settings.model_copy(update={"service_port": free_port()})
    approve(own, store_bundle(open_store(own.artifacts_url)))
    told = campaign(own, [encode(picture(), ".jpg")], kills=2)
    assert told["answered"] >= 2
    assert told["records_of_answered"] == told["answered"]
    assert (told["lost"], told["duplicates"], told["records_that_differ_from_the_answer"]) == (0, 0, 0)
