"""One verdict for a part that was looked at several times. Pure functions: no clock, no files, no state.

The worst verdict counts. Scrap comes before a person's look, because no other picture can make a scrapped
part good; a person's look comes before rework, because it may end in scrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from types import MappingProxyType

from inspection.judgement import Action

FROM_BEST_TO_WORST = (Action.ACCEPT, Action.REWORK, Action.HUMAN_INSPECTION, Action.SCRAP)
BY_DECISION = MappingProxyType({"PASS": Action.ACCEPT, "REWORK": Action.REWORK, "FAIL": Action.SCRAP})


def action_that_counts(told: Action, decisions: Sequence[str]) -> Action:
    """Returns what one picture says of its part: what the last person decided, else what the line was told.

    Args:
        told: the verdict's `recommended_action`.
        decisions: PASS, FAIL or REWORK, oldest first.
    """
    return BY_DECISION[decisions[-1]] if decisions else told


def worst_action(actions: Sequence[Action]) -> Action:
    """Returns the part's action; there is at least one picture of it."""
    return max(actions, key=FROM_BEST_TO_WORST.index)


def newest_visit(moments: Sequence[datetime], window: timedelta) -> int:
    """Returns where the part's newest visit to the cameras begins: the index after the last long gap.

    A part that comes back from rework is judged anew, and what was said of it before counts no more.

    Args:
        moments: when each verdict was given, in the order of giving; the clock may have been set back.
        window: a longer gap ends a visit.
    """
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    return max((index + 1 for index, gap in enumerate(gaps) if gap > window), default=0)
