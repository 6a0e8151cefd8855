"""Measurement plans as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspection.errors import SettingsError
from inspection.gauge.plan_file import DEFAULT_PLAN, load_plan
from inspection.settings import Settings
from inspection.simulation.parts import PART_TYPES


def test_the_default_plan_measures_what_may_be_wrong_of_every_part() -> None:
    plan = load_plan(DEFAULT_PLAN)
    for part in PART_TYPES:
        planned = set(plan.parts[part.name].dimensions)
        assert set(part.gauged) <= planned <= set(part.dimensions)


def test_the_setting_replaces_it_and_a_plan_may_be_empty(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).gauge_plan_file == DEFAULT_PLAN
    file = tmp_path / "plan.json"
    file.write_text('{"parts": {}}')
    settings = Settings(home=tmp_path, gauge_plan=file)
    assert not load_plan(settings.gauge_plan_file).parts


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "set VQI_GAUGE_PLAN"),
        ("parts: [", "no valid YAML"),
        ("", "plan"),
        ("parts: {gear: {dimensions: {}}}", "parts.gear.dimensions"),
        ("parts: {gear: {dimensions: {d: {kind: depth}}}}", "parts.gear.dimensions.d"),
        (
            "parts: {gear: {dimensions: {d: {kind: width, along: x, between: [3, 2]}}}}",
            "first station lies before",
        ),
        ("parts: {gear: {dimensions: {d: {kind: width, along: z, between: [1, 2]}}}}", "along"),
        ("parts: {}\nsearch_mm: 0", "search_mm"),
    ],
)
def test_what_is_no_plan_is_named(tmp_path: Path, text: str | None, told: str) -> None:
    file = tmp_path / "plan.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=told) as caught:
        load_plan(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
