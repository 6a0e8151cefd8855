"""Wrong accepts are replayed through the real marts: the alert fires once and pauses auto-pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg
import pytest

from assets import monitoring
from inspection.alerts import open_alerts
from inspection.publication import publish
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.shadow_report import report_shadow
from inspection.store import open_store
from inspection.warehouse import transaction
from resources.dbt import dbt_resource
from tests.inspection.bundles import add_bundle
from tests.line import inspect, review

# What the marts of the line read of the plant: here nothing but where a camera stands.
_RAW = """
create schema raw_quality_vision;
create table raw_quality_vision.image_metadata (
    image_id text, production_order_id text, machine_id text, camera_id text, part_serial text,
    part_type text, image_path text, exposure_settings text, capture_timestamp timestamptz,
    updated_at timestamptz, read_at timestamptz);
create schema raw_erp;
create table raw_erp.production_orders (
    production_order_id text, part_type text, plant_id text, line_id text, quantity integer,
    started_at timestamptz, completed_at timestamptz, updated_at timestamptz,
    read_at timestamptz);
create schema raw_calibration;
create table raw_calibration.camera_config (
    camera_id text, line_id text, plant_id text, width integer, height integer, effective_from text);
insert into raw_calibration.camera_config values ('A/1', 'line-a', 'plant-1', 1024, 768, '2026-01-01');
"""
MARTS = ["dim_defect_class", "fct_predictions", "fct_reviews", "fct_overrides", "quality_metrics"]


@pytest.fixture
def build(settings: Settings) -> Callable[[], None]:
    """Builds the line's marts with dbt, from the tables that the service writes."""
    publish(settings.dsn("warehouse"), settings.ontology_file)
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(_RAW)
    dbt = dbt_resource(settings)
    target = settings.root / "target"
    command = ["run", "--select", " ".join(f"+{mart}" for mart in MARTS), "--log-path", str(target)]

    def run() -> None:
        dbt.cli(command, target_path=target).wait()

    return run


@pytest.fixture
def look(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Mapping[str, Any]]:
    """Materializes the asset and returns its metadata."""
    monkeypatch.setattr(monitoring, "get_settings", lambda: settings)

    def materialize() -> Mapping[str, Any]:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize([monitoring.alerts], instance=instance)
        (event,) = result.asset_materializations_for_node("alerts")
        return event.metadata

    return materialize


@pytest.mark.slow
def test_wrong_accepts_pause_auto_pass_until_a_person_resumes(
    settings: Settings, build: Callable[[], None], look: Callable[[], Mapping[str, Any]]
) -> None:
    dsn, registry = settings.dsn("warehouse"), ModelRegistry(open_store(settings.artifacts_url))

    def replay(count: int, truth: str, defect_class: str | None = None) -> None:
        now = datetime.now(UTC)
        parts = inspect(dsn, count, at=now, review_probability=0.05)
        review(dsn, parts, truth, at=now, defect_class=defect_class)

    replay(20, "PASS")
    replay(4, "FAIL", "CRACK")
    build()
    metadata = look()
    pause = registry.auto_pass_paused()
    assert pause is not None
    assert pause.actor.startswith("rule:")
    assert "paused by rule:" in metadata["auto-pass"].value
    pausing = [alert for alert in open_alerts(dsn) if alert.action == "pause_auto_pass"]
    assert {(a.rule, a.severity) for a in pausing} == {
        ("safety_critical_accept", "critical"),
        ("false_accept_rate", "critical"),
    }
    states = {r.data["rule"]: r.data for r in metadata["rules"].records}
    assert states["false_accept_rate"]["value"] == pytest.approx(4 / 24)
    assert states["false_accept_rate"]["state"] == "firing"
    assert metadata["notifications"].value.startswith("nobody can be told")

    assert look()["fired"].value == 0
    assert registry.auto_pass_paused() == pause

    registry.resume(actor="a person", reason="the lamp was replaced")
    assert look()["auto-pass"].value == "on"  # the same evidence again

    replay(1, "FAIL", "CRACK")
    build()
    assert look()["fired"].value == 2
    again = registry.auto_pass_paused()
    assert again is not None
    assert again.id != pause.id


@pytest.mark.parametrize("by_rule", [False, True])
def test_the_shadow_is_compared_and_promoted_only_where_the_rule_may(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, by_rule: bool
) -> None:
    easy = {"shadow_hours": 1, "shadow_parts": 10, "shadow_tolerance": 0.2, "promote_by_rule": by_rule}
    own = settings.model_copy(update=easy)
    monkeypatch.setattr(monitoring, "get_settings", lambda: own)
    registry, dsn = ModelRegistry(open_store(settings.artifacts_url)), settings.dsn("warehouse")

    def compare() -> Mapping[str, Any]:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize([monitoring.shadow_comparison], instance=instance)
        (event,) = result.asset_materializations_for_node("shadow_comparison")
        return event.metadata

    assert compare()["shadow"].value == "none"
    production, shadow = (add_bundle(registry.store, seed=seed) for seed in (1, 2))
    registry.approve(production, actor="ada", reason="trial")
    begun = registry.start_shadow(shadow, actor="ada", reason="trial").at
    metadata = compare()
    assert metadata["verdict"].value == "wait"
    assert "0 parts of 10" in metadata["reasons"].value
    assert metadata["promoted"].value is False

    judged = inspect(dsn, 40, at=begun + timedelta(seconds=1), model=production)
    inspect(dsn, ids=judged, at=begun, model=shadow, role="shadow")
    review(dsn, judged, "PASS", at=begun)
    in_an_hour = partial(report_shadow, now=begun + timedelta(hours=1))
    monkeypatch.setattr(monitoring, "report_shadow", in_an_hour)
    metadata = compare()
    assert (metadata["verdict"].value, metadata["parts"].value) == ("promote", 40)
    assert metadata["promoted"].value is by_rule
    assert registry.production() == (shadow if by_rule else production)
