"""Assembles the pipeline: the one place that calls `Definitions`."""

from dagster import Definitions
from dagster_dlt import DagsterDltResource

from assets.class_balance import balance_checks
from assets.deployment import deployment_assets, deployment_checks
from assets.evaluation import evaluation_assets, evaluation_checks
from assets.features import feature_assets, feature_checks
from assets.gauge import gauge_assets
from assets.ingestion import ingestion_assets
from assets.label_checks import label_checks
from assets.label_profile import profile_assets, profile_checks
from assets.labels import label_assets
from assets.marts import mart_assets
from assets.monitoring import monitoring_assets
from assets.neighbours import neighbour_assets, neighbour_checks
from assets.taxonomy_checks import taxonomy_checks
from assets.training import training_assets, training_checks
from resources.artifacts import Artifacts
from resources.records import RecordIds
from sensors.annotations import annotation_sensors
from sensors.calibration import calibration_sensors
from sensors.jobs import jobs
from sensors.schedules import schedules

defs = Definitions(
    assets=[
        *ingestion_assets,
        *label_assets,
        *mart_assets,
        *profile_assets,
        *feature_assets,
        *gauge_assets,
        *neighbour_assets,
        *training_assets,
        *evaluation_assets,
        *deployment_assets,
        *monitoring_assets,
    ],
    asset_checks=[
        *label_checks,
        *taxonomy_checks,
        *balance_checks,
        *profile_checks,
        *feature_checks,
        *neighbour_checks,
        *training_checks,
        *evaluation_checks,
        *deployment_checks,
    ],
    jobs=jobs,
    schedules=schedules,
    sensors=[*annotation_sensors, *calibration_sensors],
    resources={"artifacts": Artifacts(), "loader": DagsterDltResource(), "record_ids": RecordIds()},
)
