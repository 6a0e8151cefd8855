"""The service follows the registry's decisions."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspection.bundle import Bundle
from inspection.errors import OverloadError, StoreError
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import LocalStore
from inspection.tuning import LanePlan
from serving import models
from serving.models import LiveModel, ModelFollower
from tests.serving.examples import TINY, manifest, store_bundle, tiny_model

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


FAULTS = {
    "flipped byte": "not the file that bundle.json tells",
    "missing file": "model.onnx is missing",
    "changed manifest": "not what its name promises",
    "no model": "refuses the model",
    "other classes": "for 5 classes",
    "other order": "the model file tells the classes",
    "other ontology": "are not the ontology's",
    "other size": "does not run on 32x64 images",
    "other crop": r"crop none \(bundle: part\)",
    "other mean": r"mean \[0.0, 0.0, 0.0\] \(bundle: \[0.5, 0.5, 0.5\]\)",
}


def store_faulty(store: LocalStore, fault: str) -> str:
    """Stores a bundle with something wrong; returns its id."""
    model = {
        "no model": b"no model",
        "other classes": tiny_model(classes=4),
        "other order": tiny_model(told=manifest().classes[::-1]),
        "other size": tiny_model(),  # which tells none: its graph does
    }.get(fault, tiny_model(preprocessing=TINY))
    shown: dict[str, object] = {
        "other size": {"height": 32},
        "other crop": {"crop": "part"},
        "other mean": {"mean": (0.5, 0.5, 0.5)},
    }.get(fault, {})
    bad = store_bundle(store, model, seed=1, preprocessing=TINY.model_copy(update=shown))
    folder = store.root / "models" / bad
    if fault == "flipped byte":
        data = bytearray((folder / "model.onnx").read_bytes())
        data[100] ^= 1
        (folder / "model.onnx").write_bytes(data)
    elif fault == "missing file":
        (folder / "model.onnx").unlink()
    elif fault == "changed manifest":
        text = (folder / "bundle.json").read_text()
        (folder / "bundle.json").write_text(text.replace('"seed": 1', '"seed": 2'))
    elif fault == "other ontology":  # and a name that is right
        text = (folder / "bundle.json").read_bytes()
        told = json.loads(text)
        told["ontology"]["classes"] = [
            c for c in told["ontology"]["classes"] if c["id"] != told["classes"][-1]
        ]
        text = json.dumps(told).encode()
        bad = hashlib.sha256(text).hexdigest()
        shutil.copytree(folder, folder.with_name(bad))
        (folder.with_name(bad) / "bundle.json").write_bytes(text)
    return bad


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_bundle_is_refused_and_the_old_model_goes_on(
    follower: ModelFollower,
    registry: ModelRegistry,
    store: LocalStore,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    good = approve(registry, store_bundle(store, tiny_model(told=manifest().classes, preprocessing=TINY)))
    follower.poll()
    bad = store_faulty(store, fault)
    monkeypatch.setattr(registry, "_sound", lambda model: model)  # sound when it was approved
    approve(registry, bad)

    follower.poll()

    assert follower.current.id == good
    assert follower.refusal is not None
    assert follower.refusal.id == bad
    assert re.search(FAULTS[fault], follower.refusal.reason)
    assert f"refused model {bad[:12]}" in caplog.text


def test_a_repaired_bundle_is_taken_after_a_while(
    follower: ModelFollower, registry: ModelRegistry, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = approve(registry, store_bundle(store))
    file = store.root / "models" / model / "model.onnx"
    data = file.read_bytes()
    file.write_bytes(b"broken")
    follower.poll()
    with pytest.raises(OverloadError, match=f"model {model[:12]} cannot be used: .*not the file"):
        _ = follower.current
    file.write_bytes(data)
    follower.poll()
    assert not follower.ready  # not tried again at once: reading a large bundle every second would hurt
    monkeypatch.setattr(models, "RETRY_SECONDS", 0)
    follower.poll()
    assert follower.current.id == model
    assert follower.refusal is None


def test_going_back_loads_nothing(
    follower: ModelFollower, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = approve(registry, store_bundle(registry.store))
    follower.poll()
    before = follower.current
    approve(registry, store_bundle(registry.store, seed=1))
    follower.poll()
    monkeypatch.setattr(models, "start_model", None)  # which would fail
    registry.rollback(actor="test", reason="worse")
    follower.poll()
    assert follower.current is before
    assert follower.current.id == first


def test_the_way_back_is_loaded_after_a_start_too(
    follower: ModelFollower,
    registry: ModelRegistry,
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[[Callable[[], bool]], None],
) -> None:
    monkeypatch.setattr(models, "POLL_SECONDS", 0.01)
    first, second = (approve(registry, store_bundle(registry.store, seed=seed)) for seed in (0, 1))
    loaded: list[str] = []
    real = models.start_model

    def watched(bundle: Bundle, *rest: Any) -> LiveModel:
        loaded.append(bundle.id)
        return real(bundle, *rest)

    monkeypatch.setattr(models, "start_model", watched)
    follower.start()
    until(lambda: loaded == [second, first])
    registry.rollback(actor="test", reason="worse")
    until(lambda: follower.current.id == first)
    follower.stop()
    assert loaded == [second, first]


def test_a_way_back_that_cannot_serve_is_told_once(
    follower: ModelFollower,
    registry: ModelRegistry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    until: Callable[[Callable[[], bool]], None],
) -> None:
    monkeypatch.setattr(models, "POLL_SECONDS", 0.01)
    broken = approve(registry, store_bundle(registry.store, b"no model"))
    good = approve(registry, store_bundle(registry.store, seed=1))
    polls = [0]
    real = follower.poll

    def counted() -> None:
        polls[0] += 1
        real()

    monkeypatch.setattr(follower, "poll", counted)
    follower.start()
    until(lambda: polls[0] > 5)
    follower.stop()
    assert follower.current.id == good
    assert caplog.text.count(f"no way back to model {broken[:12]}") == 1


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
