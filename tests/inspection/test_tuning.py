"""Measuring how many parts a machine judges at a time, and what the service makes of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from inspection import tuning
from inspection.settings import Settings
from inspection.tuning import LanePlan, Tuning, choose_lanes, cores, machine, tune
from tests.serving.examples import GOOD, manifest, tiny_model


def measured(**changes: object) -> Tuning:
    values = {"threads": 3, "lanes": 5, "crowded_threads": 2, "machine": machine(), "model": "m"}
    return Tuning.model_validate(values | {"alone_ms": {}, "crowded_per_second": {}} | changes)


def test_every_way_is_measured_and_the_best_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "cores", lambda: 3)
    told: list[tuple[int, int]] = []
    found = tune(tiny_model(), "m", manifest().preprocessing, [GOOD], lambda *step: told.append(step))
    assert set(found.alone_ms) == {"1", "2", "3"}
    # By hand: lanes times threads within three cores, of 1, 2 and all.
    assert set(found.crowded_per_second) == {"1 x 1", "2 x 1", "3 x 1", "1 x 2", "1 x 3"}
    assert found.alone_ms[str(found.threads)] == min(found.alone_ms.values())
    best = f"{found.lanes} x {found.crowded_threads}"
    assert found.crowded_per_second[best] == max(found.crowded_per_second.values())
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1]


def test_what_is_set_goes_before_what_was_measured_and_that_before_a_core_a_part(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert choose_lanes(settings) == LanePlan(threads=cores(), lanes=cores(), crowded_threads=1)
    settings.tuning_file.write_text(measured().model_dump_json())
    assert choose_lanes(settings) == LanePlan(threads=3, lanes=5, crowded_threads=2)
    told = Settings(home=tmp_path, threads=0, service_concurrency=4)
    assert choose_lanes(told) == LanePlan(threads=0, lanes=4, crowded_threads=2)
    assert choose_lanes(Settings(home=tmp_path, provider="cuda")).lanes == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "cannot be used"), (measured(machine="a toaster").model_dump_json(), "a toaster")],
)
def test_a_measurement_that_does_not_hold_here_is_told_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, reason: str
) -> None:
    settings = Settings(home=tmp_path)
    settings.tuning_file.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert choose_lanes(settings) == LanePlan(threads=cores(), lanes=cores(), crowded_threads=1)
    assert reason in caplog.text
    assert "vqi tune" in caplog.text
