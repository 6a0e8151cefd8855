"""Ids of records go from asset to asset, and from run to run, over the real instance (PostgreSQL storage)."""

from __future__ import annotations

import pytest
from dagster import AssetKey, AssetSpec, Definitions, MaterializeResult, asset

from inspection.errors import InsufficientDataError, ServiceError
from inspection.settings import Settings
from resources.records import RECORD, RecordIds, record_id
from vqi.materialize import instance, materialize, newest_record


@asset(io_manager_key="record_ids", config_schema={"record": str})
def trained(context) -> MaterializeResult[str]:
    return MaterializeResult(value=context.op_execution_context.op_config["record"], metadata={"epochs": 3})


@asset(io_manager_key="record_ids")
def exported(trained: str) -> MaterializeResult[str]:
    return MaterializeResult(value=f"export of {trained}")


defs = Definitions(
    assets=[trained, exported, AssetSpec("told_elsewhere")], resources={"record_ids": RecordIds()}
)


def train(settings: Settings, record: str, selection: str = "key:trained") -> None:
    materialize(settings, selection, {"ops": {"trained": {"config": {"record": record}}}}, __name__)


def test_an_id_reaches_the_next_asset_in_the_same_run_and_in_a_later_one(settings: Settings) -> None:
    train(settings, "first", "key:trained+")
    assert newest_record(settings, "exported") == "export of first"

    train(settings, "second")
    assert newest_record(settings, "trained") == "second"
    assert newest_record(settings, "exported") == "export of first"

    materialize(settings, "key:exported", module=__name__)
    assert newest_record(settings, "exported") == "export of second"


def test_the_ui_shows_the_id_beside_what_the_asset_tells(settings: Settings) -> None:
    train(settings, "first")
    with instance(settings) as home:
        event = home.get_latest_materialization_event(AssetKey("trained"))
    assert event is not None
    assert event.asset_materialization is not None
    told = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert (told[RECORD], told["epochs"]) == ("first", 3)


def test_what_was_never_made_is_named(settings: Settings) -> None:
    with pytest.raises(ServiceError, match=r"trained has not been made yet: materialize it first"):
        materialize(settings, "key:exported", module=__name__)
    with pytest.raises(InsufficientDataError, match="exported has not been made yet"):
        newest_record(settings, "exported")
    with instance(settings) as home, pytest.raises(InsufficientDataError, match="a/b has not been made yet"):
        record_id(home, AssetKey(["a", "b"]))
