"""The shadow beside production in a real warehouse, and who takes over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from inspection.artifacts import get_record
from inspection.errors import RegistryError
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.shadow_report import ShadowReport, keep_report, promote, read_pairs, report_shadow
from inspection.store import open_store
from tests.inspection.bundles import add_bundle
from tests.line import inspect, review

HOUR = timedelta(hours=1)


@pytest.fixture
def registry(settings: Settings) -> ModelRegistry:
    """A production model and a shadow that has just begun."""
    registry = ModelRegistry(open_store(settings.artifacts_url))
    registry.approve(add_bundle(registry.store, seed=1), actor="ada", reason="trial")
    registry.start_shadow(add_bundle(registry.store, seed=2), actor="ada", reason="trial")
    return registry


def both(settings: Settings, registry: ModelRegistry, count: int, at: datetime, **shadow: str) -> list[str]:
    """Has both models judge parts; what is not said of the shadow is as production has it."""
    dsn = settings.dsn("warehouse")
    ids = inspect(dsn, count, at=at, model=registry.production() or "")
    inspect(dsn, ids=ids, at=at, model=registry.shadow() or "", role="shadow", **shadow)  # type: ignore[arg-type]
    return ids


def test_without_a_shadow_it_says_how_to_get_one(settings: Settings) -> None:
    with pytest.raises(RegistryError, match="vqi shadow MODEL"):
        report_shadow(settings, ModelRegistry(open_store(settings.artifacts_url)))


def test_only_the_two_models_in_the_time_since_are_compared(
    settings: Settings, registry: ModelRegistry
) -> None:
    dsn, now = settings.dsn("warehouse"), datetime.now(UTC)
    begun = registry.shadow_begun()
    assert begun is not None
    compared = both(settings, registry, 3, now)
    both(settings, registry, 1, now - HOUR)  # before it began
    both(settings, registry, 1, now + HOUR)  # after
    inspect(dsn, 1, at=now, model=registry.production() or "")  # dropped by the shadow
    inspect(
        dsn, ids=inspect(dsn, 1, at=now), at=now, role="shadow", model=begun.model or ""
    )  # another model's
    late = now + timedelta(minutes=1)
    report = report_shadow(settings, registry, late)
    assert (report.production, report.shadow) == (registry.production(), registry.shadow())
    assert (report.begun_at, report.since, report.until) == (begun.at, begun.at, late)
    assert report.trial.parts == 3
    found = read_pairs(dsn, report.production, report.shadow, now - HOUR, now + HOUR)
    assert {pair.inspection_id for pair in found} > set(compared)
    assert report_shadow(settings, registry, now + 60 * HOUR).since == now + 12 * HOUR


def test_truth_is_the_last_decision_and_weighs_by_its_chance(
    settings: Settings, registry: ModelRegistry
) -> None:
    now = datetime.now(UTC)
    dsn = settings.dsn("warehouse")
    audited = inspect(dsn, 2, at=now, model=registry.production() or "", review_probability=0.05)
    inspect(dsn, ids=audited, at=now, model=registry.shadow() or "", role="shadow", action="REWORK")
    sure = both(settings, registry, 5, now)
    review(dsn, [*audited, *sure[:4]], "FAIL", at=now, defect_class="RUST")
    review(dsn, audited, "PASS", at=now + timedelta(minutes=1))
    found = report_shadow(settings, registry, now + HOUR).trial
    assert (found.parts, found.outcome.parts) == (7, 6)
    assert found.verdicts == {"PASS/PASS": 5, "PASS/FAIL": 2, "FAIL/PASS": 0, "FAIL/FAIL": 0}
    assert found.outcome.production.value == pytest.approx(4 / 44)  # two stand for twenty each
    assert found.outcome.candidate.value == 1


def test_the_rule_promotes_with_its_evidence_once(settings: Settings, registry: ModelRegistry) -> None:
    easy = settings.model_copy(update={"shadow_hours": 1, "shadow_parts": 10, "shadow_tolerance": 0.2})
    now = datetime.now(UTC)
    review(settings.dsn("warehouse"), both(settings, registry, 40, now), "PASS", at=now)
    early = report_shadow(easy, registry, now + HOUR / 2)
    assert early.promotion.verdict == "wait"
    assert promote(registry, early) is None
    begun = registry.shadow_begun()
    assert begun is not None
    report = report_shadow(easy, registry, begun.at + HOUR)
    decision = promote(registry, report)
    assert decision is not None
    assert (decision.action, decision.model) == ("approve", report.shadow)
    assert decision.actor == "rule:shadow_promotion"
    assert "40 parts" in decision.reason
    assert registry.production() == report.shadow
    assert registry.earlier() == report.production
    assert get_record(registry.store, ShadowReport, decision.evidence or "") == report
    assert promote(registry, report) is None  # it is no shadow any more


def test_a_missed_safety_critical_defect_is_refused(settings: Settings, registry: ModelRegistry) -> None:
    dsn, now = settings.dsn("warehouse"), datetime.now(UTC)
    ids = inspect(dsn, 1, at=now, model=registry.production() or "", action="SCRAP")
    inspect(dsn, ids=ids, at=now, model=registry.shadow() or "", role="shadow")
    review(dsn, ids, "FAIL", at=now, defect_class="RUST")  # which the taxonomy of the bundles calls critical
    report = report_shadow(settings, registry, now + HOUR)
    assert report.promotion.verdict == "refuse"
    assert ids[0] in report.promotion.reasons[0]
    kept = get_record(registry.store, ShadowReport, keep_report(settings, registry))
    assert kept.shadow == report.shadow
