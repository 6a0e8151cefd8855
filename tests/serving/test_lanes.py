"""Which parts are let in."""

from __future__ import annotations

import pytest

from serving.lanes import in_time, patience


@pytest.mark.parametrize(
    ("before", "lanes", "seconds", "deadline", "expected"),
    [
        (0, 2, 0.1, 1, True),
        (1, 2, 99, 1, True),  # a lane is free: whoever takes too long goes to a person by the deadline
        (2, 2, 99, 1, False),
        # By hand: 0.1 s each in two lanes. With 2 before, one of them ends in 0.05 s: 0.15 s of 0.7 x 1 s.
        (2, 2, 0.1, 1, True),
        (13, 2, 0.1, 1, True),  # 12 x 0.05 + 0.1 = 0.7
        (14, 2, 0.1, 1, False),
        (1, 1, 0.0, 1, True),  # nothing is known yet
    ],
)
def test_a_part_is_let_in_when_its_turn_comes_in_time(
    before: int, lanes: int, seconds: float, deadline: float, expected: bool
) -> None:
    assert in_time(before, lanes, seconds, deadline + 1e-9) is expected


@pytest.mark.parametrize(("deadline", "seconds"), [(0.2, 0.16), (5, 4.96), (0.05, 0.025)])
def test_a_person_is_asked_in_time_for_the_deadline(deadline: float, seconds: float) -> None:
    assert patience(deadline) == pytest.approx(seconds)
