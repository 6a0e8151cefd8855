"""How far work is: who listens, and how long it still takes."""

from __future__ import annotations

import pytest

from inspection import progress
from inspection.progress import Clock, listening, report, spoken


def test_those_who_listen_hear_what_is_reported_in_their_time() -> None:
    heard: list[tuple[str, int, int, str]] = []
    report("before", 1, 2)
    with listening(lambda *event: heard.append(event)), listening(lambda *event: heard.append(event)):
        report("work", 1, 2, "note")
    report("after", 2, 2)
    assert heard == [("work", 1, 2, "note")] * 2


def test_time_left_follows_from_the_pace_since_the_first_word(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    clock = Clock()
    assert clock.left("training", 40, 100) is None  # one that goes on where it was cut off
    now[0] += 20
    assert clock.left("training", 50, 100) == 100  # 10 in 20 seconds, 50 to go
    assert clock.left("another", 1, 2) is None
    now[0] += 40
    assert clock.left("training", 100, 100) == 0


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (61, "1 min"),
        (3540, "59 min"),
        (3600, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_a_duration_as_a_person_says_it(seconds: float, told: str) -> None:
    assert spoken(seconds) == told
