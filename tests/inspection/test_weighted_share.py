"""Shares among sampled parts: a bound knows how much its sample says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.statistics import WeightedShare, clopper_pearson_lower


def share(*parts: tuple[float, bool]) -> WeightedShare:
    weights = [weight for weight, _ in parts]
    hits = [weight for weight, hit in parts if hit]
    return WeightedShare(
        len(parts), sum(weights), sum(w * w for w in weights), sum(hits), sum(w * w for w in hits)
    )


def test_nothing_looked_at_has_no_share() -> None:
    assert (share().value, share().lower()) == (None, None)


@given(st.integers(1, 400), st.data(), st.sampled_from([1.0, 20.0, 50.0]))
def test_equal_weights_give_the_plain_bound(total: int, data: st.DataObject, weight: float) -> None:
    hits = data.draw(st.integers(0, total))
    weighted = share(*[(weight, number < hits) for number in range(total)])
    assert weighted.effective_count == pytest.approx(total)
    assert weighted.lower() == pytest.approx(clopper_pearson_lower(hits, total), abs=1e-9)


@given(st.lists(st.tuples(st.floats(1, 100), st.booleans()), min_size=1, max_size=60))
def test_bound_lies_between_zero_and_the_share(parts: list[tuple[float, bool]]) -> None:
    weighted = share(*parts)
    value, lower = weighted.value, weighted.lower()
    assert value is not None
    assert lower is not None
    assert 0 <= lower <= value + 1e-12
    assert 0 < weighted.effective_count <= len(parts)


def test_one_heavy_part_says_no_more_than_one_part() -> None:
    # 1 hit that stands for 50 parts among 1,000 that stand for themselves: a share of 50/1050, and
    # by hand 0.0453 * 1050^2 / (2500 * 0.9524^2 + 1000 * 0.0476^2) = 22.02 effective parts.
    weighted = share((50, True), *[(1.0, False)] * 1000)
    assert weighted.value == pytest.approx(50 / 1050)
    assert weighted.effective_count == pytest.approx(22.0, abs=0.1)
    lower = weighted.lower()
    assert lower is not None
    assert lower < 0.005


def test_without_variance_the_weights_alone_count() -> None:
    # Kish: (50 + 1)^2 / (50^2 + 1) = 1.04
    assert share((50, True), (1, True)).effective_count == pytest.approx(2601 / 2501)
