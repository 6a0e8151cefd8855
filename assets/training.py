"""Training: from the image cache to an exported model."""

import dagster as dg

from assets.pictures import picture
from assets.run_log import progress_in_log
from assets.training_gate import hold_training
from inspection.artifacts import get_record
from inspection.dataset import read_training_data
from inspection.ontology import load_ontology
from inspection.profiles import load_profile
from inspection.settings import get_settings
from inspection.store import open_store

GROUP = "training"
OWNER = "team:learning"


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"pytorch"},
    code_version="1",
    deps=["image_cache", "image_embeddings"],  # the checks of both stop it
    io_manager_key="record_ids",
    description="One trained and calibrated network (a TrainingResult in the object store).",
)
def trained_model(context: dg.AssetExecutionContext) -> dg.MaterializeResult[str]:
    """Trains as the profile says, on the newest split release, unless a check on its labels forbids it."""
    from inspection.learning.pipeline import train_model
    from inspection.learning.results import TrainingResult

    settings = get_settings()
    hold_training(context.instance, settings)
    store, profile = open_store(settings.artifacts_url), load_profile(settings.profile)
    data, ontology = read_training_data(settings.dsn("warehouse")), load_ontology(settings.ontology_file)
    with progress_in_log(context):
        training = train_model(store, data, ontology, profile, settings.ray_address)
    result = get_record(store, TrainingResult, training)
    return dg.MaterializeResult(
        value=training,
        metadata={
            "curve": picture(store, result.curve),
            "epochs": len(result.history),
            "best epoch": result.best_epoch,
            "validation loss": result.history[result.best_epoch - 1].validation_loss,
            "images": dict(result.images),
            "seconds": result.seconds,
            "profile": profile.model_dump(mode="json"),
            "data fingerprint": result.data_fingerprint,
            "split release": result.split_release,
            "code revision": result.code_revision,
            "resumed from": f"epoch {result.resumed_from}" if result.resumed_from else "the beginning",
            "damaged checkpoints": list(result.damaged_checkpoints),
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"pytorch", "onnx"},
    code_version="1",
    io_manager_key="record_ids",
    description="The trained model as ONNX with its thresholds (an ExportResult in the object store).",
)
def exported_model(
    context: dg.AssetExecutionContext, trained_model: str, dimension_gauge: str
) -> dg.MaterializeResult[str]:
    """Exports, chooses thresholds on validation with the gauge, and compares with the trained network."""
    from inspection.learning.pipeline import export_model
    from inspection.learning.results import ExportResult

    settings = get_settings()
    store, ontology = open_store(settings.artifacts_url), load_ontology(settings.ontology_file)
    data = read_training_data(settings.dsn("warehouse"))
    with progress_in_log(context):
        export = export_model(store, trained_model, data, ontology, settings.images, dimension_gauge)
    result = get_record(store, ExportResult, export)
    return dg.MaterializeResult(
        value=export, metadata={"thresholds": dict(result.thresholds), "model": result.model}
    )


@dg.asset_check(
    asset=exported_model,
    blocking=True,
    description="From file bytes, ONNX Runtime gives the verdicts, probabilities and maps that torch gives.",
)
def same_as_trained(exported_model: str) -> dg.AssetCheckResult:
    """Reads what the comparison at the export found."""
    from inspection.learning.results import ExportResult

    store = open_store(get_settings().artifacts_url)
    parity = get_record(store, ExportResult, exported_model).parity
    return dg.AssetCheckResult(
        passed=parity.passed,
        description=f"{parity.flips} of {parity.images} verdicts differ; largest difference of a "
        f"probability {parity.max_difference:.1e}, of a cell of the maps {parity.max_cell_difference:.1e}, "
        f"allowed {parity.tolerance:.0e}",
        metadata={
            "value": max(parity.max_difference, parity.max_cell_difference),
            "threshold": parity.tolerance,
            "probabilities": parity.max_difference,
            "cells": parity.max_cell_difference,
            "flips": parity.flips,
        },
    )


training_assets = [trained_model, exported_model]
training_checks = [same_as_trained]
