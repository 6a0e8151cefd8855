"""Labels flipped on purpose: most are found, in classes that the embeddings tell, and in no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inspection.dataset import Sample
from inspection.embeddings import Embeddings
from inspection.learning.label_errors import (
    STRENGTH,
    Candidate,
    LabelErrors,
    judge_labels,
    out_of_fold,
    record_candidates,
    rows_of,
    suggested,
)
from inspection.settings import Settings
from inspection.warehouse import transaction
from tests.inspection.learning.toy import sample

DENT, RUST = CLASSES = ("DENT", "RUST")
IMAGES, DIMENSIONS = 400, 16


def clusters(seed: int = 0) -> tuple[list[Sample], Embeddings]:
    """Images without a defect and with a dent, in two clouds far from each other; RUST at random."""
    rng = np.random.default_rng(seed)
    dented = np.arange(IMAGES) % 2 == 1
    vectors = rng.normal(size=(IMAGES, DIMENSIONS))
    vectors[:, 0] += np.where(dented, 3, -3)
    rusty = rng.random(IMAGES) < 0.2
    samples = [
        sample(
            f"i{n:03}",
            [name for name, there in zip(CLASSES, (dented[n], rusty[n]), strict=True) if there],
            fold_id=n // 2 % 5 + 1,
        )
        for n in range(IMAGES)
    ]
    return samples, Embeddings(tuple(s.image_id for s in samples), vectors.astype(np.float32))


def with_flips(samples: list[Sample], flipped: set[int], name: str) -> list[Sample]:
    """Takes a class off these images, or adds it."""
    return [
        replace(s, labels=tuple(sorted({*s.labels} ^ {name}))) if n in flipped else s
        for n, s in enumerate(samples)
    ]


def test_flipped_labels_are_found_in_the_class_that_the_vectors_tell() -> None:
    samples, embeddings = clusters()
    flipped = set(np.random.default_rng(1).choice(IMAGES, IMAGES // 20, replace=False).tolist())
    found = judge_labels(with_flips(samples, flipped, DENT), embeddings, CLASSES)

    dent, rust = found.told
    assert found.applicable
    assert dent.better_than_chance
    assert not rust.better_than_chance  # it is at random
    assert {c.defect_class for c in found.candidates} == {DENT}
    told = {c.image_id for c in found.candidates}
    wrong = {f"i{n:03}" for n in flipped}
    # The clouds lie six deviations apart: about one vector in a thousand is nearer to the other one.
    assert len(told & wrong) >= 0.9 * len(wrong)
    assert len(told & wrong) >= 0.9 * len(told)
    for candidate in found.candidates:
        given = DENT in candidate.labels
        assert candidate.direction == ("extra" if given else "missing")
        assert candidate.score == pytest.approx(candidate.probability if given else 1 - candidate.probability)
    assert [c.score for c in found.candidates] == sorted(c.score for c in found.candidates)


def test_vectors_that_tell_nothing_doubt_nothing() -> None:
    samples, embeddings = clusters()
    noise = np.random.default_rng(2).normal(size=embeddings.vectors.shape).astype(np.float32)
    found = judge_labels(samples, Embeddings(embeddings.image_ids, noise), CLASSES)
    assert (found.applicable, found.candidates, found.images) == (False, (), IMAGES)
    assert all(one.auroc is not None and 0.35 < one.auroc < 0.65 for one in found.told)


def test_out_of_fold_probabilities_are_those_of_scikit_learn() -> None:
    samples, embeddings = clusters()
    targets = np.array([[name in s.labels for name in CLASSES] for s in samples], np.float32)
    folds = np.array([s.fold_id for s in samples])
    vectors: NDArray[np.float32] = embeddings.vectors
    expected = np.zeros(targets.shape)
    for fold in range(1, 6):
        held = folds == fold
        for column in range(2):
            regression = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=2000)
            model = make_pipeline(StandardScaler(), regression).fit(vectors[~held], targets[~held, column])
            expected[held, column] = model.predict_proba(vectors[held])[:, 1]
    assert np.allclose(out_of_fold(vectors, targets, folds), expected, atol=1e-3)


def test_no_image_is_judged_by_a_head_that_has_seen_it() -> None:
    """Labels of one fold are turned round: its own probabilities stay, as its head has not seen them."""
    samples, embeddings = clusters()
    targets = np.array([[name in s.labels for name in CLASSES] for s in samples], np.float32)
    folds = np.array([s.fold_id for s in samples])
    turned = np.where((folds == 2)[:, None], 1 - targets, targets)
    before, after = (out_of_fold(embeddings.vectors, t, folds) for t in (targets, turned))
    assert np.array_equal(before[folds == 2], after[folds == 2])
    assert not np.allclose(before[folds == 1], after[folds == 1])


def test_how_well_a_class_is_told() -> None:
    samples, embeddings = clusters()
    found = judge_labels(samples, embeddings, CLASSES)
    targets = np.array([RUST in s.labels for s in samples])
    both = np.array([[name in s.labels for name in CLASSES] for s in samples], np.float32)
    scores = out_of_fold(embeddings.vectors, both, np.array([s.fold_id for s in samples]))[:, 1]
    rust = found.told[1]
    assert (rust.positives, rust.negatives) == (targets.sum(), IMAGES - targets.sum())
    assert rust.auroc == pytest.approx(roc_auc_score(targets, scores))
    # Hanley and McNeil (1982), by hand: area a, q1 = a / (2 - a), q2 = 2 a^2 / (1 + a); z of 1 - 0.05 / 2.
    a, m, n = rust.auroc, rust.positives, rust.negatives
    variance = (a * (1 - a) + (m - 1) * (a / (2 - a) - a * a) + (n - 1) * (2 * a * a / (1 + a) - a * a)) / (
        m * n
    )
    assert rust.low == pytest.approx(a - 1.959964 * variance**0.5, abs=1e-6)


@pytest.mark.parametrize("count", [0, 1, 12])
def test_too_few_images_say_nothing(count: int) -> None:
    samples, embeddings = clusters()
    few = Embeddings(embeddings.image_ids[:count], embeddings.vectors[:count])
    found = judge_labels(samples[:count], few, (*CLASSES, "NEVER"))
    assert (found.images, found.candidates) == (count, ())
    assert found.told[2].auroc is None
    assert not found.told[2].better_than_chance


def test_images_of_one_fold_have_nothing_to_learn_from() -> None:
    samples, embeddings = clusters()
    found = judge_labels([replace(s, fold_id=1) for s in samples], embeddings, CLASSES)
    assert not found.applicable


def test_candidates_as_a_person_reads_them() -> None:
    extra = Candidate("a", (DENT, RUST), DENT, 0.123456, 0.123456, "extra")
    missing = Candidate("b", (), RUST, 0.9, 0.1, "missing")
    assert suggested(extra) == (RUST,)
    assert rows_of([extra, missing], "FINE") == [
        {
            "image_id": "a", "given": "DENT, RUST", "suggested": "RUST", "direction": "extra",
            "class": "DENT", "probability": 0.123, "score": 0.123,
        },
        {
            "image_id": "b", "given": "FINE", "suggested": "RUST", "direction": "missing",
            "class": "RUST", "probability": 0.9, "score": 0.1,
        },
    ]  # fmt: skip


def test_the_warehouse_holds_the_newest_findings_alone(settings: Settings) -> None:
    dsn = settings.dsn("warehouse")
    first = Candidate("a", (DENT, RUST), DENT, 0.1, 0.1, "extra")
    second = Candidate("b", (), RUST, 0.9, 0.1, "missing")
    record_candidates(dsn, LabelErrors(2, (), (first, second)), "old")
    record_candidates(dsn, LabelErrors(2, (), (second,)), "new")
    query = """
        select image_id, labels, defect_class, probability, score, direction, data_fingerprint
        from features.label_error_candidates
    """
    with transaction(dsn) as warehouse:
        warehouse.execute(query)
        assert warehouse.fetchall() == [("b", [], RUST, 0.9, 0.1, "missing", "new")]
    record_candidates(dsn, LabelErrors(2, (), ()), "none")
    with transaction(dsn) as warehouse:
        warehouse.execute(query)
        assert warehouse.fetchall() == []
