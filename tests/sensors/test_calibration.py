"""The sensor with real files in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from inspection.ingestion.files import fingerprint
from sensors.calibration import calibration_sensor


def tick(folder: Path, cursor: str | None) -> dg.SensorResult | dg.SkipReason:
    sensor = calibration_sensor("calibration", read=lambda: fingerprint(folder))
    with dg.DagsterInstance.ephemeral() as instance:
        result = sensor(dg.build_sensor_context(instance=instance, cursor=cursor))
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def started(folder: Path, cursor: str | None) -> str:
    """Runs a tick that starts a run; returns the new cursor."""
    result = tick(folder, cursor)
    assert isinstance(result, dg.SensorResult)
    assert [request.run_key for request in result.run_requests or ()] == [result.cursor]
    assert result.cursor
    return result.cursor


def test_each_state_of_the_folder_is_read_once(tmp_path: Path) -> None:
    assert isinstance(tick(tmp_path, None), dg.SkipReason)
    assert isinstance(tick(tmp_path / "not mounted", None), dg.SkipReason)
    config, lens = tmp_path / "camera_config.csv", tmp_path / "lens_distortion_params.csv"
    config.write_text("camera_id\n")
    cursor = started(tmp_path, None)
    assert isinstance(tick(tmp_path, cursor), dg.SkipReason)
    lens.write_text("camera_id\n")
    cursor = started(tmp_path, cursor)
    os.utime(config, ns=(1, 1))
    cursor = started(tmp_path, cursor)
    (tmp_path / "notes.txt").write_text("of no account")
    assert isinstance(tick(tmp_path, cursor), dg.SkipReason)
