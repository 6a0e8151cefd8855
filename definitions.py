"""Assembles the pipeline: the one place that calls `Definitions`."""

from dagster import Definitions
from dagster_dlt import DagsterDltResource

from assets.ingestion import ingestion_assets

defs = Definitions(
    assets=ingestion_assets,
    resources={"loader": DagsterDltResource()},
)
