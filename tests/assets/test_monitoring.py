"""Wrong accepts are replayed through the real marts: the alert fires once and pauses auto-pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from assets import monitoring
from inspection.alerts import open_alerts
from inspection.publication import publish
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import open_store
from inspection.warehouse import transaction
from resources.dbt import dbt_resource
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
