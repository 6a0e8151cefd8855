"""Whether the model has learnt defects: against a linear model on pixels, and one trained on shuffled labels.

The controls are those of the test report (`inspection.learning.controls`). All three see the same test images
from the cache.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspection.artifacts import get_record
from inspection.cache import read_cache
from inspection.dataset import Sample, TrainingData, read_training_data
from inspection.errors import InsufficientDataError
from inspection.metrics import auroc, mean_auroc
from inspection.ontology import Ontology, load_ontology
from inspection.profiles import Profile, load_profile
from inspection.progress import report
from inspection.registry import ModelRegistry
from inspection.settings import get_settings
from inspection.store import ObjectStore, open_store

Floats = NDArray[np.floating[Any]]
Result = dict[str, Any]


def run() -> Result:
    """Measures the production model, the linear model and the shuffled one on the test set.

    Raises:
        InsufficientDataError: no model is in production, or there are no images: run `make demo` first.
    """
    from inspection.learning.baselines import BaselineResult, read_baseline_predictions
    from inspection.learning.controls import train_linear_control, train_shuffled_control
    from inspection.learning.evaluation import target_matrix

    settings = get_settings()
    store, data = open_store(settings.artifacts_url), read_training_data(settings.dsn("warehouse"))
    profile, ontology = load_profile(settings.profile), load_ontology(settings.ontology_file)
    bundle = ModelRegistry(store).production()
    if bundle is None:
        raise InsufficientDataError("no model is in production: run `make demo` first")
    scores: dict[str, Floats] = {}
    controls: dict[str, Callable[[ObjectStore, TrainingData, Ontology, Profile], str]] = {
        "linear": train_linear_control,
        "shuffled": partial(train_shuffled_control, ray_address=settings.ray_address),
    }
    for number, (name, make) in enumerate(controls.items(), start=1):
        report("controls", number, 3, name)
        result = get_record(store, BaselineResult, make(store, data, ontology, profile))
        image_ids, scores[name] = read_baseline_predictions(store, result)
    shown = {sample.image_id: sample for sample in data.side("test")}
    samples = [shown[image_id] for image_id in image_ids]
    scores["ours"] = _production(store, bundle, data, samples, profile)
    report("controls", 3, 3)
    truth = target_matrix(samples, ontology.defect_ids)
    auc = {name: mean_auroc(found, truth) or 0.5 for name, found in scores.items()}
    return {
        "name": "controls",
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "ratios": {
            # 0.5 is chance: what is left above it.
            f"{name}_over_ours": (auc[name] - 0.5) / (auc["ours"] - 0.5)
            for name in ("linear", "shuffled")
        },
        "measured": {
            "test_images": len(truth),
            "train_images": len(data.side("train")),
            **{f"auroc_{name}": value for name, value in auc.items()},
            **{
                # Of the highest score, for telling defective parts from good ones.
                f"defective_or_not_{name}": auroc(found.max(1), truth.max(1))
                for name, found in scores.items()
            },
            "defective_share": float((truth.max(1) > 0).mean()),
        },
    }


def _production(
    store: ObjectStore, bundle: str, data: TrainingData, samples: Sequence[Sample], profile: Profile
) -> Floats:
    """Returns the probabilities of the model in production, [N, C]."""
    from inspection.bundle import load_bundle
    from inspection.learning.evaluation import predict_cached
    from inspection.runtime import OnnxModel

    loaded = load_bundle(store, bundle)
    if loaded.manifest.data_fingerprint != data.fingerprint:
        raise InsufficientDataError("the production model was trained on other data: train and approve again")
    cached = read_cache(store, samples, profile.cached_preprocessing)
    model, classes = OnnxModel(loaded.model), loaded.manifest.classes
    return predict_cached(model, samples, cached, loaded.manifest.preprocessing, len(classes))
