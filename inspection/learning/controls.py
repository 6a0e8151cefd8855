"""The two controls that a model is held against: linear on pixels, and our network on shuffled labels.

The first must be beaten clearly, the second must fall to chance. If a linear model does as well, the images
are too easy or the network has learnt the background; if shuffled labels do, the test set leaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.cache import CachedImage, read_cache
from inspection.dataset import Sample, TrainingData, check_classes
from inspection.errors import InsufficientDataError
from inspection.learning.baselines import put_baseline
from inspection.learning.checkpoints import Checkpoints, run_key
from inspection.learning.data import make_examples
from inspection.learning.evaluation import target_matrix
from inspection.learning.training import predict_logits, train
from inspection.ontology import Ontology
from inspection.profiles import Profile
from inspection.store import ObjectStore

Floats = NDArray[np.floating[Any]]

LINEAR, SHUFFLED = "linear on pixels", "shuffled labels"
SIDE = 32
"""Rows and columns of the pixels that the linear model sees."""
SEED = 0
DEALT = ("label", "labels", "boxes", "sample_weight", "repeats")


def train_linear_control(store: ObjectStore, data: TrainingData, ontology: Ontology, profile: Profile) -> str:
    """Fits one logistic regression per class on small pixels; returns the id of a `BaselineResult`.

    A class that all training images show, or none, gets its share.

    Args:
        store: has the image cache, takes the record.
        data: labels and sides; images that are not cached are left out.
        ontology: gives the classes.
        profile: names the cached frames.

    Raises:
        InsufficientDataError: no training or no test image is in the cache.
        OntologyError: a label is of a class that the ontology does not have.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    begin, classes = perf_counter(), ontology.defect_ids
    check_classes(data.samples, classes, ontology.clean_class.id)
    cached = read_cache(store, (*data.side("train"), *data.side("test")), profile.cached_preprocessing)
    training = [sample for sample in data.side("train") if sample.image_id in cached]
    test = [sample for sample in data.side("test") if sample.image_id in cached]
    _check_sides(training, test)
    scaler = StandardScaler()
    seen, unseen = scaler.fit_transform(_thumbnails(training, cached)), _thumbnails(test, cached)
    targets = target_matrix(training, classes)
    scores = np.tile(targets.mean(0), (len(test), 1))
    for column, truth in enumerate(targets.T):
        if 0 < truth.mean() < 1:
            model = LogisticRegression(C=1e-3, max_iter=2000, class_weight="balanced").fit(seen, truth)
            scores[:, column] = model.predict_proba(scaler.transform(unseen))[:, 1]
    return put_baseline(
        store,
        data,
        name=LINEAR,
        description=f"logistic regression per class on {SIDE}x{SIDE} pixels: what brightness and place tell",
        classes=classes,
        image_ids=[sample.image_id for sample in test],
        probabilities=scores.astype(np.float32),
        seconds=perf_counter() - begin,
    )


def train_shuffled_control(
    store: ObjectStore,
    data: TrainingData,
    ontology: Ontology,
    profile: Profile,
    ray_address: str | None = None,
) -> str:
    """Trains our network as always, but on labels dealt out anew; returns the id of a `BaselineResult`.

    It trains `Profile.controls.shuffled_epochs` at most. The predictions are logits: they are not calibrated.

    Args:
        store: has the image cache, takes the record.
        data: labels and sides.
        ontology: gives the classes.
        profile: of the model.
        ray_address: of the cluster to train on, as `train`.

    Raises:
        InsufficientDataError: there are no images to train on.
        OntologyError: a label is of a class that the ontology does not have.
    """
    begin, classes = perf_counter(), ontology.defect_ids
    check_classes(data.samples, classes, ontology.clean_class.id)
    epochs = min(profile.training.epochs, profile.controls.shuffled_epochs)
    short = profile.model_copy(update={"training": profile.training.model_copy(update={"epochs": epochs})})
    cached = read_cache(store, data.samples, profile.cached_preprocessing)
    training, validation, test = (
        make_examples(samples, cached, classes, profile.preprocessing, profile.training.frames_in_memory)
        for samples in (shuffled(data.side("train")), shuffled(data.side("validation")), data.side("test"))
    )
    _check_sides(training, test)
    checkpoints = Checkpoints(store, run_key(short, f"{SHUFFLED} {data.fingerprint}", classes))
    trained = train(training, validation, len(classes), short, checkpoints, ray_address)
    checkpoints.clear()
    return put_baseline(
        store,
        data,
        name=SHUFFLED,
        description=f"our network, {epochs} epochs on labels dealt out anew: what a leak would tell",
        classes=classes,
        image_ids=[s.image_id for s in data.side("test") if s.image_id in cached],
        probabilities=predict_logits(trained.model, test, profile.preprocessing).astype(np.float32),
        seconds=perf_counter() - begin,
    )


def shuffled(samples: Sequence[Sample]) -> list[Sample]:
    """Deals the labels of samples out anew among them, with their boxes, weights and repeats."""
    order = np.random.default_rng(SEED).permutation(len(samples))
    dealt = [{name: getattr(samples[i], name) for name in DEALT} for i in order]
    return [replace(own, **other) for own, other in zip(samples, dealt, strict=True)]


def _check_sides(training: Sequence[object], test: Sequence[object]) -> None:
    if not training or not test:
        raise InsufficientDataError(
            f"{len(training)} training and {len(test)} test images are in the cache: materialize image_cache"
        )


def _thumbnails(samples: Sequence[Sample], cached: dict[str, CachedImage]) -> Floats:
    """Returns small frames as rows, float64 [N, SIDE * SIDE * 3], in [0, 1]."""
    rows = [_thumbnail(cached[sample.image_id]) for sample in samples]
    return np.array(rows).reshape(len(samples), SIDE * SIDE * 3)


def _thumbnail(image: CachedImage) -> Floats:
    return np.asarray(cv2.resize(image.pixels(), (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 255).ravel()
