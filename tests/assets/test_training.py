"""What the check says of an exported model."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from assets import training
from inspection.settings import Settings
from inspection.store import open_store
from resources.records import RecordIds
from tests.inspection.judged import parity, put_export, put_training


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({}, True),
        ({"max_difference": 1e-4, "max_cell_difference": 1e-4}, True),
        ({"max_difference": 2e-4}, False),
        ({"max_cell_difference": 2e-4}, False),
        ({"flips": 1}, False),
        ({"images": 0}, False),
    ],
)
def test_probabilities_cells_and_verdicts_are_told_and_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, float], passed: bool
) -> None:
    settings = Settings(home=tmp_path)
    monkeypatch.setattr(training, "get_settings", lambda: settings)
    store = open_store(settings.artifacts_url)
    found = parity(**changes)
    export = put_export(store, put_training(store), found)

    check = judge(export)

    assert (check.passed, check.blocking) == (passed, True)
    told = {name: value.value for name, value in check.metadata.items()}
    assert told == {
        "value": max(found.max_difference, found.max_cell_difference),
        "threshold": found.tolerance,
        "probabilities": found.max_difference,
        "cells": found.max_cell_difference,
        "flips": found.flips,
    }
    assert f"{found.flips} of {found.images} verdicts differ" in (check.description or "")
    assert f"probability {found.max_difference:.1e}" in (check.description or "")
    assert f"maps {found.max_cell_difference:.1e}" in (check.description or "")


def judge(export: str) -> dg.AssetCheckEvaluation:
    """Runs the check on an export that stands for what the asset would have made."""

    @dg.asset(key="exported_model", io_manager_key="record_ids")
    def stands_for_it() -> dg.MaterializeResult[str]:
        return dg.MaterializeResult(value=export)

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [stands_for_it, training.same_as_trained],
            instance=instance,
            resources={"record_ids": RecordIds()},
            raise_on_error=False,
        )
    (check,) = result.get_asset_check_evaluations()
    return check
