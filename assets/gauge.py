"""The dimension gauge: measured parts, and what their deviations mean."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.pictures import picture
from assets.run_log import progress_in_log
from inspection.artifacts import get_record
from inspection.dataset import read_training_data
from inspection.gauge.plan_file import load_plan
from inspection.gauge.tables import read_cameras, read_specifications
from inspection.ontology import load_ontology
from inspection.profiles import load_profile
from inspection.settings import get_settings
from inspection.store import ObjectStore, open_store

if TYPE_CHECKING:
    from inspection.learning.gauge import GaugeResult

GROUP = "training"
OWNER = "team:learning"


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"opencv", "parquet"},
    code_version="1",
    deps=[
        "image_cache",
        ["raw", "erp", "product_specs"],
        ["raw", "calibration", "camera_config"],
        ["raw", "calibration", "lens_distortion_params"],
    ],
    io_manager_key="record_ids",
    description="The parts of the training dataset measured in millimetres, and the gauge calibrated on them "
    "(a GaugeResult in the object store; gauge/ keeps one row per image).",
)
def dimension_gauge(context: dg.AssetExecutionContext) -> dg.MaterializeResult[str]:
    """Measures what is not measured yet and fits; says why where there is nothing to measure."""
    from inspection.gauge.readings import Instrument
    from inspection.learning.gauge import GaugeResult, fit_gauge

    settings = get_settings()
    dsn, store = settings.dsn("warehouse"), open_store(settings.artifacts_url)
    specifications, broken = read_specifications(dsn)
    instrument = Instrument(load_plan(settings.gauge_plan_file), specifications, read_cameras(dsn))
    ontology, minimum = load_ontology(settings.ontology_file), load_profile(settings.profile).calibration
    data = read_training_data(dsn)
    with progress_in_log(context):
        made = fit_gauge(store, data, ontology, instrument, minimum, settings.images, broken)
    return dg.MaterializeResult(
        value=made, metadata=gauge_metadata(store, get_record(store, GaugeResult, made))
    )


gauge_assets = [dimension_gauge]


def gauge_metadata(store: ObjectStore, result: "GaugeResult") -> dict[str, Any]:
    """Returns what a person wants to see of a gauge: is it in force, what could be measured, how well."""
    metadata: dict[str, Any] = {
        "gauge": f"not applicable: {result.reason}" if result.reason else "fitted",
        "images": result.images,
        "measured": result.applicable,
        "not applicable": result.not_applicable,
        "broken specifications": result.broken_specifications,
        "broken calibrations": result.broken_calibrations,
        "seconds": result.seconds,
    }
    if result.fit is not None and result.plot is not None:
        metadata["deviations"] = picture(store, result.plot)
        metadata["fit"] = result.fit.model_dump(mode="json")
    return metadata
