"""Runs on the real instance (PostgreSQL storage), with assets made for the test."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetKey,
    Definitions,
    asset,
    asset_check,
    define_asset_job,
)

from inspection.errors import CheckFailedError, InspectionError, ServiceError
from inspection.settings import Settings
from vqi.materialize import check_states, instance, materialize, run_job, split_config


@asset
def raw() -> int:
    return 2


@asset
def doubled(raw: int) -> int:
    return raw * 2


@asset
def broken(doubled: int) -> None:
    raise InspectionError(f"{doubled} is too much: send less")


@asset(config_schema={"value": int})
def measured(context) -> int:
    return int(context.op_execution_context.op_config["value"])


@asset_check(asset=measured, blocking=True)
def small_enough(measured: int) -> AssetCheckResult:
    return AssetCheckResult(passed=measured <= 10, description=f"{measured}, at most 10")


@asset_check(asset=measured)
def even(measured: int) -> AssetCheckResult:
    return AssetCheckResult(passed=measured % 2 == 0, severity=AssetCheckSeverity.WARN)


@asset_check(asset=measured)
def compared() -> AssetCheckResult:
    return AssetCheckResult(
        passed=True, metadata={"status": "not applicable"}, description="nothing beside it"
    )


@asset
def used(measured: int) -> int:
    return measured + 1


@asset
def unlucky() -> None:
    raise InspectionError("the disk is full: make room")


defs = Definitions(
    assets=[raw, doubled, broken, measured, used, unlucky],
    asset_checks=[small_enough, even, compared],
    jobs=[
        define_asset_job("measure", ["measured", "used"]),
        define_asset_job("measure_all", ["measured", "used", "unlucky"]),
    ],
)


def measuring(value: int) -> dict[str, Any]:
    return {"ops": {"measured": {"config": {"value": value}}}}


def states(settings: Settings) -> dict[str, str]:
    return {f"{each['asset']}: {each['name']}": each["state"] for each in check_states(settings, __name__)}


def test_runs_are_kept_on_the_instance(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    run = materialize(settings, "key:raw", module=__name__)
    # The second run reads what the first has made.
    with pytest.raises(ServiceError, match=r"broken: .*4 is too much: send less"):
        materialize(settings, "key:doubled or key:broken", module=__name__)
    assert capsys.readouterr() == ("", "")
    with instance(settings) as home:
        failed, succeeded = home.get_runs()
        assert (failed.is_failure, succeeded.is_success) == (True, True)
        assert succeeded.run_id == run.run_id
    with pytest.raises(InspectionError, match="no asset is selected"):
        materialize(settings, "key:nothing", module=__name__)
    assert (settings.root / "dagster" / "dagster.yaml").stat().st_mode & 0o777 == 0o600


def test_a_time_without_a_zone_is_utc() -> None:
    expected = {"ops": {"split_release": {"config": {"as_of": "2026-03-01T00:00:00+00:00"}}}}
    assert split_config(datetime(2026, 3, 1)) == expected
    assert split_config(datetime(2026, 3, 1, tzinfo=UTC)) == expected


def test_a_job_runs_by_its_name(settings: Settings) -> None:
    run = run_job(settings, "measure", measuring(4), module=__name__)
    assert run.success
    with instance(settings) as home:
        (kept,) = home.get_runs()
        assert (kept.run_id, kept.job_name, kept.is_success) == (run.run_id, "measure", True)
        assert home.get_latest_materialization_event(AssetKey("used")) is not None


def test_a_closed_check_is_no_breakdown(settings: Settings) -> None:
    with pytest.raises(CheckFailedError, match=r"stopped by small_enough: the Dagster UI") as caught:
        run_job(settings, "measure", measuring(12), module=__name__)
    assert caught.value.checks == ("small_enough",)
    with instance(settings) as home:
        assert home.get_latest_materialization_event(AssetKey("measured")) is not None
        assert home.get_latest_materialization_event(AssetKey("used")) is None


def test_a_breakdown_beside_a_closed_check_is_told(settings: Settings) -> None:
    with pytest.raises(ServiceError, match=r"failed: unlucky: .*the disk is full: make room"):
        run_job(settings, "measure_all", measuring(12), module=__name__)


def test_what_the_checks_said_last(settings: Settings) -> None:
    assert check_states(settings, __name__) == []
    run_job(settings, "measure", measuring(3), module=__name__)  # an odd value is a warning only
    assert states(settings) == {
        "measured: compared": "not applicable",
        "measured: even": "warned",
        "measured: small_enough": "passed",
    }
    with pytest.raises(CheckFailedError):
        materialize(settings, "key:measured", measuring(12), module=__name__)
    assert states(settings) == {
        "measured: compared": "not applicable",
        "measured: even": "passed",
        "measured: small_enough": "failed",
    }
    told = {each["name"]: each["description"] for each in check_states(settings, __name__)}
    assert told == {"compared": "nothing beside it", "even": "", "small_enough": "12, at most 10"}


def test_a_run_that_has_only_planned_its_checks_hides_no_answer(settings: Settings) -> None:
    run_job(settings, "measure", measuring(4), module=__name__)
    answered = states(settings)
    with instance(settings) as home:
        under_way = home.create_run_for_job(defs.resolve_job_def("measure"), run_config=measuring(4))
        planned = home.event_log_storage.get_asset_check_execution_history(
            AssetCheckKey(AssetKey("measured"), "even"), limit=1
        )
        assert (planned[0].run_id, planned[0].status.value) == (under_way.run_id, "PLANNED")
    assert states(settings) == answered
    assert len(answered) == 3
