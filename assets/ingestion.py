"""Ingestion: the plant's tables and calibration files, as they are, in the warehouse."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import dlt
from dagster_dlt import DagsterDltResource, DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData

from inspection.ingestion import calibration_source, database_source, pipeline
from inspection.settings import get_settings

GROUP = "ingestion"
OWNER = "team:data"

DESCRIPTIONS = {
    "image_metadata": "One row per image that a line camera took.",
    "defect_annotations": "One row per mark of an annotator on an image, as typed.",
    "inspection_results": "One row per decision of a human inspector.",
    "defect_taxonomy": "One row per defect class as the quality system knows it.",
    "production_orders": "One row per production order.",
    "product_specs": "One row per part type and revision, with nominal dimensions and tolerances.",
    "equipment_registry": "One row per machine, with its plant and line.",
    "camera_config": "One row per camera and date from which its configuration holds.",
    "lens_distortion_params": "One row per camera and calibration of its lens.",
}


class RawTables(DagsterDltTranslator):
    """Names the asset of a table ``raw/SOURCE/TABLE``."""

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """Returns the spec of one table."""
        assert data.pipeline is not None  # noqa: S101  # the decorator hands it in
        return (
            super()
            .get_asset_spec(data)
            .replace_attributes(
                key=dg.AssetKey(["raw", data.pipeline.pipeline_name, data.resource.name]),
                description=DESCRIPTIONS[data.resource.name],
                deps=[],
                group_name=GROUP,
                owners=[OWNER],
                kinds={"dlt", "postgres"},
            )
        )


def _assets(name: str) -> dg.AssetsDefinition:
    settings = get_settings()
    source = calibration_source(settings) if name == "calibration" else database_source(name, settings)

    @dlt_assets(
        dlt_source=source,
        # The address of the warehouse is not needed, and may not be known, until the assets run.
        dlt_pipeline=dlt.pipeline(name, destination="postgres", pipelines_dir=str(settings.root / "dlt")),
        name=f"ingest_{name}",
        dagster_dlt_translator=RawTables(),
        pool=f"ingest_{name}",  # two ticks of one source must not overlap
    )
    def ingest(context: dg.AssetExecutionContext, loader: DagsterDltResource) -> Iterator[Any]:
        yield from loader.run(context, dlt_pipeline=pipeline(name, settings))

    return ingest


ingestion_assets = [_assets(name) for name in ("quality_vision", "qms", "erp", "calibration")]
