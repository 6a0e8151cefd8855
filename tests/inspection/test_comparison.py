"""McNemar's test against statsmodels and SciPy, and who has seen which part."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from inspection.comparison import compare_verdicts, unseen
from tests.inspection.learning.toy import sample


def verdicts(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([True, True, False, False], [both, first, second, neither])
    b = np.repeat([True, False, True, False], [both, first, second, neither])
    return a, b


@pytest.mark.parametrize(
    "counts", [(50, 12, 3, 5), (0, 1, 0, 0), (9, 4, 4, 1), (90, 0, 9, 2), (10, 30, 11, 0)]
)
def test_counts_and_p_values_are_those_of_statsmodels(counts: tuple[int, int, int, int]) -> None:
    both, first, second, neither = counts
    found = compare_verdicts(*verdicts(*counts))
    assert (found.both, found.first_only, found.second_only, found.neither) == counts
    assert found.parts == sum(counts)
    assert found.exact_p == pytest.approx(mcnemar([[both, first], [second, neither]], exact=True).pvalue)


@pytest.mark.parametrize(("first", "second"), [(12, 3), (0, 9), (5, 6), (4, 4), (1, 0)])
def test_the_mid_p_value_by_its_formula(first: int, second: int) -> None:
    # Fagerland et al. (2013): 2 P(X < k) + P(X = k) with k the smaller count. With equal
    # counts both tails meet in the middle: nothing is more likely, and the value is 1.
    n, k = first + second, min(first, second)
    below = sum(stats.binom.pmf(i, n, 0.5) for i in range(k))
    expected = 1.0 if first == second else 2 * below + stats.binom.pmf(k, n, 0.5)
    found = compare_verdicts(*verdicts(3, first, second, 3))
    assert found.mid_p == pytest.approx(expected)
    assert found.mid_p <= found.exact_p


@pytest.mark.parametrize("parts", [0, 7])
def test_verdicts_that_never_differ_say_nothing(parts: int) -> None:
    found = compare_verdicts(*verdicts(parts, 0, 0, 0))
    assert (found.exact_p, found.mid_p, found.parts) == (1, 1, parts)


def test_parts_of_orders_that_were_learnt_do_not_count() -> None:
    samples = [sample(f"i{n}", production_order_id=f"o{n // 2}") for n in range(6)]
    assert [s.image_id for s in unseen(samples, {"o1", "elsewhere"})] == ["i0", "i1", "i4", "i5"]
    assert unseen(samples, []) == tuple(samples)
    assert unseen([], {"o1"}) == ()
