"""Slices by hand, their tests against SciPy, and marks that do not come by chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from inspection.metrics import Rate
from inspection.slices import NOT_TOLD, compare_rate, marked, size_bins, slices

FAILED = np.array([True, False, True, True, False, False])
DEFECTIVE = np.array([True, True, False, True, False, True])
LINES = ["a", "a", "a", "b", "b", None]


def test_slices_count_by_hand() -> None:
    found = slices({"line": LINES}, FAILED, DEFECTIVE)
    assert [(s.value, s.images) for s in found] == [("a", 3), ("b", 2), (NOT_TOLD, 1)]
    assert {s.by for s in found} == {"line"}
    a, b, unknown = found
    assert (a.missed.rate, a.missed.others) == (Rate.of(1, 2), Rate.of(1, 2))
    assert (a.false_alarms.rate, a.false_alarms.others) == (Rate.of(1, 1), Rate.of(0, 1))
    assert (b.missed.rate, b.missed.others) == (Rate.of(0, 1), Rate.of(2, 3))
    assert (unknown.missed.rate, unknown.false_alarms.rate) == (Rate.of(1, 1), Rate.of(0, 0))
    assert unknown.false_alarms.p is None


def test_a_trait_with_one_value_has_no_others_to_be_held_against() -> None:
    (only,) = slices({"camera": ["c"] * 6}, FAILED, DEFECTIVE)
    assert (only.missed.others, only.missed.p) == (Rate.of(0, 0), None)
    assert slices({}, FAILED, DEFECTIVE) == ()
    assert slices({"line": []}, FAILED[:0], DEFECTIVE[:0]) == ()


def test_the_p_value_is_that_of_fishers_exact_test() -> None:
    rng = np.random.default_rng(4)
    hits, chosen, among = (rng.random(80) < share for share in (0.3, 0.4, 0.9))
    table = [
        [int((hits & chosen & among).sum()), int((~hits & chosen & among).sum())],
        [int((hits & ~chosen & among).sum()), int((~hits & ~chosen & among).sum())],
    ]
    found = compare_rate(hits, chosen, among)
    assert found.p == pytest.approx(stats.fisher_exact(table)[1])
    assert found.rate.total == sum(table[0])


def test_defects_are_dealt_into_sizes_that_hold_about_as_many() -> None:
    sides = np.array([40.0, 10, 20, 30, 50, 60, 70, 80])
    told = sides > 20
    found = size_bins(sides, np.full(8, 0.5), told)
    assert [(b.smallest, b.largest) for b in found] == [(10, 20), (30, 40), (50, 60), (70, 80)]
    assert [b.found.rate for b in found] == [Rate.of(0, 2), *[Rate.of(2, 2)] * 3]
    assert [b.found.others for b in found] == [Rate.of(6, 6), *[Rate.of(4, 6)] * 3]
    assert [b.model_pixels for b in found] == [7.5, 17.5, 27.5, 37.5]


@pytest.mark.parametrize(("sides", "bins"), [([], 0), ([5.0], 1), ([5.0, 5.0, 5.0], 1), ([1.0, 9.0], 2)])
def test_few_or_equal_sizes_make_fewer_bins(sides: list[float], bins: int) -> None:
    found = size_bins(np.array(sides), np.ones(len(sides)), np.ones(len(sides), bool))
    assert len(found) == bins
    assert all(b.found.p is None for b in found if bins == 1)
    assert sum(b.found.rate.total for b in found) == len(sides)


def test_a_line_that_misses_half_is_marked_and_only_it() -> None:
    rng = np.random.default_rng(2)
    count = 800
    line = rng.integers(0, 8, count).astype(str)
    defective = rng.random(count) < 0.5
    missed = defective & (rng.random(count) < np.where(line == "3", 0.5, 0.05))
    failed = (defective & ~missed) | (~defective & (rng.random(count) < 0.05))
    found, sizes = marked(slices({"line": list(line)}, failed, defective), ())
    assert [s.value for s in found if s.missed.marked] == ["3"]
    assert not any(s.false_alarms.marked for s in found)
    assert sizes == ()


def test_without_a_difference_reports_mark_something_once_in_twenty_times_at_most() -> None:
    marks = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        traits = {name: list(rng.integers(0, 4, 240).astype(str)) for name in ("line", "camera")}
        failed, defective = rng.random(240) < 0.3, rng.random(240) < 0.5
        found, _ = marked(slices(traits, failed, defective), ())
        marks += any(s.missed.marked or s.false_alarms.marked for s in found)
    assert marks <= 6  # 2 are expected at most; chance gives more than 6 once in 200 times


def test_sizes_count_among_the_tests() -> None:
    sides = np.repeat([10.0, 20.0], 30)
    told = np.concatenate([np.arange(30) < 15, np.arange(30) < 28])
    bins = size_bins(sides, np.ones(60), told, bins=2)
    _, alone = marked((), bins)
    assert all(one.found.marked for one in alone)
    crowd = slices({str(n): ["a", "b"] * 3 for n in range(200)}, FAILED, DEFECTIVE)
    _, diluted = marked(crowd, bins)
    assert not any(one.found.marked for one in diluted)
