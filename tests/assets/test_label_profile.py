"""The profile job on the real instance: a line that makes more of a defect is named, and nothing stops."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest

from assets import label_profile, marts
from inspection.settings import Settings
from tests.dbt.plant import START, RawPlant, dbt
from vqi.materialize import check_states, instance, run_job

pytestmark = [
    # dagster-dbt reads the context by names that dagster has replaced.
    pytest.mark.filterwarnings(r"ignore:AssetExecutionContext\.\w+ is deprecated"),
    pytest.mark.slow,
]


def test_the_job_draws_and_warns(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    plant = RawPlant()
    for order in range(16):
        name, line = f"PO-{order:02}", "p1" if order % 2 else "p2"
        plant.order(name, plant=line)
        for n in range(10):
            plant.image(f"{name}-{n}", name, at=START + timedelta(days=order, hours=n))
            # Half of what line-p1 makes, and a tenth of what line-p2 makes.
            plant.annotation(f"{name}-{n}", "ann", "burr" if n < (5 if line == "p1" else 1) else "good")
    plant.load(settings)
    dbt(settings, "run", "--exclude", "tag:training tag:monitoring tag:profile")
    for module in (marts, label_profile):
        monkeypatch.setattr(module, "get_settings", lambda: settings)

    run_job(settings, "profile")

    (told,) = (each for each in check_states(settings) if each["name"] == "no_line_elevated")
    assert told["state"] == "warned"
    assert told["description"] == "line-p1: BURR on 40 of 80 images, elsewhere on 8 of 80"
    with instance(settings) as home:
        event = home.get_latest_materialization_event(dg.AssetKey("label_profile"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["elevated"].value == 1
