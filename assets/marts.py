"""The dbt models as assets, in three parts so that Python can do its work between them."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from inspection.settings import get_settings
from resources.dbt import build_words, dbt_resource, end_leftover, ensure_manifest, target_path

RAW = ("quality_vision", "qms", "erp", "calibration")
WRITTEN_BY = {("ontology", "published"): "ontology", ("releases", "split_assignments"): "split_release"}
OWNERS = {"labels": "team:data", "profile": "team:data", "monitoring": "team:quality"}
# Two builds of one model at a time could overwrite each other.
POOL = "dbt"

MANIFEST = ensure_manifest(get_settings())


class Models(DagsterDbtTranslator):
    """Names a model's asset ``SCHEMA/MODEL``, and a source after the asset that writes it."""

    def __init__(self, group: str) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
        self.group = group

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Returns the key of a model or source."""
        if dbt_resource_props["resource_type"] != "source":
            return super().get_asset_key(dbt_resource_props)
        source, table = dbt_resource_props["source_name"], dbt_resource_props["name"]
        if source in RAW:
            return dg.AssetKey(["raw", source, table])
        return dg.AssetKey(WRITTEN_BY.get((source, table), [source, table]))

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Returns the description alone, which states the grain; the SQL stands in the dbt docs."""
        return str(dbt_resource_props["description"]).strip()

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Returns the stage."""
        return self.group

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """Returns who answers for the models of the stage."""
        return [OWNERS[self.group]]


def _build(context: dg.AssetExecutionContext) -> Iterator[Any]:
    settings = get_settings()
    target = target_path(settings)
    # Unit tests are about the SQL, not about the data: the test suite runs them. The path in the words
    # tells this build from any other, should it be left over.
    command = ["build", "--exclude-resource-type", "unit_test", "--target-path", str(target)]
    command += build_words(settings)
    if left := end_leftover(target):
        context.log.warning(f"ended {left} process of dbt that a killed run had left")
    dbt = dbt_resource(settings).cli(command, context=context, target_path=target)
    # Each thread that counts changes the working directory for a while; two of them lose the way back.
    dbt.postprocessing_threadpool_num_threads = 1
    yield from dbt.stream().fetch_row_counts()


@dbt_assets(
    manifest=MANIFEST,
    name="label_models",
    exclude="tag:training tag:profile tag:monitoring",
    dagster_dbt_translator=Models("labels"),
    pool=POOL,
)
def label_models(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Everything up to the labels, and the deal of the newest split release."""
    yield from _build(context)


@dbt_assets(
    manifest=MANIFEST,
    name="training_models",
    select="tag:training",
    dagster_dbt_translator=Models("labels"),
    pool=POOL,
)
def training_models(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """What a split release gives to training."""
    yield from _build(context)


@dbt_assets(
    manifest=MANIFEST,
    name="profile_models",
    select="tag:profile",
    dagster_dbt_translator=Models("profile"),
    pool=POOL,
)
def profile_models(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """What the data and labels look like: by plant, line, camera and column."""
    yield from _build(context)


@dbt_assets(
    manifest=MANIFEST,
    name="monitoring_models",
    select="tag:monitoring",
    dagster_dbt_translator=Models("monitoring"),
    pool=POOL,
)
def monitoring_models(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """What the line did and what people said of it."""
    yield from _build(context)


mart_assets = [label_models, training_models, profile_models, monitoring_models]
