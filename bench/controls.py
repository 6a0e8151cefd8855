"""Whether the model has learnt defects: against a linear model on pixels, and one trained on shuffled labels.

The first must be beaten clearly, the second must fall to chance. If a linear model does as well, the images
are too easy; if shuffled labels do, the test set leaks. All three see the same test images from the cache.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.cache import CachedImage, read_cache
from inspection.dataset import TrainingData, read_training_data
from inspection.errors import InsufficientDataError
from inspection.metrics import auroc
from inspection.profiles import load_profile
from inspection.progress import report
from inspection.registry import ModelRegistry
from inspection.settings import get_settings
from inspection.store import ObjectStore, open_store

Floats = NDArray[np.floating[Any]]
Result = dict[str, Any]

SIDE = 32
"""Rows and columns of the pixels that the linear model sees."""
SEED = 0


def run() -> Result:
    """Measures the production model, the linear model and the shuffled one on the test set.

    Raises:
        InsufficientDataError: no model is in production, or there are no images: run `make demo` first.
    """
    settings = get_settings()
    store, data = open_store(settings.artifacts_url), read_training_data(settings.dsn("warehouse"))
    profile = load_profile(settings.profile)
    cached = read_cache(store, data.samples, profile.cached_preprocessing)
    data = data.only(cached)
    bundle = ModelRegistry(store).production()
    if bundle is None:
        raise InsufficientDataError("no model is in production: run `make demo` first")
    classes, ours = _production(store, bundle, data, cached)
    report("controls", 1, 3, "linear model on pixels")
    linear = _linear(data, cached, classes)
    report("controls", 2, 3, "training on shuffled labels")
    shuffled = _shuffled(store, data, classes)
    report("controls", 3, 3)
    truth = _targets(data, "test", classes)
    auc = {
        name: _mean_auroc(p, truth)
        for name, p in (("ours", ours), ("linear", linear), ("shuffled", shuffled))
    }
    found = {
        name: _found(p, truth) for name, p in (("ours", ours), ("linear", linear), ("shuffled", shuffled))
    }
    return {
        "name": "controls",
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "ratios": {
            # 0.5 is chance: what is left above it.
            "linear_over_ours": (auc["linear"] - 0.5) / (auc["ours"] - 0.5),
            "shuffled_over_ours": (auc["shuffled"] - 0.5) / (auc["ours"] - 0.5),
        },
        "measured": {
            "test_images": len(truth),
            "train_images": len(data.side("train")),
            **{f"auroc_{name}": value for name, value in auc.items()},
            **{f"defective_or_not_{name}": value for name, value in found.items()},
            "defective_share": float(truth.any(1).mean()),
        },
    }


def _production(
    store: ObjectStore, bundle: str, data: TrainingData, cached: dict[str, CachedImage]
) -> tuple[tuple[str, ...], Floats]:
    """Returns classes and probabilities of the model in production, [N, C]."""
    from inspection.bundle import load_bundle
    from inspection.learning.evaluation import predict_cached
    from inspection.runtime import OnnxModel

    loaded = load_bundle(store, bundle)
    if loaded.manifest.data_fingerprint != read_training_data(get_settings().dsn("warehouse")).fingerprint:
        raise InsufficientDataError("the production model was trained on other data: train and approve again")
    preprocessing = loaded.manifest.preprocessing
    model, classes = OnnxModel(loaded.model), loaded.manifest.classes
    found = predict_cached(model, data.side("test"), cached, preprocessing, len(classes))
    return classes, found


def _linear(data: TrainingData, cached: dict[str, CachedImage], classes: Sequence[str]) -> Floats:
    """Fits one logistic regression per class on small pixels; returns probabilities, [N, C]."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    seen, unseen = (
        np.stack([_thumbnail(cached[sample.image_id]) for sample in samples])
        for samples in (data.side("train"), data.side("test"))
    )
    model = make_pipeline(
        StandardScaler(),
        OneVsRestClassifier(LogisticRegression(C=1e-3, max_iter=2000, class_weight="balanced")),
    )
    model.fit(seen, _targets(data, "train", classes))
    return np.asarray(model.predict_proba(unseen))


def _shuffled(store: ObjectStore, data: TrainingData, classes: Sequence[str]) -> Floats:
    """Trains our network as always, but on labels dealt out anew; returns logits, [N, C]."""
    from inspection.learning.checkpoints import Checkpoints, run_key
    from inspection.learning.data import make_examples
    from inspection.learning.pipeline import cached_examples
    from inspection.learning.training import predict_logits, train

    settings = get_settings()
    profile = load_profile(settings.profile)
    rng = np.random.default_rng(SEED)
    mixed = []
    for side in ("train", "validation"):
        samples = data.side(side)
        dealt = [samples[i] for i in rng.permutation(len(samples))]
        mixed += [
            type(own)(**{**vars(own), "label": other.label, "labels": other.labels, "boxes": other.boxes})
            for own, other in zip(samples, dealt, strict=True)
        ]
    shuffled = TrainingData(data.split_release, tuple(mixed))
    training, validation = cached_examples(store, shuffled, classes, profile)
    checkpoints = Checkpoints(store, run_key(profile, shuffled.fingerprint, classes))
    trained = train(training, validation, len(classes), profile, checkpoints, settings.ray_address)
    checkpoints.clear()
    test = data.side("test")
    cached = read_cache(store, test, profile.cached_preprocessing)
    return predict_logits(
        trained.model, make_examples(test, cached, classes, profile.preprocessing), profile.preprocessing
    )


def _thumbnail(image: CachedImage) -> Floats:
    return np.asarray(cv2.resize(image.pixels(), (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 255).ravel()


def _targets(data: TrainingData, side: str, classes: Sequence[str]) -> Floats:
    samples = [sample for sample in data.samples if sample.split == side]
    return np.array([[name in sample.labels for name in classes] for sample in samples], float)


def _mean_auroc(scores: Floats, truth: Floats) -> float:
    found = [auroc(scores[:, c], truth[:, c]) for c in range(truth.shape[1])]
    return float(np.mean([value for value in found if value is not None]))


def _found(scores: Floats, truth: Floats) -> float | None:
    """AUROC of the highest score for telling defective parts from good ones."""
    return auroc(scores.max(1), truth.any(1).astype(float))
