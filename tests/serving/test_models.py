"""The service follows the registry's decisions."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from inspection.errors import OverloadError, StoreError
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import LocalStore
from inspection.tuning import LanePlan
from serving import models
from serving.models import ModelFollower
from tests.serving.examples import manifest, store_bundle, tiny_model

PLAN = LanePlan(threads=1, lanes=2, crowded_threads=1)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "artifacts")


@pytest.fixture
def registry(store: LocalStore) -> ModelRegistry:
    return ModelRegistry(store)


@pytest.fixture
def follower(registry: ModelRegistry, tmp_path: Path) -> ModelFollower:
    return ModelFollower(registry, Settings(home=tmp_path), PLAN, packaged=tmp_path / "packaged")


def approve(registry: ModelRegistry, model: str) -> str:
    registry.approve(model, actor="test", reason="a test needs it")
    return model


def test_without_a_model_it_is_not_ready(follower: ModelFollower) -> None:
    follower.poll()
    assert not follower.ready
    with pytest.raises(OverloadError, match="vqi approve"):
        _ = follower.current


def test_it_takes_over_what_is_approved_and_goes_back(
    follower: ModelFollower, registry: ModelRegistry
) -> None:
    first = approve(registry, store_bundle(registry.store))
    follower.poll()
    assert follower.current.id == first
    same = follower.current
    follower.poll()
    assert follower.current is same  # an unchanged model is not loaded again

    second = approve(registry, store_bundle(registry.store, seed=1))
    follower.poll()
    assert follower.current.id == second
    registry.rollback(actor="test", reason="worse")
    follower.poll()
    assert follower.current.id == first


@pytest.mark.parametrize(
    "fault", ["flipped byte", "missing file", "no model", "other classes", "other order"]
)
def test_a_bad_bundle_is_refused_and_the_old_model_goes_on(
    follower: ModelFollower,
    registry: ModelRegistry,
    store: LocalStore,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    good = approve(registry, store_bundle(store))
    follower.poll()
    contents = {
        "no model": b"no model",
        "other classes": tiny_model(classes=4),
        "other order": tiny_model(told=manifest().classes[::-1]),
    }.get(fault)
    bad = approve(registry, store_bundle(store, contents, seed=1))
    file = store.root / "models" / bad / "model.onnx"
    if fault == "flipped byte":
        data = bytearray(file.read_bytes())
        data[100] ^= 1
        file.write_bytes(data)
    elif fault == "missing file":
        file.unlink()

    follower.poll()

    assert follower.current.id == good
    assert follower.refusal is not None
    assert follower.refusal.id == bad
    assert f"refused model {bad[:12]}" in caplog.text


def test_a_repaired_bundle_is_taken_after_a_while(
    follower: ModelFollower, registry: ModelRegistry, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = approve(registry, store_bundle(store))
    file = store.root / "models" / model / "model.onnx"
    data = file.read_bytes()
    file.write_bytes(b"broken")
    follower.poll()
    file.write_bytes(data)
    follower.poll()
    assert not follower.ready  # not tried again at once: reading a large bundle every second would hurt
    monkeypatch.setattr(models, "RETRY_SECONDS", 0)
    follower.poll()
    assert follower.current.id == model
    assert follower.refusal is None


def test_the_pause_is_followed(follower: ModelFollower, registry: ModelRegistry) -> None:
    registry.pause(actor="rule:far", reason="too many escapes")
    follower.poll()
    assert follower.auto_pass_paused
    registry.resume(actor="anna", reason="fixed")
    follower.poll()
    assert not follower.auto_pass_paused


def test_it_outlives_a_store_that_is_away(
    follower: ModelFollower,
    registry: ModelRegistry,
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[[Callable[[], bool]], None],
) -> None:
    first = approve(registry, store_bundle(registry.store))
    registry.pause(actor="rule:far", reason="too many escapes")
    follower.poll()
    monkeypatch.setattr(models, "POLL_SECONDS", 0.01)
    failures: list[Exception] = [StoreError("away"), ConnectionError("away")]
    real = registry.store.list

    def fail_twice(prefix: str = "") -> list[str]:
        if failures:
            raise failures.pop()
        return real(prefix)

    monkeypatch.setattr(registry.store, "list", fail_twice)
    follower.start()
    until(lambda: not failures)
    assert follower.current.id == first
    assert follower.auto_pass_paused  # what is not known to be lifted stays in force

    second = approve(registry, store_bundle(registry.store, seed=1))
    until(lambda: follower.current.id == second)
    follower.stop()


def test_a_packaged_bundle_serves_until_the_registry_names_one(
    follower: ModelFollower, registry: ModelRegistry, store: LocalStore, tmp_path: Path
) -> None:
    packaged = store_bundle(store)
    shutil.copytree(store.root / "models" / packaged, tmp_path / "packaged" / packaged)
    follower.poll()
    assert follower.current.id == packaged
    other = approve(registry, store_bundle(store, seed=1))
    follower.poll()
    assert follower.current.id == other
