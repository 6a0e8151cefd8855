"""What missed defects cap: by hand, and on a plant whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from inspection.label_noise import InspectorRates, label_cap


def rates(miss: float, over_reject: float = 0.0) -> InspectorRates:
    return InspectorRates(miss_rate=miss, over_reject_rate=over_reject, defective=200, clean=300)


def test_by_hand() -> None:
    # 100 parts, 20 defective, 15 % missed, 5 % of the 80 good ones rejected: 17 + 4 = 21 are rejected.
    found = label_cap(rates(0.15, 0.05), 0.21, clean_rows=158, defects=60, clean_images=200)
    assert found is not None
    assert found.defective == pytest.approx(0.2)
    assert found.hidden_share == pytest.approx(3 / 79)
    assert found.hidden == pytest.approx(6)
    assert found.precision == pytest.approx(60 / 66)
    assert found.false_reject_rate == pytest.approx(6 / 200)


def test_a_simulated_plant_hides_as_many_as_estimated() -> None:
    rng = np.random.default_rng(1)
    defective = rng.random(400_000) < 0.12
    rejected = np.where(defective, rng.random(400_000) >= 0.145, rng.random(400_000) < 0.03)
    clean = ~rejected
    found = label_cap(rates(0.145, 0.03), float(rejected.mean()), int(clean.sum()), 1, int(clean.sum()))
    assert found is not None
    assert found.defective == pytest.approx(0.12, abs=0.003)
    assert found.hidden == pytest.approx(int((clean & defective).sum()), rel=0.03)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (label_cap(rates(0.0), 0.3, 100, 50, 100), (0.0, 1.0, 0.0)),  # nobody misses
        (label_cap(rates(0.2, 0.3), 0.1, 100, 50, 100), (0.0, 1.0, 0.0)),  # fewer rejected than by mistake
        (label_cap(rates(0.5), 0.3, 0, 50, 40), (0.0, 1.0, 0.0)),  # all labels are the annotators'
        (label_cap(rates(0.5), 0.3, 0, 0, 0), (0.0, None, None)),
    ],
)
def test_edges(found: object, expected: tuple[float, float | None, float | None]) -> None:
    assert (found.hidden, found.precision, found.false_reject_rate) == expected  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("miss", "over_reject", "rejected"), [(0.6, 0.4, 0.3), (1.0, 0.1, 0.2), (0.1, 0.1, 1.0)]
)
def test_inspectors_that_decide_no_better_than_chance_tell_nothing(
    miss: float, over_reject: float, rejected: float
) -> None:
    assert label_cap(rates(miss, over_reject), rejected, 100, 50, 100) is None
