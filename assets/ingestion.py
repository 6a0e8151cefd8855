"""Ingestion: the plant's tables and calibration files, as they are, in the warehouse."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import dagster as dg
import dlt
from dagster_dlt import DagsterDltResource, DagsterDltTranslator, build_dlt_asset_specs
from dagster_dlt.translator import DltResourceTranslatorData

from inspection.errors import InspectionError
from inspection.ingestion.destination import warehouse
from inspection.ingestion.reconciliation import reconcile
from inspection.ingestion.tables import CALIBRATION, SOURCES, TABLES
from inspection.ingestion.tick import Tick, declared_source, open_tick
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
# A network that is back in a minute, or a source that starts again, needs no person.
RETRIES = dg.RetryPolicy(max_retries=2, delay=15, backoff=dg.Backoff.EXPONENTIAL)
# Two of the ticks, which come every quarter of an hour, may be missed before a person should look.
TICKS = dg.FreshnessPolicy.time_window(warn_window=timedelta(minutes=40), fail_window=timedelta(hours=2))
MONTHS = dg.FreshnessPolicy.time_window(warn_window=timedelta(days=32), fail_window=timedelta(days=40))


class RawTables(DagsterDltTranslator):
    """Names the asset of a table ``raw/SOURCE/TABLE``."""

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """Returns the spec of one table."""
        assert data.pipeline is not None  # noqa: S101  # `ingestion_asset` hands it in
        source = data.pipeline.pipeline_name
        return (
            super()
            .get_asset_spec(data)
            .replace_attributes(
                key=dg.AssetKey(["raw", source, data.resource.name]),
                description=DESCRIPTIONS[data.resource.name],
                deps=[],
                group_name=GROUP,
                owners=[OWNER],
                kinds={"dlt", "postgres"},
                freshness_policy=MONTHS if source == CALIBRATION else TICKS,
            )
        )


def ingestion_asset(name: str) -> dg.AssetsDefinition:
    """Returns the step that loads the tables of one source."""
    specs = build_dlt_asset_specs(
        dlt_source=declared_source(name),
        # The address of the warehouse is not needed, and may not be known, until the assets run.
        dlt_pipeline=dlt.pipeline(
            name, destination=warehouse(), pipelines_dir=str(get_settings().root / "dlt")
        ),
        dagster_dlt_translator=RawTables(),
    )

    @dg.multi_asset(
        name=f"ingest_{name}",
        specs=list(specs),
        can_subset=True,
        pool=f"ingest_{name}",  # two ticks of one source must not overlap
        retry_policy=RETRIES,
    )
    def ingest(
        context: dg.AssetExecutionContext, loader: DagsterDltResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        with told_in_one_line(), open_tick(name, get_settings()) as tick:
            events = loader.run(context, tick.source, tick.pipeline, RawTables())
            loaded = {event.asset_key.path[-1]: event.metadata or {} for event in events if event.asset_key}
        for table, metadata in loaded.items():
            if table not in tick.failures:
                key = dg.AssetKey(["raw", name, table])
                yield dg.MaterializeResult(asset_key=key, metadata={**metadata, **_moved(tick, table)})
        with told_in_one_line():
            tick.raise_failures()

    return ingest


def deletions_asset(name: str) -> dg.AssetsDefinition:
    """Returns the step that finds what was deleted in one source."""

    @dg.asset(
        key=["deletions", name],
        group_name=GROUP,
        owners=[OWNER],
        kinds={"python", "postgres"},
        deps=[["raw", name, table.name] for table in TABLES[name]],
        pool=f"ingest_{name}",
        retry_policy=RETRIES,
        description=f"Rows that are gone from {name} (ingestion.deleted_rows) and were removed here.",
    )
    def deletions() -> dg.MaterializeResult[None]:
        with told_in_one_line():
            found = reconcile(name, get_settings())
        rows = [dg.TableRecord(vars(table)) for table in found]
        return dg.MaterializeResult(
            metadata={
                "deleted": sum(table.deleted for table in found),
                "fetched": sum(table.fetched for table in found),
                **({"tables": dg.MetadataValue.table(rows)} if rows else {}),  # none was read before
            }
        )

    return deletions


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Makes an error of the plant's the headline of the failed step in the Dagster UI."""
    try:
        yield
    except InspectionError as error:
        raise dg.Failure(description=str(error)) from error


# dbt reads one table of deletions, which the steps of all sources write.
deleted_rows = dg.AssetSpec(
    ["ingestion", "deleted_rows"],
    deps=[["deletions", name] for name in TABLES],
    group_name=GROUP,
    owners=[OWNER],
    kinds={"postgres"},
    description="One row per row that was deleted at its source, as it was last loaded.",
)

ingestion_assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
    *(ingestion_asset(name) for name in SOURCES),
    *(deletions_asset(name) for name in TABLES),
    deleted_rows,
]


def _moved(tick: Tick, table: str) -> dict[str, Any]:
    progress = tick.moved.get(table)
    if progress is None:
        return {}
    return {"rows moved": progress.rows, "read until": str(progress.cursor or "empty")}
