"""Evaluation: how good the exported model is on parts that nothing was learnt or chosen from."""

from collections.abc import Iterator

import dagster as dg

from assets.pictures import picture
from assets.run_log import progress_in_log
from inspection.artifacts import get_record
from inspection.dataset import read_training_data
from inspection.metrics import Rate, TestMetrics
from inspection.ontology import load_ontology
from inspection.settings import get_settings
from inspection.store import open_store

GROUP = "evaluation"
OWNER = "team:learning"
MAX_CACHE_FLIPS = 0.02
"""More verdicts than this that hang on the cache's compression say that the cache is not what is served."""


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"onnx"},
    code_version="1",
    io_manager_key="record_ids",
    description="Test metrics with bounds of one exported model (an EvaluationReport in the object store).",
)
def test_report(context: dg.AssetExecutionContext, exported_model: str) -> dg.MaterializeResult[str]:
    """Judges the test set from the original files, with the model that would be served."""
    from inspection.learning.pipeline import evaluate_model
    from inspection.learning.results import EvaluationReport

    settings = get_settings()
    store, ontology = open_store(settings.artifacts_url), load_ontology(settings.ontology_file)
    data = read_training_data(settings.dsn("warehouse"))
    with progress_in_log(context):
        report = evaluate_model(store, exported_model, data, ontology, settings.images)
    result = get_record(store, EvaluationReport, report)
    return dg.MaterializeResult(
        value=report,
        metadata={
            "metrics": metric_table(result.metrics),
            **{name.replace("_", " "): picture(store, key) for name, key in result.plots.items()},
            "calibration error": result.metrics.ece,
            "unreadable": result.unreadable,
            "split release": data.split_release,
        },
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
evaluation_assets = [test_report, model_variants]


def metric_table(metrics: TestMetrics) -> dg.TableMetadataValue:
    """Returns the rates with their bounds, as the Dagster UI shows them."""
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord(
                {
                    "metric": name,
                    "value": _rounded(r.value),
                    "low": _rounded(r.low),
                    "high": _rounded(r.high),
                    "hits": r.successes,
                    "of": r.total,
                }
            )
            for name, r in _named_rates(metrics)
        ],
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn("metric"),
                dg.TableColumn("value", "float"),
                dg.TableColumn("low", "float", "two-sided 95 % Wilson bound"),
                dg.TableColumn("high", "float", "two-sided 95 % Wilson bound"),
                dg.TableColumn("hits", "int"),
                dg.TableColumn("of", "int"),
            ]
        ),
    )


def _named_rates(metrics: TestMetrics) -> Iterator[tuple[str, Rate]]:
    yield from ((name.replace("_", " "), rate) for name, rate in metrics.rates.items())
    for name, found in metrics.per_class.items():
        yield f"{name}: precision", found.precision
        yield f"{name}: recall", found.recall
        yield f"{name}: peak in the box", found.pointing


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
