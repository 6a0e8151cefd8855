"""Bounds of shares against values by hand and against SciPy's own."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from inspection.statistics import clopper_pearson_lower, clopper_pearson_upper, wilson

counts = st.integers(1, 2000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


def test_299_without_a_miss_prove_99_percent_and_298_do_not() -> None:
    # By hand: without a miss the bound is 0.05 ** (1 / n).
    assert clopper_pearson_lower(299, 299) == pytest.approx(0.05 ** (1 / 299))
    assert clopper_pearson_lower(299, 299) >= 0.99 > clopper_pearson_lower(298, 298)


def test_with_one_miss_it_takes_473() -> None:
    assert clopper_pearson_lower(472, 473) >= 0.99 > clopper_pearson_lower(471, 472)


@settings(max_examples=50, deadline=None)
@given(counts)
def test_exact_bounds_agree_with_scipy(count: tuple[int, int]) -> None:
    successes, total = count
    test = stats.binomtest(successes, total, alternative="greater")
    assert clopper_pearson_lower(*count) == pytest.approx(test.proportion_ci(0.95).low, abs=1e-9)
    test = stats.binomtest(successes, total, alternative="less")
    assert clopper_pearson_upper(*count) == pytest.approx(test.proportion_ci(0.95).high, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(counts)
def test_upper_bound_mirrors_the_lower(count: tuple[int, int]) -> None:
    successes, total = count
    mirrored = 1 - clopper_pearson_lower(total - successes, total)
    assert clopper_pearson_upper(successes, total) == pytest.approx(mirrored, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(counts)
def test_wilson_is_its_formula(count: tuple[int, int]) -> None:
    successes, total = count
    share, z = successes / total, 1.959963984540054
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    reach = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    found = wilson(successes, total)
    assert (found.value, found.successes, found.total) == (share, successes, total)
    assert found.low == pytest.approx(middle - reach, abs=1e-9)
    assert found.high == pytest.approx(middle + reach, abs=1e-9)


def test_nothing_counted_has_no_share_and_no_certainty() -> None:
    assert wilson(0, 0) == (None, None, None, 0, 0)
    assert (clopper_pearson_lower(0, 0), clopper_pearson_upper(0, 0)) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "total"), [(-1, 5), (6, 5), (1, 0)])
def test_impossible_counts_are_an_error(successes: int, total: int) -> None:
    for function in (wilson, clopper_pearson_lower, clopper_pearson_upper):
        with pytest.raises(ValueError, match="is no share"):
            function(successes, total)
