"""Defects by line: the tests against statsmodels, and the worn tool of the simulated plant is found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from inspection.settings import Settings
from inspection.simulation import wear
from inspection.simulation.plant import AS_OF, DAYS
from inspection.simulation.production import LINES, plan_production
from inspection.simulation.vocabulary import KINDS
from tests.dbt.compiled import compile_models, rows_of

MODEL = "line_defect_trends"
NOW = datetime(2026, 6, 30, tzinfo=UTC)
EARLIER = NOW - timedelta(days=60)
Image = tuple[str, str, datetime]  # line, label, time of capture


@pytest.fixture(scope="module")
def compiled(module_settings: Settings) -> Settings:
    compile_models(module_settings, MODEL)
    return module_settings


def trends(settings: Settings, images: list[Image]) -> dict[tuple[str, str], dict[str, Any]]:
    """Returns the rows of the model by line and class; the clean class is "fine"."""
    classes = {label for _, label, _ in images} | {"fine"}
    rows = rows_of(
        settings,
        MODEL,
        {
            "int_images": (
                "image_id text, line_id text, capture_timestamp timestamptz",
                [(f"i{n}", line, at) for n, (line, _, at) in enumerate(images)],
            ),
            "fct_image_labels": (
                "image_id text, label text",
                [(f"i{n}", label) for n, (_, label, _) in enumerate(images)],
            ),
            "dim_defect_class": (
                "defect_class text, clean boolean",
                [(name, name == "fine") for name in sorted(classes)],
            ),
        },
    )
    return {(row["line_id"], row["defect_class"]): row for row in rows}


def some(line: str, hits: int, count: int, at: datetime) -> list[Image]:
    return [(line, "mark" if n < hits else "fine", at) for n in range(count)]


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.tuples(*[st.integers(30, 200)] * 3),
    shares=st.tuples(*[st.floats(0.0, 1.0)] * 3),
)
def test_p_values_and_bounds_are_those_of_statsmodels(
    compiled: Settings, sizes: tuple[int, int, int], shares: tuple[float, float, float]
) -> None:
    here, other, before = (round(share * size) for share, size in zip(shares, sizes, strict=True))
    images = [
        *some("a", here, sizes[0], NOW),
        *some("b", other, sizes[1], NOW),
        *some("a", before, sizes[2], EARLIER),
    ]
    row = trends(compiled, [*images, ("b", "mark", EARLIER)])["a", "mark"]
    for p_value, (hits, size) in {"elevated_p": (other, sizes[1]), "rising_p": (before, sizes[2])}.items():
        pooled = (here + hits) / (sizes[0] + size)
        if min(sizes[0], size) * min(pooled, 1 - pooled) < 5:
            assert row[p_value] is None
        else:
            expected = proportions_ztest([here, hits], [sizes[0], size], alternative="larger")[1]
            assert row[p_value] == pytest.approx(expected, rel=1e-9)
    if here and other:
        assert row["rate_ratio"] == pytest.approx(here / sizes[0] / (other / sizes[1]))
        low, _ = confint_proportions_2indep(
            here, sizes[0], other, sizes[1], compare="ratio", method="log", alpha=0.1
        )
        assert row["rate_ratio_low"] == pytest.approx(low)
    else:
        assert row["rate_ratio_low"] is None


def test_of_many_comparisons_one_is_large_by_chance(compiled: Settings) -> None:
    # p is 0.024: enough for one comparison, and not for the six that three lines and two classes make.
    alone = [*some("a", 20, 100, NOW), *some("b", 10, 100, NOW)]
    row = trends(compiled, alone)["a", "mark"]
    assert row["elevated_p"] == pytest.approx(0.02383, abs=1e-5)
    assert row["elevated"]
    dents = [(line, "dent", NOW) for line in "abc" for _ in range(10)]
    many = [*alone, *some("c", 10, 100, NOW), *dents]
    found = trends(compiled, many)
    assert sum(row["elevated_p"] is not None for row in found.values()) == 6
    assert found["a", "mark"]["elevated_p"] < 0.05
    assert not any(row["elevated"] for row in found.values())


def test_one_line_has_no_others_to_be_held_against(compiled: Settings) -> None:
    (row,) = trends(compiled, some("a", 50, 100, NOW)).values()
    assert (row["other_images"], row["elevated_p"], row["elevated"]) == (0, None, False)


@pytest.mark.parametrize("seed", range(6))
def test_the_worn_tool_is_found_and_nothing_else(
    compiled: Settings, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert flagged(compiled, seed) == {(wear.LINE, wear.KIND)}
    monkeypatch.setattr(wear, "MOVED_SHARE", 0)
    assert flagged(compiled, seed) == set()


def flagged(settings: Settings, seed: int) -> set[tuple[str, str]]:
    """Returns line and kind of what is called elevated in a demo plant, by its true first defects."""
    plant = plan_production(np.random.default_rng([seed, 0]), 2600, AS_OF, DAYS)
    images = [
        (
            LINES[plant.order_line[order]],
            next(iter(plant.defects(image)), "fine"),
            datetime.fromtimestamp(int(plant.captured[image]) / 1000, UTC),
        )
        for image, order in enumerate(plant.image_order)
    ]
    assert {label for _, label, _ in images} == {*KINDS, "fine"}
    return {key for key, row in trends(settings, images).items() if row["elevated"]}
