"""Specifications as the planning system has them, good and bad."""

from __future__ import annotations

import json

import pytest

from inspection.gauge.specification import newest_specifications, parse_specification

TOLD = {"length_mm": 120, "bore_mm": 12.5, "tolerance_mm": 0.5, "bore_tolerance_mm": 0.1, "grade": "A"}


@pytest.mark.parametrize("dimensions", [TOLD, json.dumps(TOLD)])
def test_sizes_and_tolerances(dimensions: object) -> None:
    found = parse_specification(3, dimensions)
    assert (found.revision, found.nominal) == (3, {"length": 120, "bore": 12.5})
    assert found.tolerance == {"length": 0.5, "bore": 0.1}


def test_a_size_without_a_tolerance_has_none() -> None:
    found = parse_specification(1, {"length_mm": 1, "bore_mm": 2, "bore_tolerance_mm": 0.1})
    assert found.tolerance == {"bore": 0.1}


@pytest.mark.parametrize(
    ("dimensions", "told"),
    [
        ("no json", "revision 2"),
        ("[1]", "no JSON object"),
        (None, "no JSON object"),
        ({"length_mm": "long", "tolerance_mm": 1}, "could not convert"),
        ({"length_mm": None}, "revision 2"),
        ({"length_mm": -1}, "not positive"),
        ({"length_mm": 1, "tolerance_mm": 0}, "not positive"),
        ('{"length_mm": NaN}', "not positive"),
    ],
)
def test_the_newest_revision_counts_even_if_it_is_broken(dimensions: object, told: str) -> None:
    rows = [("gear", 1, TOLD), ("gear", 2, dimensions), ("shaft", 7, TOLD), ("shaft", 3, "{}")]
    good, broken = newest_specifications(rows)
    assert list(good) == ["shaft"]
    assert good["shaft"].revision == 7
    assert list(broken) == ["gear"]
    assert told in broken["gear"]
