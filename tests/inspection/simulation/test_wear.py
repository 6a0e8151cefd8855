"""The worn tool: one line becomes worse in the last weeks, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from inspection.simulation import wear
from inspection.simulation.plant import AS_OF, DAYS
from inspection.simulation.production import DAY_MS, LINES, Production, plan_production
from inspection.simulation.vocabulary import KINDS

BURR = KINDS.index(wear.KIND)
END = int(AS_OF.timestamp() * 1000)


@pytest.fixture(scope="module")
def worn() -> Production:
    return plan_production(np.random.default_rng(3), 2600, AS_OF, DAYS)


@pytest.fixture(scope="module")
def sound() -> Production:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wear, "MOVED_SHARE", 0)
        return plan_production(np.random.default_rng(3), 2600, AS_OF, DAYS)


def rate(plant: Production, line: str, *, recent: bool) -> float:
    on_line = plant.order_line[plant.image_order] == LINES.index(line)
    late = plant.captured >= END - wear.DAYS * DAY_MS
    return float(plant.kinds[on_line & (late == recent), BURR].mean())


def test_the_worn_line_is_worse_in_the_last_weeks_alone(worn: Production, sound: Production) -> None:
    assert wear.LINE in LINES
    assert rate(worn, wear.LINE, recent=True) > 2 * rate(sound, wear.LINE, recent=True)
    for line in LINES:
        assert rate(worn, line, recent=False) == rate(sound, line, recent=False)


def test_the_plant_makes_as_much_of_everything_as_without_it(worn: Production, sound: Production) -> None:
    assert np.array_equal(worn.captured, sound.captured)
    assert worn.image_ids == sound.image_ids
    late = worn.captured >= END - wear.DAYS * DAY_MS
    assert np.array_equal(worn.kinds[~late], sound.kinds[~late])
    before, after = (np.unique(plant.kinds[late], axis=0, return_counts=True) for plant in (sound, worn))
    assert np.array_equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
    assert (worn.kinds != sound.kinds).any(axis=1).sum() < 60  # of 2,600 parts


@pytest.mark.parametrize("images", [0, 1, 5])
def test_a_plant_without_clean_parts_or_without_parts_stays_as_it_is(images: int) -> None:
    kinds = np.ones((images, len(KINDS)), bool)
    on_line = np.arange(images) % 2 == 0
    found = wear.wear_tool(kinds, on_line, np.full(images, END), END)
    assert np.array_equal(found, kinds)
