"""Which assets each job takes, on assets that carry the stages' keys and groups."""

from __future__ import annotations

import dagster as dg
import pytest

from sensors.annotations import annotation_sensors
from sensors.calibration import calibration_sensors
from sensors.jobs import jobs
from sensors.schedules import schedules

SENSORS = [*annotation_sensors, *calibration_sensors]
STAGES: dict[str, tuple[str, list[str]]] = {
    "raw/quality_vision/defect_annotations": ("ingestion", []),
    "raw/calibration/camera_config": ("ingestion", []),
    "deletions/quality_vision": ("ingestion", ["raw/quality_vision/defect_annotations"]),
    "marts/fct_image_labels": ("labels", ["raw/quality_vision/defect_annotations"]),
    "marts/labels_by_plant": ("profile", ["marts/fct_image_labels"]),
    "split_release": ("labels", ["marts/fct_image_labels"]),
    "marts/training_dataset": ("labels", ["split_release"]),
    "image_cache": ("features", ["marts/training_dataset"]),
    "trained_model": ("training", ["image_cache"]),
    "evaluation_report": ("evaluation", ["trained_model"]),
    "deployment": ("deployment", ["evaluation_report"]),
    "marts/fct_predictions": ("monitoring", ["raw/calibration/camera_config"]),
    "alerts": ("monitoring", ["marts/fct_predictions"]),
}
RAW, CALIBRATION = list(STAGES)[:2]
LEARNING = ["image_cache", "trained_model", "evaluation_report", "deployment"]
MONITORING = ["marts/fct_predictions", "alerts"]


def stage(key: str, group: str, deps: list[str]) -> dg.AssetsDefinition:
    @dg.asset(key=key.split("/"), group_name=group, deps=[d.split("/") for d in deps])
    def stands_for_it() -> None: ...

    return stands_for_it


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    assets = [stage(key, group, deps) for key, (group, deps) in STAGES.items()]
    return dg.Definitions(assets=assets, jobs=jobs, schedules=schedules, sensors=SENSORS)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ("ingest_and_label", [RAW, "marts/fct_image_labels"]),
        ("calibration", [CALIBRATION]),
        ("reconciliation", ["deletions/quality_vision"]),
        ("profile", ["marts/labels_by_plant"]),
        ("training", ["split_release", "marts/training_dataset", *LEARNING]),
        ("monitoring", MONITORING),
        ("everything", list(STAGES)),
    ],
)
def test_what_a_job_takes(definitions: dg.Definitions, job: str, expected: list[str]) -> None:
    selected = definitions.resolve_job_def(job).asset_layer.executable_asset_keys
    assert {key.to_user_string() for key in selected} == set(expected)


@pytest.mark.parametrize(
    ("name", "job", "cron"),
    [
        ("every_quarter_of_an_hour", "ingest_and_label", "*/15 * * * *"),
        ("first_of_the_month", "calibration", "0 3 1 * *"),
        ("daily_at_five", "profile", "37 5 * * *"),
        ("saturday_at_two", "training", "0 2 * * 6"),
        ("hourly", "monitoring", "7 * * * *"),
        ("hourly_reconciliation", "reconciliation", "22 * * * *"),
    ],
)
def test_schedules_run(definitions: dg.Definitions, name: str, job: str, cron: str) -> None:
    schedule = definitions.resolve_schedule_def(name)
    assert (schedule.job_name, schedule.cron_schedule) == (job, cron)
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_a_training_ends_in_four_hours_and_is_repeated_when_its_process_died(
    definitions: dg.Definitions,
) -> None:
    tags = definitions.resolve_job_def("training").tags
    assert int(tags["dagster/max_runtime"]) == 4 * 60 * 60
    assert int(tags["dagster/max_retries"]) > 0
    assert tags["dagster/retry_on_asset_or_op_failure"] == "false"


def test_sensors_start_jobs_that_exist() -> None:
    assert {sensor.job_name for sensor in SENSORS} <= {job.name for job in jobs}
