"""Runs on the real instance (PostgreSQL storage), with assets made for the test."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from dagster import Definitions, asset

from inspection.errors import InspectionError, ServiceError
from inspection.settings import Settings
from vqi.materialize import instance, materialize, split_config


@asset
def raw() -> int:
    return 2


@asset
def doubled(raw: int) -> int:
    return raw * 2


@asset
def broken(doubled: int) -> None:
    raise InspectionError(f"{doubled} is too much: send less")


defs = Definitions(assets=[raw, doubled, broken])


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
