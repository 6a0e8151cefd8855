"""Five seconds of the soak and of the hostile mix, on a tiny model."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.serve import hostile
from bench.serve.hostile import line_parts
from bench.serve.stacks import our_service
from bench.soak import LOOKS, draw, soak
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import open_store
from inspection.tuning import LanePlan
from tests.serving.examples import encode, picture, store_bundle

pytestmark = pytest.mark.slow

PLAN = LanePlan(threads=1, lanes=2, crowded_threads=1)
IMAGES = [encode(picture(width=1024, height=768), ".jpg")]


@pytest.fixture
def settings(postgres: Settings, settings: Settings) -> Settings:
    """Settings of a service with a production and a shadow model."""
    store = open_store(settings.artifacts_url)
    registry = ModelRegistry(store)
    registry.approve(store_bundle(store), actor="test", reason="a test needs it")
    registry.start_shadow(store_bundle(store, seed=1), actor="test", reason="a test needs it")
    return settings


def test_soak(settings: Settings, tmp_path: Path) -> None:
    with our_service(settings, PLAN) as stack:
        measured, memory = soak(stack, line_parts(IMAGES, tmp_path / "line"), rate=20, seconds=5)
    assert measured["parts"] == 100
    assert measured["availability"] == 1
    assert measured["errors"] == measured["tried_again"] == 0
    assert LOOKS / 2 < len(memory) <= LOOKS + 1
    assert [sample.seconds for sample in memory] == sorted(sample.seconds for sample in memory)
    held = sorted(sample.mib for sample in memory)
    for name in ("first_quarter_mib", "last_quarter_mib"):
        assert held[0] <= measured[name] <= held[-1]
    assert draw(memory).startswith(b"\x89PNG")


def test_hostile_mix(settings: Settings, tmp_path: Path) -> None:
    with our_service(settings, PLAN, upload_seconds=1) as stack:
        measured = hostile.measure(stack, IMAGES, tmp_path / "line", capacity=50, seconds=3)
    # By hand: 0.4 x 50 parts a second, two turns of three seconds, and one hostile request for four parts.
    assert measured["hostile_parts"] == 120
    assert measured["hostile_requests"] == 30
    assert measured["hostile_wrong"] == 0
    assert 0 < measured["hostile_clean_peak_mib"] <= measured["hostile_peak_mib"]
    assert 0 < measured["hostile_p50_ms"] <= measured["hostile_p99_ms"]
