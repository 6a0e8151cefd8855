"""Baselines and the production model beside ours, on the same test images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from inspection.dataset import TrainingData
from inspection.errors import BundleError, InsufficientDataError
from inspection.learning.baselines import put_baseline
from inspection.learning.evaluation import predict_originals
from inspection.learning.report.beside import compare_with_production, score_baseline
from inspection.learning.report.details import Judged
from inspection.rival import NO_RIVAL, Rival
from inspection.runtime import OnnxModel
from inspection.store import LocalStore
from tests.inspection.bundles import ONTOLOGY
from tests.inspection.learning.report.test_details import judged
from tests.inspection.learning.report.test_mistakes import TINY
from tests.inspection.learning.toy import CLASSES, sample, save_picture
from tests.serving.examples import GREY, store_bundle, tiny_model

SAMPLES = [
    sample(f"i{n}", CLASSES[n % 2 : n % 2 + (n % 3 > 0)], split="test", fold_id=None) for n in range(30)
]
DATA = TrainingData("r", tuple(SAMPLES))


def put(store: LocalStore, ids: list[str], scores: np.ndarray, classes: tuple[str, ...] = CLASSES) -> str:
    return put_baseline(
        store,
        DATA,
        name="dice",
        description="throws dice",
        classes=classes,
        image_ids=ids,
        probabilities=scores.astype(np.float32),
        seconds=1,
    )


def test_a_baseline_is_scored_on_the_images_that_both_judged(tmp_path: Path) -> None:
    rng, store = np.random.default_rng(0), LocalStore(tmp_path)
    of = judged(SAMPLES[:25], rng.random((25, 2)))  # five could not be read
    ids = [s.image_id for s in reversed(SAMPLES[5:])]  # five were not cached
    scores = rng.normal(0, 4, (25, 2))  # logits: only their order counts

    found = score_baseline(store, put(store, ids, scores), of, DATA.fingerprint)

    assert (found.name, found.images) == ("dice", 20)
    truth, ours = of.actual[5:], of.predictions.probabilities[5:]
    theirs = np.stack([scores[ids.index(s.image_id)] for s in SAMPLES[5:25]])
    assert found.macro_auroc == pytest.approx(roc_auc_score(truth, theirs, average="macro"))
    assert found.ours_macro == pytest.approx(roc_auc_score(truth, ours, average="macro"))
    assert found.defective_auroc.value == pytest.approx(roc_auc_score(truth.any(1), theirs.max(1)))
    assert found.ours_defective.value == pytest.approx(roc_auc_score(truth.any(1), ours.max(1)))


def test_a_baseline_without_common_images_has_no_score(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    record = put(store, [], np.zeros((0, 2)))
    found = score_baseline(store, record, judged(SAMPLES, np.zeros((30, 2))), DATA.fingerprint)
    assert (found.images, found.macro_auroc, found.defective_auroc.value) == (0, None, None)


def test_a_baseline_of_other_data_or_classes_is_refused(tmp_path: Path) -> None:
    store, of = LocalStore(tmp_path), judged(SAMPLES, np.zeros((30, 2)))
    ids, scores = [s.image_id for s in SAMPLES], np.zeros((30, 2))
    with pytest.raises(InsufficientDataError, match="made of other data"):
        score_baseline(store, put(store, ids, scores), of, "another")
    with pytest.raises(InsufficientDataError, match="made of other data"):
        score_baseline(store, put(store, ids, scores, CLASSES[::-1]), of, DATA.fingerprint)


@pytest.fixture
def line(tmp_path: Path) -> tuple[LocalStore, Judged, Path]:
    """Four parts: with a red and a green mark, without, and with one that nobody labelled; our verdicts."""
    samples = []
    for name, labels, colour in (
        ("red", ("DENT",), (255, 0, 0)),
        ("green", ("RUST",), (0, 255, 0)),
        ("grey", (), GREY),
        ("unlabelled", (), (255, 0, 0)),
    ):
        pixels = np.full((64, 64, 3), GREY, np.uint8)
        pixels[8:16, 8:16] = colour
        save_picture(tmp_path / f"{name}.png", pixels)
        samples.append(sample(name, labels, production_order_id=f"order-{name}"))
    model = OnnxModel(tiny_model(classes=2), threads=1)
    of = Judged.of(predict_originals(model, samples, tmp_path, TINY), {"DENT": 0.5, "RUST": 0.5})
    return LocalStore(tmp_path / "store"), of, tmp_path


def blind(store: LocalStore) -> str:
    """Stores a bundle that never reaches its thresholds."""
    return store_bundle(
        store,
        tiny_model(classes=2),
        ontology=ONTOLOGY,
        classes=CLASSES,
        thresholds=dict.fromkeys(CLASSES, 1.0),
        temperature=dict.fromkeys(CLASSES, 1.0),
        offset=dict.fromkeys(CLASSES, 0.0),
    )


def test_both_models_judge_the_same_originals(line: tuple[LocalStore, Judged, Path]) -> None:
    store, of, root = line
    found = compare_with_production(store, Rival(blind(store), frozenset(), None), of, root)
    assert found.verdicts is not None
    # Ours alone is right of red and green, both of grey; the blind one alone of the part without a label.
    verdicts = found.verdicts
    assert (verdicts.first_only, verdicts.second_only, verdicts.both, verdicts.neither) == (2, 1, 1, 0)


def test_parts_that_the_production_model_has_learnt_do_not_count(
    line: tuple[LocalStore, Judged, Path],
) -> None:
    store, of, root = line
    rival = Rival(blind(store), frozenset({"order-red", "order-grey", "elsewhere"}), None)
    found = compare_with_production(store, rival, of, root).verdicts
    assert found is not None
    assert (found.first_only, found.second_only, found.both, found.neither) == (1, 1, 0, 0)
    every = frozenset(s.production_order_id for s in of.samples)
    none_left = compare_with_production(store, Rival(rival.bundle, every, None), of, root)
    assert none_left.verdicts is None
    assert "orders of all 4 test images" in (none_left.reason or "")


def test_without_a_production_model_the_reason_is_told(line: tuple[LocalStore, Judged, Path]) -> None:
    store, of, root = line
    found = compare_with_production(store, NO_RIVAL, of, root)
    assert (found.bundle, found.verdicts, found.reason) == (None, None, "no model is in production")


def test_a_damaged_production_model_is_not_passed_over(line: tuple[LocalStore, Judged, Path]) -> None:
    store, of, root = line
    bundle = blind(store)
    store.put(f"models/{bundle}/model.onnx", tiny_model(classes=3))
    with pytest.raises(BundleError, match=r"model\.onnx is not the file"):
        compare_with_production(store, Rival(bundle, frozenset(), None), of, root)
