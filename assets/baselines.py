"""Models that are trained only to be compared with: one way to make them and to tell of them."""

from collections.abc import Callable

import dagster as dg

from assets.run_log import progress_in_log
from inspection.artifacts import get_record
from inspection.dataset import TrainingData, read_training_data
from inspection.ontology import Ontology, load_ontology
from inspection.profiles import Profile, load_profile
from inspection.settings import Settings
from inspection.store import ObjectStore, open_store

Train = Callable[[ObjectStore, TrainingData, Ontology, Profile], str]
"""Trains a baseline on a dataset; returns the id of its `BaselineResult`."""


def train_baseline(
    context: dg.AssetExecutionContext, settings: Settings, train: Train
) -> dg.MaterializeResult[str]:
    """Trains on the dataset in force and returns the record's id, with what the UI shows of it."""
    from inspection.learning.baselines import BaselineResult

    store, profile = open_store(settings.artifacts_url), load_profile(settings.profile)
    data, ontology = read_training_data(settings.dsn("warehouse")), load_ontology(settings.ontology_file)
    with progress_in_log(context):
        record = train(store, data, ontology, profile)
    result = get_record(store, BaselineResult, record)
    return dg.MaterializeResult(
        value=record,
        metadata={
            "model": result.description,
            "macro AUROC": result.macro_auroc,
            "seconds": result.seconds,
            "split release": result.split_release,
            "data fingerprint": result.data_fingerprint,
        },
    )
