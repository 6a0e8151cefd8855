"""Evaluation: how good the exported model is on parts that nothing was learnt or chosen from."""

from functools import partial
from typing import Any

import dagster as dg

from assets.baselines import train_baseline
from assets.pictures import picture
from assets.report_tables import baseline_table, metric_table, slice_table
from assets.run_log import progress_in_log
from inspection.artifacts import get_record
from inspection.dataset import read_training_data
from inspection.label_noise import read_inspector_rates
from inspection.ontology import load_ontology
from inspection.registry import ModelRegistry
from inspection.rival import find_rival
from inspection.settings import get_settings
from inspection.store import ObjectStore, open_store

GROUP = "evaluation"
OWNER = "team:learning"
MAX_CACHE_FLIPS = 0.02
"""More verdicts than this that hang on the cache's compression say that the cache is not what is served."""


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"scikit-learn"},
    code_version="1",
    deps=["image_cache", "image_embeddings"],
    io_manager_key="record_ids",
    description="What a logistic regression per class on the embeddings says of the test set "
    "(a BaselineResult in the object store).",
)
def light_head(context: dg.AssetExecutionContext) -> dg.MaterializeResult[str]:
    """Trains the cheap model that each other one is compared with."""
    from inspection.learning.light_head import train_light_head

    return train_baseline(context, get_settings(), train_light_head)


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"scikit-learn"},
    code_version="1",
    deps=["image_cache"],
    io_manager_key="record_ids",
    description="What a linear model on small pixels says of the test set (a BaselineResult in the object "
    "store).",
)
def linear_control(context: dg.AssetExecutionContext) -> dg.MaterializeResult[str]:
    """Trains the control that each model must beat clearly."""
    from inspection.learning.controls import train_linear_control

    return train_baseline(context, get_settings(), train_linear_control)


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"pytorch"},
    code_version="1",
    deps=["image_cache"],
    io_manager_key="record_ids",
    description="What our network says of the test set after learning shuffled labels (a BaselineResult in "
    "the object store): chance, unless the test set leaks.",
)
def shuffled_control(context: dg.AssetExecutionContext) -> dg.MaterializeResult[str]:
    """Trains the control that must have learnt nothing."""
    from inspection.learning.controls import train_shuffled_control

    settings = get_settings()
    train = partial(train_shuffled_control, ray_address=settings.ray_address)
    return train_baseline(context, settings, train)


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"onnx"},
    code_version="2",
    deps=[["marts", "inspector_agreement"]],
    io_manager_key="record_ids",
    description="Test metrics with bounds of one exported model, and the page that a person reads (an "
    "EvaluationReport in the object store).",
)
def test_report(
    context: dg.AssetExecutionContext,
    exported_model: str,
    light_head: str,
    linear_control: str,
    shuffled_control: str,
) -> dg.MaterializeResult[str]:
    """Judges the test set from the original files, with the model that would be served."""
    from inspection.learning.pipeline import evaluate_model
    from inspection.learning.report.beside import Beside

    settings = get_settings()
    dsn, store = settings.dsn("warehouse"), open_store(settings.artifacts_url)
    data, ontology = read_training_data(dsn), load_ontology(settings.ontology_file)
    baselines = light_head, linear_control, shuffled_control
    beside = Beside(baselines, find_rival(dsn, ModelRegistry(store)), read_inspector_rates(dsn))
    with progress_in_log(context):
        report = evaluate_model(store, exported_model, data, ontology, settings.images, beside)
    return dg.MaterializeResult(
        value=report, metadata={**report_metadata(store, report), "split release": data.split_release}
    )


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"onnx"},
    code_version="1",
    io_manager_key="record_ids",
    description="The exported model in 16-bit floats and in 8-bit integers, each judged by itself.",
)
def model_variants(context: dg.AssetExecutionContext, test_report: str) -> dg.MaterializeResult[str]:
    """Offers what gives the model's verdicts and passes the gate by itself; tells why the rest is not."""
    from inspection.learning.pipeline import evaluate_variants
    from inspection.learning.results import VariantsResult

    settings = get_settings()
    store, ontology = open_store(settings.artifacts_url), load_ontology(settings.ontology_file)
    data = read_training_data(settings.dsn("warehouse"))
    with progress_in_log(context):
        found = evaluate_variants(store, test_report, data, ontology, settings.images)
    variants = get_record(store, VariantsResult, found).variants
    return dg.MaterializeResult(
        value=found,
        metadata={v.precision: f"{'' if v.offered else 'not '}offered: {v.words}" for v in variants},
    )


@dg.asset_check(
    asset=test_report,
    description=f"At most {MAX_CACHE_FLIPS:.0%} of the verdicts differ between original and cached image.",
)
def as_cached(test_report: str) -> dg.AssetCheckResult:
    """Reads how many verdicts hang on the compression of the cache."""
    from inspection.learning.results import EvaluationReport

    store = open_store(get_settings().artifacts_url)
    flips = get_record(store, EvaluationReport, test_report).metrics.cache_flips
    return dg.AssetCheckResult(
        passed=(flips.value or 0) <= MAX_CACHE_FLIPS,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{flips.successes} of {flips.total} verdicts differ",
        metadata={"value": flips.value or 0.0, "threshold": MAX_CACHE_FLIPS},
    )


evaluation_checks = [as_cached]
evaluation_assets = [light_head, linear_control, shuffled_control, test_report, model_variants]


def report_metadata(store: ObjectStore, report: str) -> dict[str, Any]:
    """Returns what the Dagster UI shows of a report; the page holds more."""
    from inspection.learning.report.details import EvaluationDetails
    from inspection.learning.results import EvaluationReport

    result = get_record(store, EvaluationReport, report)
    details = get_record(store, EvaluationDetails, result.details)
    return {
        "page": f"{store.url}/{result.page}",
        "open the page": f"vqi report {report[:12]}",
        "metrics": metric_table(result.metrics),
        "slices": slice_table(details.slices),
        "baselines": baseline_table(details.baselines),
        "against production": details.rival.model_dump(mode="json"),
        "cap by wrong labels": details.cap.model_dump(mode="json") if details.cap else details.cap_reason,
        "precision at the line's mix": details.precision_at_line.model_dump(),
        **{name.replace("_", " "): picture(store, key) for name, key in result.plots.items()},
        "calibration error": result.metrics.ece,
        "unreadable": result.unreadable,
        "predictions": f"{store.url}/{result.predictions}",
    }
