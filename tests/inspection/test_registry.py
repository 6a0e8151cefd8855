"""Decisions about models: what is in force is what the audit log adds up to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.errors import RegistryError
from inspection.registry import ModelRegistry
from inspection.store import LocalStore
from tests.inspection.bundles import add_bundle

BY = {"actor": "ada", "reason": "trial"}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def models(store: LocalStore) -> list[str]:
    """Three bundles, in the order in which tests approve them."""
    return [add_bundle(store, seed=seed) for seed in range(3)]


@pytest.fixture
def registry(store: LocalStore, models: list[str]) -> ModelRegistry:
    return ModelRegistry(store)


def test_an_empty_registry(store: LocalStore) -> None:
    registry = ModelRegistry(store)
    assert registry.history() == []
    assert registry.models() == []
    assert registry.production() is None
    assert registry.shadow() is None
    assert registry.auto_pass_paused() is None
    with pytest.raises(RegistryError, match="no earlier production model"):
        registry.rollback(**BY)


def test_approve(registry: ModelRegistry, models: list[str]) -> None:
    decision = registry.approve(models[0], actor="ada", reason="  first trial ")
    assert registry.production() == models[0]
    assert (decision.action, decision.model, decision.previous) == ("approve", models[0], None)
    assert (decision.actor, decision.reason) == ("ada", "first trial")
    assert registry.approve(models[1], **BY).previous == models[0]
    assert registry.production() == models[1]


def test_going_back_step_by_step_never_goes_forward(registry: ModelRegistry, models: list[str]) -> None:
    for model in models:
        registry.approve(model, **BY)
    for expected in reversed(models[:-1]):
        assert registry.rollback(**BY).model == expected
        assert registry.production() == expected
    with pytest.raises(RegistryError, match="no earlier production model"):
        registry.rollback(**BY)


def test_going_back_after_a_new_approval(registry: ModelRegistry, models: list[str]) -> None:
    first, bad, third = models
    for model in (first, bad):
        registry.approve(model, **BY)
    registry.rollback(**BY)
    registry.approve(third, **BY)
    assert registry.rollback(**BY).model == first


def test_approving_the_same_again_is_no_step(registry: ModelRegistry, models: list[str]) -> None:
    for model in (models[0], models[1], models[1]):
        registry.approve(model, **BY)
    assert registry.rollback(**BY).model == models[0]


def test_rollback_to_a_named_model(registry: ModelRegistry, models: list[str]) -> None:
    for model in models:
        registry.approve(model, **BY)
    decision = registry.rollback(models[0][:10], **BY)
    assert (decision.model, decision.previous) == (models[0], models[2])
    assert registry.production() == models[0]


def test_what_a_rollback_would_bring_back(registry: ModelRegistry, models: list[str]) -> None:
    assert registry.earlier() is None
    for model, earlier in zip(models, [None, *models], strict=False):
        registry.approve(model, **BY)
        assert registry.earlier() == earlier
    registry.rollback(**BY)
    assert registry.earlier() == models[0]


def test_a_decision_keeps_what_it_rests_on(registry: ModelRegistry, models: list[str]) -> None:
    begun = registry.start_shadow(models[0], **BY)
    assert registry.shadow_begun() == begun
    assert begun.evidence is None
    registry.approve(models[0], **BY, evidence="abc")
    assert registry.history()[-1].evidence == "abc"
    assert registry.shadow_begun() is None


def test_shadow_runs_until_a_model_is_approved(registry: ModelRegistry, models: list[str]) -> None:
    registry.approve(models[0], **BY)
    registry.start_shadow(models[1], **BY)
    assert (registry.production(), registry.shadow()) == (models[0], models[1])
    registry.approve(models[1], **BY)
    assert (registry.production(), registry.shadow()) == (models[1], None)
    registry.start_shadow(models[2], **BY)
    registry.rollback(**BY)
    assert registry.shadow() is None


def test_pause_and_resume(registry: ModelRegistry, models: list[str]) -> None:
    registry.approve(models[0], **BY)
    with pytest.raises(RegistryError, match="nothing to resume"):
        registry.resume(**BY)
    pause = registry.pause(actor="rule:escapes", reason="2 of 90 escaped")
    assert registry.auto_pass_paused() == pause
    registry.approve(models[1], **BY)  # another model does not lift it: a person does
    assert registry.auto_pass_paused() == pause
    registry.resume(**BY)
    assert registry.auto_pass_paused() is None
    assert registry.production() == models[1]


@pytest.mark.parametrize(("actor", "reason"), [("ada", ""), ("ada", " \n"), ("", "trial"), (" ", "trial")])
def test_a_decision_needs_a_person_and_a_reason(
    registry: ModelRegistry, models: list[str], actor: str, reason: str
) -> None:
    registry.approve(models[0], **BY)
    for decide in (
        lambda: registry.approve(models[1], actor=actor, reason=reason),
        lambda: registry.start_shadow(models[1], actor=actor, reason=reason),
        lambda: registry.rollback(models[1], actor=actor, reason=reason),
        lambda: registry.pause(actor=actor, reason=reason),
    ):
        with pytest.raises(RegistryError, match="a decision needs a"):
            decide()
    assert len(registry.history()) == 1


def test_an_id_may_be_abbreviated_while_only_one_model_begins_so(store: LocalStore) -> None:
    by_first_digit: dict[str, list[str]] = {}
    for seed in range(17):  # with 17 models and 16 digits, two begin alike
        model = add_bundle(store, seed=seed)
        by_first_digit.setdefault(model[0], []).append(model)
    registry = ModelRegistry(store)
    digit = next(digit for digit, found in by_first_digit.items() if len(found) > 1)
    with pytest.raises(RegistryError, match=f"{len(by_first_digit[digit])} models begin with '{digit}'"):
        registry.approve(digit, **BY)
    model = by_first_digit[digit][0]
    assert registry.find(model[:20]) == model


@pytest.mark.parametrize("model", ["", "nothing", "../audit"])
def test_an_unknown_model(registry: ModelRegistry, model: str) -> None:
    with pytest.raises(RegistryError, match="there is no model"):
        registry.approve(model, **BY)


def test_a_damaged_bundle_cannot_be_approved(registry: ModelRegistry, models: list[str]) -> None:
    registry.store.put(f"models/{models[0]}/bundle.json", b"{}")
    with pytest.raises(RegistryError, match="cannot be used"):
        registry.approve(models[0], **BY)
    assert registry.production() is None


def test_a_bundle_with_a_damaged_file_gets_no_word(registry: ModelRegistry, models: list[str]) -> None:
    registry.approve(models[0], **BY)
    registry.store.put(f"models/{models[1]}/model.onnx", b"another graph")
    for decide in (registry.approve, registry.start_shadow):
        with pytest.raises(RegistryError, match=r"model\.onnx is not the file that bundle"):
            decide(models[1], **BY)
    assert registry.production() == models[0]
    assert registry.shadow() is None
    # The way back stays open: it reads the manifest alone, and the service checks what it loads.
    registry.rollback(models[1], **BY)


def test_history_only_grows(registry: ModelRegistry, models: list[str]) -> None:
    written: dict[str, bytes] = {}
    steps = (
        lambda: registry.approve(models[0], **BY),
        lambda: registry.start_shadow(models[1], **BY),
        lambda: registry.approve(models[1], **BY),
        lambda: registry.pause(**BY),
        lambda: registry.rollback(**BY),
        lambda: registry.resume(**BY),
    )
    for number, step in enumerate(steps, start=1):
        decision = step()
        now = {key: registry.store.get(key) for key in registry.store.list("audit/")}
        assert len(now) == number
        assert written.items() <= now.items()
        assert registry.history()[-1] == decision
        written = now
    actions = [decision.action for decision in ModelRegistry(registry.store).history()]
    assert actions == ["approve", "shadow", "approve", "pause", "rollback", "resume"]


def test_a_clock_that_is_set_back_does_not_hide_a_decision(
    registry: ModelRegistry, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Yesterday(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) - timedelta(days=1)

    registry.approve(models[0], **BY)
    monkeypatch.setattr("inspection.registry.datetime", Yesterday)
    registry.approve(models[1], **BY)
    registry.pause(**BY)
    assert registry.production() == models[1]
    assert registry.auto_pass_paused() is not None
    times = [decision.at for decision in registry.history()]
    assert times == sorted(set(times))


def test_a_damaged_entry_stops_the_registry(registry: ModelRegistry, models: list[str]) -> None:
    registry.approve(models[0], **BY)
    registry.store.put("audit/20990101T000000.000000Z-x.json", b'{"action": "approve"}')
    with pytest.raises(RegistryError, match=r"audit/20990101.*is no decision"):
        ModelRegistry(registry.store).production()


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.booleans()), max_size=8))
def test_two_registries_on_one_store_agree(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int, bool]]
) -> None:
    store = LocalStore(tmp_path_factory.mktemp("store"))
    models = [add_bundle(store, seed=seed) for seed in range(3)]
    one, other = ModelRegistry(store), ModelRegistry(store)
    for use_one, number, as_shadow in steps:
        registry = one if use_one else other
        decide = registry.start_shadow if as_shadow else registry.approve
        decide(models[number], **BY)
        expected = (one.production(), one.shadow(), one.history())
        assert (other.production(), other.shadow(), other.history()) == expected
        assert ModelRegistry(store).history() == one.history()
