"""The macro of weighted rates, on the real database, against the same sums done in Python."""

from __future__ import annotations

from math import sqrt

import jinja2
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg2.extras import execute_values

from inspection.settings import Settings
from inspection.statistics import wilson
from inspection.warehouse import transaction
from resources.dbt import PROJECT

Part = tuple[float | None, bool, bool]  # weight, reviewed, hit
Rate = tuple[float | None, float | None, float | None, int]
Z = 1.959963984540054


@pytest.fixture(scope="module")
def select() -> str:
    """The macro's SQL; it asks nothing of dbt but Jinja."""
    text = (PROJECT / "macros" / "weighted_rate.sql").read_text(encoding="utf-8")
    rendered = jinja2.Environment(autoescape=False).from_string(
        text + "select {{ weighted_rate('rate', 'hit', 'reviewed') }} from parts"
    )
    return rendered.render()


def rate(settings: Settings, select: str, parts: list[Part]) -> Rate:
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(
            "create temporary table parts (weight double precision, reviewed boolean, hit boolean)"
            " on commit drop"
        )
        execute_values(warehouse, "insert into parts values %s", parts)
        warehouse.execute(select)
        assert [column.name for column in warehouse.description] == [
            "rate",
            "rate_low",
            "rate_high",
            "rate_reviewed",
        ]
        (found,) = warehouse.fetchall()
        return found


def counted(hits: int, total: int, weight: float = 1.0) -> list[Part]:
    return [(weight, True, n < hits) for n in range(total)]


@pytest.mark.parametrize(
    ("hits", "total"), [(0, 1), (1, 1), (0, 7), (7, 7), (1, 7), (3, 20), (0, 300), (299, 300), (300, 300)]
)
@pytest.mark.parametrize("weight", [1.0, 20.0, 1 / 0.3])
def test_equal_weights_give_the_plain_interval(
    module_settings: Settings, select: str, hits: int, total: int, weight: float
) -> None:
    value, low, high, reviewed = rate(module_settings, select, counted(hits, total, weight))
    expected = wilson(hits, total)
    assert (value, low, high) == pytest.approx((expected.value, expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= value <= high <= 1
    assert reviewed == total


@pytest.mark.parametrize("parts", [[], [(1.0, False, True)], [(None, False, False), (5.0, False, True)]])
def test_without_reviews_there_is_no_rate(module_settings: Settings, select: str, parts: list[Part]) -> None:
    if not parts:  # `insert` wants a row; one that nobody looked at is the same to the macro
        parts = [(None, False, False)]
    assert rate(module_settings, select, parts) == (None, None, None, 0)


def test_a_weighted_rate_by_hand(module_settings: Settings, select: str) -> None:
    # One missed part that stands for 20 and four of the queue: 20 of 24, as sure as 24^2 / 404 = 1.43 parts.
    parts = [(20.0, True, True), *counted(0, 4), (1.0, False, True)]
    value, low, high, reviewed = rate(module_settings, select, parts)
    p, n = 20 / 24, 24**2 / 404
    middle, half = p + Z**2 / (2 * n), Z * sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    expected = (p, (middle - half) / (1 + Z**2 / n), (middle + half) / (1 + Z**2 / n))
    assert (value, low, high) == pytest.approx(expected, abs=1e-9)
    assert reviewed == 5


@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=st.lists(st.tuples(st.floats(1, 1e4), st.just(True), st.booleans()), min_size=1, max_size=40))
@example(parts=[(3.0, True, False)] * 3)
@example(parts=[(1 / 0.3, True, True)] * 11)
def test_any_rate_lies_between_its_bounds(module_settings: Settings, select: str, parts: list[Part]) -> None:
    value, low, high, reviewed = rate(module_settings, select, parts)
    weights = [weight for weight, _, _ in parts]
    p = sum(weight for weight, _, hit in parts if hit) / sum(weights)
    n = sum(weights) ** 2 / sum(weight**2 for weight in weights)
    middle, half = p + Z**2 / (2 * n), Z * sqrt(max(p * (1 - p), 0) / n + Z**2 / (4 * n**2))
    expected = (p, (middle - half) / (1 + Z**2 / n), (middle + half) / (1 + Z**2 / n))
    assert (value, low, high) == pytest.approx(expected, abs=1e-9)
    assert 0 <= low <= value <= high <= 1
    assert reviewed == len(parts)
