"""What a run's log and the terminal tell of long work."""

from __future__ import annotations

import io
import logging
from types import SimpleNamespace
from typing import cast

import dagster as dg
import pytest
from rich.console import Console

from assets.run_log import progress_in_log
from inspection import progress
from inspection.progress import report
from vqi import console


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_the_log_tells_progress_and_the_time_left(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("a run")
    context = cast("dg.AssetExecutionContext", SimpleNamespace(log=logger))
    with caplog.at_level(logging.INFO, "a run"), progress_in_log(context):
        for done in range(1, 101):
            report("training", done, 100, "loss 0.5")
            clock[0] += 2
    lines = caplog.messages
    assert len(lines) == 20  # of 100 steps
    assert lines[0] == "training 5/100 3 min left loss 0.5"
    assert lines[-1] == "training 100/100 loss 0.5"


def test_the_terminal_tells_the_time_left(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    screen = Console(file=shown, force_terminal=True, width=120)
    monkeypatch.setattr(console, "terminal", lambda: screen)
    with console.progress_bars():
        report("training", 1, 100, "loss 0.5")
        clock[0] += 2
        report("training", 2, 100, "loss 0.4")
    assert "3 min left loss 0.4" in shown.getvalue()
